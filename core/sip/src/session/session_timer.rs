//! The session timer of one leg (RFC 4028), and the probes of a peer without one (SIG-33).

use crate::header_name::Known;
use crate::{Message, MessageBuilder};
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How the leg checks that its session is alive (SIG-26 to SIG-33).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTimers {
    /// The interval that we request, s; 0 requests none and honours the peer's (SIG-26).
    pub interval: u32,
    /// The shortest interval that we accept, s, at least 90 (SIG-31).
    pub min_se: u32,
    /// A session is refreshed every `interval / segment` (SIG-27), 2 to 10.
    pub segment: u32,
    /// Consecutive unanswered refreshes or probes that end the session (SIG-29), 1 to 5.
    pub misses: u8,
    /// Seconds before expiry at which an unrefreshed session ends; 0 applies the rule of RFC 4028
    /// section 10: the shorter of 32 s and a third of the interval (SIG-30).
    pub early_hangup: u32,
    /// Probes peers that have no session timer with OPTIONS (SIG-33).
    pub probe: bool,
}

impl Default for SessionTimers {
    fn default() -> Self {
        SessionTimers {
            interval: 600,
            min_se: 90,
            segment: 2,
            misses: 2,
            early_hangup: 0,
            probe: true,
        }
    }
}

/// The longest interval that we agree to, s: a day.
const LONGEST: u32 = 86_400;

/// Most waits after 491 (SIG-32).
const MOST_GLARES: u8 = 5;

/// How often an interval is raised after 422 (SIG-31).
const MOST_RAISES: u8 = 2;

/// The value of a Session-Expires header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expires {
    pub(super) seconds: u32,
    /// `refresher=uac` gives true: the sender of the request refreshes.
    pub(super) by_client: Option<bool>,
}

impl Expires {
    /// The header of a message; `None` if it is missing or cannot be read.
    pub(super) fn of(message: &Message) -> Option<Expires> {
        let value = message.value(Known::SessionExpires)?;
        let mut parts = value.split(';');
        let seconds = parts.next()?.trim().parse::<u32>().ok()?;
        let refresher = parts.filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
            name.trim().eq_ignore_ascii_case("refresher").then(|| value.trim())
        });
        let by_client = refresher.map(|value| value.eq_ignore_ascii_case("uac"));
        Some(Expires { seconds: seconds.clamp(1, LONGEST), by_client })
    }
}

/// Min-SE of a message, s.
pub(super) fn min_se(message: &Message) -> Option<u32> {
    let value = message.value(Known::MinSe)?;
    value.split(';').next()?.trim().parse::<u32>().ok().map(|seconds| seconds.min(LONGEST))
}

/// Whether a message names an extension in Supported or Require.
pub(super) fn names(message: &Message, header: Known, tag: &str) -> bool {
    message.values(header).any(|value| value.trim().eq_ignore_ascii_case(tag))
}

/// Which side refreshes, and how long the session lasts without a refresh, s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Agreed {
    interval: u32,
    ours: bool,
}

/// The next action on a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A refresh of ours.
    Refresh,
    /// A probe whether the peer is there.
    Probe,
    /// Nobody has refreshed the session.
    Expired,
}

/// The result of the answer to a refresh or a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// The peer is there; the next check is scheduled.
    Alive,
    /// Send the same request again, now.
    Again,
    /// The peer is gone (SIG-29).
    Gone,
}

/// The timer itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SessionTimer {
    settings: SessionTimers,
    agreed: Option<Agreed>,
    /// The next refresh or probe of ours.
    #[serde(with = "crate::written::moment_if_any")]
    next: Option<Instant>,
    /// The moment at which the session ends.
    #[serde(with = "crate::written::moment_if_any")]
    expires: Option<Instant>,
    misses: u8,
    glares: u8,
    raises: u8,
    /// The peer has answered a probe of this call.
    answers_options: bool,
}

impl SessionTimer {
    pub(super) fn new(settings: SessionTimers) -> SessionTimer {
        SessionTimer {
            settings,
            agreed: None,
            next: None,
            expires: None,
            misses: 0,
            glares: 0,
            raises: 0,
            answers_options: false,
        }
    }

    /// Adds the timer lines of our INVITE or UPDATE.
    pub(super) fn request_lines(&self, builder: MessageBuilder) -> MessageBuilder {
        let (interval, ours) = match self.agreed {
            Some(Agreed { interval, ours }) => (interval, ours),
            None => (self.settings.interval, true),
        };
        if interval == 0 {
            return builder;
        }
        let refresher = if ours { ";refresher=uac" } else { ";refresher=uas" };
        let (mut seconds, mut least) = (itoa::Buffer::new(), itoa::Buffer::new());
        builder
            .header_of("Session-Expires", &[seconds.format(interval), refresher])
            .header_of("Min-SE", &[least.format(self.settings.min_se)])
    }

    /// Whether the peer's INVITE or UPDATE requests an interval that is too short for us; returns
    /// the Min-SE of the 422 (SIG-31).
    pub(super) fn refuses(&self, request: &Message) -> Option<u32> {
        let expires = Expires::of(request)?;
        let knows =
            names(request, Known::Supported, "timer") || names(request, Known::Require, "timer");
        (knows && expires.seconds < self.settings.min_se).then_some(self.settings.min_se)
    }

    /// Adds the timer lines of our 2xx to the peer's INVITE or UPDATE, which settles the interval
    /// (RFC 4028 section 9).
    pub(super) fn answer(
        &mut self,
        now: Instant,
        request: &Message,
        builder: MessageBuilder,
    ) -> MessageBuilder {
        let asked = Expires::of(request);
        let knows =
            names(request, Known::Supported, "timer") || names(request, Known::Require, "timer");
        let ours = self.settings.interval;
        let interval = match asked {
            Some(asked) if ours == 0 => asked.seconds,
            // We may shorten an interval, but not below the Min-SE of the path.
            Some(asked) => asked.seconds.min(ours.max(min_se(request).unwrap_or(0))),
            None if knows => ours.max(min_se(request).unwrap_or(0)),
            None => 0,
        };
        if interval == 0 {
            self.agreed = None;
            self.set(now);
            return builder;
        }
        let by_peer = knows && asked.and_then(|asked| asked.by_client) == Some(true);
        self.agreed = Some(Agreed { interval, ours: !by_peer });
        self.set(now);
        let refresher = if by_peer { ";refresher=uac" } else { ";refresher=uas" };
        let mut seconds = itoa::Buffer::new();
        let builder = builder.header_of("Session-Expires", &[seconds.format(interval), refresher]);
        if by_peer { builder.header_of("Require", &["timer"]) } else { builder }
    }

    /// Handles the 2xx to our INVITE or UPDATE.
    pub(super) fn agreed(&mut self, now: Instant, response: &Message) {
        self.agreed = Expires::of(response).map(|expires| Agreed {
            interval: expires.seconds,
            // A peer that names no refresher leaves the refresh to us (section 7.2).
            ours: expires.by_client != Some(false),
        });
        self.set(now);
    }

    /// Handles a 422; returns whether to send the request again with the peer's interval.
    pub(super) fn raise(&mut self, response: &Message) -> bool {
        let wanted = min_se(response).filter(|_| self.raises < MOST_RAISES);
        let Some(wanted) = wanted else { return false };
        self.raises += 1;
        self.settings.interval = self.settings.interval.max(wanted);
        if let Some(agreed) = &mut self.agreed {
            agreed.interval = agreed.interval.max(wanted);
        }
        true
    }

    /// Restarts the times.
    fn set(&mut self, now: Instant) {
        (self.misses, self.glares, self.raises) = (0, 0, 0);
        let segment = self.settings.segment.max(1);
        let wait = |interval: u32| Duration::from_secs(u64::from((interval / segment).max(1)));
        (self.next, self.expires) = match self.agreed {
            Some(Agreed { interval, ours }) => {
                let early = match self.settings.early_hangup {
                    0 => (interval / 3).min(32),
                    seconds => seconds.min(interval.saturating_sub(1)),
                };
                let lasts = Duration::from_secs(u64::from(interval.saturating_sub(early)));
                (ours.then(|| now + wait(interval)), Some(now + lasts))
            }
            None if self.settings.probe && self.settings.interval > 0 => {
                (Some(now + wait(self.settings.interval)), None)
            }
            None => (None, None),
        };
    }

    /// Whether the next check is a refresh or a probe.
    fn look(&self) -> Due {
        if self.agreed.is_some() { Due::Refresh } else { Due::Probe }
    }

    /// When [`SessionTimer::due`] returns something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next.into_iter().chain(self.expires).min()
    }

    /// The action due now; it is not returned again before its answer.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        if self.expires.is_some_and(|at| at <= now) {
            (self.next, self.expires) = (None, None);
            return Some(Due::Expired);
        }
        self.next.take_if(|at| *at <= now)?;
        Some(self.look())
    }

    /// Delays a refresh or probe while another exchange is in progress.
    pub(super) fn postpone(&mut self, now: Instant) {
        self.next = Some(now + Duration::from_secs(1));
    }

    /// Handles the final response to a refresh (`probe` false) or to our OPTIONS. A 2xx to a
    /// refresh goes to [`SessionTimer::agreed`]. `we_called`: the Call-ID is ours (RFC 3261
    /// section 14.1).
    pub(super) fn answered(
        &mut self,
        now: Instant,
        response: &Message,
        probe: bool,
        we_called: bool,
        rng: &mut dyn RngCore,
    ) -> Life {
        match response.status() {
            481 => return Life::Gone,
            408 => return self.missed(now, probe),
            491 if !probe && self.glares < MOST_GLARES => {
                self.glares += 1;
                let ms = if we_called {
                    rng.random_range(2100..=4000)
                } else {
                    rng.random_range(0..=2000)
                };
                self.next = Some(now + Duration::from_millis(ms));
            }
            500 | 503 if !probe => {
                let seconds = response.value(Known::RetryAfter).and_then(|value| {
                    value.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
                });
                let wait = Duration::from_secs(seconds.unwrap_or(10).clamp(1, 60));
                self.misses = 0;
                self.next = Some(now + wait);
            }
            422 if !probe && self.raise(response) => return Life::Again,
            _ => {
                self.answers_options |= probe;
                // A peer that answers at all is alive (SIG-29).
                self.set(now);
            }
        }
        Life::Alive
    }

    /// Handles a refresh or probe without an answer within W.
    pub(super) fn missed(&mut self, now: Instant, probe: bool) -> Life {
        if probe && !self.answers_options {
            // Some devices ignore OPTIONS (SIG-33).
            self.set(now);
            return Life::Alive;
        }
        self.misses += 1;
        if self.misses >= self.settings.misses { Life::Gone } else { Life::Again }
    }

    /// The peer has shown that it is alive by sending a request.
    pub(super) fn is_alive(&mut self, now: Instant) {
        if self.agreed.is_none() && self.next.is_some() {
            self.set(now);
        }
    }

    /// The leg is over.
    pub(super) fn stop(&mut self) {
        (self.next, self.expires) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    fn message(start: &str, lines: &str) -> Message {
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKa\r\nCall-ID: c\r\n\
             From: <sip:b@192.0.2.2>;tag=1\r\nTo: <sip:a@192.0.2.1>;tag=2\r\n\
             CSeq: 1 INVITE\r\n{lines}\r\n"
        );
        Message::parse(text.as_bytes()).expect("a message")
    }

    fn invite(lines: &str) -> Message {
        message("INVITE sip:a@192.0.2.1 SIP/2.0", lines)
    }

    fn response(status: u16, lines: &str) -> Message {
        message(&format!("SIP/2.0 {status} Any"), lines)
    }

    fn after(timer: &SessionTimer, now: Instant) -> Option<u64> {
        timer.deadline().map(|at| (at - now).as_secs())
    }

    fn answer(timer: &mut SessionTimer, now: Instant, lines: &str) -> String {
        let request = invite(lines);
        let builder = MessageBuilder::response_to(&request, 200, "OK");
        String::from_utf8(timer.answer(now, &request, builder).finish()).expect("text")
    }

    /// SIG-26, SIG-27: 600/2, 900/3, 300/2, 600/10.
    #[test]
    fn we_refresh_at_the_interval_divided_by_the_segment() {
        let now = Instant::now();
        for (interval, segment, first) in
            [(600, 2, 300), (900, 3, 300), (300, 2, 150), (600, 10, 60)]
        {
            let settings = SessionTimers { interval, segment, ..SessionTimers::default() };
            let mut timer = SessionTimer::new(settings);
            let text = answer(&mut timer, now, "Supported: timer\r\n");
            assert!(text.contains(&format!("Session-Expires: {interval};refresher=uas")), "{text}");
            assert_eq!(after(&timer, now), Some(first));
            assert_eq!(timer.due(now + Duration::from_secs(first)), Some(Due::Refresh));
        }
    }

    /// SIG-26: the peer's demand, and the agreement if the peer requests less or more.
    #[test]
    fn the_interval_is_what_both_can_take() {
        let now = Instant::now();
        for (lines, shown, first) in [
            (
                "Supported: timer\r\nSession-Expires: 300;refresher=uac\r\n",
                "300;refresher=uac",
                268,
            ),
            ("Supported: timer\r\nSession-Expires: 300\r\n", "300;refresher=uas", 150),
            (
                "Supported: timer\r\nSession-Expires: 1800\r\nMin-SE: 900\r\n",
                "900;refresher=uas",
                450,
            ),
            ("k: timer\r\nx: 1800\r\n", "600;refresher=uas", 300),
            // A proxy requested the timer: the peer itself does not support it.
            ("Session-Expires: 300;refresher=uac\r\n", "300;refresher=uas", 150),
        ] {
            let mut timer = SessionTimer::new(SessionTimers::default());
            let text = answer(&mut timer, now, lines);
            assert!(text.contains(&format!("Session-Expires: {shown}")), "{lines} {text}");
            assert_eq!(text.contains("Require: timer"), shown.ends_with("uac"), "{text}");
            assert_eq!(after(&timer, now), Some(first), "{lines}");
        }
        let mut timer = SessionTimer::new(SessionTimers::default());
        assert!(!answer(&mut timer, now, "").contains("Session-Expires"));
        assert_eq!(timer.due(now + Duration::from_secs(300)), Some(Due::Probe));
    }

    /// SIG-30: the moment at which a session ends that is not refreshed.
    #[test]
    fn an_unrefreshed_session_ends_before_it_expires() {
        let now = Instant::now();
        for (interval, early_hangup, ends) in [(90, 0, 60), (600, 0, 568), (600, 100, 500)] {
            let settings = SessionTimers { early_hangup, interval, ..SessionTimers::default() };
            let mut timer = SessionTimer::new(settings);
            let lines =
                format!("Supported: timer\r\nSession-Expires: {interval};refresher=uac\r\n");
            answer(&mut timer, now, &lines);
            assert_eq!(after(&timer, now), Some(ends));
            assert_eq!(timer.due(now + Duration::from_secs(ends)), Some(Due::Expired));
            assert_eq!(timer.deadline(), None);
        }
    }

    /// SIG-29, SIG-32: consecutive misses end a session, every other answer proves life.
    #[test]
    fn silence_ends_a_session_and_any_answer_keeps_it() {
        let (now, mut rng) = (Instant::now(), SmallRng::seed_from_u64(1));
        let mut timer = SessionTimer::new(SessionTimers::default());
        answer(&mut timer, now, "Supported: timer\r\n");
        assert_eq!(timer.missed(now, false), Life::Again);
        assert_eq!(timer.answered(now, &response(408, ""), false, true, &mut rng), Life::Gone);
        answer(&mut timer, now, "Supported: timer\r\n");
        assert_eq!(timer.missed(now, false), Life::Again);
        assert_eq!(timer.answered(now, &response(403, ""), false, true, &mut rng), Life::Alive);
        assert_eq!(timer.missed(now, false), Life::Again, "the count began anew");
        assert_eq!(timer.answered(now, &response(481, ""), false, true, &mut rng), Life::Gone);
        for (we_called, window) in [(true, 2100..=4000), (false, 0..=2000)] {
            answer(&mut timer, now, "Supported: timer\r\n");
            assert_eq!(
                timer.answered(now, &response(491, ""), false, we_called, &mut rng),
                Life::Alive
            );
            let wait = timer.deadline().map(|at| (at - now).as_millis()).unwrap_or_default();
            assert!(window.contains(&wait), "{wait} ms");
        }
        let later = response(500, "Retry-After: 7\r\n");
        assert_eq!(timer.answered(now, &later, false, true, &mut rng), Life::Alive);
        assert_eq!(after(&timer, now), Some(7));
    }

    /// SIG-31
    #[test]
    fn a_422_raises_the_interval_twice_at_most() {
        let mut timer = SessionTimer::new(SessionTimers::default());
        for (least, sent) in [("1800", "1800"), ("3600", "3600")] {
            assert!(timer.raise(&response(422, &format!("Min-SE: {least}\r\n"))));
            let uri = MessageBuilder::request(&crate::Method::Invite, "sip:a@b");
            let text = String::from_utf8(timer.request_lines(uri).finish()).expect("text");
            assert!(text.contains(&format!("Session-Expires: {sent};refresher=uac")), "{text}");
        }
        assert!(!timer.raise(&response(422, "Min-SE: 7200\r\n")));
        assert!(!SessionTimer::new(SessionTimers::default()).raise(&response(422, "")));
    }

    /// SIG-31: 422 goes only to a peer that supports timers.
    #[test]
    fn a_short_interval_is_refused_only_to_who_can_ask_again() {
        let timer = SessionTimer::new(SessionTimers::default());
        assert_eq!(timer.refuses(&invite("Supported: timer\r\nSession-Expires: 60\r\n")), Some(90));
        assert_eq!(timer.refuses(&invite("Session-Expires: 60\r\n")), None);
        assert_eq!(timer.refuses(&invite("Supported: timer\r\nSession-Expires: 90\r\n")), None);
        assert_eq!(timer.refuses(&invite("Supported: timer\r\nSession-Expires: soon\r\n")), None);
    }

    /// SIG-33: silence to OPTIONS counts only for a peer that has answered one before.
    #[test]
    fn a_peer_that_never_answered_options_is_not_dead() {
        let (now, mut rng) = (Instant::now(), SmallRng::seed_from_u64(1));
        let mut timer = SessionTimer::new(SessionTimers::default());
        timer.agreed(now, &response(200, ""));
        assert_eq!(timer.due(now + Duration::from_secs(300)), Some(Due::Probe));
        assert_eq!(timer.missed(now, true), Life::Alive);
        assert_eq!(timer.answered(now, &response(501, ""), true, true, &mut rng), Life::Alive);
        assert_eq!(timer.missed(now, true), Life::Again);
        assert_eq!(timer.missed(now, true), Life::Gone);
    }
}
