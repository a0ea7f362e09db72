//! Services for all plugins, independent of any one: counters and holds, figures, bounded backlogs,
//! and the threads that check deadlines, compile and clean up.

pub(crate) mod backlog;
pub(crate) mod compiler;
pub(crate) mod counters;
pub(crate) mod holds;
pub(crate) mod loss;
pub(crate) mod own_metrics;
pub(crate) mod reaper;
pub(crate) mod stats;
pub(crate) mod ticker;
