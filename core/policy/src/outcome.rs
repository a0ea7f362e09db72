//! How a call went, told to the host so that it can judge the builds that decided for the call.

use crate::Text;

/// A step in the life of a call by which its builds are judged. A call reports one of the first
/// four, at most one of them, and after an answer [`CallOutcome::Charged`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// It was answered.
    Answered,
    /// The caller gave up before an answer.
    GivenUp,
    /// The caller was challenged and will call again (SIG-52).
    Challenged,
    /// It ended without an answer, with this end reason (SIG-93).
    Failed(Text),
    /// An answered call was charged.
    Charged {
        /// What the customer pays, in millionths of the currency unit.
        sales: i64,
        /// What is left of it after the vendors were paid, likewise.
        margin: i64,
    },
}
