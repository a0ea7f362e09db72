//! `strowger plugin replay`.

use super::moment;
use crate::show::date_time;
use anyhow::{Context, Result, bail};
use api::parse_call_id;
use clap::Args;
use config::Config;
use engine::Surroundings;
use host::decisions::DecisionReader;
use host::replay::{Group, Names, ReplayHost, ReplayOptions, Report, Sums};
use host::{Grant, PluginSettings};
use kit::{Table, fault_lines};
use platform::plain;
use policy::Hook;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

/// How much earlier than the time in its id a call's first question is looked for.
const BEFORE_MS: u64 = 1_000;

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The other build, a `.wasm` file.
    file: PathBuf,
    /// Plugin of the node file whose grants, settings and limits it gets; by default the one with
    /// the build's own name.
    #[arg(long, value_name = "PLUGIN")]
    name: Option<String>,
    /// Start: how long ago (24h), a UTC date, or milliseconds since 1970; by default 24h ago, or the
    /// beginning of the call.
    #[arg(long, value_name = "MOMENT")]
    since: Option<String>,
    /// End, in the same forms; by default now.
    #[arg(long, value_name = "MOMENT")]
    until: Option<String>,
    /// Only this hook of the build; may be repeated.
    #[arg(long, value_name = "HOOK")]
    hook: Vec<String>,
    /// Only the questions of this call: its id, as in its record.
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    /// Show each question of the call with the plugin's log lines, its answer and the answer then.
    #[arg(long, requires = "call")]
    trace: bool,
    /// Plugin settings as JSON, instead of those in force on the node.
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// Maximum number of examples, trunks and destinations.
    #[arg(long, default_value_t = 10)]
    limit: usize,
    /// Folder of the decision log, instead of the node file's.
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    /// Node file.
    #[arg(long, default_value = "config/strowger.toml")]
    config: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub(super) json: bool,
}

/// Replays the log.
pub(super) fn replay(args: &ReplayArgs) -> Result<Report> {
    // With a log and without a node file, nothing is known about the node.
    let config = match &args.log {
        Some(_) if !args.config.exists() => None,
        _ => Some(Config::load(&args.config)?),
    };
    let folder = match (&args.log, &config) {
        (Some(folder), _) => folder.clone(),
        (None, Some(config)) => config.decision_folder(),
        (None, None) => bail!("name the decision log with --log, or the node file with --config"),
    };
    let now_ms = super::now_ms();
    let call = match &args.call {
        Some(id) => Some(parse_call_id(id).with_context(|| format!("`{id}` is no id of a call"))?),
        None => None,
    };
    let since_ms = match (&args.since, call) {
        (Some(since), _) => moment::parse(since, now_ms)?,
        // An id begins with the time of its INVITE (CDR-05).
        (None, Some(id)) => ((id >> 80) as u64).saturating_sub(BEFORE_MS),
        (None, None) => moment::parse("24h", now_ms)?,
    };
    let until_ms = match &args.until {
        Some(until) => moment::parse(until, now_ms)?,
        None => u64::MAX,
    };
    let reader = DecisionReader::open(&folder, since_ms, until_ms)
        .with_context(|| format!("{} has no decisions to replay", folder.display()))?;

    let cache = config.as_ref().map(|config| config.data_dir.join("plugin-cache"));
    let host = ReplayHost::new(cache.filter(|cache| cache.exists()))?;
    let mut settings = settings(args, config.as_ref(), &host)?;
    let surroundings = match &config {
        Some(config) => Some(crate::run::runtime(None)?.block_on(Surroundings::of(config))),
        None => None,
    };
    let (names, lookup, problem) = match surroundings {
        Some(Ok(Surroundings { names, lookup, problem, mut configs })) => {
            if args.settings.is_none()
                && let Some(config) = configs.remove(&settings.name)
            {
                settings.config = config;
            }
            (names, Some(lookup), problem)
        }
        Some(Err(error)) => (Names::default(), None, Some(format!("{error:#}"))),
        None => (Names::default(), None, Some("no node file".to_owned())),
    };
    let options =
        ReplayOptions { hooks: hooks(&args.hook)?, limit: args.limit, call, trace: args.trace };
    let build = host.load(settings, lookup)?;
    let mut report = build.run(reader, &options, &names)?;
    if let (Some(id), 0) = (&args.call, report.asked) {
        report.notes.push(format!("call {id} has no decision of these hooks in the log"));
    }
    if let Some(problem) = problem {
        let lost = "what the node knows beside its log is not known, or not all of it";
        report.notes.push(format!("{lost}: {problem}"));
    }
    Ok(report)
}

fn hooks(names: &[String]) -> Result<Option<BTreeSet<Hook>>> {
    let mut hooks = BTreeSet::new();
    for name in names {
        match Hook::ALL.into_iter().find(|hook| hook.name() == *name) {
            Some(hook) => hooks.insert(hook),
            None => {
                let known = Hook::ALL.map(Hook::name).join(", ");
                bail!("`{name}` is not a hook; the hooks are {known}");
            }
        };
    }
    Ok(Some(hooks).filter(|hooks| !hooks.is_empty()))
}

/// The plugin settings that the build would get on the node.
fn settings(
    args: &ReplayArgs,
    config: Option<&Config>,
    host: &ReplayHost,
) -> Result<PluginSettings> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => host.name_of(&args.file)?,
    };
    let configured =
        config.and_then(|config| config.plugins.list.iter().find(|plugin| plugin.name == name));
    let mut settings = match (configured, config) {
        (Some(plugin), Some(config)) => plugin.host_settings(&config.plugins.folder),
        _ => PluginSettings {
            grants: Grant::ALL.into_iter().collect(),
            ..PluginSettings::new(&name, &args.file)
        },
    };
    settings.path.clone_from(&args.file);
    if let Some(json) = &args.settings {
        settings.config = serde_json::from_str(json).context("--settings is not JSON")?;
    }
    Ok(settings)
}

/// The report for display.
pub(super) fn text(report: &Report) -> String {
    let mut text = format!("{} was asked what calls have asked", report.plugin);
    if report.asked > 0 {
        let (from, until) = (date_time(report.from_ms), date_time(report.until_ms));
        let _ = write!(text, " from {from} to {until} UTC");
    }
    let _ = writeln!(
        text,
        "\n{} decisions: {} same, {} different, {} left to others, {} without a usable answer",
        report.asked, report.same, report.different, report.passed, report.faults
    );
    for line in &report.log_at_load {
        let _ = writeln!(text, "log at load: {}", plain(line));
    }
    if !report.trace.is_empty() {
        text += &trace(report);
        return text + &footer(report);
    }
    if report.lost_calls + report.saved_calls > 0 {
        let _ = writeln!(
            text,
            "{} calls would be lost that were not (refused, challenged, or ended after a failed \
             attempt), {} the other way round",
            report.lost_calls, report.saved_calls
        );
    }
    if report.asked > 0 {
        let _ = write!(text, "\n{}", by_hook(report));
    }
    text += &money(report);
    if !report.rejects.is_empty() {
        let mut table = Table::new(&["REFUSAL", "HOOK", ">NEW", ">GONE"]);
        for turn in &report.rejects {
            table.row([
                format!("{} {}", turn.code, turn.reason),
                turn.hook.to_owned(),
                turn.new.to_string(),
                turn.gone.to_string(),
            ]);
        }
        let _ = write!(text, "\n{table}");
    }
    for (heading, groups) in
        [("CUSTOMER TRUNK", &report.trunks), ("DESTINATION", &report.destinations)]
    {
        if !groups.is_empty() {
            let _ = write!(text, "\n{}", by_group(heading, groups));
        }
    }
    for (number, example) in (1..).zip(&report.examples) {
        let _ = write!(
            text,
            "\n{number}. {} UTC, call {}, {}: {}\n   asked   {}\n{}   before  {}\n   after   {}\n",
            date_time(example.at_ms),
            example.call,
            example.hook,
            words(&example.kinds),
            example.question,
            logged(&example.log),
            example.before,
            example.after,
        );
    }
    text + &footer(report)
}

/// Notes, and what was read.
fn footer(report: &Report) -> String {
    let mut text = "\n".to_owned();
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    let _ = writeln!(
        text,
        "{} segment{} read, {:.0} decisions a second",
        report.log.segments,
        if report.log.segments == 1 { "" } else { "s" },
        report.per_second
    );
    text
}

/// Each question of a call.
fn trace(report: &Report) -> String {
    let mut text = String::new();
    for (number, traced) in (1..).zip(&report.trace) {
        let by = if traced.by.is_empty() { "nobody" } else { &traced.by };
        let question = serde_json::to_string(&traced.asked).unwrap_or_default();
        let _ = writeln!(
            text,
            "\n{number}. {} UTC, {}: {}\n   asked   {}\n{}   before  {} ({})\n   after   {}",
            date_time(traced.at_ms),
            traced.hook,
            plain(&traced.question),
            plain(&question),
            logged(&traced.log),
            plain(&traced.before),
            plain(by),
            fault_lines(&traced.after, 13),
        );
    }
    text
}

/// Log lines, one below the other.
fn logged(lines: &[String]) -> String {
    lines.iter().map(|line| format!("   log     {}\n", plain(line))).collect()
}

fn by_hook(report: &Report) -> Table {
    let mut table = Table::new(&["HOOK", ">ASKED", ">DIFFERENT", ">NO ANSWER", "WHAT DIFFERS"]);
    for (hook, counts) in &report.hooks {
        let kinds = counts.kinds.iter().map(|(kind, count)| format!("{count} {}", word(kind)));
        table.row([
            (*hook).to_owned(),
            counts.asked.to_string(),
            counts.different.to_string(),
            counts.faults.to_string(),
            kinds.collect::<Vec<_>>().join(", "),
        ]);
    }
    table
}

/// Sums of money, if any.
fn money(report: &Report) -> String {
    let rows: [(&str, &Sums); 3] = [
        ("charges of customers", &report.sell),
        ("charges of vendors", &report.buy),
        ("margin a minute of first choices (estimate)", &report.margin),
    ];
    let mut table =
        Table::new(&["MONEY", ">DECISIONS", ">BEFORE", ">AFTER", ">DIFFERENCE", ">PER CENT"]);
    let mut any = false;
    for (name, sums) in rows.into_iter().filter(|(_, sums)| sums.count > 0) {
        any = true;
        let percent = sums.permille().map(|permille| {
            let sign = if permille < 0 { "-" } else { "+" };
            let permille = permille.unsigned_abs();
            format!("{sign}{}.{}", permille / 10, permille % 10)
        });
        table.row([
            name.to_owned(),
            sums.count.to_string(),
            sums.before.to_string(),
            sums.after.to_string(),
            sums.difference().to_string(),
            percent.unwrap_or_default(),
        ]);
    }
    if any { format!("\n{table}") } else { String::new() }
}

fn by_group(heading: &'static str, groups: &[Group]) -> Table {
    let mut table = Table::new(&[
        heading,
        ">ASKED",
        ">DIFFERENT",
        ">NEW REJECTS",
        ">GONE REJECTS",
        ">FIRST ROUTES",
        ">NUMBERS",
        ">PRICE",
        ">MARGIN",
    ]);
    for group in groups {
        table.row([
            group.name.clone(),
            group.asked.to_string(),
            group.different.to_string(),
            group.new_rejects.to_string(),
            group.gone_rejects.to_string(),
            group.first_routes.to_string(),
            group.numbers.to_string(),
            group.price.to_string(),
            group.margin.to_string(),
        ]);
    }
    table
}

/// `first route, route set`.
fn words(kinds: &[host::replay::Kind]) -> String {
    kinds.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn word(kind: &host::replay::Kind) -> String {
    let value = serde_json::to_value(kind).unwrap_or_default();
    value.as_str().unwrap_or_default().replace('_', " ")
}
