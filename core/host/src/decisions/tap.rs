//! The log on the call path: encodes, and never waits.

use super::format::{DecisionRef, DetailsItem, EarlierItem, INVITE, append};
use super::{Letter, Shared};
use foldhash::HashSet;
use policy::{Context, Invite, NotesMark, PluginStamp, Question, Reply};
use serde::ser::{Serialize, SerializeSeq, SerializeStruct, Serializer};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

/// A buffer is handed over when it exceeds this size ...
const BLOCK: usize = 256 << 10;

/// ... or when its first decision is this old.
const PATIENCE: Duration = Duration::from_secs(1);

/// Decisions of one thread on their way to the writing thread.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) shard: u16,
    pub(super) items: Vec<u8>,
    pub(super) decisions: u64,
    pub(super) stamps: Vec<Arc<PluginStamp>>,
    /// Texts that its questions refer to.
    pub(super) texts: Vec<(u64, Arc<str>)>,
}

/// One decision as it was made.
#[derive(Debug)]
pub struct Decided<'a> {
    /// Time of the decision, UTC milliseconds.
    pub at_ms: u64,
    /// The notes of the call before the question ([`policy::CallNotes::mark`]).
    pub mark: NotesMark,
    /// The context of the question.
    pub context: Context<'a>,
    /// The question.
    pub question: &'a Question,
    /// The reply.
    pub reply: &'a Reply,
}

/// The log's end in one signalling thread. Dropping it hands over its buffer.
#[derive(Debug)]
pub struct DecisionTap {
    sender: SyncSender<Letter>,
    shared: Arc<Shared>,
    block: Block,
    began: Option<Instant>,
    /// Handles of the texts in the block.
    handles: HashSet<u64>,
    /// Calls whose INVITE is in the block.
    invites: HashSet<u128>,
}

impl DecisionTap {
    pub(super) fn new(shard: u16, sender: SyncSender<Letter>, shared: Arc<Shared>) -> Self {
        DecisionTap {
            sender,
            shared,
            block: Block { shard, ..Block::default() },
            began: None,
            handles: HashSet::default(),
            invites: HashSet::default(),
        }
    }

    /// Keeps a decision; `now` only serves to age the buffer.
    pub fn record(&mut self, now: Instant, asked: &Decided<'_>) {
        let Decided { context, question, reply, .. } = asked;
        self.note_texts(context, question);
        let stamp = reply.plugin.as_ref().map_or(0, |stamp| self.stamp(stamp));
        let details = context.details.map(|details| DetailsItem {
            invite: match &details.invite {
                Some(invite) => self.note_invite(question.call().id, &**invite),
                None => false,
            },
            numbers: &details.numbers,
            attempts: details.attempts.as_slice(),
            origin: &details.origin,
        });
        let earlier = reply
            .earlier
            .iter()
            .map(|step| EarlierItem { stamp: self.stamp(&step.plugin), outcome: &step.outcome });
        let earlier = earlier.collect();
        let item = DecisionRef {
            at_ms: asked.at_ms.saturating_sub(reply.nanos / 1_000_000),
            generation: context.pin.generation,
            stamp,
            by_previous: reply.by_previous,
            nanos: reply.nanos,
            draw: asked.mark.draws,
            kept: context.pin.notes.kept_before(asked.mark),
            question,
            outcome: &reply.outcome,
            details,
            earlier,
        };
        // Plain integers and texts always encode; if one does not, the others stay intact.
        if append(&mut self.block.items, question.hook() as u8, &item).is_err() {
            self.shared.dropped.fetch_add(1, Relaxed);
            return;
        }
        self.block.decisions += 1;
        let began = *self.began.get_or_insert(now);
        if self.block.items.len() >= BLOCK || now.duration_since(began) >= PATIENCE {
            self.hand_over();
        }
    }

    /// Latest time to call [`DecisionTap::hand_over`]; none while the buffer is empty.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.began.map(|began| began + PATIENCE)
    }

    /// Gives the buffer to the writing thread, or drops it if that thread is behind.
    pub fn hand_over(&mut self) {
        if self.began.take().is_none() {
            return;
        }
        let items = self.shared.buffer();
        let empty = Block { shard: self.block.shard, items, ..Block::default() };
        let block = std::mem::replace(&mut self.block, empty);
        self.handles.clear();
        self.invites.clear();
        match self.sender.try_send(Letter::Block(block)) {
            Ok(()) => {}
            Err(TrySendError::Full(letter) | TrySendError::Disconnected(letter)) => {
                if let Letter::Block(block) = letter {
                    self.shared.dropped.fetch_add(block.decisions, Relaxed);
                }
            }
        }
    }

    /// Number of a build in the block, from 1. There are few: about one per hook.
    fn stamp(&mut self, stamp: &Arc<PluginStamp>) -> u32 {
        let stamps = &mut self.block.stamps;
        let at = stamps.iter().position(|known| Arc::ptr_eq(known, stamp)).unwrap_or_else(|| {
            stamps.push(Arc::clone(stamp));
            stamps.len() - 1
        });
        u32::try_from(at + 1).unwrap_or(0)
    }

    fn note_texts(&mut self, context: &Context<'_>, question: &Question) {
        let Question::Number(question) = question else { return };
        for handle in [question.caller_rules, question.callee_rules, question.identity_rules] {
            if handle != 0
                && self.handles.insert(handle)
                && let Some(text) = context.pin.lookup.text(handle)
            {
                self.block.texts.push((handle, text));
            }
        }
    }

    /// Puts the INVITE of a call into the block, once.
    fn note_invite(&mut self, call: u128, invite: &dyn Invite) -> bool {
        !self.invites.insert(call)
            || append(&mut self.block.items, INVITE, &InviteRef { call, invite }).is_ok()
    }
}

impl Drop for DecisionTap {
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// Encodes like [`super::format::InviteItem`] without copying the headers first.
struct InviteRef<'a> {
    call: u128,
    invite: &'a dyn Invite,
}

impl Serialize for InviteRef<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut item = to.serialize_struct("InviteItem", 3)?;
        item.serialize_field("call", &self.call)?;
        item.serialize_field("request_uri", self.invite.request_uri())?;
        item.serialize_field("headers", &Headers(self.invite))?;
        item.end()
    }
}

struct Headers<'a>(&'a dyn Invite);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut count = 0;
        self.0.each_header(&mut |_, _| count += 1);
        let mut list = to.serialize_seq(Some(count))?;
        let mut outcome = Ok(());
        self.0.each_header(&mut |name, value| {
            if outcome.is_ok() {
                outcome = list.serialize_element(&(name, value));
            }
        });
        outcome.and_then(|()| list.end())
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Letter::Block(_) => "Block",
            Letter::End => "End",
        })
    }
}
