//! Reads segments back in time order.

use super::format::{self, BlockHead, DecisionOwned, Item};
use super::segment::{Next, SegmentReader, numbers, path};
use policy::{Answer, CallDetails, Fault, Hook, Invite, KeptValue, PluginStamp, Question};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

/// The answer of a plugin of a chain that was asked before the deciding one; none: it passed.
pub type EarlierAnswer = (Arc<PluginStamp>, Result<Option<Answer>, Fault>);

/// How much later one thread's buffer may be written than another's with the same times: twice the
/// time that a buffer waits.
const SKEW_MS: u64 = 2_000;

/// A decision read back.
#[derive(Debug)]
pub struct Decision {
    /// When the question was put, UTC milliseconds.
    pub at_ms: u64,
    /// Plugin generation of the call.
    pub generation: u64,
    /// The plugin that answered; none if the hook had no plugin.
    pub plugin: Option<Arc<PluginStamp>>,
    /// The previous version answered.
    pub by_previous: bool,
    /// Time the host spent, nanoseconds.
    pub nanos: u64,
    /// Random draws of the call before the question.
    pub draw: u32,
    /// Values that plugins had kept for the call before the question.
    pub kept: Vec<KeptValue>,
    /// Seed of the host.
    pub random_seed: u64,
    /// What was asked.
    pub question: Question,
    /// The answer, or the reason why there is none.
    pub outcome: Result<Answer, Fault>,
    /// Answers of the plugins that were asked before the deciding one, in order.
    pub earlier: Vec<EarlierAnswer>,
    /// The call's details beyond the question, if a plugin might have asked for them.
    pub details: Option<Arc<CallDetails>>,
}

/// Counts of what a reader has read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ReadCounts {
    /// Segment files.
    pub segments: u64,
    /// Segment files of another format, skipped.
    pub foreign: u64,
    /// Segments with a truncated or damaged end; they were read up to there.
    pub torn: u64,
    /// Largest number of masked last digits in any of them.
    pub masked_digits: u8,
}

/// Texts behind content handles; a reader adds to them while it reads.
#[derive(Debug, Default)]
pub struct Texts {
    known: RwLock<HashMap<u64, Arc<str>>>,
}

impl Texts {
    /// The text behind a handle.
    #[must_use]
    pub fn get(&self, handle: u64) -> Option<Arc<str>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&handle).cloned()
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<u64, Arc<str>>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decisions of a folder, oldest first.
pub struct DecisionReader {
    folder: PathBuf,
    waiting: VecDeque<u64>,
    since_ms: u64,
    until_ms: u64,
    open: Option<SegmentReader>,
    texts: Arc<Texts>,
    /// Decisions of each signalling thread that were not returned yet.
    shards: Vec<(u16, VecDeque<Decision>)>,
    newest_ms: u64,
    counts: ReadCounts,
    /// Hooks whose decisions are returned, by number.
    hooks: [bool; Hook::ALL.len()],
    invites: bool,
}

impl DecisionReader {
    /// Reads decisions from `since_ms` on and before `until_ms`, UTC milliseconds.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn open(folder: &Path, since_ms: u64, until_ms: u64) -> io::Result<DecisionReader> {
        Ok(DecisionReader {
            folder: folder.to_owned(),
            waiting: numbers(folder)?.into(),
            since_ms,
            until_ms,
            open: None,
            texts: Arc::default(),
            shards: Vec::new(),
            newest_ms: 0,
            counts: ReadCounts::default(),
            hooks: [true; Hook::ALL.len()],
            invites: true,
        })
    }

    /// Skips decisions of other hooks and, unless `invites`, the INVITEs.
    #[must_use]
    pub fn only(mut self, hooks: &[Hook], invites: bool) -> DecisionReader {
        self.hooks = Hook::ALL.map(|hook| hooks.contains(&hook));
        self.invites = invites;
        self
    }

    /// Texts behind the content handles of the decisions returned so far.
    #[must_use]
    pub fn texts(&self) -> Arc<Texts> {
        Arc::clone(&self.texts)
    }

    /// What was read so far.
    #[must_use]
    pub fn counts(&self) -> ReadCounts {
        self.counts
    }

    /// The next decision; none at the end.
    ///
    /// # Errors
    /// If a file cannot be read. Segments that the switch deletes in the meantime are skipped.
    #[expect(clippy::should_implement_trait, reason = "it can fail, an iterator cannot")]
    pub fn next(&mut self) -> io::Result<Option<Decision>> {
        loop {
            let oldest = self
                .shards
                .iter_mut()
                .filter(|(_, decisions)| !decisions.is_empty())
                .min_by_key(|(_, decisions)| decisions.front().map(|decision| decision.at_ms));
            if let Some((_, decisions)) = oldest
                && let Some(decision) = decisions.pop_front_if(|decision| {
                    decision.at_ms + SKEW_MS <= self.newest_ms || self.newest_ms == u64::MAX
                })
            {
                return Ok(Some(decision));
            }
            if self.newest_ms == u64::MAX {
                return Ok(None);
            }
            if !self.read_block()? {
                // All blocks are read, so no older decision can follow.
                self.newest_ms = u64::MAX;
            }
        }
    }

    /// False if there are no more blocks.
    fn read_block(&mut self) -> io::Result<bool> {
        loop {
            let Some(segment) = &mut self.open else {
                if !self.open_next()? {
                    return Ok(false);
                }
                continue;
            };
            let seed = segment.head.random_seed;
            match segment.next()? {
                Next::Block(block) if self.take_block(&block, seed).is_ok() => return Ok(true),
                Next::Block(_) | Next::Torn => {
                    self.counts.torn += 1;
                    self.open = None;
                }
                Next::End => self.open = None,
            }
        }
    }

    fn open_next(&mut self) -> io::Result<bool> {
        while let Some(number) = self.waiting.pop_front() {
            let segment = match SegmentReader::open(&path(&self.folder, number)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            let Some(segment) = segment else {
                self.counts.foreign += 1;
                continue;
            };
            if segment.head.began_ms > self.until_ms.saturating_add(SKEW_MS) {
                self.waiting.clear();
                return Ok(false);
            }
            if self.next_begins_before_since()? {
                continue;
            }
            self.counts.segments += 1;
            self.counts.masked_digits = self.counts.masked_digits.max(segment.head.masked);
            self.open = Some(segment);
            return Ok(true);
        }
        Ok(false)
    }

    /// A segment ends before the next one begins.
    fn next_begins_before_since(&self) -> io::Result<bool> {
        let Some(number) = self.waiting.front() else { return Ok(false) };
        match SegmentReader::open(&path(&self.folder, *number)) {
            Ok(Some(next)) => Ok(next.head.began_ms + SKEW_MS < self.since_ms),
            Ok(None) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn take_block(&mut self, block: &[u8], random_seed: u64) -> postcard::Result<()> {
        let (head, mut rest): (BlockHead, &[u8]) = postcard::take_from_bytes(block)?;
        if rest.len() != head.items as usize {
            return Err(postcard::Error::DeserializeUnexpectedEnd);
        }
        self.texts.write().extend(head.texts);
        let mut invites: HashMap<u128, Arc<dyn Invite>> = HashMap::new();
        let at = self.shards.iter().position(|(shard, _)| *shard == head.shard);
        let at = at.unwrap_or_else(|| {
            self.shards.push((head.shard, VecDeque::new()));
            self.shards.len() - 1
        });
        while let Some((raw, behind)) = format::next(rest)? {
            rest = behind;
            if raw.tag == format::INVITE {
                if self.invites
                    && let Item::Invite(invite) = raw.decode()?
                {
                    let call = invite.call;
                    invites.insert(call, Arc::new(KeptInvite(invite)));
                }
                continue;
            }
            let at_ms = raw.at_ms()?;
            self.newest_ms = self.newest_ms.max(at_ms);
            let wanted = self.hooks.get(usize::from(raw.tag)).is_some_and(|wanted| *wanted);
            if wanted
                && (self.since_ms..self.until_ms).contains(&at_ms)
                && let Item::Decision(decision) = raw.decode()?
            {
                let decision = whole(*decision, &head.stamps, &invites, random_seed);
                self.shards[at].1.push_back(decision);
            }
        }
        Ok(())
    }
}

fn whole(
    decision: DecisionOwned,
    stamps: &[Arc<PluginStamp>],
    invites: &HashMap<u128, Arc<dyn Invite>>,
    random_seed: u64,
) -> Decision {
    let call = decision.question.call().id;
    let stamp = |number: u32| stamps.get((number as usize).checked_sub(1)?).cloned();
    let earlier = decision.earlier.into_iter();
    let earlier = earlier.filter_map(|step| Some((stamp(step.stamp)?, step.outcome))).collect();
    Decision {
        at_ms: decision.at_ms,
        generation: decision.generation,
        plugin: stamp(decision.stamp),
        by_previous: decision.by_previous,
        nanos: decision.nanos,
        draw: decision.draw,
        kept: decision.kept,
        random_seed,
        question: decision.question,
        outcome: decision.outcome,
        earlier,
        details: decision.details.map(|details| {
            let invite = invites.get(&call).filter(|_| details.invite).cloned();
            let format::DetailsItem { numbers, attempts, origin, .. } = details;
            Arc::new(CallDetails { invite, numbers, attempts, origin })
        }),
    }
}

/// An INVITE from the log.
#[derive(Debug)]
struct KeptInvite(format::InviteItem);

impl Invite for KeptInvite {
    fn request_uri(&self) -> &str {
        &self.0.request_uri
    }

    fn header(&self, name: &str) -> Vec<String> {
        let named = self.0.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.clone()).collect()
    }

    fn headers(&self) -> Vec<(String, String)> {
        self.0.headers.clone()
    }
}
