//! When the call has something to do by itself: one list of its timers.

use super::{CALLER, Call, Cx, State};
use sip::session::Leg;
use std::time::Instant;

/// What a moment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// ROUTE-54
    SetupLimit,
    /// ROUTE-58
    Hedge,
    /// SIG-103
    Awaited,
    /// SIG-15 to SIG-19, of an attempt.
    Attempt(u16),
    /// SIG-35
    Longest,
    /// A question about the call.
    Supervision,
    /// The limit that an answer to one has set.
    SupervisedLimit,
    /// CDR-06
    Interim,
    /// SIG-26 to SIG-33, of a leg.
    Leg(u16),
}

impl Call {
    /// All timers that run; the first of two that are due at once is the one to act on.
    fn timers(&self) -> impl Iterator<Item = (Instant, Timer)> {
        let (setup, connected) = match &self.state {
            State::SettingUp(setup) => (Some(&**setup), None),
            State::Connected(connected) => (None, Some(connected)),
            State::Closing(..) | State::Over => (None, None),
        };
        let setting_up = setup.into_iter().flat_map(|setup| {
            let awaited = setup.awaited.map(|(_, until)| until);
            [
                Some((setup.deadline, Timer::SetupLimit)),
                setup.hedge.map(|at| (at, Timer::Hedge)),
                awaited.map(|at| (at, Timer::Awaited)),
            ]
        });
        let attempts = self.attempts.iter().filter(move |_| setup.is_some()).map(|attempt| {
            attempt.out().map(|out| (out.deadline, Timer::Attempt(attempt.record.number)))
        });
        let up = connected.into_iter().flat_map(|connected| {
            [
                connected.longest.map(|at| (at, Timer::Longest)),
                connected
                    .supervisor
                    .and_then(|it| it.limit())
                    .map(|at| (at, Timer::SupervisedLimit)),
                connected.supervisor.and_then(|it| it.due()).map(|at| (at, Timer::Supervision)),
                Some((connected.interim, Timer::Interim)),
            ]
        });
        let legs = connected.into_iter().flat_map(|connected| {
            let vendor = self.leg(connected.vendor).and_then(Leg::poll_timeout);
            [
                self.caller.poll_timeout().map(|at| (at, Timer::Leg(CALLER))),
                vendor.map(|at| (at, Timer::Leg(connected.vendor))),
            ]
        });
        setting_up.chain(attempts).chain(up).chain(legs).flatten()
    }

    /// When [`Call::on_timeout`] has something to do, or earlier: a wake that was set stays
    /// when the deadline moves away from it, as most calls end before either.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let deadline = self.timers().map(|(at, _)| at).min()?;
        Some(self.wake.map_or(deadline, |wake| wake.min(deadline)))
    }

    /// The first timer that is due.
    fn due(&self, now: Instant) -> Option<Timer> {
        self.timers().find(|(at, _)| *at <= now).map(|(_, timer)| timer)
    }

    /// Does what is due, one thing after the other.
    pub(crate) fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.instant;
        while let Some(timer) = self.due(now) {
            match timer {
                Timer::SetupLimit => self.on_setup_limit(cx),
                Timer::Hedge => self.on_hedge(cx),
                Timer::Awaited => self.on_awaited(cx),
                Timer::Attempt(number) => self.on_attempt_deadline(cx, number),
                Timer::Longest => self.end_at_limit(cx),
                Timer::SupervisedLimit => self.end_at_supervised_limit(cx),
                Timer::Supervision => self.supervise(cx),
                Timer::Interim => self.write_interim(cx),
                Timer::Leg(number) => {
                    let leg = self.leg_mut(number);
                    let event = leg.and_then(|leg| leg.handle_timeout(&mut cx.wire()));
                    self.on_leg_event(cx, number, event, None);
                }
            }
        }
    }
}
