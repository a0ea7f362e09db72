//! An address that neither accepts nor refuses connections.

use socket2::{Domain, Socket, Type};
use std::net::{IpAddr, SocketAddr};

/// A listening address with a full backlog: the kernel drops further connections.
#[derive(Debug)]
pub struct Hole {
    _listener: Socket,
    _waiting: Vec<Socket>,
}

impl Hole {
    /// Binds port 5060 of an address.
    ///
    /// # Panics
    /// When it is taken.
    #[must_use]
    pub fn at(address: IpAddr) -> Hole {
        let address = SocketAddr::new(address, 5060);
        let socket = || {
            let domain = Domain::for_address(address);
            Socket::new(domain, Type::STREAM, None).expect("a socket")
        };
        let listener = socket();
        listener.bind(&address.into()).expect("a free port");
        listener.listen(0).expect("it listens");
        let waiting = (0..4).map(|_| {
            let client = socket();
            client.set_nonblocking(true).expect("it does not block");
            let _ = client.connect(&address.into());
            client
        });
        Hole { _waiting: waiting.collect(), _listener: listener }
    }
}
