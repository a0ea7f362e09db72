//! Questions like those of a switch, drawn from a seed.

use policy::{
    AdvanceQuestion, AttemptFailure, CallDetails, CallFacts, CallNumbers, Candidate, DeckRow,
    EventKind, EventNotice, FailoverSwitches, Hook, IdentityQuestion, Invite, Lookup,
    NumberQuestion, PrefixHit, Question, RateQuestion, RateSubject, Rounding, RouteQuestion,
    ScreenQuestion, Side, Stage, SupervisionQuestion, TrunkIdentity,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;

/// 2026-01-01 00:00 UTC; calls are spread over a year.
const BEGIN_MS: u64 = 1_767_225_600_000;
const YEAR_MS: u64 = 365 * 86_400_000;

/// Handle of the rule set in numbering questions.
const RULES: u64 = 1;

/// Draws questions; equal seeds draw equal questions.
pub(super) struct Questions(StdRng);

impl Questions {
    pub(super) fn new(seed: u64) -> Questions {
        Questions(StdRng::seed_from_u64(seed))
    }

    /// Draws a question for the hook.
    pub(super) fn draw(&mut self, hook: Hook) -> Question {
        let call = CallFacts {
            id: self.0.random(),
            received_ms: BEGIN_MS + self.0.random_range(0..YEAR_MS),
            trunk: self.0.random_range(1..=8),
            account: self.0.random_range(1..=4),
        };
        match hook {
            Hook::Screening => Question::Screen(ScreenQuestion {
                call,
                caller: self.number(),
                callee: self.number(),
                source: format!("192.0.2.{}", self.0.random_range(1..255)).into(),
            }),
            Hook::Numbering => Question::Number(self.numbering(call)),
            Hook::Rating => Question::Rate(self.rating(call)),
            // Four in five calls need no second vendor.
            Hook::Routing if self.0.random_ratio(4, 5) => Question::Route(self.routing(call)),
            Hook::Routing => Question::Advance(self.failure(call)),
            Hook::Identity => Question::Identity(self.identity(call)),
            Hook::Supervision => Question::Supervise(self.supervision(call)),
            Hook::Events => Question::Event(self.event(call)),
        }
    }

    /// A number of 8 to 15 digits with a country code.
    fn number(&mut self) -> policy::Text {
        let countries = ["1", "33", "34", "39", "44", "49", "358", "971"];
        let mut number = policy::Text::new(countries[self.0.random_range(0..countries.len())]);
        let length = self.0.random_range(8..=15);
        while number.len() < length {
            number.push(char::from(b'0' + self.0.random_range(0..10)));
        }
        number
    }

    fn numbering(&mut self, call: CallFacts) -> NumberQuestion {
        let egress = self.0.random_bool(0.5);
        let rules = if self.0.random_bool(0.5) { RULES } else { 0 };
        NumberQuestion {
            call,
            stage: if egress { Stage::Egress } else { Stage::Ingress },
            trunk: self.0.random_range(1..=20),
            caller: self.number(),
            callee: self.number(),
            identity: policy::Text::default(),
            caller_rules: 0,
            callee_rules: rules,
            identity_rules: 0,
            tech_prefix: if egress { "77#".into() } else { policy::Text::default() },
            reject_unmatched: false,
        }
    }

    fn rating(&mut self, call: CallFacts) -> RateQuestion {
        let price = self.0.random_range(0..2_000_000_000);
        RateQuestion {
            call,
            subject: RateSubject {
                side: if self.0.random_bool(0.5) { Side::Sell } else { Side::Buy },
                is_final: self.0.random_bool(0.5),
                account: call.account,
                trunk: call.trunk,
                at_ms: call.received_ms,
            },
            row: DeckRow {
                price_first: price,
                price_next: price,
                connect_fee: 0,
                first_increment_s: self.0.random_range(0..=60),
                next_increment_s: self.0.random_range(1..=60),
                free_seconds: 0,
                minimum_charge: 0,
            },
            rounding: Rounding::default(),
            duration_ms: self.0.random_range(0..3_600_000),
        }
    }

    /// 1 to 20 vendors.
    fn routing(&mut self, call: CallFacts) -> RouteQuestion {
        let count = self.0.random_range(1..=20);
        let candidates = (1..=count).map(|trunk| Candidate {
            trunk,
            prefix_length: self.0.random_range(0..8),
            prefix_priority: self.0.random_range(100..103),
            extend: self.0.random_bool(0.8),
            priority: self.0.random_range(100..103),
            weight: self.0.random_range(0..100),
            last_resort: self.0.random_bool(0.1),
            active: self.0.random_range(0..50),
            channels: [0, 50, 500][self.0.random_range(0..3)],
            calls_today: self.0.random_range(0..10_000),
            buy_price: self.0.random_range(0..2_000_000_000),
        });
        let candidates = candidates.collect();
        RouteQuestion {
            call,
            caller: self.number(),
            callee: self.number(),
            sell_price: self.0.random_range(0..2_000_000_000),
            candidates,
        }
    }

    fn failure(&mut self, call: CallFacts) -> AdvanceQuestion {
        let codes = [403, 404, 408, 480, 486, 487, 500, 503, 603];
        AdvanceQuestion {
            call,
            trunk: self.0.random_range(1..=20),
            failure: AttemptFailure::Response,
            code: codes[self.0.random_range(0..codes.len())],
            cause: 0,
            alerted: self.0.random_bool(0.3),
            media_opened: self.0.random_bool(0.2),
            rtp_received: self.0.random_bool(0.1),
            switches: FailoverSwitches::default(),
            attempts: self.0.random_range(1..5),
            remaining: self.0.random_range(0..5),
        }
    }

    fn identity(&mut self, call: CallFacts) -> IdentityQuestion {
        let caller = self.number();
        IdentityQuestion {
            call,
            trunk: self.0.random_range(1..=20),
            identity_out: caller.clone(),
            caller_out: caller,
            display: "Alice".into(),
            host: "192.0.2.9".into(),
            privacy: policy::Text::default(),
            private: self.0.random_bool(0.1),
            source_trusted: self.0.random_bool(0.5),
            target_trusted: self.0.random_bool(0.5),
            modes: TrunkIdentity::default(),
        }
    }

    /// In four of five cases the call was asked about before.
    fn supervision(&mut self, call: CallFacts) -> SupervisionQuestion {
        let interval_s = 60;
        let asking = if self.0.random_ratio(4, 5) { self.0.random_range(1..120) } else { 0 };
        SupervisionQuestion {
            call,
            asking,
            answered_s: asking * interval_s,
            interval_s,
            trunk: self.0.random_range(1..=20),
            caller: self.number(),
            callee: self.number(),
            sell_price: self.0.random_range(0..2_000_000_000),
            marks: Vec::new(),
        }
    }

    fn event(&mut self, call: CallFacts) -> EventNotice {
        let kinds =
            [EventKind::Incoming, EventKind::Ringing, EventKind::Answered, EventKind::Ended];
        EventNotice {
            call,
            kind: kinds[self.0.random_range(0..kinds.len())],
            at_ms: call.received_ms,
            trunk: self.0.random_range(0..=8),
            code: 0,
            duration_ms: 0,
            caller: self.number(),
            callee: self.number(),
        }
    }
}

/// A snapshot with one rule set and no tables.
pub(super) struct Snapshot;

impl Lookup for Snapshot {
    fn text(&self, handle: u64) -> Option<Arc<str>> {
        (handle == RULES).then(|| Arc::from("00 ->\n0 -> 49\n4? -> 4?*\n* -> *\n"))
    }

    fn longest_prefix(&self, _: &str, _: &str) -> Option<PrefixHit> {
        None
    }

    fn exact(&self, _: &str, _: &str) -> Option<Arc<str>> {
        None
    }
}

/// The details that a plugin may request about the call.
pub(super) fn details() -> Arc<CallDetails> {
    Arc::new(CallDetails {
        invite: Some(Arc::new(Received)),
        numbers: CallNumbers {
            caller_in: "03012345678".into(),
            callee_in: "00442071234567".into(),
            caller: "493012345678".into(),
            callee: "442071234567".into(),
            ..CallNumbers::default()
        },
        attempts: Vec::new(),
        origin: policy::CallOrigin {
            source: "192.0.2.7:5061".into(),
            transport: "udp".into(),
            listener: "main".into(),
        },
    })
}

#[derive(Debug)]
struct Received;

impl Invite for Received {
    fn request_uri(&self) -> &str {
        "sip:00442071234567@192.0.2.1"
    }

    fn header(&self, name: &str) -> Vec<String> {
        let headers = self.headers().into_iter();
        let named = headers.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value).collect()
    }

    fn headers(&self) -> Vec<(String, String)> {
        vec![
            ("User-Agent".to_owned(), "peer/1".to_owned()),
            ("P-Asserted-Identity".to_owned(), "<sip:03012345678@192.0.2.7>".to_owned()),
        ]
    }
}
