//! Why a datagram is not a SIP message.

use thiserror::Error;

/// Why [`crate::Message::parse`] refused a datagram. The text suits the reason phrase of a 400
/// response (see [`crate::salvage`]).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// No bytes at all.
    #[error("empty datagram")]
    Empty,
    /// Only line breaks, spaces or NULs: a keep-alive (RFC 5626 3.5.1). Nothing to answer.
    #[error("keep-alive")]
    KeepAlive,
    /// Longer than [`crate::MAX_DATAGRAM`], or [`crate::MAX_STREAM_MESSAGE`] (SIG-13).
    #[error("message of {length} bytes is too long, {most} are allowed")]
    TooLarge {
        /// Bytes received.
        length: usize,
        /// Longest message allowed, bytes.
        most: usize,
    },
    /// The datagram ends inside the start line or a header line.
    #[error("message ends inside a header line")]
    Truncated,
    /// The start line is neither a request line nor a status line.
    #[error("bad start line: {problem}")]
    StartLine {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A line is not `name: value`.
    #[error("header line at byte {offset} {problem}")]
    HeaderLine {
        /// Where the line begins.
        offset: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// More than [`crate::MAX_HEADERS`] lines.
    #[error("more than {} header lines (byte {offset})", crate::MAX_HEADERS)]
    TooManyHeaders {
        /// Start of the first line over the limit.
        offset: usize,
    },
    /// A control byte outside a quoted pair, or a carriage return within a line.
    #[error("control byte {byte:#04x} at byte {offset}")]
    ControlByte {
        /// Its position.
        offset: usize,
        /// The byte.
        byte: u8,
    },
    /// A header that every message must carry is missing (RFC 3261 8.1.1).
    #[error("missing {header} header")]
    Missing {
        /// Its long name.
        header: &'static str,
    },
    /// A header that the switch depends on cannot be read.
    #[error("bad {header} header: {problem}")]
    Header {
        /// Its long name.
        header: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The request line names one method, CSeq another (RFC 3261 8.1.1.5).
    #[error("CSeq method {cseq} does not match request method {request}")]
    MethodMismatch {
        /// Method of the request line.
        request: String,
        /// Method of CSeq.
        cseq: String,
    },
    /// Content-Length announces more than the datagram holds (RFC 3261 18.3).
    #[error("Content-Length {announced} is more than the {present} bytes present")]
    BodyTooShort {
        /// Value of Content-Length.
        announced: usize,
        /// Bytes after the header section.
        present: usize,
    },
}
