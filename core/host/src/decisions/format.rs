//! The layout of decisions in a block: a head, then the items.
//!
//! Everything is postcard. The shapes of questions and answers are those of `strowger-policy`: when
//! they change, [`super::segment::MAGIC`] must change too. A test checks that.

use policy::{
    Answer, CallNumbers, CallOrigin, Fault, KeptValue, PastAttempt, PluginStamp, Question,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Data that the items of a block refer to. The writing thread makes it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct BlockHead {
    /// The signalling thread that asked; its decisions are in time order.
    pub(super) shard: u16,
    /// Builds; items refer to them by number, from 1.
    pub(super) stamps: Vec<Arc<PluginStamp>>,
    /// Texts behind content handles that the segment does not contain yet.
    pub(super) texts: Vec<(u64, Arc<str>)>,
    /// Bytes of the items that follow.
    pub(super) items: u32,
}

/// First byte of an INVITE item; that of a decision is the number of its hook.
pub(super) const INVITE: u8 = 255;

/// First byte and length of the item body.
const ITEM_HEAD: usize = 5;

/// The INVITE of a call, before the first decision in the block that refers to it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct InviteItem {
    pub(super) call: u128,
    pub(super) request_uri: String,
    /// Long name, value.
    pub(super) headers: Vec<(String, String)>,
}

/// A decision: with references for writing, with values for reading.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DecisionItem<Q, O, D, E> {
    /// When the question was put, UTC milliseconds.
    pub(super) at_ms: u64,
    pub(super) generation: u64,
    /// Number of the build in the head; 0 is none.
    pub(super) stamp: u32,
    pub(super) by_previous: bool,
    pub(super) nanos: u64,
    /// Random draws of the call before this question.
    pub(super) draw: u32,
    /// Values that plugins had kept for the call before this question.
    pub(super) kept: Vec<KeptValue>,
    pub(super) question: Q,
    pub(super) outcome: O,
    pub(super) details: Option<D>,
    /// Answers of the plugins that were asked before the deciding one.
    pub(super) earlier: Vec<EarlierItem<E>>,
}

/// The answer of a plugin of a chain.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EarlierItem<E> {
    /// Number of the build in the head.
    pub(super) stamp: u32,
    pub(super) outcome: E,
}

/// The call's details beyond the question.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DetailsItem<N, A, O> {
    /// The INVITE was known; it is in the block.
    pub(super) invite: bool,
    pub(super) numbers: N,
    pub(super) attempts: A,
    pub(super) origin: O,
}

/// For writing.
pub(super) type DecisionRef<'a> = DecisionItem<
    &'a Question,
    &'a Result<Answer, Fault>,
    DetailsItem<&'a CallNumbers, &'a [PastAttempt], &'a CallOrigin>,
    &'a Result<Option<Answer>, Fault>,
>;

/// For reading.
pub(super) type DecisionOwned = DecisionItem<
    Question,
    Result<Answer, Fault>,
    DetailsItem<CallNumbers, Vec<PastAttempt>, CallOrigin>,
    Result<Option<Answer>, Fault>,
>;

/// An item read back.
#[derive(Debug)]
pub(super) enum Item {
    Decision(Box<DecisionOwned>),
    Invite(InviteItem),
}

/// An item that is not decoded yet, so that readers can skip it.
pub(super) struct RawItem<'a> {
    /// [`INVITE`], or the number of the hook.
    pub(super) tag: u8,
    body: &'a [u8],
}

impl RawItem<'_> {
    pub(super) fn decode(&self) -> postcard::Result<Item> {
        match self.tag {
            INVITE => postcard::from_bytes(self.body).map(Item::Invite),
            _ => postcard::from_bytes(self.body).map(Box::new).map(Item::Decision),
        }
    }

    /// The time of a decision, its first field.
    pub(super) fn at_ms(&self) -> postcard::Result<u64> {
        postcard::take_from_bytes(self.body).map(|(at_ms, _)| at_ms)
    }
}

/// The next item and the bytes after it; none at the end.
pub(super) fn next(bytes: &[u8]) -> postcard::Result<Option<(RawItem<'_>, &[u8])>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let split = || {
        let (head, rest) = bytes.split_at_checked(ITEM_HEAD)?;
        let length = head[1..].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let (body, behind) = rest.split_at_checked(length)?;
        Some((RawItem { tag: head[0], body }, behind))
    };
    split().map(Some).ok_or(postcard::Error::DeserializeUnexpectedEnd)
}

/// Appends an item, or nothing if it cannot be encoded.
pub(super) fn append<T: Serialize>(bytes: &mut Vec<u8>, tag: u8, item: &T) -> postcard::Result<()> {
    let before = bytes.len();
    bytes.extend([tag, 0, 0, 0, 0]);
    let written = postcard::serialize_with_flavor(item, Appended(bytes));
    match written {
        Ok(()) => {
            // Items are kilobytes, so the length fits.
            let length = (bytes.len() - before - ITEM_HEAD) as u32;
            bytes[before + 1..before + ITEM_HEAD].copy_from_slice(&length.to_le_bytes());
        }
        Err(_) => bytes.truncate(before),
    }
    written
}

/// A buffer that survives an encoding error half-way.
struct Appended<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Appended<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
