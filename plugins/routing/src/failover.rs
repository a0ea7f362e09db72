//! The decision after a failed attempt: rows 5 to 11 of ROUTE-50 and the codes of ROUTE-51. The
//! switch itself handles the other rows (caller gone, answered, budget, limit, no choice left).

use crate::config::{Config, Preset};
use plugin_sdk::{Decision, Failure, Outcome, StopAfterMedia};

/// The first row that matches decides.
pub(crate) fn decide(config: &Config, outcome: &Outcome) -> Decision {
    let until_connect = config.until_connect || outcome.until_connect;
    let stop = code_policy(outcome).unwrap_or_else(|| {
        busy(outcome)
            || refused_everywhere(outcome)
            || !until_connect && (failed_after_alerting(outcome) || failed_after_media(outcome))
            || silent(outcome)
            || stops_by_default(config.failover, outcome)
    });
    if stop { Decision::Stop } else { Decision::Next }
}

/// Row 5: the trunk's own list contains the code or, up to 127, the Q.850 cause. The code is
/// checked first.
fn code_policy(outcome: &Outcome) -> Option<bool> {
    let named = |wanted: u16| {
        let mut entries = outcome.code_policy.iter();
        entries.find(|(code, _)| wanted != 0 && *code == wanted).map(|(_, stop)| *stop)
    };
    named(outcome.code).or_else(|| named(u16::from(outcome.cause)))
}

/// Row 6. If the rule is off, busy is an ordinary failure (row 11).
fn busy(outcome: &Outcome) -> bool {
    let busy = outcome.code == 486 || outcome.cause == 17;
    busy && outcome.stop_after_busy
}

/// Row 7. 606 refuses the media offer, which another vendor may accept: ROUTE-51 lists it with 488,
/// so row 11 decides it.
fn refused_everywhere(outcome: &Outcome) -> bool {
    outcome.code >= 600 && outcome.code != 606
}

/// Row 8: the callee was reached, so another vendor would ring the same telephone.
fn failed_after_alerting(outcome: &Outcome) -> bool {
    let callee_decided = matches!(outcome.code, 480 | 408)
        || outcome.failure == Failure::RingTimeout
        || (16..=21).contains(&outcome.cause);
    outcome.alerted && callee_decided
}

/// Row 9.
fn failed_after_media(outcome: &Outcome) -> bool {
    match outcome.stop_after_media {
        StopAfterMedia::Sdp => outcome.media_opened,
        StopAfterMedia::Rtp => outcome.rtp_received,
        StopAfterMedia::Off => false,
    }
}

/// Row 10.
fn silent(outcome: &Outcome) -> bool {
    outcome.failure == Failure::NoResponse && outcome.stop_after_timeout
}

/// Row 11: ROUTE-51, one column per preset. Code 0 means no response at all: time-outs and connect
/// failures.
fn stops_by_default(preset: Preset, outcome: &Outcome) -> bool {
    let Outcome { code, cause, .. } = *outcome;
    match preset {
        Preset::Wholesale => match code {
            404 | 410 | 484 => matches!(cause, 1 | 22 | 28),
            480 => matches!(cause, 18..=20),
            _ => false,
        },
        Preset::Retail => match code {
            // Refusals of the request itself, which another vendor may accept.
            400..=403 | 405 | 407 | 408 | 415 | 420 | 481..=483 | 488 | 491 => false,
            // Row 6 handles 486: if it is off, busy leads to the next trunk.
            486 => false,
            _ => (400..500).contains(&code),
        },
        Preset::VosClassic => matches!(code, 403 | 404 | 484 | 486..=488),
        Preset::NoFailover => true,
    }
}

const NEXT: bool = false;
const STOP: bool = true;

/// ROUTE-51 line by line: code, Q.850 cause, and whether wholesale, retail and VOS classic stop.
#[rustfmt::skip]
const CODES: &[(u16, u8, bool, bool, bool)] = &[
    (300, 0, NEXT, NEXT, NEXT),
    (301, 0, NEXT, NEXT, NEXT),
    (302, 0, NEXT, NEXT, NEXT),
    (305, 0, NEXT, NEXT, NEXT),
    (380, 0, NEXT, NEXT, NEXT),
    (399, 0, NEXT, NEXT, NEXT),
    (400, 0, NEXT, NEXT, NEXT),
    (405, 0, NEXT, NEXT, NEXT),
    (415, 0, NEXT, NEXT, NEXT),
    (420, 0, NEXT, NEXT, NEXT),
    (606, 0, NEXT, NEXT, NEXT),
    (488, 0, NEXT, NEXT, STOP),
    (401, 0, NEXT, NEXT, NEXT),
    (407, 0, NEXT, NEXT, NEXT),
    (402, 0, NEXT, NEXT, NEXT),
    (403, 0, NEXT, NEXT, STOP),
    (404, 0, NEXT, STOP, STOP),
    (404, 1, STOP, STOP, STOP),
    (404, 22, STOP, STOP, STOP),
    (404, 28, STOP, STOP, STOP),
    (404, 3, NEXT, STOP, STOP),
    (404, 127, NEXT, STOP, STOP),
    (484, 0, NEXT, STOP, STOP),
    (484, 1, STOP, STOP, STOP),
    (484, 22, STOP, STOP, STOP),
    (484, 28, STOP, STOP, STOP),
    (484, 3, NEXT, STOP, STOP),
    (484, 127, NEXT, STOP, STOP),
    (410, 0, NEXT, STOP, NEXT),
    (410, 1, STOP, STOP, NEXT),
    (410, 22, STOP, STOP, NEXT),
    (410, 28, STOP, STOP, NEXT),
    (410, 3, NEXT, STOP, NEXT),
    (410, 127, NEXT, STOP, NEXT),
    (408, 0, NEXT, NEXT, NEXT),
    (480, 0, NEXT, STOP, NEXT),
    (480, 18, STOP, STOP, NEXT),
    (480, 19, STOP, STOP, NEXT),
    (480, 20, STOP, STOP, NEXT),
    (480, 16, NEXT, STOP, NEXT),
    (480, 31, NEXT, STOP, NEXT),
    (481, 0, NEXT, NEXT, NEXT),
    (482, 0, NEXT, NEXT, NEXT),
    (483, 0, NEXT, NEXT, NEXT),
    (491, 0, NEXT, NEXT, NEXT),
    (486, 0, STOP, STOP, STOP),
    (487, 0, NEXT, STOP, STOP),
    (500, 0, NEXT, NEXT, NEXT),
    (501, 0, NEXT, NEXT, NEXT),
    (502, 0, NEXT, NEXT, NEXT),
    (503, 0, NEXT, NEXT, NEXT),
    (504, 0, NEXT, NEXT, NEXT),
    (513, 0, NEXT, NEXT, NEXT),
    (580, 0, NEXT, NEXT, NEXT),
    (503, 17, STOP, STOP, STOP),
    (406, 0, NEXT, STOP, NEXT),
    (409, 0, NEXT, STOP, NEXT),
    (411, 0, NEXT, STOP, NEXT),
    (413, 0, NEXT, STOP, NEXT),
    (414, 0, NEXT, STOP, NEXT),
    (416, 0, NEXT, STOP, NEXT),
    (421, 0, NEXT, STOP, NEXT),
    (422, 0, NEXT, STOP, NEXT),
    (423, 0, NEXT, STOP, NEXT),
    (424, 0, NEXT, STOP, NEXT),
    (428, 0, NEXT, STOP, NEXT),
    (429, 0, NEXT, STOP, NEXT),
    (433, 0, NEXT, STOP, NEXT),
    (436, 0, NEXT, STOP, NEXT),
    (438, 0, NEXT, STOP, NEXT),
    (440, 0, NEXT, STOP, NEXT),
    (469, 0, NEXT, STOP, NEXT),
    (470, 0, NEXT, STOP, NEXT),
    (485, 0, NEXT, STOP, NEXT),
    (489, 0, NEXT, STOP, NEXT),
    (493, 0, NEXT, STOP, NEXT),
    (494, 0, NEXT, STOP, NEXT),
    (499, 0, NEXT, STOP, NEXT),
    (505, 0, NEXT, NEXT, NEXT),
    (508, 0, NEXT, NEXT, NEXT),
    (555, 0, NEXT, NEXT, NEXT),
    (599, 0, NEXT, NEXT, NEXT),
    (600, 0, STOP, STOP, STOP),
    (601, 0, STOP, STOP, STOP),
    (603, 0, STOP, STOP, STOP),
    (604, 0, STOP, STOP, STOP),
    (605, 0, STOP, STOP, STOP),
    (607, 0, STOP, STOP, STOP),
    (608, 0, STOP, STOP, STOP),
    (699, 0, STOP, STOP, STOP),
];

/// Runs the table of codes; returns the number that passed.
///
/// # Errors
/// The first that failed.
pub(crate) fn check() -> Result<u32, String> {
    let mut passed = 0;
    for (code, cause, wholesale, retail, vos_classic) in CODES.iter().copied() {
        let outcome = Outcome { code, cause, ..Outcome::default() };
        for (preset, stops) in [
            (Preset::Wholesale, wholesale),
            (Preset::Retail, retail),
            (Preset::VosClassic, vos_classic),
            (Preset::NoFailover, true),
        ] {
            let expected = if stops { Decision::Stop } else { Decision::Next };
            let got = decide(&with(preset), &outcome);
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

fn with(failover: Preset) -> Config {
    Config { failover, ..Config::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wholesale(outcome: Outcome) -> Decision {
        decide(&Config::default(), &outcome)
    }

    #[test]
    fn every_code_of_route_51_is_decided_as_written() {
        assert_eq!(check(), Ok(360));
    }

    /// The line "other 4xx; other 5xx".
    #[test]
    fn codes_that_route_51_does_not_name_stop_only_where_vendors_know_their_numbers() {
        let listed = |code| CODES.iter().any(|(listed, ..)| *listed == code);
        for code in (300..600).filter(|code| !listed(*code)) {
            let outcome = Outcome { code, ..Outcome::default() };
            let stops = |preset| decide(&with(preset), &outcome) == Decision::Stop;
            let got = [Preset::Wholesale, Preset::Retail, Preset::VosClassic].map(stops);
            assert_eq!(got, [false, (400..500).contains(&code), false], "{code}");
        }
        for code in 600..700 {
            let outcome = Outcome { code, ..Outcome::default() };
            let expected = if code == 606 { Decision::Next } else { Decision::Stop };
            for preset in [Preset::Wholesale, Preset::Retail, Preset::VosClassic] {
                assert_eq!(decide(&with(preset), &outcome), expected, "{code}, {preset:?}");
            }
        }
    }

    #[test]
    fn without_failover_every_failure_ends_the_call_unless_the_trunk_names_it_route_51() {
        for failure in [
            Failure::Response,
            Failure::NoResponse,
            Failure::ProgressTimeout,
            Failure::RingTimeout,
            Failure::ConnectFailed,
            Failure::NotSent,
        ] {
            let outcome = Outcome { failure, code: 0, ..Outcome::default() };
            assert_eq!(decide(&with(Preset::NoFailover), &outcome), Decision::Stop, "{failure:?}");
        }
        let named = Outcome { code: 503, code_policy: vec![(503, false)], ..Outcome::default() };
        assert_eq!(decide(&with(Preset::NoFailover), &named), Decision::Next, "row 5");
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
        assert_eq!(decide(&with(Preset::Retail), &lax), Decision::Next);
        assert_eq!(decide(&with(Preset::VosClassic), &lax), Decision::Stop, "row 11");
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
        let everywhere = Config { until_connect: true, ..Config::default() };
        assert_eq!(decide(&everywhere, &rang), Decision::Next, "switches row 8 off");
        let until_connect = Outcome { until_connect: true, ..rang };
        assert_eq!(wholesale(until_connect.clone()), Decision::Next, "for this trunk");
        let busy = Outcome { code: 486, ..until_connect };
        assert_eq!(decide(&everywhere, &busy), Decision::Stop, "and nothing else");
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
        let everywhere = Config { until_connect: true, ..Config::default() };
        assert_eq!(decide(&everywhere, &opened), Decision::Next);
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
            assert_eq!(decide(&with(Preset::Retail), &outcome), Decision::Next);
        }
    }
}
