//! SIP without I/O: wire scanner, headers, transactions, dialogs, digest, SDP.
#![forbid(unsafe_code)]

mod builder;
mod call_id;
mod dialog;
pub mod digest;
mod digits;
mod error;
mod flow;
mod framer;
mod header_name;
mod message;
mod method;
mod name_addr;
mod params;
pub mod percent;
mod phrase;
mod reason;
mod salvage;
mod scan;
mod schedule;
pub mod sdp;
pub mod session;
mod stable_hash;
mod token;
mod transaction;
mod uri;
mod validate;
mod via;
pub mod written;

pub use builder::MessageBuilder;
pub use call_id::call_id_of;
pub use dialog::Dialog;
pub use digits::{address_text, ip_text};
pub use error::ParseError;
pub use flow::{Flow, Link};
pub use framer::{Frame, Framer, FramingError, MAX_STREAM_MESSAGE};
pub use message::Message;
pub use method::Method;
pub use name_addr::NameAddrRef;
pub use phrase::reason_phrase;
pub use reason::ReasonRef;
pub use salvage::salvage;
pub use scan::{MAX_DATAGRAM, MAX_HEADERS};
pub use schedule::{ResendSchedule, ScheduleError};
pub use sdp::SessionDescription;
pub use stable_hash::stable_hash;
pub use token::{Tag, hex, new_branch, random_text};
pub use transaction::{
    Strays, TransactionEvent, TransactionId, Transactions, Transmit, with_sent_by,
};
pub use uri::{UriError, UriRef};
pub use validate::{Refusal, ResponseFault};
pub use via::{MAGIC_COOKIE, ViaRef};
