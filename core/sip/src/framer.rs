//! Finds messages in a byte stream: TCP, TLS (RFC 3261 sections 7.5 and 18.3).

use thiserror::Error;

/// Longest message over a stream, bytes (SIG-13).
pub const MAX_STREAM_MESSAGE: usize = 64 * 1024 - 1;

/// A unit of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A whole message: the head and as many body bytes as its Content-Length announces.
    Message(Box<[u8]>),
    /// A double CRLF, which expects a CRLF in return (RFC 5626 section 3.5.1).
    Ping,
}

/// Why message boundaries are lost: the stream must be closed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FramingError {
    /// Longer than [`MAX_STREAM_MESSAGE`].
    #[error("a message is longer than {MAX_STREAM_MESSAGE} bytes")]
    TooLong,
    /// Every message on a stream must state its length (RFC 3261 section 18.3).
    #[error("a message has no Content-Length")]
    NoLength,
    /// Content-Length has two different values, or is not in digits.
    #[error("Content-Length `{0}` is not the length of a body")]
    BadLength(String),
}

/// Collects the bytes of one stream.
#[derive(Debug, Default)]
pub struct Framer {
    bytes: Vec<u8>,
    /// Leading bytes known to contain no end of a head.
    searched: usize,
    /// Length of the message that has begun, once its head is complete.
    length: Option<usize>,
}

impl Framer {
    /// Adds received bytes; [`Framer::frame`] returns the frames that they complete.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The received bytes that complete no message yet, for the next reader of the stream.
    #[must_use]
    pub fn into_rest(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether a message has begun and is incomplete.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// The next message or ping; `None` until more bytes arrive.
    ///
    /// # Errors
    /// The bytes are not framed messages; nothing after them is read.
    pub fn frame(&mut self) -> Result<Option<Frame>, FramingError> {
        if self.length.is_none() {
            if let Some(ping) = self.skip_line_ends() {
                return Ok(Some(ping));
            }
            let Some(head) = self.head_end() else {
                return match self.bytes.len() > MAX_STREAM_MESSAGE {
                    true => Err(FramingError::TooLong),
                    false => Ok(None),
                };
            };
            let body = content_length(&self.bytes[..head])?;
            let length = head.saturating_add(body);
            if length > MAX_STREAM_MESSAGE {
                return Err(FramingError::TooLong);
            }
            self.length = Some(length);
        }
        let Some(length) = self.length.filter(|length| *length <= self.bytes.len()) else {
            return Ok(None);
        };
        let message = self.take(length);
        self.length = None;
        Ok(Some(Frame::Message(message)))
    }

    /// Skips line ends between messages; two in a row are a ping.
    fn skip_line_ends(&mut self) -> Option<Frame> {
        let rest = |at: usize| &self.bytes[at..];
        let mut at = 0;
        let mut ping = false;
        while let Some(first) = self.bytes.get(at) {
            match first {
                b'\r' if rest(at).starts_with(b"\r\n\r\n") => {
                    (at, ping) = (at + 4, true);
                    break;
                }
                // Perhaps the first half of a ping.
                b'\r' if b"\r\n\r\n".starts_with(rest(at)) => break,
                b'\r' | b'\n' => at += 1,
                _ => break,
            }
        }
        if at > 0 {
            self.take(at);
        }
        ping.then_some(Frame::Ping)
    }

    /// Length of the head, including the empty line that ends it.
    fn head_end(&mut self) -> Option<usize> {
        // The line end before the empty line may have arrived earlier.
        let from = self.searched.saturating_sub(3);
        let found = (from..self.bytes.len()).find_map(|at| match &self.bytes[at..] {
            [b'\n', b'\n', ..] => Some(at + 2),
            [b'\n', b'\r', b'\n', ..] => Some(at + 3),
            _ => None,
        });
        self.searched = self.bytes.len();
        found
    }

    fn take(&mut self, length: usize) -> Box<[u8]> {
        let rest = self.bytes.split_off(length);
        self.searched = 0;
        std::mem::replace(&mut self.bytes, rest).into_boxed_slice()
    }
}

/// The body length that a head announces.
fn content_length(head: &[u8]) -> Result<usize, FramingError> {
    let mut found = None;
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (line[..colon].trim_ascii_end(), line[colon + 1..].trim_ascii());
        if !name.eq_ignore_ascii_case(b"Content-Length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let bad = || FramingError::BadLength(String::from_utf8_lossy(value).into_owned());
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        // A number that overflows exceeds any message length.
        let length = match std::str::from_utf8(value) {
            Ok(text) if digits => text.parse().unwrap_or(usize::MAX),
            _ => return Err(bad()),
        };
        if found.is_some_and(|before| before != length) {
            return Err(bad());
        }
        found = Some(length);
    }
    found.ok_or(FramingError::NoLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n";

    fn with_body(body: &str) -> String {
        format!("{OPTIONS}Content-Length: {}\r\n\r\n{body}", body.len())
    }

    fn frames(pieces: &[&[u8]]) -> Result<Vec<Frame>, FramingError> {
        let mut framer = Framer::default();
        let mut found = Vec::new();
        for piece in pieces {
            framer.push(piece);
            while let Some(frame) = framer.frame()? {
                found.push(frame);
            }
        }
        Ok(found)
    }

    fn message(text: &str) -> Frame {
        Frame::Message(text.as_bytes().into())
    }

    /// Two messages in one stream, cut at every byte.
    #[test]
    fn messages_are_found_wherever_the_stream_is_cut() {
        let (first, second) = (with_body("v=0\r\n\r\nx"), with_body(""));
        let stream = format!("\r\n{first}\r\n\r\n{second}");
        let wanted = [message(&first), Frame::Ping, message(&second)];
        for cut in 0..stream.len() {
            let (left, right) = stream.as_bytes().split_at(cut);
            assert_eq!(frames(&[left, right]), Ok(wanted.to_vec()), "cut at {cut}");
        }
        let single: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(frames(&single), Ok(wanted.to_vec()));
    }

    #[test]
    fn a_message_that_is_not_whole_is_waited_for() {
        let whole = with_body("body");
        let mut framer = Framer::default();
        framer.push(&whole.as_bytes()[..whole.len() - 1]);
        assert_eq!(framer.frame(), Ok(None));
        assert!(framer.is_waiting());
        framer.push(b"y");
        assert_eq!(framer.frame(), Ok(Some(message(&whole))));
        assert!(!framer.is_waiting());
        framer.push(b"\r\n");
        assert_eq!((framer.frame(), framer.is_waiting()), (Ok(None), false));
    }

    /// RFC 3261 sections 7.3.3 and 18.3.
    #[test]
    fn the_length_is_found_in_all_its_forms_or_refused() {
        for line in ["l: 1", "CONTENT-LENGTH :1", "Content-Length:\t1 ", "l:1\r\nContent-Length: 1"]
        {
            let text = format!("{OPTIONS}{line}\r\n\r\nx");
            assert_eq!(frames(&[text.as_bytes()]), Ok(vec![message(&text)]), "{line}");
        }
        for (line, error) in [
            ("X: 1", FramingError::NoLength),
            ("l: ", FramingError::BadLength(String::new())),
            ("l: -1", FramingError::BadLength("-1".to_owned())),
            ("l: 1\r\nl: 2", FramingError::BadLength("2".to_owned())),
            ("l: 99999999999999999999999", FramingError::TooLong),
            ("l: 65536", FramingError::TooLong),
        ] {
            let text = format!("{OPTIONS}{line}\r\n\r\nx");
            assert_eq!(frames(&[text.as_bytes()]), Err(error), "{line}");
        }
        let endless = "X: ".to_owned() + &"x".repeat(MAX_STREAM_MESSAGE);
        assert_eq!(frames(&[endless.as_bytes()]), Err(FramingError::TooLong));
    }
}
