//! Loopback addresses of a test: each test uses a separate network within 127.0.0.0/8, so that
//! standard ports are free and tests can run in parallel.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};

/// A loopback /24.
#[derive(Clone, Copy, Debug)]
pub struct Net {
    prefix: [u8; 3],
}

impl Net {
    /// A network that no other test of this or another process uses.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Net {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        // Test programs run one after another; their process ids differ.
        let process = u8::try_from(std::process::id() % 200).unwrap_or(0) + 20;
        Net { prefix: [127, process, NEXT.fetch_add(1, Ordering::Relaxed)] }
    }

    /// One of its hosts.
    #[must_use]
    pub fn host(self, last: u8) -> IpAddr {
        let [a, b, c] = self.prefix;
        IpAddr::V4(Ipv4Addr::new(a, b, c, last))
    }

    /// The switch's signalling address.
    #[must_use]
    pub fn switch(self) -> SocketAddr {
        SocketAddr::new(self.host(1), 5060)
    }

    /// The switch's media address.
    #[must_use]
    pub fn media(self) -> IpAddr {
        self.host(2)
    }

    /// The admin interface.
    #[must_use]
    pub fn admin(self) -> SocketAddr {
        SocketAddr::new(self.host(1), 8080)
    }

    /// The customer with a known address.
    #[must_use]
    pub fn caller(self) -> IpAddr {
        self.host(10)
    }

    /// A customer that must authenticate.
    #[must_use]
    pub fn roaming_caller(self) -> IpAddr {
        self.host(11)
    }

    /// The customer without money.
    #[must_use]
    pub fn poor_caller(self) -> IpAddr {
        self.host(12)
    }

    /// The vendor of first choice.
    #[must_use]
    pub fn vendor_a(self) -> IpAddr {
        self.host(21)
    }

    /// The vendor of second choice.
    #[must_use]
    pub fn vendor_b(self) -> IpAddr {
        self.host(22)
    }

    /// An address unknown to the switch.
    #[must_use]
    pub fn stranger(self) -> IpAddr {
        self.host(99)
    }
}
