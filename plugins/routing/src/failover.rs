//! What after a failed attempt: rows 5 to 11 of ROUTE-50 and the codes of ROUTE-51.
//! The other rows (caller gone, answered, budget, limit, no choice left) are the
//! switch's own.

use crate::config::Preset;
use plugin_sdk::{Decision, Failure, Outcome, StopAfterMedia};

/// The first row that matches decides.
pub(crate) fn decide(preset: Preset, outcome: &Outcome) -> Decision {
    let stop = code_policy(outcome).unwrap_or_else(|| {
        busy(outcome)
            .or_else(|| refused_everywhere(outcome))
            .or_else(|| failed_after_alerting(outcome))
            .or_else(|| failed_after_media(outcome))
            .or_else(|| silent(outcome))
            .unwrap_or_else(|| stops_by_default(preset, outcome))
    });
    if stop { Decision::Stop } else { Decision::Next }
}

/// Row 5: the trunk's own list names the code or, up to 127, the Q.850 cause. The code
/// is asked first.
fn code_policy(outcome: &Outcome) -> Option<bool> {
    let named = |wanted: u16| {
        let mut entries = outcome.code_policy.iter();
        entries.find(|(code, _)| wanted != 0 && *code == wanted).map(|(_, stop)| *stop)
    };
    named(outcome.code).or_else(|| named(u16::from(outcome.cause)))
}

/// Row 6. With the rule off, busy is a failure like others (row 11: switch).
fn busy(outcome: &Outcome) -> Option<bool> {
    let busy = outcome.code == 486 || outcome.cause == 17;
    (busy && outcome.stop_after_busy).then_some(true)
}

/// Row 7. 606 is a refusal of the media offer, which another vendor may accept: ROUTE-51
/// lists it with 488, so it is left to row 11.
fn refused_everywhere(outcome: &Outcome) -> Option<bool> {
    (outcome.code >= 600 && outcome.code != 606).then_some(true)
}

/// Row 8: the callee was reached, so another vendor would ring the same telephone.
fn failed_after_alerting(outcome: &Outcome) -> Option<bool> {
    let callee_decided = matches!(outcome.code, 480 | 408)
        || outcome.failure == Failure::RingTimeout
        || (16..=21).contains(&outcome.cause);
    (outcome.alerted && !outcome.until_connect && callee_decided).then_some(true)
}

/// Row 9.
fn failed_after_media(outcome: &Outcome) -> Option<bool> {
    let opened = match outcome.stop_after_media {
        StopAfterMedia::Sdp => outcome.media_opened,
        StopAfterMedia::Rtp => outcome.rtp_received,
        StopAfterMedia::Off => false,
    };
    (opened && !outcome.until_connect).then_some(true)
}

/// Row 10.
fn silent(outcome: &Outcome) -> Option<bool> {
    (outcome.failure == Failure::NoResponse && outcome.stop_after_timeout).then_some(true)
}

/// Row 11: ROUTE-51. Codes that it does not name lead to the next trunk; so do time-outs,
/// connect failures and attempts that could not be made.
fn stops_by_default(preset: Preset, outcome: &Outcome) -> bool {
    let retail = preset == Preset::Retail;
    match outcome.code {
        404 | 410 | 484 => retail || matches!(outcome.cause, 1 | 22 | 28),
        480 => retail || (18..=20).contains(&outcome.cause),
        487 => retail,
        _ => false,
    }
}

/// Code, Q.850 cause, and whether wholesale and retail stop: ROUTE-51 line by line.
const CODES: &[(u16, u8, bool, bool)] = &[
    (300, 0, false, false),
    (302, 0, false, false),
    (400, 0, false, false),
    (401, 0, false, false),
    (402, 0, false, false),
    (403, 0, false, false),
    (404, 0, false, true),
    (404, 1, true, true),
    (404, 3, false, true),
    (404, 22, true, true),
    (404, 28, true, true),
    (405, 0, false, false),
    (407, 0, false, false),
    (408, 0, false, false),
    (410, 0, false, true),
    (410, 22, true, true),
    (415, 0, false, false),
    (420, 0, false, false),
    (480, 0, false, true),
    (480, 18, true, true),
    (480, 19, true, true),
    (480, 20, true, true),
    (480, 31, false, true),
    (481, 0, false, false),
    (482, 0, false, false),
    (483, 0, false, false),
    (484, 0, false, true),
    (484, 28, true, true),
    (486, 0, true, true),
    (487, 0, false, true),
    (488, 0, false, false),
    (491, 0, false, false),
    (500, 0, false, false),
    (501, 0, false, false),
    (502, 0, false, false),
    (503, 0, false, false),
    (503, 17, true, true),
    (504, 0, false, false),
    (513, 0, false, false),
    (580, 0, false, false),
    (600, 0, true, true),
    (603, 0, true, true),
    (604, 0, true, true),
    (606, 0, false, false),
    (607, 0, true, true),
    (608, 0, true, true),
];

/// Runs the table of codes: how many passed.
///
/// # Errors
/// The first that did not.
pub(crate) fn check() -> Result<u32, String> {
    let mut passed = 0;
    for (code, cause, wholesale, retail) in CODES.iter().copied() {
        let outcome = Outcome { code, cause, ..Outcome::default() };
        for (preset, stops) in [(Preset::Wholesale, wholesale), (Preset::Retail, retail)] {
            let expected = if stops { Decision::Stop } else { Decision::Next };
            let got = decide(preset, &outcome);
            if got != expected {
                return Err(format!(
                    "ROUTE-51 {code} with cause {cause}, {preset:?}: expected {expected:?}, \
                     got {got:?}"
                ));
            }
            passed += 1;
        }
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wholesale(outcome: Outcome) -> Decision {
        decide(Preset::Wholesale, &outcome)
    }

    #[test]
    fn every_code_of_route_51_is_decided_as_written() {
        assert_eq!(check(), Ok(92));
    }

    #[test]
    fn row_5_the_trunks_code_policy_is_asked_first() {
        let policy = vec![(486, false), (503, true), (17, true), (603, false)];
        let with = |code, cause| {
            wholesale(Outcome { code, cause, code_policy: policy.clone(), ..Outcome::default() })
        };
        assert_eq!(with(486, 17), Decision::Next, "the code before the cause");
        assert_eq!(with(503, 0), Decision::Stop);
        assert_eq!(with(500, 17), Decision::Stop, "by Q.850 cause");
        assert_eq!(with(603, 0), Decision::Next, "before row 7");
        assert_eq!(with(500, 0), Decision::Next);
    }

    #[test]
    fn row_6_busy_with_the_rule_off_leads_to_the_next_trunk() {
        let lax = Outcome { code: 486, stop_after_busy: false, ..Outcome::default() };
        assert_eq!(wholesale(lax.clone()), Decision::Next);
        assert_eq!(decide(Preset::Retail, &lax), Decision::Next);
        assert_eq!(wholesale(Outcome { stop_after_busy: true, ..lax }), Decision::Stop);
    }

    #[test]
    fn row_8_after_alerting_the_callee_has_decided() {
        let alerted = Outcome { alerted: true, ..Outcome::default() };
        for code in [408, 480] {
            assert_eq!(wholesale(Outcome { code, ..alerted.clone() }), Decision::Stop);
        }
        for cause in 16..=21 {
            assert_eq!(wholesale(Outcome { cause, ..alerted.clone() }), Decision::Stop);
        }
        let rang = Outcome { failure: Failure::RingTimeout, code: 0, ..alerted.clone() };
        assert_eq!(wholesale(rang.clone()), Decision::Stop);
        assert_eq!(wholesale(alerted), Decision::Next, "503 without a cause");
        let until_connect = Outcome { until_connect: true, ..rang };
        assert_eq!(wholesale(until_connect), Decision::Next, "switches row 8 off");
    }

    #[test]
    fn row_9_media_that_a_vendor_opened_stops_switching() {
        let opened = Outcome { media_opened: true, ..Outcome::default() };
        assert_eq!(wholesale(opened.clone()), Decision::Stop);
        let with = |stop_after_media, rtp_received| {
            wholesale(Outcome { stop_after_media, rtp_received, ..opened.clone() })
        };
        assert_eq!(with(StopAfterMedia::Rtp, false), Decision::Next);
        assert_eq!(with(StopAfterMedia::Rtp, true), Decision::Stop);
        assert_eq!(with(StopAfterMedia::Off, true), Decision::Next);
        assert_eq!(wholesale(Outcome { until_connect: true, ..opened }), Decision::Next);
    }

    #[test]
    fn row_10_silence_stops_only_on_demand() {
        let silent = Outcome { failure: Failure::NoResponse, code: 0, ..Outcome::default() };
        assert_eq!(wholesale(silent.clone()), Decision::Next);
        assert_eq!(wholesale(Outcome { stop_after_timeout: true, ..silent }), Decision::Stop);
    }

    #[test]
    fn attempts_that_never_got_a_response_lead_to_the_next_trunk_route_51() {
        for failure in [Failure::ConnectFailed, Failure::NotSent, Failure::ProgressTimeout] {
            let outcome = Outcome { failure, code: 0, ..Outcome::default() };
            assert_eq!(wholesale(outcome.clone()), Decision::Next);
            assert_eq!(decide(Preset::Retail, &outcome), Decision::Next);
        }
    }
}
