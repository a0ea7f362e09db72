//! Small SIP user agents with real sockets and real RTP, a caller and a vendor: the parties of the
//! demo.

mod audio;
mod caller;
mod endpoint;
mod ladder;
mod transport;
mod vendor;

pub(crate) use caller::{CallOutcome, CallPlan, Caller};
pub(crate) use ladder::Ladder;
pub(crate) use vendor::{Behaviour, Manner, Vendor};
