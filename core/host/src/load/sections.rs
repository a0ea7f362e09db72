//! The sections of a WebAssembly file.

/// The sections after the preamble, each with its header; `None` for one that is cut off.
pub(super) fn sections(bytes: &[u8]) -> impl Iterator<Item = Option<Section<'_>>> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let [id, tail @ ..] = rest else { return None };
        let read = || {
            let (length, tail) = leb128(tail)?;
            let body = tail.get(..length)?;
            Some((body, rest.len() - tail.len() + length))
        };
        let Some((body, whole)) = read() else {
            rest = &[];
            return Some(None);
        };
        let section = Section { id: *id, body, whole: &rest[..whole] };
        rest = &rest[whole..];
        Some(Some(section))
    })
}

pub(super) struct Section<'a> {
    pub(super) id: u8,
    pub(super) body: &'a [u8],
    pub(super) whole: &'a [u8],
}

impl Section<'_> {
    /// A custom section of DWARF: nine tenths of a file from `cargo build`, not needed here.
    pub(super) fn is_debug_info(&self) -> bool {
        self.custom().is_some_and(|(name, _)| name.starts_with(b".debug_"))
    }

    /// Name and contents of a custom section.
    pub(super) fn custom(&self) -> Option<(&[u8], &[u8])> {
        let (length, tail) = leb128(self.body).filter(|_| self.id == 0)?;
        tail.split_at_checked(length)
    }
}

pub(super) fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}
