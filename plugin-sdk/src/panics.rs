//! Hands the message of a panic to the host before the trap that ends it.

use crate::bindings::host::strowger::policy::host_fault;
use std::fmt::{self, Write};
use std::panic::PanicHookInfo;

/// Bytes of a message that the host keeps.
const LONGEST: usize = 1024;

/// From now on the host is told about each panic. Costs nothing until there is one.
pub(crate) fn tell_host() {
    std::panic::set_hook(Box::new(explain));
}

fn explain(panic: &PanicHookInfo<'_>) {
    let mut text = Text { bytes: [0; LONGEST], length: 0 };
    let place = panic.location();
    // A full buffer is no error: the beginning says most.
    let _ = match (place, panic.payload_as_str()) {
        (Some(place), Some(message)) => write!(text, "panicked at {place}: {message}"),
        (Some(place), None) => write!(text, "panicked at {place}"),
        (None, message) => write!(text, "panicked: {}", message.unwrap_or_default()),
    };
    host_fault::explain(text.as_str());
}

/// A text that needs no allocation: the panic may be for want of memory.
struct Text {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Text {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.floor_char_boundary(LONGEST - self.length);
        self.bytes[self.length..self.length + end].copy_from_slice(&text.as_bytes()[..end]);
        self.length += end;
        if end < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}
