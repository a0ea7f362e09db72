//! The next program takes over from this one without ending a call (OPS-64).

use super::Node;
use crate::handover::{TAKES_OVER, Terms};
use api::ApiError;
use api::UpgradeBegun;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

/// The program of an upgrade.
#[derive(Clone, Debug)]
pub struct Program {
    /// The file that this program was started from, which a package manager replaces.
    pub file: PathBuf,
    /// The node file.
    pub config: PathBuf,
}

impl Node {
    /// Sets the program of an upgrade.
    pub fn set_program(&self, program: Program) {
        let _ = self.program.set(program);
    }

    /// Waits until the next program is to take over.
    pub async fn until_upgrade(&self) -> Option<Program> {
        let mut wanted = self.upgrade.subscribe();
        let _ = wanted.wait_for(|wanted| *wanted).await;
        self.program.get().cloned()
    }

    /// Lets the next program check its start, then begins the handover. Blocks for that program, so
    /// not for an async thread.
    ///
    /// # Errors
    /// It would not start or could not take over the calls: nothing has changed.
    pub fn upgrade(&self) -> Result<UpgradeBegun, ApiError> {
        let refused = |why: String| ApiError::refused("upgrade_refused", why);
        let Some(program) = self.program.get() else {
            return Err(refused("only a node that `strowger run` has started can".to_owned()));
        };
        if self.draining.load(Ordering::Relaxed) {
            return Err(refused("the node is stopping".to_owned()));
        }
        if !self.records_are_safe() {
            return Err(refused("records do not reach the disk; see `strowger alarms`".to_owned()));
        }
        let Ok(_alone) = self.looking.try_lock() else {
            return Err(refused("another upgrade is under way".to_owned()));
        };
        if *self.upgrade.borrow() {
            return Err(refused("another upgrade is under way".to_owned()));
        }
        let terms = Terms::of(&self.config).map_err(|error| refused(error.to_string()))?;
        let version = look(program, &terms).map_err(refused)?;
        tracing::info!(program = %program.file.display(), %version, "the next program takes over");
        self.upgrade.send_replace(true);
        Ok(UpgradeBegun { from: env!("CARGO_PKG_VERSION").to_owned(), to: version })
    }
}

/// Runs the next program to check whether it can take over; returns its version.
fn look(program: &Program, terms: &Terms) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", program.file.display());
    let mut child = Command::new(&program.file)
        .arg("takes-over")
        .arg("--config")
        .arg(&program.config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let text = serde_json::to_vec(terms).map_err(|error| error.to_string())?;
    if let Some(mut input) = child.stdin.take() {
        // A program that reads nothing reports the reason on exit.
        let _ = input.write_all(&text);
    }
    let output = child.wait_with_output().map_err(failed)?;
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let file = program.file.display();
    if !output.status.success() {
        let said = words(&output.stderr);
        return Err(format!("{file} does not take over ({}): {said}", output.status));
    }
    let said = words(&output.stdout);
    // Any program may exit successfully; the next one must also say that it takes over.
    let version = said.strip_prefix(TAKES_OVER).map(str::to_owned);
    version.ok_or_else(|| format!("{file} is no strowger that takes over: it says `{said}`"))
}
