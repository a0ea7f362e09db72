//! The plugin kit: from `plugin new` to a tested component, in four languages.
//!
//! A project is a folder with a `plugin.toml` and sources. [`build`] compiles it to one component,
//! in any language; [`test`] asks that component the questions of the project's `vectors.json` in
//! the real host; [`release`] brings the component to a running switch.

#![forbid(unsafe_code)]

mod build;
mod interface;
mod language;
mod manifest;
mod new;
mod release;
mod table;
mod test;
mod toolchain;
mod vectors;

use anyhow::Result;
use clap::{Args, Subcommand};
use language::Language;
use manifest::Project;
pub use release::{FileArgs, InstallArgs, ReleaseCommand};
use std::io::Write;
use std::path::PathBuf;
pub use table::{Table, fault_lines};
use toolchain::Tools;

/// Commands for authors of plugins; no running switch is needed.
#[derive(Debug, Subcommand)]
pub enum KitCommand {
    /// Make a plugin project that builds and passes its test.
    New(NewArgs),
    /// Compile the project to a component: build/NAME.wasm.
    Build(ProjectArgs),
    /// Build the project and ask it the questions of its vectors in the real host.
    Test(TestArgs),
}

/// The properties of a new project.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// Name of the plugin: 1 to 64 of a-z, 0-9 and -.
    name: String,
    /// Language that it is written in.
    #[arg(long, value_enum)]
    lang: Language,
    /// Decision that it makes: screening, numbering, rating, routing, identity,
    /// supervision or events.
    #[arg(long, default_value = "routing", value_parser = manifest::parse_hook)]
    hook: policy::Hook,
    /// Folder of the project; by default ./NAME. It must not exist or be empty.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// For Rust: folder of the plugin SDK; by default that of the source tree that this
    /// program was built from.
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// A project, and the tools that compile it.
#[derive(Debug, Args)]
pub struct ProjectArgs {
    /// Folder with the project's plugin.toml.
    #[arg(long, value_name = "DIR", default_value = ".")]
    path: PathBuf,
    /// Where the component goes; by default build/NAME.wasm in the project.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Folder for the compilers that npm and pip install; by default
    /// ~/.cache/strowger/tools. STROWGER_TOOLS in the environment does the same.
    #[arg(long, value_name = "DIR")]
    tools: Option<PathBuf>,
}

/// The project to test, and the extent of the test.
#[derive(Debug, Args)]
pub struct TestArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// For Rust: leave out `cargo test`.
    #[arg(long)]
    vectors_only: bool,
}

impl ProjectArgs {
    fn open(self) -> Result<(Project, Tools, PathBuf)> {
        let project = Project::open(&self.path)?;
        let out = self.out.unwrap_or_else(|| project.component());
        Ok((project, Tools::new(self.tools)?, out))
    }
}

impl KitCommand {
    /// Executes the command and reports on `out`.
    ///
    /// # Errors
    /// What is wrong with the project, or the missing compiler.
    pub fn execute(self, out: &mut impl Write) -> Result<()> {
        match self {
            KitCommand::New(args) => new::make(&args, out),
            KitCommand::Build(args) => {
                let (project, tools, file) = args.open()?;
                let component = build::build(&project, &tools, &file)?;
                writeln!(out, "{component}")?;
                Ok(())
            }
            KitCommand::Test(TestArgs { project, vectors_only }) => {
                let (project, tools, file) = project.open()?;
                let component = build::build(&project, &tools, &file)?;
                writeln!(out, "{component}")?;
                if project.lang == Language::Rust && !vectors_only {
                    test::cargo(&project)?;
                    writeln!(out, "cargo test passed")?;
                }
                test::vectors(&project, &component, out)
            }
        }
    }
}
