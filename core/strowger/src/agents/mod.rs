//! Small SIP user agents with real sockets and real RTP: a caller and a vendor, for the demo and
//! for load generation.

mod audio;
mod caller;
mod endpoint;
mod ladder;
mod transport;
mod vendor;

pub use audio::AudioCounts;
pub use caller::{CallOutcome, CallPlan, Caller};
pub use ladder::{Ladder, Side};
pub use vendor::{Behaviour, Manner, Vendor, VendorTotals};
