//! Output of the demo.

use super::scene::{Addresses, Guests};
use crate::agents::{CallOutcome, Ladder};
use crate::show::{date_time, decision_trail, vendors};
use api::{AccountLine, CallLine, PluginList, RecordView, SwapDone};
use kit::Table;
use std::fmt::Write;
use std::time::Duration;

pub(super) fn cast(addresses: &Addresses) -> String {
    let Addresses { switch, caller, vendor_a, vendor_b } = addresses;
    format!(
        "Strowger is a softswitch: it takes phone calls from customers, finds a vendor that\n\
         carries them, relays the audio, and writes what happened and what it costs. Every\n\
         decision on the way is a WebAssembly plugin that can be replaced while calls run.\n\
         \n\
         \x20 caller    {caller:<21}  a customer's PBX; calls London, talks, hangs up\n\
         \x20 strowger  {switch:<21}  the real switch, as `strowger run` starts it\n\
         \x20 vendor-a  {vendor_a:<21}  preferred by priority, refuses every call with 503\n\
         \x20 vendor-b  {vendor_b:<21}  second choice, cheaper; rings, answers, plays a tone\n\
         \n\
         All of it is real SIP and RTP over UDP on this machine.\n\n"
    )
}

pub(super) fn plugins(list: &PluginList) -> String {
    let mut out = String::new();
    for plugin in &list.plugins {
        let _ = writeln!(
            out,
            "  {:<10} {} ({})  {}",
            plugin.name, plugin.version, plugin.digest, plugin.summary
        );
    }
    out
}

pub(super) fn swap(done: &SwapDone, at: Duration) -> String {
    format!(
        "{:>5} ms  routing is swapped: {} -> {}\n          \
         compiled in {} ms aside, {} self-tests passed, generation {} -> {}\n",
        at.as_millis(),
        done.before,
        done.after,
        done.compile_ms,
        done.self_tests,
        done.generation_before,
        done.generation
    )
}

pub(super) fn calls_during_swap(calls: &[CallLine], at: Duration) -> String {
    let generations: std::collections::BTreeSet<u64> =
        calls.iter().map(|call| call.generation).collect();
    let generations: Vec<String> = generations.iter().map(u64::to_string).collect();
    format!(
        "{:>5} ms  {} calls are still up; they keep generation {} until they end\n",
        at.as_millis(),
        calls.len(),
        generations.join(", ")
    )
}

pub(super) fn outcomes(outcomes: &[CallOutcome]) -> String {
    let mut out = String::from("\nWhat the caller saw:\n");
    for outcome in outcomes {
        let ms = |duration: Option<Duration>| {
            duration.map_or_else(|| "-".to_owned(), |time| format!("{} ms", time.as_millis()))
        };
        let _ = writeln!(
            out,
            "  {}  {} {:<8} ringing after {:>6}, answered after {:>6}, talked {:.1} s, RTP {} sent {} heard {} lost",
            outcome.callee,
            outcome.code,
            outcome.reason,
            ms(outcome.ringing),
            ms(outcome.final_after),
            outcome.talked.as_secs_f64(),
            outcome.audio.sent,
            outcome.audio.received,
            outcome.audio.lost,
        );
    }
    out
}

pub(super) fn ladder(title: &str, ladder: &Ladder, callee: &str) -> String {
    // The rewrite keeps the last digits.
    let digits = &callee[callee.len().saturating_sub(6)..];
    format!(
        "\n--- {title}, all legs, as the agents saw them ---\n{}",
        ladder.draw("caller", "strowger", digits)
    )
}

pub(super) fn trail(call: &str, record: &RecordView) -> String {
    format!(
        "\n--- Who decided what in {call} ({} UTC, generation {}) ---\n{}",
        date_time(record.invite_ms),
        record.generation,
        decision_trail(&record.trail)
    )
}

pub(super) fn second_act(guests: &Guests) -> String {
    let Guests { hotline, vendor_c, vendor_d } = guests;
    format!(
        "\nTwo more calls, from a hotline that wants the first vendor that rings:\n\
         \n\
         \x20 caller    {hotline:<21}  its trunk says `parallel = 3`\n\
         \x20 vendor-c  {vendor_c:<21}  says 100 Trying and nothing more\n\
         \x20 vendor-d  {vendor_d:<21}  speaks TCP and mu-law only, and rings in silence\n"
    )
}

/// The result of each attempt.
pub(super) fn attempts(record: &RecordView) -> String {
    let mut table = Table::new(&[">NO", "VENDOR", "OVER", ">CODE", "END", "CODEC", ">COST"]);
    for attempt in &record.attempts {
        table.row([
            attempt.number.to_string(),
            attempt.vendor.clone(),
            attempt.transport.clone(),
            attempt.code.to_string(),
            attempt.end_reason.clone(),
            attempt.media.codec.to_string(),
            attempt.buy.as_ref().map(|buy| buy.amount.clone()).unwrap_or_default(),
        ]);
    }
    format!("\n{table}")
}

pub(super) fn records(records: &[RecordView], accounts: &[AccountLine]) -> String {
    let mut out = format!(
        "\n--- The records: who carried each call, what it costs, which generation decided ---\n{}",
        record_table(records)
    );
    let balances: Vec<String> = accounts
        .iter()
        .map(|account| format!("{} {} {}", account.name, account.balance, account.currency))
        .collect();
    let _ = writeln!(out, "balances: {}", balances.join(", "));
    let _ = writeln!(
        out,
        "\nThe first calls tried vendor-a and went on to vendor-b; after the swap the cheaper\n\
         vendor-b comes first. No call failed, and none was decided by two versions."
    );
    out
}

fn record_table(records: &[RecordView]) -> Table {
    let mut table = Table::new(&[
        "CALLER",
        "CALLEE",
        "DESTINATION",
        "VENDORS",
        "END",
        ">BILLED s",
        ">CHARGE",
        ">COST",
        ">PROFIT",
        ">GENERATION",
    ]);
    for record in records {
        let sell = record.sell.as_ref();
        table.row([
            record.caller_route.clone(),
            record.callee_route.clone(),
            sell.map(|sell| sell.destination.clone()).unwrap_or_default(),
            vendors(&record.attempts),
            record.end_reason.clone(),
            sell.map(|sell| sell.billed_s.to_string()).unwrap_or_default(),
            sell.map(|sell| sell.amount.clone()).unwrap_or_default(),
            record.cost.clone(),
            record.profit.clone(),
            record.generation.to_string(),
        ]);
    }
    table
}
