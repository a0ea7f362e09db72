//! The agreement of two sides when we stand between them and can convert between some codecs
//! (MEDIA-22, MEDIA-23).

use super::{PayloadType, Stream};

/// Name of the format of telephone events (RFC 4733).
const EVENTS: &str = "telephone-event";

/// The outcome of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The offerer knows every codec of the answer and gets it unchanged.
    Shared,
    /// The offerer gets our own answer, and audio is converted.
    Converted(Agreement),
}

/// The agreement of two sides that share no codec, or that we answered ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The formats of our answer to the offerer: one codec, and telephone events if the offerer
    /// offered them.
    pub answer: Vec<PayloadType>,
    /// The offerer's formats.
    pub offerer: Side,
    /// The answerer's formats.
    pub answerer: Side,
}

/// The formats of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Formats that this side may send.
    pub sends: Vec<PayloadType>,
    /// Formats that this side wants to receive, its preferred codec first.
    pub wants: Vec<PayloadType>,
}

impl PayloadType {
    /// Whether two payload types stand for the same encoding, regardless of their numbers.
    pub(crate) fn is_same_encoding(&self, other: &PayloadType) -> bool {
        if self.name.is_empty() || other.name.is_empty() {
            return self.number == other.number;
        }
        self.name.eq_ignore_ascii_case(&other.name)
            && (self.clock_hz, self.channels) == (other.clock_hz, other.channels)
    }

    /// Whether it carries telephone events.
    pub fn is_events(&self) -> bool {
        self.name.eq_ignore_ascii_case(EVENTS)
    }
}

impl Stream {
    /// Whether we cannot read its packets: SRTP that passes through us.
    pub fn is_sealed(&self) -> bool {
        self.proto.contains("SAVP")
    }

    /// The codecs of `known` that we can offer in addition to this stream's own, because we convert
    /// between them and one of its own; empty if it has no such codec or cannot be converted.
    pub fn convertible_beside(&self, known: &[PayloadType]) -> Vec<PayloadType> {
        if self.is_sealed() || self.first_of(known).is_none() {
            return Vec::new();
        }
        let is_free = |codec: &&PayloadType| {
            let taken =
                |own: &PayloadType| own.number == codec.number || own.is_same_encoding(codec);
            !self.payload_types.iter().any(taken)
        };
        known.iter().filter(is_free).cloned().collect()
    }

    /// Our own answer to this stream, an offer: its first codec that is in `known`, and its
    /// telephone events; `None` if there is no such codec or the stream is sealed.
    pub fn answer_alone(&self, known: &[PayloadType]) -> Option<Vec<PayloadType>> {
        let codec = self.first_of(known).filter(|_| !self.is_sealed())?;
        Some([codec].into_iter().chain(events_of(&self.payload_types)).cloned().collect())
    }

    fn first_of(&self, known: &[PayloadType]) -> Option<&PayloadType> {
        self.payload_types.iter().find(|own| is_in(own, known))
    }
}

impl Side {
    /// A side that we answered ourselves: it may send every format it offered that we know.
    pub fn answered(offer: &Stream, answer: &[PayloadType], known: &[PayloadType]) -> Side {
        let may_send = |own: &&PayloadType| is_in(own, known) || own.is_events();
        let sends = offer.payload_types.iter().filter(may_send).cloned().collect();
        Side { sends, wants: answer.to_vec() }
    }
}

/// Settles the answer to an offer that we sent on with the additional codecs `added`, given that we
/// convert between the codecs of `known`. `bound` is our earlier answer to the offerer, sent so
/// that it could hear our tone: it stands (RFC 3261 section 13.2.1) unless the answerer's audio
/// cannot be converted to it.
pub fn settle(
    offer: &Stream,
    added: &[PayloadType],
    answer: &Stream,
    known: &[PayloadType],
    bound: Option<&[PayloadType]>,
) -> Settled {
    let is_speech = |found: &&PayloadType| !found.is_events() && found.name != "CN";
    let answered: Vec<&PayloadType> = answer.payload_types.iter().filter(is_speech).collect();
    let Some(first) = answered.first() else { return Settled::Shared };
    let of_offer = |codec: &PayloadType| {
        offer.payload_types.iter().find(|own| own.is_same_encoding(codec)).cloned()
    };
    let stranger = answered.iter().any(|codec| of_offer(codec).is_none());
    if bound.is_none() && !stranger {
        return Settled::Shared;
    }
    let mut own = of_offer(first).map(|own| PayloadType { fmtp: first.fmtp.clone(), ..own });
    if is_in(first, known) && own.is_none() {
        let mut shared = answered.iter().filter_map(|codec| of_offer(codec));
        own = shared.find(|own| is_in(own, known)).or_else(|| offer.first_of(known).cloned());
    }
    let bound = bound.filter(|_| is_in(first, known));
    let answer_of_ours = match (bound, own) {
        (Some(bound), _) => bound.to_vec(),
        (None, Some(own)) if stranger => {
            [own].into_iter().chain(events_of(&offer.payload_types).cloned()).collect()
        }
        // The codec is the offerer's own, or one that neither the offerer nor we know: pass it on.
        (None, _) => return Settled::Shared,
    };
    let readable = |found: &&PayloadType| {
        is_in(found, known) || found.is_events() || answer_of_ours[0].is_same_encoding(found)
    };
    let readable_of = |types: &[PayloadType]| types.iter().filter(readable).cloned().collect();
    let passed = [&offer.payload_types, added].concat();
    Settled::Converted(Agreement {
        offerer: Side { sends: readable_of(&offer.payload_types), wants: answer_of_ours.clone() },
        answerer: Side { sends: readable_of(&passed), wants: readable_of(&answer.payload_types) },
        answer: answer_of_ours,
    })
}

fn is_in(codec: &PayloadType, list: &[PayloadType]) -> bool {
    list.iter().any(|known| known.is_same_encoding(codec))
}

fn events_of(types: &[PayloadType]) -> Option<&PayloadType> {
    types.iter().find(|found| found.is_events() && found.clock_hz == 8_000)
}
