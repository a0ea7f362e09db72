//! Answers of the API as text for people: the output of the command line and of the demo.

mod times;

use api::{
    AccountLine, AlarmLine, AttemptView, CallLine, ChargeView, LockoutLine, PaymentDone,
    PluginLine, PluginList, RecordView, ReloadDone, RerateDone, RerateFailure, SendsLine, SwapDone,
    TableLine, UnlockDone,
};
use kit::Table;
use ledger::{EndedBy, MediaRecord, TrailEntry};
use platform::{plain, plain_lines};
use std::fmt::Write;
pub(crate) use times::date_time;
use times::{clock, elapsed};

/// Alarms with effect and action.
pub(crate) fn alarms(alarms: &[AlarmLine]) -> String {
    if alarms.is_empty() {
        return "no alarms\n".to_owned();
    }
    let mut out = String::new();
    for alarm in alarms {
        let AlarmLine { severity, alarm: kind, count, .. } = alarm;
        let object = plain(&alarm.object);
        let since = date_time(alarm.since_ms);
        let _ = writeln!(out, "{severity:<9}{kind} {object}, since {since} UTC, {count} times");
        let _ = writeln!(out, "         {}", alarm.detail);
        let _ = writeln!(out, "         Effect: {}", alarm.effect);
        let _ = writeln!(out, "         To do: {}.", alarm.action);
    }
    out
}

/// Running calls.
pub(crate) fn calls(calls: &[CallLine], now_ms: u64) -> String {
    if calls.is_empty() {
        return "no calls\n".to_owned();
    }
    let mut table = Table::new(&[
        "ID",
        "CUSTOMER",
        "CALLER",
        "CALLEE",
        "VENDOR",
        "STATE",
        ">TIME",
        ">ATTEMPTS",
        ">GEN",
    ]);
    for call in calls {
        let since = call.answer_ms.unwrap_or(call.invite_ms);
        table.row([
            call.id.clone(),
            call.customer.clone(),
            call.caller.clone(),
            call.callee.clone(),
            call.vendor.clone(),
            call.state.clone(),
            elapsed(now_ms.saturating_sub(since)),
            call.attempts.to_string(),
            call.generation.to_string(),
        ]);
    }
    table.to_string()
}

/// Lockouts.
pub(crate) fn lockouts(lockouts: &[LockoutLine]) -> String {
    if lockouts.is_empty() {
        return "nobody is locked out\n".to_owned();
    }
    let mut table = Table::new(&["SOURCE", "USER", "CAUSE", ">LEFT", ">TIMES"]);
    for line in lockouts {
        table.row([
            line.source.clone(),
            line.user.clone(),
            line.cause.clone(),
            elapsed(line.left_s * 1000),
            line.times.to_string(),
        ]);
    }
    table.to_string()
}

/// Lockouts ended by the operator.
pub(crate) fn unlocked(done: &UnlockDone) -> String {
    format!("{} lockouts of {} are ended\n", done.ended, done.source)
}

/// Number tables.
pub(crate) fn tables(tables: &[TableLine]) -> String {
    if tables.is_empty() {
        return "no tables\n".to_owned();
    }
    let mut table = Table::new(&["NAME", "KIND", ">ROWS", ">BYTES", "READ (UTC)", "FILE"]);
    for line in tables {
        table.row([
            line.name.clone(),
            line.kind.clone(),
            line.rows.to_string(),
            line.bytes.to_string(),
            date_time(line.loaded_ms),
            if line.file.is_empty() { "(database)".to_owned() } else { line.file.clone() },
        ]);
    }
    let refused = tables.iter().filter(|line| !line.error.is_empty());
    let refused =
        refused.map(|line| format!("{} was not taken again: {}\n", line.name, line.error));
    format!("{table}{}", refused.collect::<String>())
}

/// Call records in a list.
pub(crate) fn records(records: &[RecordView]) -> String {
    if records.is_empty() {
        return "no records\n".to_owned();
    }
    let mut table = Table::new(&[
        "INVITE (UTC)",
        "CUSTOMER",
        "CALLER",
        "CALLEE",
        "VENDORS",
        ">CODE",
        "END",
        ">BILLED s",
        ">CHARGE",
        ">COST",
        ">PROFIT",
        ">GEN",
        "ID",
    ]);
    for record in records {
        let billed = record.sell.as_ref().map(|sell| sell.billed_s.to_string());
        let charge = record.sell.as_ref().map(money);
        table.row([
            date_time(record.invite_ms),
            record.customer.clone(),
            number(&record.caller_route, &record.caller_in),
            number(&record.callee_route, &record.callee_in),
            vendors(&record.attempts),
            record.code_returned.to_string(),
            record.end_reason.clone(),
            billed.unwrap_or_default(),
            charge.unwrap_or_default(),
            record.cost.clone(),
            record.profit.clone(),
            record.generation.to_string(),
            record.id.clone(),
        ]);
    }
    table.to_string()
}

/// `vendor-a 503, vendor-b 200`.
pub(crate) fn vendors(attempts: &[AttemptView]) -> String {
    let each = attempts.iter().map(|attempt| format!("{} {}", attempt.vendor, outcome(attempt)));
    each.collect::<Vec<_>>().join(", ")
}

fn outcome(attempt: &AttemptView) -> String {
    match attempt.code {
        _ if attempt.skipped => "skipped".to_owned(),
        0 => attempt.end_reason.clone(),
        code => code.to_string(),
    }
}

fn number(route: &str, received: &str) -> String {
    if route.is_empty() { received.to_owned() } else { route.to_owned() }
}

fn money(charge: &ChargeView) -> String {
    format!("{} {}", charge.amount, charge.currency)
}

/// One record in full.
pub(crate) fn record(record: &RecordView) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(out, "{name:<14}{}", plain(&value));
        }
    };
    line("call", record.id.clone());
    let who = format!("{} ({})", record.customer, record.account);
    if record.source.is_empty() {
        line("from", format!("{who}, placed by {}", record.node));
    } else {
        let over = if record.transport.is_empty() { "" } else { " over " };
        line("from", format!("{who} at {}{over}{}", record.source, record.transport));
        line("listener", format!("{} on {}", record.listener, record.node));
    }
    line("caller", changed(&record.caller_in, &record.caller_route));
    line("callee", changed(&record.callee_in, &record.callee_route));
    line("marks", record.marks.join(", "));
    line("invite", date_time(record.invite_ms));
    line("ringing", record.ringing_ms.map(clock).unwrap_or_default());
    line("answer", record.answer_ms.map(clock).unwrap_or_default());
    line("end", record.end_ms.map(clock).unwrap_or_default());
    line("duration", seconds(record.duration_ms));
    line("ended by", format!("{}: {}", ended_by(record.ended_by), record.end_reason));
    line("code", codes(record));
    line("detail", record.detail.clone());
    line("charge", record.sell.as_ref().map(priced).unwrap_or_default());
    for reseller in &record.resellers {
        line("reseller", format!("{}: {}", reseller.account, priced(&reseller.charge)));
    }
    line("cost", format!("{}, profit {}", record.cost, record.profit));
    line("balance", record.balance_after.clone().unwrap_or_default());
    line("generation", record.generation.to_string());
    let processing = record.processing_us.map(|us| format!("{us} µs before the first INVITE out"));
    line("processing", processing.unwrap_or_default());
    line("media", media(&record.media));
    line(
        "one-way",
        record.one_way.as_ref().map(|side| format!("nothing heard of {side}")).unwrap_or_default(),
    );
    line("flags", record.flags.join(", "));
    line("Call-ID", record.sip_call_id.clone());
    if record.rerate {
        line("rating", "failed at the end: to be rated again".to_owned());
    }
    line("rated again", record.rated_again_ms.map(date_time).unwrap_or_default());
    out.push('\n');
    out.push_str(&attempts(&record.attempts));
    out.push('\n');
    out.push_str(&decision_trail(&record.trail));
    out
}

fn attempts(attempts: &[AttemptView]) -> String {
    if attempts.is_empty() {
        return "no attempts\n".to_owned();
    }
    let mut table = Table::new(&[
        ">#",
        "VENDOR",
        "TARGET",
        "OVER",
        "CALLEE OUT",
        "CALLER OUT",
        "SENT",
        ">TIMES",
        ">1ST ms",
        "RINGING",
        "ANSWER",
        "END",
        ">CODE",
        "REASON",
        ">COST",
        "CODEC",
        ">RTP IN",
        ">RTP OUT",
    ]);
    for attempt in attempts {
        table.row([
            attempt.number.to_string(),
            attempt.vendor.clone(),
            attempt.target.clone(),
            attempt.transport.clone(),
            attempt.callee_out.clone(),
            attempt.caller_out.clone(),
            clock(attempt.sent_ms),
            if attempt.skipped { String::new() } else { attempt.sends.to_string() },
            attempt.first_response_ms.map(|ms| ms.to_string()).unwrap_or_default(),
            attempt.ringing_ms.map(clock).unwrap_or_default(),
            attempt.answer_ms.map(clock).unwrap_or_default(),
            attempt.end_ms.map(clock).unwrap_or_default(),
            outcome(attempt),
            attempt.end_reason.clone(),
            attempt.buy.as_ref().map(money).unwrap_or_default(),
            attempt.media.codec.to_string(),
            attempt.media.rtp_in.to_string(),
            attempt.media.rtp_out.to_string(),
        ]);
    }
    table.to_string()
}

/// The decisions, in the order of the questions.
pub(crate) fn decision_trail(trail: &[TrailEntry]) -> String {
    if trail.is_empty() {
        return "no decisions\n".to_owned();
    }
    let mut table =
        Table::new(&[">MS", ">ATTEMPT", "HOOK", "DECIDED BY", "ANSWER", ">µs", "FAULT"]);
    for entry in trail {
        table.row([
            entry.at_ms.to_string(),
            if entry.attempt == 0 { String::new() } else { entry.attempt.to_string() },
            entry.hook.to_string(),
            entry.plugin.to_string(),
            entry.answer.to_string(),
            entry.micros.to_string(),
            entry.fault.to_string(),
        ]);
    }
    table.to_string()
}

fn changed(before: &str, after: &str) -> String {
    match (before, after) {
        (before, "") => before.to_owned(),
        (before, after) if before == after => before.to_owned(),
        (before, after) => format!("{before} -> {after}"),
    }
}

fn seconds(ms: u64) -> String {
    if ms == 0 { String::new() } else { format!("{}.{:03} s", ms / 1000, ms % 1000) }
}

fn ended_by(who: EndedBy) -> &'static str {
    match who {
        EndedBy::Caller => "caller",
        EndedBy::Callee => "callee",
        EndedBy::Switch => "switch",
    }
}

fn codes(record: &RecordView) -> String {
    match (record.code_received, record.cause) {
        (0, 0) => format!("{} returned", record.code_returned),
        (received, 0) => format!("{} returned, {received} received", record.code_returned),
        (received, cause) => {
            format!("{} returned, {received} received, Q.850 {cause}", record.code_returned)
        }
    }
}

fn priced(sell: &ChargeView) -> String {
    format!(
        "{} {} for {} s: {} (prefix {}, deck {}) at {} a minute",
        sell.amount,
        sell.currency,
        sell.billed_s,
        sell.destination,
        sell.prefix,
        sell.deck,
        sell.price
    )
}

fn media(media: &MediaRecord) -> String {
    if media.rtp_in == 0 && media.rtp_out == 0 {
        return String::new();
    }
    let codec = if media.codec.is_empty() { "RTP" } else { &media.codec };
    format!(
        "{codec} {} in, {} out, {} dropped, {} RTCP in, from {}",
        media.rtp_in, media.rtp_out, media.dropped, media.rtcp_in, media.remote
    )
}

/// Accounts.
pub(crate) fn accounts(accounts: &[AccountLine]) -> String {
    if accounts.is_empty() {
        return "no accounts\n".to_owned();
    }
    let mut table = Table::new(&[
        "ACCOUNT",
        ">BALANCE",
        ">RESERVED",
        ">CREDIT",
        "CURRENCY",
        "DECK",
        "RESELLER",
        "STATE",
    ]);
    for account in accounts {
        table.row([
            account.name.clone(),
            account.balance.clone(),
            account.reserved.clone(),
            account.credit.clone(),
            account.currency.clone(),
            account.deck.clone(),
            account.parent.clone(),
            if account.locked { "locked".to_owned() } else { "open".to_owned() },
        ]);
    }
    table.to_string()
}

/// A payment.
pub(crate) fn payment(done: &PaymentDone) -> String {
    let PaymentDone { account, amount, balance, booked } = done;
    let what = if *booked { "is booked" } else { "had been booked before" };
    format!("{amount} {what} to {account}; the balance is {balance}\n")
}

/// The result of re-rating.
pub(crate) fn rerated(done: &RerateDone) -> String {
    let what = if done.dry_run { "would be rated again" } else { "rated again" };
    let mut out = format!("{} calls {what}\n", done.rated);
    for (account, amount) in &done.booked {
        let _ = writeln!(out, "{amount} to {account}");
    }
    for RerateFailure { id, why } in &done.failed {
        let _ = writeln!(out, "call {id} is still open: {why}");
    }
    out
}

/// Live plugins.
pub(crate) fn plugins(list: &PluginList) -> String {
    let mut table = Table::new(&[
        "PLUGIN",
        "VERSION",
        "DIGEST",
        "SIGNED BY",
        "HOOKS",
        ">SINCE GEN",
        ">ANSWERED",
        ">FAULTS",
        ">P50 µs",
        ">P99 µs",
        "SUMMARY",
    ]);
    for plugin in &list.plugins {
        table.row([
            plugin.name.clone(),
            plugin.version.clone(),
            plugin.digest.clone(),
            signer(plugin),
            plugin.hooks.join(", "),
            plugin.since_generation.to_string(),
            plugin.answered.to_string(),
            plugin.faults.to_string(),
            micros(plugin.p50_nanos),
            micros(plugin.p99_nanos),
            plugin.summary.clone(),
        ]);
    }
    let mut trials = String::new();
    for plugin in &list.plugins {
        if let Some(canary) = &plugin.canary {
            trials.push_str(&format!(
                "canary {}: {}, asked {}, faults {}, rejects {}\n",
                canary.build, canary.selection, canary.asked, canary.faults, canary.rejects
            ));
        }
        if let Some(shadow) = &plugin.shadow {
            trials.push_str(&format!(
                "shadow {}: {}, asked {}, different {}, faults {}, left out {}\n",
                shadow.build,
                shadow.selection,
                shadow.asked,
                shadow.different,
                shadow.faults,
                shadow.left_out
            ));
        }
    }
    // Counts of the live build alone would lose faults at each swap.
    let whose = match list.plugins.is_empty() {
        true => "",
        false => "ANSWERED, FAULTS, P50 and P99: all builds of the plugin since the start\n",
    };
    format!("{table}{whose}{trials}generation {}\n", list.generation)
}

/// One plugin.
pub(crate) fn plugin(plugin: &PluginLine) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(out, "{name:<14}{}", plain(value));
        }
    };
    line("plugin", &format!("{} {}", plugin.name, plugin.version));
    line("summary", &plugin.summary);
    line("digest", &plugin.digest);
    line("signed by", &signer(plugin));
    line("file", &plugin.file);
    line("hooks", &plugin.hooks.join(", "));
    line("since", &format!("generation {}", plugin.since_generation));
    line("builds", &plugin.builds.join(", "));
    line("previous", &plugin.previous);
    line("figures", "of all its builds since the start");
    line("answered", &plugin.answered.to_string());
    line("faults", &plugin.faults.to_string());
    line("p50, p99", &format!("{}, {} µs", micros(plugin.p50_nanos), micros(plugin.p99_nanos)));
    if let Some(sends) = &plugin.sends {
        let SendsLine { sent, failed, dropped, lost, waiting, .. } = sends;
        let counts = format!(
            "{sent} sent, {failed} failed, {dropped} dropped, {lost} lost, {waiting} waiting"
        );
        line("requests left", &counts);
        line("last failure", &sends.last_failure);
    }
    // Newlines are layout here: those inside texts are escaped by JSON.
    let schema = plugin.config_schema.as_ref().map(|schema| format!("{schema:#}"));
    let _ = writeln!(out, "{:<14}{}", "schema", plain_lines(schema.as_deref().unwrap_or("none")));
    out
}

/// The key and whether it is trusted.
fn signer(plugin: &PluginLine) -> String {
    match (plugin.signer.as_str(), plugin.trusted) {
        ("", _) => "nobody".to_owned(),
        (key, true) => key.to_owned(),
        (key, false) => format!("{key}, not trusted"),
    }
}

fn micros(nanos: u64) -> String {
    format!("{}.{}", nanos / 1000, nanos / 100 % 10)
}

/// A swap.
pub(crate) fn swap(done: &SwapDone) -> String {
    if done.before == done.after {
        return format!("{} is live already; nothing changes\n", done.after);
    }
    format!(
        "{} -> {}: compiled in {} ms, {} self-tests passed, generation {} -> {}; \
         running calls keep theirs\n",
        done.before,
        done.after,
        done.compile_ms,
        done.self_tests,
        done.generation_before,
        done.generation,
    )
}

/// A reload.
pub(crate) fn changes(done: &ReloadDone) -> String {
    let mut out = String::new();
    for change in &done.changes {
        let _ = writeln!(out, "{}", plain(change));
    }
    let _ = match (done.objects, done.dry_run) {
        // Notices alone begin with `no changes`.
        (0, _) if out.is_empty() => writeln!(out, "nothing changes"),
        (0, _) => Ok(()),
        (_, true) => writeln!(out, "dry run: nothing was applied"),
        (_, false) => writeln!(out, "applied; new calls see it"),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_call_is_one_line() {
        let line = CallLine {
            id: "0190".into(),
            customer: "acme".into(),
            account: "acme".into(),
            vendor: "vendor-b".into(),
            caller: "441".into(),
            callee: "49151".into(),
            state: "answered".into(),
            invite_ms: 1_000,
            answer_ms: Some(3_000),
            attempts: 2,
            generation: 4,
        };
        assert_eq!(
            calls(&[line], 68_000),
            "ID    CUSTOMER  CALLER  CALLEE  VENDOR    STATE     TIME  ATTEMPTS  GEN\n\
             0190  acme      441     49151   vendor-b  answered  1:05         2    4\n"
        );
        assert_eq!(calls(&[], 0), "no calls\n");
    }

    fn routing() -> PluginLine {
        PluginLine {
            name: "routing".into(),
            version: "1.0.0".into(),
            digest: "abcd0123".into(),
            signer: String::new(),
            trusted: false,
            hooks: vec!["routing".into()],
            since_generation: 3,
            builds: Vec::new(),
            summary: "one line\nand a second".into(),
            config_schema: Some(serde_json::json!({ "title": "a\nb\u{9b}", "type": "object" })),
            file: String::new(),
            answered: 349,
            faults: 0,
            p50_nanos: 1_200,
            p99_nanos: 3_400,
            previous: String::new(),
            canary: None,
            shadow: None,
            sends: None,
        }
    }

    #[test]
    fn a_schema_is_shown_line_by_line_and_moves_no_cursor() {
        let text = plugin(&routing());
        let schema = "schema        {\n  \"title\": \"a\\nb\\u009b\",\n  \"type\": \"object\"\n}\n";
        assert!(text.ends_with(schema), "{text}");
        assert!(text.contains("summary       one line\\nand a second\n"), "{text}");
        let bare = plugin(&PluginLine { config_schema: None, ..routing() });
        assert!(bare.ends_with("schema        none\n"), "{bare}");
    }

    /// They survive swaps, so the row of a new build would claim the answers of earlier ones.
    #[test]
    fn figures_of_a_plugin_say_whose_they_are() {
        let list = PluginList { generation: 3, plugins: vec![routing()] };
        let words = "all builds of the plugin since the start\ngeneration 3\n";
        assert!(plugins(&list).ends_with(words), "{}", plugins(&list));
        let none = PluginList { generation: 3, plugins: Vec::new() };
        assert!(!plugins(&none).contains("builds"));
        assert!(plugin(&routing()).contains("figures       of all its builds since the start\n"));
    }

    #[test]
    fn a_plugin_shows_what_became_of_the_requests_that_it_left() {
        let last_failure = "hooks.example.com: status 503\x1b[2J".to_owned();
        let sends =
            SendsLine { sent: 7, failed: 2, waiting: 1, last_failure, ..Default::default() };
        let text = plugin(&PluginLine { sends: Some(sends), ..routing() });
        let counts = "requests left 7 sent, 2 failed, 0 dropped, 0 lost, 1 waiting\n";
        assert!(text.contains(counts), "{text}");
        assert!(text.contains("last failure  hooks.example.com: status 503\\u001b[2J\n"), "{text}");
        assert!(!plugin(&routing()).contains("requests left"));
    }

    #[test]
    fn a_trail_shows_who_decided() {
        let entry = TrailEntry {
            at_ms: 0,
            attempt: 1,
            hook: "routing".into(),
            plugin: "routing 1.0.0 (abcd0123)".into(),
            answer: "vendor-b, vendor-a".into(),
            fault: ledger::Text::default(),
            micros: 4,
        };
        let text = decision_trail(&[entry]);
        assert!(text.contains("routing 1.0.0 (abcd0123)  vendor-b, vendor-a"), "{text}");
    }

    #[test]
    fn a_reload_says_how_much_it_changed() {
        let done = |dry_run, objects, lines: &[&str]| ReloadDone {
            dry_run,
            objects,
            changes: lines.iter().map(|line| (*line).to_owned()).collect(),
        };
        let planned = done(true, 1, &["+ vendor_trunk b"]);
        assert_eq!(changes(&planned), "+ vendor_trunk b\ndry run: nothing was applied\n");
        assert_eq!(changes(&done(false, 0, &[])), "nothing changes\n");
        let told = done(false, 0, &["no changes", "note: b stays"]);
        assert_eq!(changes(&told), "no changes\nnote: b stays\n");
        let made = done(false, 1, &["- vendor_trunk b"]);
        assert_eq!(changes(&made), "- vendor_trunk b\napplied; new calls see it\n");
    }
}
