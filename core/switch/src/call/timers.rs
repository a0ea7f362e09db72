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
    /// ROUTE-83: what we have placed ourselves has lasted long enough.
    Placed,
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
    /// Shows all timers that run; the first of two that are due at once is the one to act on.
    fn timers(&self, mut show: impl FnMut(Instant, Timer)) {
        let mut show_set =
            |at: Option<Instant>, timer| at.into_iter().for_each(|at| show(at, timer));
        match &self.state {
            State::SettingUp(setup) => {
                show_set(Some(setup.deadline), Timer::SetupLimit);
                show_set(setup.hedge, Timer::Hedge);
                show_set(setup.awaited.map(|(_, until)| until), Timer::Awaited);
                for attempt in &self.attempts {
                    let at = attempt.out().map(|out| out.deadline);
                    show_set(at, Timer::Attempt(attempt.record.number));
                }
            }
            State::Connected(connected) => {
                show_set(connected.ends, Timer::Placed);
                show_set(connected.longest, Timer::Longest);
                let supervisor = connected.supervisor;
                show_set(supervisor.and_then(|it| it.limit()), Timer::SupervisedLimit);
                show_set(supervisor.and_then(|it| it.due()), Timer::Supervision);
                show_set(Some(connected.interim), Timer::Interim);
                for number in [CALLER, connected.vendor] {
                    let at = self.leg(number).and_then(Leg::poll_timeout);
                    show_set(at, Timer::Leg(number));
                }
            }
            State::Closing(..) | State::Over => {}
        }
    }

    /// When [`Call::on_timeout`] has something to do, or earlier: a wake that was set stays
    /// when the deadline moves away from it, as most calls end before either.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let (mut wake, mut runs) = (self.wake, false);
        self.timers(|at, _| {
            wake = Some(wake.map_or(at, |wake| wake.min(at)));
            runs = true;
        });
        wake.filter(|_| runs)
    }

    /// The first timer that is due.
    fn due(&self, now: Instant) -> Option<Timer> {
        let mut due = None;
        self.timers(|at, timer| {
            if at <= now {
                due.get_or_insert(timer);
            }
        });
        due
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
                Timer::Placed => self.end_placed(cx),
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
