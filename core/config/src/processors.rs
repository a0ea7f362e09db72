//! The division of processors between calls and housekeeping.

use crate::{Config, Housekeeping};
use platform::ProcessorSet;

/// One processor in this many is for housekeeping, unless the node file sets them.
const ONE_IN: usize = 8;

/// With fewer processors than this, none is set aside.
const SPARED_FROM: usize = 4;

/// The division of the processors that a node may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Processors {
    /// Every thread may run on any processor.
    Shared,
    /// In two disjoint sets.
    Divided {
        /// Processors of signalling and relay threads.
        calls: ProcessorSet,
        /// Processors for compiling, reading tables and the admin interface.
        housekeeping: ProcessorSet,
    },
}

impl Processors {
    /// As set by the node file, else by default.
    pub(crate) fn of(config: &Config) -> Processors {
        match ProcessorSet::of_program() {
            Ok(allowed) => Processors::divide(&allowed, config.housekeeping_processors.as_ref()),
            Err(error) => {
                tracing::warn!(%error, "calls and housekeeping share all processors");
                Processors::Shared
            }
        }
    }

    /// The processors of signalling and relay threads.
    #[must_use]
    pub fn calls(&self) -> Option<ProcessorSet> {
        match self {
            Processors::Shared => None,
            Processors::Divided { calls, .. } => Some(calls.clone()),
        }
    }

    /// The processors of all threads that can wait.
    #[must_use]
    pub fn housekeeping(&self) -> Option<ProcessorSet> {
        match self {
            Processors::Shared => None,
            Processors::Divided { housekeeping, .. } => Some(housekeeping.clone()),
        }
    }

    fn divide(allowed: &ProcessorSet, wanted: Option<&Housekeeping>) -> Processors {
        let housekeeping = match wanted {
            Some(Housekeeping::None) => return Processors::Shared,
            Some(Housekeeping::On(processors)) => processors.clone(),
            None if allowed.len() < SPARED_FROM => return Processors::Shared,
            None => allowed.last((allowed.len() / ONE_IN).max(1)),
        };
        let calls = allowed.without(&housekeeping);
        Processors::Divided { calls, housekeeping }
    }

    /// Number of processors for calls, limited by a container or the division.
    pub(crate) fn for_calls(&self) -> usize {
        let usable = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.calls().map_or(usable, |calls| calls.len().min(usable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(processors: usize, wanted: Option<Housekeeping>) -> [Option<String>; 2] {
        let allowed: ProcessorSet = (0..processors).collect();
        let divided = Processors::divide(&allowed, wanted.as_ref());
        [divided.calls(), divided.housekeeping()].map(|set| set.map(|set| set.to_string()))
    }

    #[test]
    fn one_processor_in_eight_is_for_what_can_wait() {
        let both = |calls: &str, rest: &str| [Some(calls.to_owned()), Some(rest.to_owned())];
        for (count, expected) in [
            (1, [None, None]),
            (3, [None, None]),
            (4, both("0-2", "3")),
            (15, both("0-13", "14")),
            (16, both("0-13", "14-15")),
        ] {
            assert_eq!(divided(count, None), expected, "{count} processors");
        }
        let first: Housekeeping = "0".parse().expect("a list");
        assert_eq!(divided(2, Some(first)), both("1", "0"));
        assert_eq!(divided(16, Some(Housekeeping::None)), [None, None]);
    }
}
