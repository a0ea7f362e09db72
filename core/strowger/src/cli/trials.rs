//! Canary, shadow, promotion and rollback on the command line.

use super::{NodeArgs, print};
use anyhow::{Context, Result};
use api::{Client, DifferenceLine, SelectBy, SwapDone, TrialParameters};
use clap::{Args, Subcommand, ValueEnum};
use kit::Table;
use std::io::Write;
use std::path::PathBuf;

/// Commands on a build beside the live one.
#[derive(Debug, Subcommand)]
pub(super) enum TrialCommand {
    /// Let another build decide a share of the calls. It is rolled back if it performs badly.
    Canary {
        /// Configured name.
        name: String,
        /// The `.wasm` file, which is uploaded.
        file: PathBuf,
        #[command(flatten)]
        selection: SelectionArgs,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Make the canary the live build.
    Promote {
        /// Configured name.
        name: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Ask another build the questions of calls and compare its answers, without using them.
    Shadow {
        /// Configured name.
        name: String,
        /// The `.wasm` file, which is uploaded. Without it: list the differences of the current
        /// shadow.
        file: Option<PathBuf>,
        #[command(flatten)]
        selection: SelectionArgs,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// End canary and shadow; the live build decides all calls.
    EndTrial {
        /// Configured name.
        name: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Make the previous build live again.
    Rollback {
        /// Configured name.
        name: String,
        #[command(flatten)]
        node: NodeArgs,
    },
}

/// Selection of calls.
#[derive(Debug, Args)]
pub(super) struct SelectionArgs {
    /// Share of the calls, such as 5% or 0.25%; by default all.
    #[arg(long, value_name = "PERCENT")]
    share: Option<String>,
    /// Select by call or by callee number.
    #[arg(long, value_enum, default_value_t = By::Call)]
    by: By,
    /// Only calls of these customer trunks, separated by commas.
    #[arg(long, default_value = "", value_name = "NAMES")]
    trunks: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    Call,
    Number,
}

impl SelectionArgs {
    fn parameters(&self) -> TrialParameters {
        TrialParameters {
            share: self.share.clone(),
            by: match self.by {
                By::Call => SelectBy::Call,
                By::Number => SelectBy::Number,
            },
            trunks: self.trunks.clone(),
        }
    }
}

pub(super) fn run(command: TrialCommand, out: &mut impl Write) -> Result<()> {
    match command {
        TrialCommand::Canary { name, file, selection, node } => {
            let done = start(&node.client()?, &name, "canary", file, &selection)?;
            print(out, node.json, &done, |done| {
                format!("{} stays live, {} decides its share\n", done.before, done.after)
            })
        }
        TrialCommand::Shadow { name, file: Some(file), selection, node } => {
            let done = start(&node.client()?, &name, "shadow", file, &selection)?;
            print(out, node.json, &done, |done| {
                format!("{} stays live, {} is asked and compared\n", done.before, done.after)
            })
        }
        TrialCommand::Shadow { name, file: None, node, .. } => {
            let differences = node.client()?.differences(&name)?;
            print(out, node.json, &differences, shown)
        }
        TrialCommand::Promote { name, node } => turned(out, &node, &name, "promote", "is live now"),
        TrialCommand::Rollback { name, node } => {
            turned(out, &node, &name, "rollback", "is live again")
        }
        TrialCommand::EndTrial { name, node } => {
            let done = node.client()?.end_trial(&name)?;
            print(out, node.json, &done, |done| {
                format!("{} is asked no more, {} decides all\n", done.before, done.after)
            })
        }
    }
}

fn start(
    client: &Client,
    name: &str,
    trial: &str,
    file: PathBuf,
    selection: &SelectionArgs,
) -> Result<SwapDone> {
    let bytes =
        std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    client.trial(name, trial, &selection.parameters(), &bytes)
}

fn turned(
    out: &mut impl Write,
    node: &NodeArgs,
    name: &str,
    turn: &str,
    words: &str,
) -> Result<()> {
    let done = node.client()?.turn(name, turn)?;
    print(out, node.json, &done, |done| {
        format!("{} -> {}: it {words}; running calls keep theirs\n", done.before, done.after)
    })
}

fn shown(differences: &Vec<DifferenceLine>) -> String {
    let mut table = Table::new(&["CALL", "HOOK", "ASKED", "LIVE", "SHADOW", "LOST BY"]);
    for one in differences {
        table.row([
            one.call.clone(),
            one.hook.clone(),
            one.question.clone(),
            one.live.clone(),
            one.shadow.clone(),
            one.loss.clone(),
        ]);
    }
    format!("{table}{} differences kept\n", differences.len())
}
