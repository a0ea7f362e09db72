//! The limit on open files (`RLIMIT_NOFILE`): each relayed call takes four sockets, and two more if
//! there are spare descriptors (MEDIA-09).

use crate::alarms::{AlarmKind, Alarms};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Sockets that an RTP/RTCP pair needs.
const PER_PAIR: u64 = 2;

/// Descriptors for other uses: listeners, database, journal, admin connections, timers.
const RESERVE: u64 = 1024;

/// The budget of open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Budget {
    /// Descriptors for all pairs of the port ranges.
    needed: u64,
    /// Descriptors left for connected sockets, at most one per pair.
    spare: u64,
}

impl Budget {
    fn of(limit: u64, pairs: u64) -> Budget {
        let needed = pairs * PER_PAIR + RESERVE;
        Budget { needed, spare: limit.saturating_sub(needed).min(pairs) }
    }
}

/// Raises the program's limit to the maximum that the system allows. Raises an alarm if that is
/// less than `pairs` RTP/RTCP pairs need: calls would be refused before the ports are used up.
/// Returns the descriptors left for connected sockets, which only make the relay faster.
pub(crate) fn raise_limit(pairs: usize, alarms: &Alarms) -> usize {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files is not raised");
    }
    // `None` is unlimited.
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let Budget { needed, spare } = Budget::of(limit, pairs as u64);
    if limit < needed {
        let detail = format!(
            "the limit of open files is {limit}, too low for all media ports: they need {needed}"
        );
        alarms.raise(AlarmKind::OpenFilesLow, "node", detail);
    }
    usize::try_from(spare).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MEDIA-09: the default range is 7,500 calls of two pairs each.
    #[test]
    fn a_pair_needs_two_files_and_takes_a_third_if_there_is_one() {
        let of = |limit| Budget::of(limit, 15_000);
        assert_eq!(of(1_048_576), Budget { needed: 31_024, spare: 15_000 });
        assert_eq!(of(40_000), Budget { needed: 31_024, spare: 8_976 });
        assert_eq!(of(1_024), Budget { needed: 31_024, spare: 0 });
        assert_eq!(of(u64::MAX).spare, 15_000);
    }
}
