//! Detects one-way audio.

use ledger::MediaRecord;

/// Shorter calls may be silent, ms (MEDIA-18).
const LONG_ENOUGH_MS: u64 = 20_000;

/// The side without received RTP, although the call was answered for at least 20 s and its media
/// relayed: `caller`, `callee` or `both`. The cause is mostly a firewall, a NAT or wrong SDP.
pub(super) fn silent_side(
    duration_ms: u64,
    caller: &MediaRecord,
    callee: &MediaRecord,
) -> Option<&'static str> {
    // Media that bypass the switch are unknown.
    let relayed = !caller.remote.is_empty() && !callee.remote.is_empty();
    match (caller.rtp_in, callee.rtp_in) {
        _ if !relayed || duration_ms < LONG_ENOUGH_MS => None,
        (0, 0) => Some("both"),
        (0, _) => Some("caller"),
        (_, 0) => Some("callee"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MEDIA-18
    #[test]
    fn a_side_that_was_never_heard_is_named() {
        let heard = |rtp_in| MediaRecord { rtp_in, remote: "a:1".into(), ..MediaRecord::default() };
        let side = |ms, caller, callee| silent_side(ms, &heard(caller), &heard(callee));
        assert_eq!(side(20_000, 0, 900), Some("caller"));
        assert_eq!(side(20_000, 900, 0), Some("callee"));
        assert_eq!(side(20_000, 0, 0), Some("both"));
        assert_eq!(side(20_000, 1, 900), None);
        assert_eq!(side(19_999, 0, 900), None, "a short call");
        assert_eq!(silent_side(20_000, &MediaRecord::default(), &heard(0)), None, "not relayed");
    }
}
