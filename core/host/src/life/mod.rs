//! The host over time: loading plugins, swapping them, trials beside them, and their state.

pub(crate) mod configure;
pub(crate) mod finish;
pub(crate) mod host;
pub(crate) mod inspect;
pub(crate) mod lifecycle;
pub(crate) mod named_lists;
pub(crate) mod rule_sets;
pub(crate) mod state;
pub(crate) mod watch;
