//! `strowger`: the command line of the switch.
#![forbid(unsafe_code)]

use clap::Parser;
use std::process::ExitCode;
use strowger::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", platform::plain_lines(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
