//! Translation of packets between two legs: none, another payload type, or another codec (MEDIA-12,
//! MEDIA-23).

use crate::rtp::RtpHeader;
use std::fmt;

/// Comfort noise (RFC 3389) has one payload type everywhere.
pub(crate) const COMFORT_NOISE: u8 = 13;

/// Offset of the byte with marker and payload type.
const PAYLOAD_TYPE: usize = 1;
/// The padding bit of the first byte.
const PADDING: u8 = 0x20;
const MARKER: u8 = 0x80;

/// A codec, as a number whose meaning the shell defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CodecId(pub u8);

/// The meaning of a payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Speech in this codec.
    Speech(CodecId),
    /// Telephone events (RFC 4733).
    Events,
}

/// The packet formats of a leg whose audio the call has described itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formats {
    /// Formats that the leg may send, by payload type.
    pub sends: Vec<(u8, Format)>,
    /// Formats that it wants to hear, its preferred codec first.
    pub wants: Vec<(u8, Format)>,
}

/// Converts speech of one codec into speech of another.
pub trait Convert: Send {
    /// Converts the first `len` bytes of `payload` in place and returns the new length.
    fn convert(&mut self, payload: &mut [u8], len: usize) -> usize;
}

/// Creates converters between codecs.
pub trait Codecs: Send + Sync {
    /// A converter from one codec to another; `None` if that is impossible.
    fn converter(&self, from: CodecId, to: CodecId) -> Option<Box<dyn Convert>>;
}

/// The way to a leg.
#[derive(Debug, Default)]
pub(crate) enum Path {
    /// Packets pass unchanged.
    #[default]
    Untouched,
    /// Packets are rewritten in the hearer's formats.
    Translated(Box<Translation>),
}

/// The translation of each payload type.
#[derive(Debug)]
pub(crate) struct Translation {
    speaker: Formats,
    hearer: Formats,
    entries: Vec<Entry>,
}

struct Entry {
    from: u8,
    to: u8,
    converter: Option<Box<dyn Convert>>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.converter.is_some() { "converted" } else { "renamed" };
        write!(f, "{} -> {} {how}", self.from, self.to)
    }
}

impl Formats {
    /// The codec that the leg prefers, and its payload type.
    pub(crate) fn speech(&self) -> Option<(u8, CodecId)> {
        self.wants.iter().find_map(|(number, format)| match format {
            Format::Speech(codec) => Some((*number, *codec)),
            Format::Events => None,
        })
    }
}

impl Path {
    /// Adapts the path to speaker and hearer. Keeps the converters if neither has changed.
    pub(crate) fn fit(
        &mut self,
        speaker: Option<&Formats>,
        hearer: Option<&Formats>,
        codecs: &dyn Codecs,
    ) {
        let (Some(speaker), Some(hearer)) = (speaker, hearer) else {
            *self = Path::Untouched;
            return;
        };
        if let Path::Translated(known) = self
            && (&known.speaker, &known.hearer) == (speaker, hearer)
        {
            return;
        }
        let entries: Vec<Entry> =
            speaker.sends.iter().filter_map(|sent| Entry::of(*sent, hearer, codecs)).collect();
        let same = entries.len() == speaker.sends.len()
            && entries.iter().all(|entry| entry.from == entry.to && entry.converter.is_none());
        *self = if same {
            Path::Untouched
        } else {
            let (speaker, hearer) = (speaker.clone(), hearer.clone());
            Path::Translated(Box::new(Translation { speaker, hearer, entries }))
        };
    }

    /// Rewrites the packet in the first `len` bytes of `buffer` in the hearer's formats and returns
    /// its length; `None` if the hearer has no format for it.
    #[inline]
    pub(crate) fn pass(
        &mut self,
        header: &RtpHeader,
        buffer: &mut [u8],
        len: usize,
    ) -> Option<usize> {
        match self {
            Path::Untouched => Some(len),
            Path::Translated(translation) => translation.pass(header, buffer, len),
        }
    }
}

impl Entry {
    /// The translation of a payload type of the speaker; `None` if the hearer has no format for it.
    fn of(sent: (u8, Format), hearer: &Formats, codecs: &dyn Codecs) -> Option<Entry> {
        let (from, format) = sent;
        let same = hearer.wants.iter().find(|(_, wanted)| *wanted == format);
        if let Some((to, _)) = same {
            return Some(Entry { from, to: *to, converter: None });
        }
        let Format::Speech(codec) = format else { return None };
        let (to, wanted) = hearer.speech()?;
        Some(Entry { from, to, converter: Some(codecs.converter(codec, wanted)?) })
    }
}

impl Translation {
    fn pass(&mut self, header: &RtpHeader, buffer: &mut [u8], len: usize) -> Option<usize> {
        if header.payload_type == COMFORT_NOISE {
            return Some(len);
        }
        let entry = self.entries.iter_mut().find(|entry| entry.from == header.payload_type)?;
        let second = buffer.get_mut(PAYLOAD_TYPE)?;
        *second = *second & MARKER | entry.to;
        let Some(converter) = &mut entry.converter else { return Some(len) };
        let payload = buffer.get_mut(header.payload_offset..)?;
        let converted = converter.convert(payload, header.payload_len);
        // The padding of the old payload is gone.
        buffer[0] &= !PADDING;
        Some(header.payload_offset + converted)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Codecs whose payload names the codec.
    pub(crate) struct Named;

    struct ToName(u8);

    impl Convert for ToName {
        fn convert(&mut self, payload: &mut [u8], len: usize) -> usize {
            payload[..len].fill(self.0);
            len
        }
    }

    impl Codecs for Named {
        /// Codec 9 cannot be converted to any other.
        fn converter(&self, from: CodecId, to: CodecId) -> Option<Box<dyn Convert>> {
            (from.0 != 9 && to.0 != 9).then(|| Box::new(ToName(to.0)) as Box<dyn Convert>)
        }
    }

    pub(crate) const ONE: Format = Format::Speech(CodecId(1));
    pub(crate) const TWO: Format = Format::Speech(CodecId(2));
    const CLOSED: Format = Format::Speech(CodecId(9));

    fn formats(sends: &[(u8, Format)], wants: &[(u8, Format)]) -> Formats {
        Formats { sends: sends.to_vec(), wants: wants.to_vec() }
    }

    fn path(sends: &[(u8, Format)], wants: &[(u8, Format)]) -> Path {
        let mut path = Path::default();
        path.fit(Some(&formats(sends, &[])), Some(&formats(&[], wants)), &Named);
        path
    }

    /// First two bytes and payload of the result for a packet with four bytes of payload.
    fn passed(path: &mut Path, payload_type: u8) -> Option<(u8, u8, Vec<u8>)> {
        let mut packet = vec![0x80, payload_type, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 7, 7, 7, 7];
        let header = RtpHeader::parse(&packet).expect("RTP");
        let len = path.pass(&header, &mut packet, 16)?;
        Some((packet[0], packet[1], packet[12..len].to_vec()))
    }

    /// MEDIA-23: speech is converted to the hearer's preferred codec, events are renumbered,
    /// comfort noise passes; the marker stays.
    #[test]
    fn payloads_are_written_as_the_hearer_wants_them() {
        let sends = [(8, ONE), (0, TWO), (101, Format::Events)];
        let mut path = path(&sends, &[(96, TWO), (97, Format::Events)]);
        assert_eq!(passed(&mut path, 0x80 | 8), Some((0x80, 0x80 | 96, vec![2; 4])));
        assert_eq!(passed(&mut path, 0), Some((0x80, 96, vec![7; 4])), "its codec already");
        assert_eq!(passed(&mut path, 0x80 | 101), Some((0x80, 0x80 | 97, vec![7; 4])));
        assert_eq!(passed(&mut path, 13), Some((0x80, 13, vec![7; 4])));
        assert_eq!(passed(&mut path, 18), None, "nobody said what it is");
    }

    /// MEDIA-12: if both sides share codec and numbers, nothing is changed.
    #[test]
    fn a_shared_codec_takes_the_fast_lane() {
        let sends = [(8, ONE), (101, Format::Events)];
        let mut same = path(&sends, &[(8, ONE), (0, TWO), (101, Format::Events)]);
        assert!(matches!(same, Path::Untouched));
        assert_eq!(passed(&mut same, 99), Some((0x80, 99, vec![7; 4])));
        same.fit(None, Some(&formats(&[], &[(0, TWO)])), &Named);
        assert!(matches!(same, Path::Untouched), "the speaker has not said what it sends");
    }

    #[test]
    fn what_the_hearer_cannot_be_told_is_dropped() {
        let mut deaf = path(&[(8, ONE), (18, CLOSED), (101, Format::Events)], &[(0, TWO)]);
        assert_eq!(passed(&mut deaf, 101), None, "it does not know events");
        assert_eq!(passed(&mut deaf, 18), None, "there is no way from this codec");
        assert_eq!(passed(&mut deaf, 8), Some((0x80, 0, vec![2; 4])));
        let mut closed = path(&[(8, ONE)], &[(18, CLOSED)]);
        assert_eq!(passed(&mut closed, 8), None);
    }

    #[test]
    fn padding_goes_with_the_payload_that_it_padded() {
        let mut path = path(&[(8, ONE)], &[(0, TWO)]);
        let mut packet = vec![0xa0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 7, 7, 0, 2];
        let header = RtpHeader::parse(&packet).expect("RTP");
        assert_eq!(path.pass(&header, &mut packet, 16), Some(14));
        assert_eq!((packet[0], &packet[12..14]), (0x80, &[2, 2][..]));
    }
}
