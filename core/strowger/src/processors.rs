//! Which processors carry calls, and which do what can wait.

use crate::config::{Config, Housekeeping};
use host::ProcessorSet;

/// One housekeeping processor of so many, unless the node file says otherwise.
const ONE_IN: usize = 8;

/// With fewer than this, none is spared.
const SPARED_FROM: usize = 4;

/// How a node divides the processors that it may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Processors {
    /// Signalling and relay threads keep to these; none: no division.
    pub(crate) calls: Option<ProcessorSet>,
    /// Compiling, reading tables and the admin interface keep to these.
    pub(crate) housekeeping: Option<ProcessorSet>,
}

impl Processors {
    /// As the node file says, or the system when it does not.
    pub(crate) fn of(config: &Config) -> Processors {
        match ProcessorSet::allowed() {
            Ok(allowed) => Processors::divide(&allowed, config.housekeeping_processors.as_ref()),
            Err(error) => {
                tracing::warn!(%error, "calls and housekeeping share all processors");
                Processors::default()
            }
        }
    }

    fn divide(allowed: &ProcessorSet, wanted: Option<&Housekeeping>) -> Processors {
        let housekeeping = match wanted {
            Some(Housekeeping::None) => return Processors::default(),
            Some(Housekeeping::On(processors)) => processors.clone(),
            None if allowed.len() < SPARED_FROM => return Processors::default(),
            None => allowed.last((allowed.len() / ONE_IN).max(1)),
        };
        let calls = allowed.without(&housekeeping);
        Processors { calls: Some(calls), housekeeping: Some(housekeeping) }
    }

    /// How many carry calls: what a container or the division leaves.
    pub(crate) fn for_calls(&self) -> usize {
        let usable = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.calls.as_ref().map_or(usable, |calls| calls.len().min(usable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(processors: usize, wanted: Option<Housekeeping>) -> [Option<String>; 2] {
        let allowed: ProcessorSet = (0..processors).collect();
        let Processors { calls, housekeeping } = Processors::divide(&allowed, wanted.as_ref());
        [calls, housekeeping].map(|set| set.map(|set| set.to_string()))
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
