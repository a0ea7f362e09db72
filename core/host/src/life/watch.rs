//! The host's own judgement of the builds that decide: what does badly is taken back, or reported
//! where there is nothing to go back to.

use super::host::{Host, SwapReport};
use crate::build::judge;
use crate::build::tally::Figures;
use crate::generation::live::Live;
use crate::generation::trial::Canary;
use crate::plugin::TakenBack;
use policy::{Hook, PluginStamp};
use std::sync::Arc;
use std::time::Duration;

/// A build that the host took back automatically.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retreat {
    /// The build that did badly.
    pub from: Arc<PluginStamp>,
    /// The build that calls ask now.
    pub to: Arc<PluginStamp>,
    /// It was a canary; the live build did not change.
    pub was_canary: bool,
    /// The reason, as text for the operator.
    pub why: String,
    /// The generation that new calls pin.
    pub generation: u64,
}

/// The condition of a live build, for alarms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Which build.
    pub stamp: Arc<PluginStamp>,
    /// How many faults in a row opened its breaker: it is not asked for a while.
    pub left_out: Option<u32>,
    /// How it does badly by absolute limits. Another build can be put in its place only by the
    /// operator: none is known to do better.
    pub does_badly: Option<String>,
}

impl Host {
    /// Takes back builds that do badly: a canary, or a build that went live recently. Call it about
    /// once a second, from a thread that may block during a swap.
    pub fn watch(&self) -> Vec<Retreat> {
        let plugins: Vec<Arc<Live>> = self.current().plugins().values().cloned().collect();
        plugins.iter().for_each(|live| live.version.keep_figures());
        plugins.iter().filter_map(|live| self.retreat(live)).collect()
    }

    /// The condition of the live build of each plugin.
    #[must_use]
    pub fn conditions(&self) -> Vec<Condition> {
        let condition = |live: &Arc<Live>| {
            let version = &live.version;
            let limits = &version.plugin.settings.rollback;
            let routes = version.hooks.contains(&Hook::Routing);
            Condition {
                stamp: Arc::clone(&version.stamp),
                left_out: version.breaker.open_after(),
                does_badly: judge::alone(&version.recent_figures(), routes, limits),
            }
        };
        self.current().plugins().values().map(condition).collect()
    }

    /// Judges the builds in `live`, and takes one back if it is still in its place: a swap may have
    /// replaced it in the meantime.
    fn retreat(&self, live: &Live) -> Option<Retreat> {
        let settings = &live.version.plugin.settings;
        let limits = &settings.rollback;
        if let Some(canary) = &live.canary {
            let why = judge::against(
                &canary.version.tally.figures(),
                &beside(canary, live, limits.least),
                limits,
            );
            if let Some(why) = why {
                let same = |now: &Canary| Arc::ptr_eq(&now.version, &canary.version);
                let wanted = |now: &Live| now.canary.as_ref().is_some_and(same);
                let report = self.end_trial_if(&settings.name, wanted).ok()?;
                return Some(retreat(live, report, why, true));
            }
        }
        let version = &live.version;
        let young = version.is_young(Duration::from_secs(limits.within_s));
        let previous = live.previous.as_ref().filter(|_| young)?;
        let before = previous.recent_figures();
        let why = judge::against(&version.tally.figures(), &before, limits)?;
        let wanted = |now: &Live| Arc::ptr_eq(&now.version, version);
        let report = self.rollback_if(&settings.name, wanted).ok()?;
        Some(retreat(live, report, why, false))
    }
}

/// What the live build did since the canary began; if that is too little, such as beside a canary
/// that decides all calls, what it did in the minutes before.
fn beside(canary: &Canary, live: &Live, least: u64) -> Figures {
    let figures = live.version.tally.figures().since(&canary.live_then);
    match figures.tally.asked >= least {
        true => figures,
        false => live.version.recent_figures(),
    }
}

fn retreat(live: &Live, report: SwapReport, why: String, was_canary: bool) -> Retreat {
    let SwapReport { from, to, generation, .. } = report;
    tracing::error!(%from, %to, generation, was_canary, why, "a build is taken back");
    live.version.plugin.note_taken_back(TakenBack {
        at_ms: platform::utc_ms(),
        build: Arc::clone(&from),
        was_canary,
        why: why.clone(),
    });
    Retreat { from, to, was_canary, why, generation }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::trial::Selection;
    use crate::guest::interface::tests::{build, host, of_callee, pin, plugin};
    use crate::settings::{PluginSettings, RollbackSettings};

    /// The plugin's state after enough traps to be taken back.
    fn judged_bad(host: &Host) -> Arc<Live> {
        let (mut shard, pin) = (host.shard(), pin(host));
        for _ in 0..2 {
            assert!(shard.ask(&pin, &of_callee("trap")).outcome.is_err());
        }
        host.live(host.inner.plugin("hostile").expect("it is there")).expect("it is live")
    }

    fn live(host: &Host) -> String {
        host.list()[0].stamp.version.to_string()
    }

    fn canary(host: &Host) -> Option<String> {
        host.list()[0].canary.as_ref().map(|canary| canary.stamp.version.to_string())
    }

    /// An operator may swap between the judgement and the lock.
    #[test]
    fn a_build_that_came_after_the_judgement_is_not_taken_back() {
        let rollback = RollbackSettings { least: 2, ..RollbackSettings::default() };
        let (host, _, _) = host(vec![PluginSettings { rollback, ..plugin("hostile") }]);
        host.swap("hostile", build('b')).expect("it loads");
        let judged = judged_bad(&host);
        host.swap("hostile", build('c')).expect("it loads");
        assert_eq!(host.retreat(&judged), None);
        assert_eq!(live(&host), "1.0.0-build-c");

        host.canary("hostile", build('d'), Selection::all()).expect("it loads");
        let judged = judged_bad(&host);
        host.canary("hostile", build('e'), Selection::all()).expect("it loads");
        assert_eq!(host.retreat(&judged), None);
        assert_eq!(canary(&host).as_deref(), Some("1.0.0-build-e"));
        let judged = judged_bad(&host);
        host.promote("hostile").expect("there is a canary");
        assert_eq!(host.retreat(&judged), None);
        assert_eq!(live(&host), "1.0.0-build-e");

        let judged = judged_bad(&host);
        let retreat = host.retreat(&judged).expect("nothing came between");
        assert_eq!((&*retreat.from.version, &*live(&host)), ("1.0.0-build-e", "1.0.0-build-c"));
    }
}
