//! Plausible questions from a seed, for property tests of plugins (native only).
//!
//! A property holds for every question: a charge is never negative, the answer names only
//! candidates. [`check`] tries it on as many questions as wanted and prints the seed of one that
//! breaks it.
//!
//! ```
//! use plugin_sdk::testing;
//! testing::check(100, |draw| {
//!     let question = draw.route_question();
//!     let cheapest = question.candidates.iter().map(|candidate| candidate.buy_price).min();
//!     assert!(question.candidates.iter().all(|candidate| Some(candidate.buy_price) >= cheapest));
//! });
//! ```

use crate::{
    AccountId, Call, Candidate, DeckRow, DisplayMode, Event, EventKind, Failure, FakeHost,
    HeaderMode, IdentityQuestion, Money, NumberQuestion, Outcome, PrivacyMode, RateSubject,
    Rounding, RoundingMode, RouteQuestion, ScreenQuestion, Side, Stage, StopAfterMedia,
    SupervisionQuestion, TrunkId,
};

/// 2026-01-01 00:00 UTC, also the initial time of [`FakeHost`].
const BEGIN_MS: u64 = 1_767_225_600_000;
/// Calls are spread over a year.
const YEAR_MS: u64 = 365 * 86_400_000;

/// Tries a property `cases` times, each time with a fresh [`FakeHost`] and other questions. The
/// seeds are the same in every run, so a failure is reproducible.
///
/// # Panics
/// If the property panics; the seed is printed first, for `Generator::new(seed)`.
pub fn check(cases: u64, mut property: impl FnMut(&mut Generator)) {
    for seed in 0..cases {
        let named = NamedSeed(seed);
        FakeHost::install().seed(seed);
        property(&mut Generator::new(seed));
        std::mem::forget(named);
    }
}

/// Prints the seed when a property unwinds through it.
struct NamedSeed(u64);

impl Drop for NamedSeed {
    fn drop(&mut self) {
        eprintln!("the property does not hold for Generator::new({})", self.0);
    }
}

/// Draws questions like those of a switch. Equal seeds draw equal questions.
#[derive(Clone, Debug)]
pub struct Generator(u64);

impl Generator {
    /// A generator for this seed; every seed works.
    #[must_use]
    pub fn new(seed: u64) -> Generator {
        Generator(seed)
    }

    /// 64 random bits (SplitMix64).
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// 0 to `limit - 1`; 0 for a limit of 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.bits().checked_rem(limit).unwrap_or(0)
    }

    /// As [`Generator::below`], for `u32`.
    pub fn small(&mut self, limit: u32) -> u32 {
        // Below a u32.
        self.below(u64::from(limit)) as u32
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.small(100) < percent
    }

    /// One of the choices.
    ///
    /// # Panics
    /// If there is no choice.
    pub fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        let at = self.below(choices.len() as u64) as usize;
        choices[at].clone()
    }

    /// An amount from 0 to below `limit`.
    pub fn money(&mut self, limit: Money) -> Money {
        Money(self.below(limit.0.max(0).unsigned_abs()) as i64)
    }

    /// An international number without `+`: 8 to 15 digits, in one of eight countries.
    pub fn number(&mut self) -> String {
        let country = self.one_of(&["1", "33", "34", "39", "44", "49", "358", "971"]);
        let length = 8 + self.small(8) as usize;
        let digits = (country.len()..length).map(|_| char::from(b'0' + self.small(10) as u8));
        country.chars().chain(digits).collect()
    }

    /// A caller number; one in ten is withheld, that is, empty.
    pub fn caller(&mut self) -> String {
        if self.chance(10) { String::new() } else { self.number() }
    }

    /// A call in 2026, from one of 8 trunks of 4 accounts.
    pub fn call(&mut self) -> Call {
        Call {
            id: u128::from(self.bits()) << 64 | u128::from(self.bits()),
            received_ms: BEGIN_MS + self.below(YEAR_MS),
            trunk: TrunkId(1 + self.small(8)),
            account: AccountId(1 + self.small(4)),
        }
    }

    /// May this call proceed?
    pub fn screen_question(&mut self) -> ScreenQuestion {
        ScreenQuestion {
            call: self.call(),
            caller: self.caller(),
            callee: self.number(),
            source: format!("192.0.2.{}", 1 + self.small(254)),
        }
    }

    /// Which numbers? Without rules, because their texts belong to the test.
    pub fn number_question(&mut self, stage: Stage) -> NumberQuestion {
        NumberQuestion {
            call: self.call(),
            stage,
            trunk: TrunkId(1 + self.small(20)),
            caller: self.caller(),
            callee: self.number(),
            tech_prefix: self.one_of(&["", "", "77#"]).to_owned(),
            ..NumberQuestion::default()
        }
    }

    /// A vendor trunk with this id.
    pub fn candidate(&mut self, trunk: TrunkId) -> Candidate {
        Candidate {
            trunk,
            prefix_length: self.small(8) as u8,
            prefix_priority: 100 + self.small(3),
            extend: self.chance(80),
            priority: 100 + self.small(3),
            weight: self.small(100),
            last_resort: self.chance(10),
            active: self.small(50),
            channels: self.one_of(&[0, 50, 500]),
            calls_today: self.below(10_000),
            buy_price: self.money(Money(2_000_000_000)),
        }
    }

    /// Which vendors? 0 to 20 candidates with distinct ids.
    pub fn route_question(&mut self) -> RouteQuestion {
        let count = self.small(21);
        let mut candidates: Vec<Candidate> =
            (1..=count).map(|id| self.candidate(TrunkId(id))).collect();
        for at in (1..candidates.len()).rev() {
            let other = self.below(at as u64 + 1) as usize;
            candidates.swap(at, other);
        }
        RouteQuestion {
            call: self.call(),
            caller: self.caller(),
            callee: self.number(),
            sell_price: self.money(Money(2_000_000_000)),
            candidates,
        }
    }

    /// A failed attempt.
    pub fn outcome(&mut self) -> Outcome {
        let failure = self.one_of(&[
            Failure::Response,
            Failure::Response,
            Failure::NoResponse,
            Failure::ProgressTimeout,
            Failure::RingTimeout,
            Failure::ConnectFailed,
            Failure::NotSent,
        ]);
        let code = match failure {
            Failure::Response => self.one_of(&[302, 403, 404, 408, 480, 486, 487, 500, 503, 603]),
            _ => 0,
        };
        Outcome {
            trunk: TrunkId(1 + self.small(20)),
            failure,
            code,
            cause: self.one_of(&[0, 0, 16, 17, 34]),
            alerted: self.chance(30),
            media_opened: self.chance(20),
            rtp_received: self.chance(10),
            stop_after_busy: self.chance(80),
            stop_after_timeout: self.chance(20),
            until_connect: self.chance(20),
            stop_after_media: self.one_of(&[
                StopAfterMedia::Sdp,
                StopAfterMedia::Rtp,
                StopAfterMedia::Off,
            ]),
            code_policy: Vec::new(),
            attempts: 1 + self.small(5),
            remaining: self.small(5),
        }
    }

    /// The subject of a rating.
    pub fn rate_subject(&mut self) -> RateSubject {
        RateSubject {
            side: self.one_of(&[Side::Sell, Side::Buy]),
            is_final: self.chance(50),
            account: AccountId(1 + self.small(4)),
            trunk: TrunkId(1 + self.small(8)),
            at_ms: BEGIN_MS + self.below(YEAR_MS),
        }
    }

    /// A row of a rate deck that can be charged.
    pub fn deck_row(&mut self) -> DeckRow {
        DeckRow {
            price_first: self.money(Money(2_000_000_000)),
            price_next: self.money(Money(2_000_000_000)),
            connect_fee: self.one_of(&[Money::ZERO, Money(500_000_000)]),
            first_increment_s: self.one_of(&[0, 1, 6, 30, 60]),
            next_increment_s: self.one_of(&[1, 6, 60]),
            free_seconds: self.one_of(&[0, 0, 0, 10]),
            minimum_charge: self.one_of(&[Money::ZERO, Money::ZERO, Money(100_000_000)]),
        }
    }

    /// The rounding of a payer.
    pub fn rounding(&mut self) -> Rounding {
        let modes = [RoundingMode::Up, RoundingMode::Nearest, RoundingMode::Down];
        Rounding {
            unit_ms: self.one_of(&[1, 100, 1000]),
            mode: self.one_of(&modes),
            decimals: self.small(11) as u8,
            fee_unit: self.one_of(&[Money::ZERO, Money::ZERO, Money(1_000_000)]),
        }
    }

    /// Answered milliseconds: one in five calls was not answered, none lasts longer than an hour.
    pub fn duration_ms(&mut self) -> u64 {
        if self.chance(20) { 0 } else { self.below(3_600_000) }
    }

    /// Which identity does a vendor see?
    pub fn identity_question(&mut self) -> IdentityQuestion {
        let modes = [HeaderMode::None, HeaderMode::Pass, HeaderMode::Caller, HeaderMode::Fixed];
        let caller = self.caller();
        IdentityQuestion {
            call: self.call(),
            trunk: TrunkId(1 + self.small(20)),
            identity_out: caller.clone(),
            caller_out: caller,
            display: self.one_of(&["", "Alice", "Müller & Co"]).to_owned(),
            host: "192.0.2.9".to_owned(),
            privacy: self.one_of(&["", "", "id"]).to_owned(),
            private: self.chance(10),
            source_trusted: self.chance(50),
            target_trusted: self.chance(50),
            asserted_mode: self.one_of(&modes),
            preferred_mode: self.one_of(&modes),
            remote_party_mode: self.one_of(&modes),
            diversion_mode: self.one_of(&modes),
            privacy_mode: self.one_of(&[PrivacyMode::None, PrivacyMode::Pass, PrivacyMode::Id]),
            display_mode: self.one_of(&[
                DisplayMode::Pass,
                DisplayMode::Remove,
                DisplayMode::Number,
                DisplayMode::Fixed,
            ]),
            fixed_identity: "<sip:4930100@carrier.example>".to_owned(),
            fixed_display: "Carrier".to_owned(),
        }
    }

    /// May this call, which is up, continue? One in five is asked about for the first time.
    pub fn supervision_question(&mut self) -> SupervisionQuestion {
        let asking = if self.chance(20) { 0 } else { 1 + self.small(60) };
        let interval_s = self.one_of(&[0, 1, 60]);
        SupervisionQuestion {
            call: self.call(),
            asking,
            answered_s: asking * interval_s.max(1),
            interval_s,
            trunk: TrunkId(1 + self.small(20)),
            caller: self.caller(),
            callee: self.number(),
            sell_price: self.money(Money(2_000_000_000)),
            marks: if self.chance(20) { vec!["fraud:burst".to_owned()] } else { Vec::new() },
        }
    }

    /// A state change.
    pub fn event(&mut self) -> Event {
        let call = self.call();
        Event {
            call,
            kind: self.one_of(&[
                EventKind::Incoming,
                EventKind::Routed,
                EventKind::Attempt,
                EventKind::Ringing,
                EventKind::Answered,
                EventKind::Failed,
                EventKind::Ended,
            ]),
            at_ms: call.received_ms + self.below(60_000),
            trunk: self.chance(70).then_some(TrunkId(1)),
            code: self.one_of(&[0, 180, 200, 486, 503]),
            duration_ms: self.duration_ms(),
            caller: self.caller(),
            callee: self.number(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_draw_equal_questions_and_other_seeds_others() {
        let question = |seed| Generator::new(seed).route_question();
        assert_eq!(question(5), question(5));
        assert_ne!(question(5), question(6));
    }

    #[test]
    fn what_is_drawn_is_what_a_switch_asks() {
        check(500, |draw| {
            let question = draw.route_question();
            let mut ids: Vec<_> = question.candidates.iter().map(|one| one.trunk).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), question.candidates.len());
            assert!((8..=15).contains(&question.callee.len()), "{}", question.callee);
            let outcome = draw.outcome();
            assert_eq!(outcome.code == 0, outcome.failure != Failure::Response);
            assert!(draw.deck_row().next_increment_s > 0);
            assert!(draw.money(Money::ZERO) == Money::ZERO && draw.below(0) == 0);
        });
    }

    #[test]
    fn every_choice_is_drawn() {
        let mut draw = Generator::new(1);
        let drawn: std::collections::BTreeSet<u8> =
            (0..200).map(|_| draw.one_of(&[1, 2, 3, 4])).collect();
        assert_eq!(drawn.len(), 4);
    }

    #[test]
    #[should_panic(expected = "never holds")]
    fn a_property_that_does_not_hold_fails_the_test() {
        check(3, |_| panic!("never holds"));
    }
}
