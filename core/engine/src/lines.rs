//! What the node holds, in the words of the API.

use api::{
    BuildFigures, CallLine, CanaryLine, FaultLine, LockoutLine, PluginLine, RecordView, SendsLine,
    ShadowLine, TakenBackLine, call_id_text,
};
use host::{BuildTally, CanaryState, LastFault, PluginState, SendMetrics, ShadowState, TakenBack};
use store::RecordedCall;
use switch::{CallView, Lockout};

pub(crate) fn call(view: &CallView) -> CallLine {
    CallLine {
        id: call_id_text(view.id),
        customer: view.trunk.to_string(),
        account: view.account.to_string(),
        vendor: view.vendor.to_string(),
        caller: view.caller.to_string(),
        callee: view.callee.to_string(),
        state: view.state.to_owned(),
        invite_ms: view.invite_ms,
        answer_ms: view.answer_ms,
        attempts: view.attempts,
        generation: view.generation,
    }
}

pub(crate) fn lockout(lockout: &Lockout) -> LockoutLine {
    LockoutLine {
        source: lockout.source.to_string(),
        user: lockout.user.as_deref().unwrap_or_default().to_owned(),
        cause: lockout.cause.to_owned(),
        left_s: lockout.left.as_secs(),
        times: lockout.repeats,
    }
}

/// The charges as they are now.
pub(crate) fn record(recorded: &RecordedCall) -> RecordView {
    if recorded.corrections.is_empty() {
        return RecordView::from(&recorded.document);
    }
    let mut document = recorded.document.clone();
    let mut charges = document.charges();
    for correction in &recorded.corrections {
        let due = charges.all().find(|due| due.number() == correction.number);
        if let Some(charge) = due.and_then(|due| charges.charge(due.whose)) {
            charge.amount = correction.amount;
            charge.billed_s = correction.billed_s;
        }
    }
    (document.call.cost, document.call.profit) = document.charges().cost_and_profit();
    document.call.rerate = false;
    let rated_again_ms = recorded.corrections.iter().map(|c| c.at_ms).max();
    RecordView { rated_again_ms, ..RecordView::from(&document) }
}

pub(crate) fn plugin(state: &PluginState) -> PluginLine {
    PluginLine {
        name: state.stamp.name.to_string(),
        version: state.stamp.version.to_string(),
        digest: state.stamp.digest.to_string(),
        signer: state.signer.key().unwrap_or_default().to_owned(),
        trusted: state.signer.is_trusted(),
        hooks: state.hooks.iter().map(|hook| hook.name().to_owned()).collect(),
        since_generation: state.since_generation,
        builds: state.builds.iter().map(|build| build.stamp.to_string()).collect(),
        summary: state.summary.clone(),
        // One that is no JSON was refused when the plugin was loaded.
        config_schema: serde_json::from_str(&state.config_schema).ok(),
        file: state.path.as_ref().map(|p| p.display().to_string()).unwrap_or_default(),
        answered: state.answered,
        faults: state.faults.total(),
        last_fault: state.last_fault.as_ref().map(fault),
        p50_nanos: state.p50_nanos,
        p99_nanos: state.p99_nanos,
        previous: state.previous.as_ref().map(ToString::to_string).unwrap_or_default(),
        canary: state.canary.as_ref().map(canary),
        shadow: state.shadow.as_ref().map(shadow),
        build: BuildFigures {
            p50_nanos: state.build_p50_nanos,
            p99_nanos: state.build_p99_nanos,
            ..figures(&state.tally, &state.reasons)
        },
        left_out: state.left_out,
        taken_back: state.taken_back,
        last_taken_back: state.last_taken_back.as_ref().map(taken_back),
        sends: state.sends.as_ref().map(sends),
    }
}

fn figures(tally: &BuildTally, reasons: &[(String, u64)]) -> BuildFigures {
    let calls = tally.calls;
    let permille = i128::from(calls.margin) * 1000 / i128::from(calls.sales.max(1));
    BuildFigures {
        asked: tally.asked,
        faults: tally.faults,
        rejects: tally.rejects,
        no_candidate: tally.no_candidate,
        challenges: tally.challenges,
        failures: tally.failures,
        stops: tally.stops,
        calls: calls.begun,
        answered: calls.answered,
        failed: calls.failed,
        given_up: calls.given_up,
        challenged: calls.challenged,
        margin_permille: i64::try_from(permille).ok().filter(|_| calls.sales > 0),
        reasons: reasons.iter().cloned().collect(),
        p50_nanos: 0,
        p99_nanos: 0,
    }
}

fn taken_back(taken_back: &TakenBack) -> TakenBackLine {
    TakenBackLine {
        at_ms: taken_back.at_ms,
        build: taken_back.build.to_string(),
        was_canary: taken_back.was_canary,
        why: taken_back.why.clone(),
    }
}

fn sends(metrics: &SendMetrics) -> SendsLine {
    SendsLine {
        sent: metrics.sent,
        failed: metrics.failed,
        dropped: metrics.dropped,
        lost: metrics.lost,
        waiting: metrics.waiting as u64,
        last_failure: metrics.last_failure.clone(),
    }
}

fn fault(last: &LastFault) -> FaultLine {
    FaultLine {
        at_ms: last.at_ms,
        build: last.build.to_string(),
        hook: last.hook.name().to_owned(),
        fault: last.fault.to_string(),
    }
}

fn canary(state: &CanaryState) -> CanaryLine {
    CanaryLine {
        build: state.stamp.to_string(),
        selection: state.selection.to_string(),
        figures: BuildFigures {
            p50_nanos: state.p50_nanos,
            p99_nanos: state.p99_nanos,
            ..figures(&state.tally, &state.reasons)
        },
    }
}

fn shadow(state: &ShadowState) -> ShadowLine {
    ShadowLine {
        build: state.stamp.to_string(),
        selection: state.selection.to_string(),
        asked: state.asked,
        different: state.different,
        lost: state.lost,
        faults: state.faults,
        left_out: state.left_out,
    }
}
