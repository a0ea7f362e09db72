//! How decisions lie in a block: a head, then items one behind the other.
//!
//! Everything is postcard. The shapes of questions and answers are those of
//! `strowger-policy`: when they change, [`super::segment::MAGIC`] must change too, which a
//! test holds.

use policy::{Answer, CallNumbers, Fault, PastAttempt, PluginStamp, Question};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the items of a block refer to. The writing thread makes it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct BlockHead {
    /// Which signalling thread asked: its decisions are in the order of time.
    pub(super) shard: u16,
    /// Builds by number, from 1.
    pub(super) stamps: Vec<Arc<PluginStamp>>,
    /// Texts behind content handles that the segment does not have yet.
    pub(super) texts: Vec<(u64, Arc<str>)>,
    /// Bytes of the items that follow.
    pub(super) items: u32,
}

/// First byte of an INVITE; that of a decision is the number of its hook.
pub(super) const INVITE: u8 = 255;

/// First byte, and length of what follows.
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
    /// Random draws of the call before.
    pub(super) draw: u32,
    pub(super) question: Q,
    pub(super) outcome: O,
    pub(super) details: Option<D>,
    /// What plugins said that were asked before the one that decided.
    pub(super) earlier: Vec<EarlierItem<E>>,
}

/// What a plugin of a chain said.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EarlierItem<E> {
    /// Number of the build in the head.
    pub(super) stamp: u32,
    pub(super) outcome: E,
}

/// What the call knew beside the question.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DetailsItem<N, A> {
    /// The INVITE was known; it is in the block.
    pub(super) invite: bool,
    pub(super) numbers: N,
    pub(super) attempts: A,
}

/// As it is written.
pub(super) type DecisionRef<'a> = DecisionItem<
    &'a Question,
    &'a Result<Answer, Fault>,
    DetailsItem<&'a CallNumbers, &'a [PastAttempt]>,
    &'a Result<Option<Answer>, Fault>,
>;

/// As it is read.
pub(super) type DecisionOwned = DecisionItem<
    Question,
    Result<Answer, Fault>,
    DetailsItem<CallNumbers, Vec<PastAttempt>>,
    Result<Option<Answer>, Fault>,
>;

/// An item read back.
#[derive(Debug)]
pub(super) enum Item {
    Decision(Box<DecisionOwned>),
    Invite(InviteItem),
}

/// An item that is not decoded: who has no use for it passes over it.
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

    /// When a decision was made, its first field.
    pub(super) fn at_ms(&self) -> postcard::Result<u64> {
        postcard::take_from_bytes(self.body).map(|(at_ms, _)| at_ms)
    }
}

/// The next item and what is behind it; none at the end.
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

/// Appends an item, or nothing when it cannot be encoded.
pub(super) fn append<T: Serialize>(bytes: &mut Vec<u8>, tag: u8, item: &T) -> postcard::Result<()> {
    let before = bytes.len();
    bytes.extend([tag, 0, 0, 0, 0]);
    let written = postcard::serialize_with_flavor(item, Appended(bytes));
    match written {
        Ok(()) => {
            // Items are kilobytes.
            let length = (bytes.len() - before - ITEM_HEAD) as u32;
            bytes[before + 1..before + ITEM_HEAD].copy_from_slice(&length.to_le_bytes());
        }
        Err(_) => bytes.truncate(before),
    }
    written
}

/// A buffer that is not lost when encoding fails half-way.
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
