//! A hash for values that outlive the program.

/// FNV-1a of 64 bits. It must never change: builds and restarts must agree on the shard of a
/// Call-ID, on the messages already sent in a saved call, and on the handles of names.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    /// From the test vectors of draft-eastlake-fnv.
    #[test]
    fn values_are_those_of_fnv_1a() {
        for (text, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(super::stable_hash(text.as_bytes()), hash);
        }
    }
}
