//! Lockouts, and reports of what strangers tried (SEC-01, SEC-02, SEC-28).

use super::Node;
use crate::alarms::AlarmKind;
use crate::lines;
use api::{ApiError, LockoutLine, UnlockDone};
use std::net::IpAddr;
use std::time::Instant;
use switch::Report;

impl Node {
    /// Lockouts, the longest first.
    pub fn lockouts(&self) -> Vec<LockoutLine> {
        self.strangers.lockouts(Instant::now()).iter().map(lines::lockout).collect()
    }

    /// Ends the lockouts of a source.
    pub fn unlock(&self, source: &str) -> Result<UnlockDone, ApiError> {
        let address: IpAddr = source.parse().map_err(|_| {
            let detail = format!("`{source}` is not an address, such as 192.0.2.1");
            ApiError::invalid("source", detail)
        })?;
        match self.strangers.unlock(address, Instant::now()) {
            0 => Err(ApiError::not_found(format!("nothing at {source} is locked out"))),
            ended => {
                tracing::info!(%address, ended, "lockouts ended by an operator");
                Ok(UnlockDone { source: address.to_string(), ended })
            }
        }
    }

    /// Raises one alarm per cause while a lockout with it exists (SEC-29).
    pub(super) fn look_at_lockouts(&self) {
        let lockouts = self.strangers.lockouts(Instant::now());
        for (cause, kind) in [("passwords", AlarmKind::BruteForce), ("flood", AlarmKind::Flood)] {
            let mut held = lockouts.iter().filter(|lockout| lockout.cause == cause);
            let found = held.next().map(|longest| {
                let user = longest.user.as_deref().map(|user| format!(" user {user}"));
                format!(
                    "{} lockouts, the longest is that of{} {} for {} s; `strowger lockouts` lists \
                     them",
                    1 + held.count(),
                    user.map_or_else(String::new, |user| user + " at"),
                    longest.source,
                    longest.left.as_secs()
                )
            });
            self.alarms.set(kind, "strangers", found);
        }
    }

    /// Logs what each source tried, at most once a minute.
    pub(super) fn report_strangers(&self) {
        for report in self.strangers.summary(Instant::now()) {
            let Report { source, users, failures, refused, locked } = report;
            let source = source.map_or_else(|| "others".to_owned(), |source| source.to_string());
            // Quoted, so that a made-up name cannot look like another field.
            tracing::warn!(
                %source, failures, users = ?users.join(", "), refused, locked,
                "wrong passwords or too many messages of a stranger since the last minute"
            );
        }
    }
}
