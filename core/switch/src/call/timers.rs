//! The actions of a call that are due at a time: one list of all its timers.

use super::{CALLER, Call, Cx, State};
use ledger::Tab;
use sip::session::Leg;
use std::time::{Duration, Instant};

/// The purpose of a timer.
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
    /// ROUTE-83: a call that we placed has reached its duration.
    Placed,
    /// SIG-35
    Longest,
    /// BILL-41: the paid talk time is used up.
    Exhausted,
    /// BILL-41: the next slice begins.
    Slice,
    /// The next supervision question.
    Supervision,
    /// The limit set by an answer to a supervision question.
    SupervisedLimit,
    /// CDR-06
    Interim,
    /// SIG-26 to SIG-33, of a leg.
    Leg(u16),
}

impl Call {
    /// Calls `show` for all running timers; of two that are due at once, the first is acted on.
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
                let after_answer = |ms| connected.since + Duration::from_millis(ms);
                let tab = self.tab.as_ref();
                // After a standstill both are due: the next slice may pay for the talk meanwhile.
                show_set(tab.and_then(Tab::look_ms).map(after_answer), Timer::Slice);
                let exhausted = tab.and_then(Tab::exhausted_ms);
                show_set(exhausted.map(after_answer), Timer::Exhausted);
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

    /// When [`Call::on_timeout`] has something to do, or earlier: an existing wake stays when the
    /// deadline moves away from it, because most calls end before either.
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

    /// Handles all due timers, one after the other.
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
                Timer::Exhausted => self.end_exhausted(cx),
                Timer::Slice => self.begin_slice(cx),
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
