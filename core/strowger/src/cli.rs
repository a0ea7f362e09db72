//! The command line: `run` and `demo` are the switch itself, `plugin new`, `build` and `test` the
//! plugin kit; everything else uses the admin API of a running node.

mod ledger;
mod moment;
mod objects;
mod pay;
mod records;
mod replay;
mod test_call;
mod trials;
mod upgrade;

use crate::show;
use admin::AdminToken;
use anyhow::{Context, Result};
use api::{Client, ReloadRequest};
use clap::{Args, Parser, Subcommand};
use config::Config;
use kit::{KitCommand, ReleaseCommand};
use objects::{NumberCommand, ObjectCommand, RowCommand};
use std::io::{Read, Write};
use std::path::PathBuf;

/// Maximum size of the upgrade terms (names and addresses of listeners), bytes.
const MOST_TERMS: u64 = 1 << 20;

/// A softswitch whose decisions are plugins.
#[derive(Debug, Parser)]
#[command(name = "strowger", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the switch until SIGTERM or SIGINT.
    Run {
        /// Node file.
        #[arg(long, default_value = "config/strowger.toml")]
        config: PathBuf,
    },
    /// Check a node file and its business folder without starting anything.
    CheckConfig {
        /// Node file.
        #[arg(default_value = "config/strowger.toml")]
        config: PathBuf,
    },
    /// Replace the running program by the one now in its place on disk. No call ends, and no peer
    /// notices; audio stops while the next program starts.
    Upgrade(upgrade::UpgradeArgs),
    /// Check whether this program can take over the calls of another one, whose terms are on
    /// standard input. `upgrade` runs it.
    #[command(hide = true)]
    TakesOver {
        /// Node file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Apply a folder of business files to the running node; prints the changes.
    Apply {
        /// Folder; by default the node file's.
        folder: Option<PathBuf>,
        /// Only show what would change.
        #[arg(long)]
        dry_run: bool,
        /// Also take over objects that were created or changed individually.
        #[arg(long)]
        overwrite: bool,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// List the faults of the running node, with the action required.
    Alarms {
        #[command(flatten)]
        node: NodeArgs,
    },
    /// List running calls, or end one.
    Calls {
        /// End the call with this id.
        #[arg(long, value_name = "ID")]
        hangup: Option<String>,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Place calls from the switch itself.
    #[command(subcommand)]
    Call(CallCommand),
    /// List sources locked out for wrong passwords or a flood, or end a lockout.
    Lockouts {
        /// End the lockouts of this address.
        #[arg(long, value_name = "ADDRESS")]
        unlock: Option<String>,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Verify the books.
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// List call records; with an id, show one with its attempts and its decision trail.
    Cdr(Box<records::CdrArgs>),
    /// Re-rate calls whose rating failed at their end, and book the missing charges. Each call is
    /// booked once, however often this runs.
    Rerate(records::RerateArgs),
    /// List accounts with their balances.
    Accounts {
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Manage accounts and payments.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Manage customer trunks.
    #[command(subcommand)]
    Customer(ObjectCommand),
    /// Manage vendor trunks.
    #[command(subcommand)]
    Vendor(ObjectCommand),
    /// Manage rule sets.
    #[command(subcommand)]
    Rules(ObjectCommand),
    /// Manage decks and their prices.
    #[command(subcommand)]
    Deck(DeckCommand),
    /// Manage number lists and their rows.
    #[command(subcommand)]
    Numbers(NumbersCommand),
    /// List number tables, or reload one from its file.
    Tables {
        /// Reload this table from its file for new calls.
        #[arg(long, value_name = "NAME")]
        reload: Option<String>,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// List plugins, or swap one while calls are running; create, build and test your own.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Demonstrate calls through the switch, with built-in callers and vendors.
    Demo(crate::demo::DemoArgs),
}

#[derive(Debug, Subcommand)]
enum CallCommand {
    /// Call a number over one vendor trunk and follow the call to its end. Exits with 0 if it was
    /// answered, otherwise with 1. No customer pays; the vendor's cost is booked.
    Test(test_call::TestCallArgs),
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    #[command(flatten)]
    Object(ObjectCommand),
    /// Add an amount to the balance; it is durable and in force when this returns.
    Pay(pay::PayArgs),
}

#[derive(Debug, Subcommand)]
enum DeckCommand {
    #[command(flatten)]
    Object(ObjectCommand),
    #[command(flatten)]
    Row(RowCommand),
}

#[derive(Debug, Subcommand)]
enum NumbersCommand {
    #[command(flatten)]
    Object(ObjectCommand),
    #[command(flatten)]
    Row(NumberCommand),
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    #[command(flatten)]
    Kit(KitCommand),
    /// List live plugins with their versions and hooks.
    List {
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Show a live plugin in full: signer, builds, configuration schema.
    Show {
        /// Configured name.
        name: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Manage plugin settings without a restart.
    #[command(subcommand)]
    Settings(ObjectCommand),
    #[command(flatten)]
    Trial(trials::TrialCommand),
    #[command(flatten)]
    Release(ReleaseCommand),
    /// Replace a plugin. Running calls keep their version.
    Swap {
        /// Configured name.
        name: String,
        /// The new `.wasm` file, which is uploaded.
        file: PathBuf,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Put recorded questions of calls to another build and show what it would have decided. The
    /// switch need not be running and is not affected.
    Replay(Box<replay::ReplayArgs>),
}

/// The running node to use, and the output format.
#[derive(Clone, Debug, Args)]
struct NodeArgs {
    /// Admin API, such as http://127.0.0.1:8080; by default the node file's. The environment
    /// variable STROWGER_ADMIN has the same effect.
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Token; by default the node file's, or the one that the node keeps in its data_dir, which its
    /// own user and root can read. The environment variable STROWGER_TOKEN has the same effect.
    #[arg(long)]
    token: Option<String>,
    /// Node file, for both defaults.
    #[arg(long, default_value = "config/strowger.toml")]
    config: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

impl NodeArgs {
    fn client(&self) -> Result<Client> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let token = self.token.clone().or_else(|| variable("STROWGER_TOKEN"));
        let url = self.admin.clone().or_else(|| variable("STROWGER_ADMIN"));
        let config = match (self.config.exists(), &url) {
            (false, _) => None,
            (true, None) => Some(Config::load(&self.config)?),
            // Only the token is needed from it.
            (true, Some(_)) => Config::load(&self.config).ok(),
        };
        let own = config.as_ref().map_or_else(
            || "http://127.0.0.1:8080".to_owned(),
            |config| format!("http://{}", config.admin.address),
        );
        let url = url.unwrap_or_else(|| own.clone());
        // Never send the token to another node.
        let (token, absent) = match (token, config) {
            (Some(token), _) => (Some(token), String::new()),
            (None, Some(config)) if api::same_place(&url, &own) => token_of(&config),
            (None, _) => (None, "give --token, or --config FILE for the node's own".to_owned()),
        };
        Ok(Client::new(&url, token, absent))
    }
}

/// The token of a node on this machine, or why there is none.
fn token_of(config: &Config) -> (Option<String>, String) {
    let file = config.admin_token_file();
    match AdminToken::find(config) {
        Ok(Some(token)) => (Some(token), String::new()),
        Ok(None) => (None, format!("{} is not there yet: the switch makes it", file.display())),
        Err(error) => {
            (None, format!("{}: {error}; only the user of the switch reads it", file.display()))
        }
    }
}

impl Cli {
    /// Executes the command.
    ///
    /// # Errors
    /// The error message for the terminal.
    pub fn execute(self) -> Result<()> {
        let out = &mut std::io::stdout().lock();
        match self.command {
            Command::Run { config } => crate::run::run(&config),
            Command::CheckConfig { config } => {
                writeln!(out, "{}", crate::run::check(&config)?)?;
                Ok(())
            }
            Command::Upgrade(args) => args.run(out),
            Command::TakesOver { config } => {
                let terms = std::io::read_to_string(std::io::stdin().take(MOST_TERMS))?;
                writeln!(out, "{}", crate::run::takes_over(&config, &terms)?)?;
                Ok(())
            }
            Command::Apply { folder, dry_run, overwrite, node } => {
                apply(out, folder, (dry_run, overwrite), &node)
            }
            Command::Alarms { node } => {
                let alarms = node.client()?.alarms()?;
                print(out, node.json, &alarms, |alarms| show::alarms(alarms))
            }
            Command::Calls { hangup: Some(id), node } => {
                node.client()?.hangup(&id)?;
                writeln!(out, "call {id} is being ended")?;
                Ok(())
            }
            Command::Calls { hangup: None, node } => {
                let calls = node.client()?.calls()?;
                print(out, node.json, &calls, |calls| show::calls(calls, now_ms()))
            }
            Command::Call(CallCommand::Test(args)) => args.run(out),
            Command::Lockouts { unlock: Some(source), node } => {
                let done = node.client()?.unlock(&source)?;
                print(out, node.json, &done, show::unlocked)
            }
            Command::Lockouts { unlock: None, node } => {
                let lockouts = node.client()?.lockouts()?;
                print(out, node.json, &lockouts, |lockouts| show::lockouts(lockouts))
            }
            Command::Cdr(args) => args.run(out),
            Command::Rerate(args) => args.run(out),
            Command::Ledger(command) => command.run(out),
            Command::Accounts { node } => {
                let accounts = node.client()?.accounts()?;
                print(out, node.json, &accounts, |accounts| show::accounts(accounts))
            }
            Command::Account(AccountCommand::Pay(args)) => args.run(out),
            Command::Account(AccountCommand::Object(command)) => command.run("accounts", out),
            Command::Customer(command) => command.run("customer-trunks", out),
            Command::Vendor(command) => command.run("vendor-trunks", out),
            Command::Rules(command) => command.run("rule-sets", out),
            Command::Deck(DeckCommand::Object(command)) => command.run("decks", out),
            Command::Deck(DeckCommand::Row(command)) => command.run(out),
            Command::Numbers(NumbersCommand::Object(command)) => command.run("number-lists", out),
            Command::Numbers(NumbersCommand::Row(command)) => command.run(out),
            Command::Tables { reload, node } => {
                let client = node.client()?;
                let tables = match reload {
                    Some(name) => vec![client.reload_table(&name)?],
                    None => client.tables()?,
                };
                print(out, node.json, &tables, |tables| show::tables(tables))
            }
            Command::Plugin(PluginCommand::Kit(command)) => command.execute(out),
            Command::Plugin(PluginCommand::List { node }) => {
                let plugins = node.client()?.plugins()?;
                print(out, node.json, &plugins, show::plugins)
            }
            Command::Plugin(PluginCommand::Show { name, node }) => {
                let plugin = node.client()?.plugin(&name)?;
                print(out, node.json, &plugin, show::plugin)
            }
            Command::Plugin(PluginCommand::Swap { name, file, node }) => {
                let bytes = std::fs::read(&file)
                    .with_context(|| format!("{} cannot be read", file.display()))?;
                let done = node.client()?.swap(&name, &bytes)?;
                print(out, node.json, &done, show::swap)
            }
            Command::Plugin(PluginCommand::Settings(command)) => {
                command.run("plugin-settings", out)
            }
            Command::Plugin(PluginCommand::Trial(command)) => trials::run(command, out),
            Command::Plugin(PluginCommand::Replay(args)) => {
                let report = replay::replay(&args)?;
                print(out, args.json, &report, replay::text)
            }
            Command::Plugin(PluginCommand::Release(command)) => command.execute(out),
            Command::Demo(args) => crate::demo::demo(&args, out),
        }
    }
}

fn apply(
    out: &mut impl Write,
    folder: Option<PathBuf>,
    (dry_run, overwrite): (bool, bool),
    node: &NodeArgs,
) -> Result<()> {
    let folder = match folder {
        Some(folder) => {
            let whole = folder
                .canonicalize()
                .with_context(|| format!("{} is not a folder", folder.display()))?;
            Some(whole.display().to_string())
        }
        None => None,
    };
    let request = ReloadRequest { folder, dry_run, overwrite };
    let done = node.client()?.reload(&request)?;
    print(out, node.json, &done, show::changes)
}

fn print<T: serde::Serialize>(
    out: &mut impl Write,
    json: bool,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<()> {
    if json {
        // Only texts can contain terminal control characters, and JSON escapes them.
        let json = serde_json::to_string_pretty(value)?;
        writeln!(out, "{}", platform::plain_lines(&json))?;
    } else {
        write!(out, "{}", platform::plain_lines(&text(value)))?;
    }
    Ok(())
}

/// UTC milliseconds.
fn now_ms() -> u64 {
    platform::utc_ms()
}
