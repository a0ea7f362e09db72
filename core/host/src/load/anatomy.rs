//! Sizes of the parts of a plugin file.

use super::sections::{leb128, sections};

const CUSTOM: u8 = 0;
/// Section id in a component.
const CORE_MODULE: u8 = 1;
const COMPONENT: u8 = 4;
/// Section id in a core module.
const MEMORY: u8 = 5;
const CODE: u8 = 10;
const DATA: u8 = 11;
const PAGE: u64 = 64 << 10;

/// Sizes in bytes, over all modules of a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anatomy {
    /// The file.
    pub total: u64,
    /// Its code.
    pub code: u64,
    /// Its initial data.
    pub data: u64,
    /// Names, debug information, interface types, signature: bytes that do not run.
    pub custom: u64,
    /// Linear memory of an instance at its start.
    pub memory: u64,
}

impl Anatomy {
    /// Of a complete file; unreadable parts count as nothing.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Anatomy {
        let mut anatomy = Anatomy { total: bytes.len() as u64, ..Anatomy::default() };
        anatomy.add(bytes, 0);
        anatomy
    }

    fn add(&mut self, bytes: &[u8], depth: u8) {
        // Components nest; no encoder goes this deep.
        if depth > 8 {
            return;
        }
        let is_module = bytes.get(4..8) == Some(&[1, 0, 0, 0]);
        for section in sections(bytes).flatten() {
            let size = section.whole.len() as u64;
            match section.id {
                CUSTOM => self.custom += size,
                CORE_MODULE | COMPONENT if !is_module => self.add(section.body, depth + 1),
                CODE if is_module => self.code += size,
                DATA if is_module => self.data += size,
                MEMORY if is_module => self.memory += first_memory(section.body).unwrap_or(0),
                _ => {}
            }
        }
    }
}

/// Initial size of the first memory of a module, bytes.
fn first_memory(body: &[u8]) -> Option<u64> {
    let (count, rest) = leb128(body)?;
    let (_flags, pages) = rest.split_first().filter(|_| count > 0)?;
    let (pages, _) = leb128(pages)?;
    Some(pages as u64 * PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_summed_through_a_component() {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend_from_slice(&[MEMORY, 3, 1, 0, 17]);
        module.extend_from_slice(&[CODE, 2, 9, 9]);
        module.extend_from_slice(&[DATA, 3, 9, 9, 9]);
        module.extend_from_slice(b"\x00\x02\x01a");
        let expected =
            Anatomy { total: module.len() as u64, code: 4, data: 5, custom: 4, memory: 17 * PAGE };
        assert_eq!(Anatomy::of(&module), expected);
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        component.extend_from_slice(&[CORE_MODULE, module.len() as u8]);
        component.extend_from_slice(&module);
        let total = component.len() as u64;
        assert_eq!(Anatomy::of(&component), Anatomy { total, ..expected });
        assert_eq!(Anatomy::of(b"\0as"), Anatomy { total: 3, ..Anatomy::default() });
    }
}
