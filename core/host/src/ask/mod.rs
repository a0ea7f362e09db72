//! From a question of a call to the reply: which plugins are asked, in which order, on which
//! thread.

pub(crate) mod asker;
pub(crate) mod events;
pub(crate) mod fold;
pub(crate) mod later;
pub(crate) mod link;
pub(crate) mod shard;
