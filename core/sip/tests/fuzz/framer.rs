//! Messages in a stream.

use crate::MOMENT;
use crate::recipe::{MESSAGES, Recipe, cook};
use strowger_sip::{Frame, Framer, FramingError, MAX_STREAM_MESSAGE};

/// The frames found in the pieces of a stream, and the error that ends it.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<FramingError>) {
    let (mut framer, mut found) = (Framer::default(), Vec::new());
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.frame() {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

/// A stream yields the same messages wherever it is cut, none longer than the limit, and they occur
/// in the stream in their order.
#[test]
fn a_stream_is_read_alike_however_it_is_cut() {
    let check = bolero::check!().with_test_time(MOMENT);
    check.with_type::<(Vec<Recipe>, Vec<u8>)>().for_each(|(recipes, cuts)| {
        let stream: Vec<u8> =
            recipes.iter().take(4).flat_map(|recipe| cook(&MESSAGES, recipe)).collect();
        let whole = read(std::iter::once(&stream[..]));
        let mut rest = &stream[..];
        let mut lengths = cuts.iter().map(|cut| usize::from(*cut) + 1);
        let pieces = std::iter::from_fn(|| {
            if rest.is_empty() {
                return None;
            }
            let length = lengths.next().unwrap_or(rest.len()).min(rest.len());
            let (piece, after) = rest.split_at(length);
            rest = after;
            Some(piece)
        });
        assert_eq!(read(pieces), whole);
        let mut at = 0;
        for frame in &whole.0 {
            let Frame::Message(message) = frame else { continue };
            assert!(!message.is_empty() && message.len() <= MAX_STREAM_MESSAGE);
            let found = stream[at..].windows(message.len()).position(|part| *part == **message);
            at += found.expect("it stands in the stream") + message.len();
        }
    });
}
