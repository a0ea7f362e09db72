//! The connections of the admin API, bounded in total and per source. At a bound, the oldest
//! connection without a request being served is closed, so that clients with incomplete requests
//! cannot keep others out.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;

/// Maximum number of connections.
const ALL: usize = 512;

/// Maximum from one IPv4 address or one IPv6 /64.
const PER_SOURCE: usize = 128;

/// The peer of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Its address.
    pub(super) address: SocketAddr,
    /// Number of its requests being served.
    pub(super) serving: Arc<AtomicUsize>,
}

/// All connections, oldest first.
#[derive(Debug, Default)]
pub(super) struct Connections {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    open: BTreeMap<u64, Connection>,
    next: u64,
}

#[derive(Debug)]
struct Connection {
    source: IpAddr,
    serving: Arc<AtomicUsize>,
    task: Option<AbortHandle>,
}

/// An entry in the table; removed on drop.
#[derive(Debug)]
pub(super) struct Entry {
    table: Arc<Connections>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.table.lock().open.remove(&self.number);
    }
}

impl Connections {
    /// Admits a connection; `None` if every connection that could be closed is being served.
    pub(super) fn admit(self: &Arc<Self>, peer: &Peer) -> Option<Entry> {
        let source = source_of(peer.address.ip());
        let mut table = self.lock();
        let of_source = |connection: &Connection| connection.source == source;
        if table.count(of_source) >= PER_SOURCE {
            table.send_away(of_source)?;
        }
        if table.open.len() >= ALL {
            table.send_away(|_| true)?;
        }
        let number = table.next;
        table.next += 1;
        let connection = Connection { source, serving: Arc::clone(&peer.serving), task: None };
        table.open.insert(number, connection);
        Some(Entry { table: Arc::clone(self), number })
    }

    /// Sets the task to abort when the connection is closed.
    pub(super) fn runs_as(&self, number: u64, task: AbortHandle) {
        if let Some(connection) = self.lock().open.get_mut(&number) {
            connection.task = Some(task);
        }
    }

    /// A panic elsewhere cannot leave the table inconsistent.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Its number in the table.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Table {
    fn count(&self, of: impl Fn(&Connection) -> bool) -> usize {
        self.open.values().filter(|connection| of(connection)).count()
    }

    /// Closes the oldest matching connection that is not being served.
    fn send_away(&mut self, of: impl Fn(&Connection) -> bool) -> Option<()> {
        let idle = |connection: &Connection| connection.serving.load(Ordering::Relaxed) == 0;
        let found = self.open.iter().find(|(_, connection)| of(connection) && idle(connection));
        let number = *found?.0;
        let gone = self.open.remove(&number)?;
        if let Some(task) = gone.task {
            task.abort();
        }
        Some(())
    }
}

/// The source of an address: the /64 of an IPv6 address, since a host can use all of it.
fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer { address: SocketAddr::new(address.parse().unwrap(), 1), serving: Arc::default() }
    }

    #[test]
    fn of_too_many_the_oldest_that_is_not_served_goes() {
        let connections = Arc::new(Connections::default());
        let served = peer("192.0.2.1");
        served.serving.store(1, Ordering::Relaxed);
        let mut entries = vec![connections.admit(&served).unwrap()];
        for _ in 0..10 * PER_SOURCE {
            entries.push(connections.admit(&peer("192.0.2.1")).unwrap());
        }
        let left: Vec<u64> = connections.lock().open.keys().copied().collect();
        assert_eq!(left.len(), PER_SOURCE);
        assert_eq!((left[0], left[1]), (0, 9 * PER_SOURCE as u64 + 2));
        // Other sources are bounded in total.
        for source in 0..10_u8 {
            for _ in 0..PER_SOURCE {
                entries.push(connections.admit(&peer(&format!("192.0.3.{source}"))).unwrap());
            }
        }
        assert_eq!(connections.lock().open.len(), ALL);
        assert!(connections.lock().open.contains_key(&0));
        drop(entries);
        assert!(connections.lock().open.is_empty());
    }

    #[test]
    fn nobody_gives_way_while_all_are_served() {
        let connections = Arc::new(Connections::default());
        let busy = peer("2001:db8::1");
        busy.serving.store(1, Ordering::Relaxed);
        let entries: Vec<_> = (0..PER_SOURCE).map(|_| connections.admit(&busy).unwrap()).collect();
        assert!(connections.admit(&peer("2001:db8::2")).is_none());
        assert!(connections.admit(&peer("2001:db8:0:1::2")).is_some());
        drop(entries);
        assert!(connections.admit(&peer("2001:db8::2")).is_some());
    }
}
