//! What the media plane is told at start.

use super::relay_thread::EngineKind;
use super::uring;
use serde::Deserialize;
use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// What the media plane needs to know at start.
#[derive(Clone, Debug)]
pub struct MediaSettings {
    /// Media addresses; trunks name them by their place in this list (MEDIA-10). At least one.
    pub addresses: Vec<MediaAddress>,
    /// Relay threads, at least 1.
    pub threads: usize,
    /// How they receive and send.
    pub engine: MediaEngine,
    /// DSCP of RTP and RTCP, 0-63; EF is 46 (MEDIA-46, SIG-94).
    pub dscp: u8,
    /// Seed of the port choice (MEDIA-08): secret, else ports could be guessed.
    pub seed: [u8; 32],
}

/// How relay threads receive and send packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaEngine {
    /// io_uring where the kernel gives it, else epoll.
    #[default]
    Auto,
    /// io_uring or no start: many packets per system call. Linux 6.1 or later, not
    /// forbidden by a container's seccomp profile or `kernel.io_uring_disabled`.
    IoUring,
    /// epoll: two system calls per packet, everywhere.
    Epoll,
}

/// An address that media comes to and leaves from (MEDIA-10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaAddress {
    /// Its name in configuration and metrics.
    pub name: String,
    /// Local address that sockets are bound to.
    pub bind: IpAddr,
    /// Address written into SDP; differs from `bind` behind a static NAT.
    pub advertised: IpAddr,
    /// Ports, 1024 or higher; no overlap with another range of the same `bind` (MEDIA-08).
    pub ports: RangeInclusive<u16>,
}

impl MediaEngine {
    /// What it comes to on this machine.
    ///
    /// # Errors
    /// If it is `IoUring` and the kernel does not give it, with the kernel's reason.
    pub(super) fn choose(self) -> io::Result<EngineKind> {
        match self {
            MediaEngine::Epoll => Ok(EngineKind::Epoll),
            MediaEngine::IoUring | MediaEngine::Auto => self.choose_if(uring::available()),
        }
    }

    fn choose_if(self, available: io::Result<()>) -> io::Result<EngineKind> {
        match available {
            Ok(()) => Ok(EngineKind::IoUring),
            Err(error) if self == MediaEngine::IoUring => {
                let reason = format!(
                    "io_uring cannot be had: {error} (Linux 6.1 or later has what is needed; \
                     containers and kernel.io_uring_disabled may forbid it)"
                );
                Err(io::Error::new(error.kind(), reason))
            }
            Err(error) => {
                tracing::info!(%error, "no io_uring, media is relayed with epoll");
                Ok(EngineKind::Epoll)
            }
        }
    }
}

/// What makes settings impossible, if anything.
pub(super) fn check(settings: &MediaSettings) -> Result<(), String> {
    if settings.addresses.is_empty() {
        return Err("no media address; at least one is needed".into());
    }
    if settings.threads == 0 {
        return Err("0 relay threads; at least 1 is needed".into());
    }
    if settings.dscp > 63 {
        return Err(format!("media DSCP {} is not in 0-63 (EF is 46)", settings.dscp));
    }
    for (index, one) in settings.addresses.iter().enumerate() {
        if one.bind.is_ipv4() != one.advertised.is_ipv4() {
            return Err(format!(
                "media address `{}` is bound to {} but advertises {}: not the same IP version",
                one.name, one.bind, one.advertised
            ));
        }
        for other in &settings.addresses[..index] {
            let apart =
                one.ports.start() > other.ports.end() || other.ports.start() > one.ports.end();
            if one.bind == other.bind && !apart {
                return Err(format!(
                    "media addresses `{}` and `{}` share ports of {}",
                    other.name, one.name, one.bind
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::MediaPlane;
    use super::*;

    fn refused() -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    #[test]
    fn only_an_explicit_engine_may_fail_the_start() {
        assert_eq!(MediaEngine::Auto.choose_if(Ok(())).expect("had"), EngineKind::IoUring);
        assert_eq!(MediaEngine::Auto.choose_if(refused()).expect("else"), EngineKind::Epoll);
        let error = MediaEngine::IoUring.choose_if(refused()).expect_err("named");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("permission denied"), "{error}");
    }

    fn settings(ports: RangeInclusive<u16>) -> MediaSettings {
        let bind = IpAddr::from([127, 0, 0, 1]);
        MediaSettings {
            addresses: vec![MediaAddress { name: "test".into(), bind, advertised: bind, ports }],
            threads: 1,
            engine: MediaEngine::Auto,
            dscp: 46,
            seed: [7; 32],
        }
    }

    #[test]
    fn impossible_settings_are_refused_with_the_reason() {
        let good = || settings(22_000..=22_099);
        let mut overlapping = good();
        overlapping.addresses.push(MediaAddress {
            name: "twin".into(),
            ports: 22_099..=22_200,
            ..good().addresses.remove(0)
        });
        let mut mixed = good();
        mixed.addresses[0].advertised = IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]);
        let cases = [
            (MediaSettings { addresses: vec![], ..good() }, "at least one"),
            (MediaSettings { threads: 0, ..good() }, "0 relay threads"),
            (MediaSettings { dscp: 184, ..good() }, "DSCP 184"),
            (settings(22_001..=22_002), "`test`: port range 22001-22002"),
            (overlapping, "`test` and `twin` share ports"),
            (mixed, "not the same IP version"),
        ];
        for (settings, expected) in cases {
            let error = MediaPlane::start(settings).expect_err("refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
