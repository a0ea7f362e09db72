//! `strowger cdr` and `strowger rerate`.

use super::{NodeArgs, moment, now_ms, print};
use crate::show;
use anyhow::{Result, bail};
use api::{Client, RecordView, RerateDone, RerateRequest};
use clap::Args;
use ledger::Money;
use std::collections::BTreeMap;
use std::io::Write;

/// Call records to show.
#[derive(Debug, Args)]
pub(super) struct CdrArgs {
    /// Call id: show this call with its attempts and decision trail.
    id: Option<String>,
    /// Maximum number of records, newest first, 1 to 10000.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// INVITE at or after this time: 90s, 30m or 24h ago, a UTC date such as 2026-11-21 or
    /// 2026-11-21T06:12:01Z, or milliseconds since 1970.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// INVITE before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only calls from or to numbers with this prefix.
    #[arg(long, value_name = "PREFIX")]
    number: Option<String>,
    /// Only calls from numbers with this prefix, as received.
    #[arg(long, value_name = "PREFIX")]
    caller: Option<String>,
    /// Only calls to numbers with this prefix, as routed.
    #[arg(long, value_name = "PREFIX")]
    callee: Option<String>,
    /// Only calls paid by this account.
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only calls from this customer trunk.
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
    /// Only calls with an attempt on this vendor trunk.
    #[arg(long, value_name = "NAME")]
    vendor: Option<String>,
    /// Only calls with this end reason, such as no_route.
    #[arg(long)]
    reason: Option<String>,
    /// Only answered calls.
    #[arg(long, conflicts_with = "unanswered")]
    answered: bool,
    /// Only calls that were not answered.
    #[arg(long)]
    unanswered: bool,
    /// Only calls still to be re-rated (`strowger rerate`).
    #[arg(long)]
    rerate: bool,
    /// Page after this call: the id at the end of the previous page.
    #[arg(long, value_name = "ID")]
    before: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

/// The list comes from the database and lacks calls that still wait to be written.
const NOT_COMPLETE: &str =
    "not complete: the newest calls wait for the database (`strowger alarms`)";

impl CdrArgs {
    pub(super) fn run(self, out: &mut impl Write) -> Result<()> {
        let client = self.node.client()?;
        if let Some(id) = &self.id {
            return print(out, self.node.json, &client.record(id)?, show::record);
        }
        let parameters = self.parameters(now_ms())?;
        let (records, complete) = client.records(&parameters)?;
        if let Some(reason) = self.reason.as_deref().filter(|_| records.is_empty()) {
            check_reason(&client, reason)?;
        }
        print(out, self.node.json, &records, |records| self.page(records))?;
        match (complete, self.node.json) {
            (true, _) => {}
            (false, false) => writeln!(out, "{NOT_COMPLETE}")?,
            (false, true) => eprintln!("{NOT_COMPLETE}"),
        }
        Ok(())
    }

    /// A table, and the command for the next page.
    fn page(&self, records: &[RecordView]) -> String {
        let more = records.last().filter(|_| records.len() >= self.limit as usize);
        let more = more.map(|last| format!("more: the same with --before {}\n", last.id));
        show::records(records) + &more.unwrap_or_default()
    }

    fn parameters(&self, now_ms: u64) -> Result<Vec<(&'static str, String)>> {
        let mut parameters = vec![("limit", self.limit.to_string())];
        for (name, time) in [("since", &self.since), ("until", &self.until)] {
            if let Some(time) = time {
                parameters.push((name, moment::parse(time, now_ms)?.to_string()));
            }
        }
        let words = [
            ("number", &self.number),
            ("caller", &self.caller),
            ("callee", &self.callee),
            ("account", &self.account),
            ("customer", &self.customer),
            ("vendor", &self.vendor),
            ("reason", &self.reason),
            ("before", &self.before),
        ];
        for (name, word) in words {
            parameters.extend(word.clone().map(|word| (name, word)));
        }
        if self.answered || self.unanswered {
            parameters.push(("answered", self.answered.to_string()));
        }
        if self.rerate {
            parameters.push(("rerate", "true".to_owned()));
        }
        Ok(parameters)
    }
}

/// Refuses a reason that neither any record has nor the switch knows. Records are asked because
/// plugins give their own reasons.
fn check_reason(client: &Client, reason: &str) -> Result<()> {
    if switch::end_reasons().any(|known| known == reason) {
        return Ok(());
    }
    let any = [("limit", "1".to_owned()), ("reason", reason.to_owned())];
    // A search that times out proves nothing, nor does an incomplete one.
    if !client.records(&any).is_ok_and(|(found, complete)| found.is_empty() && complete) {
        return Ok(());
    }
    match nearest(reason) {
        Some(known) => bail!("no record ends with the reason `{reason}`; is `{known}` meant?"),
        None => bail!("no record ends with the reason `{reason}`"),
    }
}

/// The known end reason at most two edits away.
fn nearest(reason: &str) -> Option<&'static str> {
    let nearest = engine::nearest(reason, switch::end_reasons());
    nearest.filter(|(changes, _)| *changes <= 2).map(|(_, known)| known)
}

/// Calls to re-rate.
#[derive(Debug, Args)]
pub(super) struct RerateArgs {
    /// INVITE at or after this time, as for `strowger cdr`.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// INVITE before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only show what would be booked.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    node: NodeArgs,
}

impl RerateArgs {
    /// Re-rates page by page; what is booked stays booked if a later page fails.
    pub(super) fn run(self, out: &mut impl Write) -> Result<()> {
        let client = self.node.client()?;
        let time = |text: &Option<String>| {
            text.as_ref().map(|text| moment::parse(text, now_ms())).transpose()
        };
        let mut request = RerateRequest {
            since_ms: time(&self.since)?,
            until_ms: time(&self.until)?,
            before: None,
            dry_run: self.dry_run,
        };
        let mut total = RerateDone { dry_run: self.dry_run, ..RerateDone::default() };
        let mut sums: BTreeMap<String, Money> = BTreeMap::new();
        loop {
            let page = client.rerate(&request)?;
            total.rated += page.rated;
            total.failed.extend(page.failed);
            for (account, amount) in page.booked {
                *sums.entry(account).or_default() += amount.parse::<Money>()?;
            }
            request.before = page.before;
            if request.before.is_none() {
                break;
            }
        }
        total.booked = sums.into_iter().map(|(name, sum)| (name, sum.to_string())).collect();
        print(out, self.node.json, &total, show::rerated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_reason_has_a_nearest_one() {
        let rows = [
            ("no_rout", Some("no_route")),
            ("No-Route", Some("no_route")),
            ("callerbared", Some("caller_barred")),
            ("device_eror", Some("device_error")),
            ("premium", None),
            ("", None),
        ];
        for (reason, known) in rows {
            assert_eq!(nearest(reason), known, "{reason}");
        }
    }
}
