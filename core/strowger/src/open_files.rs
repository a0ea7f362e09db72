//! The limit of open files (`RLIMIT_NOFILE`): each relayed call takes four sockets (MEDIA-09).

use crate::alarms::{AlarmKind, Alarms};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Sockets of one RTP/RTCP pair.
const PER_PAIR: usize = 2;

/// Files that are no media: listeners, the database, the journal, admin connections, timers.
const RESERVE: usize = 1024;

/// Raises the program's own limit to the highest that the system allows it, and raises an alarm
/// when that is less than `pairs` RTP/RTCP pairs need: calls would be refused before the ports
/// are used up.
pub(crate) fn raise_limit(pairs: usize, alarms: &Alarms) {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files is not raised");
    }
    // None is no limit.
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let needed = pairs * PER_PAIR + RESERVE;
    if limit < needed as u64 {
        let detail = format!(
            "the limit of open files is {limit}, too low for all media ports: they need {needed}"
        );
        alarms.raise(AlarmKind::OpenFilesLow, "node", detail);
    }
}
