//! State that a process hands over to the next program (OPS-64): the open sockets of its listeners
//! and connections, and the calls of each shard in anonymous memory. The process stays the same, so
//! that a supervisor sees no restart.
//!
//! Peers notice no gap in signalling. Relayed calls keep their ports; audio that arrives meanwhile
//! is lost.

mod inherited;

use crate::database;
use anyhow::{Context, Result, bail, ensure};
use config::Config;
use rustix::fs::MemfdFlags;
use rustix::io::FdFlags;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use sip::Flow;
use std::collections::HashSet;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Output of the next program if it can take over; its version follows.
pub const TAKES_OVER: &str = "takes over: strowger ";

/// Total size of incomplete messages handed over with connections; further connections are closed.
const HALF_MESSAGES: usize = 64 << 20;

/// The environment variable that gives the next program the memory's file descriptor.
const VARIABLE: &str = "STROWGER_HANDOVER";

/// Name of the memory file.
const MEMORY: &str = "strowger-handover";

/// Properties that the next program must share to take over calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// [`switch::FORM`].
    form: u16,
    shards: u16,
    /// Name and address, in the order of the node file.
    listeners: Vec<(String, SocketAddr)>,
    /// Where records, balances and secrets are.
    data_dir: PathBuf,
    /// The URL without a password.
    database: String,
    admin: SocketAddr,
}

impl Terms {
    /// The terms of this program with a node file.
    ///
    /// # Errors
    /// The database URL of the node file is invalid.
    pub fn of(config: &Config) -> Result<Terms> {
        let listeners = config.listeners.iter();
        Ok(Terms {
            form: switch::FORM,
            shards: config.shards(),
            listeners: listeners.map(|one| (one.name.clone(), one.address)).collect(),
            data_dir: config.data_dir.clone(),
            database: database::of(config)?.to_string(),
            admin: config.admin.address,
        })
    }

    /// Whether the running program listens on this address.
    pub fn have(&self, address: SocketAddr) -> bool {
        self.admin == address || self.listeners.iter().any(|(_, known)| *known == address)
    }

    /// Whether a program with the terms `other` may take over calls from one with these.
    ///
    /// # Errors
    /// The first difference.
    pub fn meet(&self, other: &Terms) -> Result<()> {
        if self.form != other.form {
            bail!(
                "running calls are written in form {}, the new program reads form {}: stop and \
                 start the node instead, it waits for its calls (calls.drain)",
                self.form,
                other.form
            );
        }
        if self.shards != other.shards {
            bail!(
                "the node runs {} shards and would have {}: a call stays on its shard, so restart \
                 the node to change their number",
                self.shards,
                other.shards
            );
        }
        let shown = |path: &PathBuf| path.display().to_string();
        for (field, own, next) in [
            ("data_dir", shown(&self.data_dir), shown(&other.data_dir)),
            ("database", self.database.clone(), other.database.clone()),
        ] {
            if own != next {
                bail!(
                    "{field} is {own} and would be {next}: running calls belong to the balances \
                     and records of the first; stop and start the node to move them"
                );
            }
        }
        for (at, (name, address)) in self.listeners.iter().enumerate() {
            if other.listeners.get(at) != Some(&(name.clone(), *address)) {
                bail!(
                    "the listener `{name}` on {address} is not at its place in the node file any \
                     more: running calls use it; new listeners go behind it"
                );
            }
        }
        Ok(())
    }
}

/// A listener with open sockets.
#[derive(Debug)]
pub(crate) struct KeptListener {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// One per shard for UDP, one for TCP.
    pub(crate) sockets: Vec<OwnedFd>,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct KeptConnection {
    pub(crate) flow: Flow,
    pub(crate) known: bool,
    pub(crate) used: bool,
    /// Bytes of an incomplete message.
    pub(crate) unread: Vec<u8>,
    /// Bytes not yet taken by the peer.
    pub(crate) unsent: Vec<u8>,
    pub(crate) socket: OwnedFd,
}

/// The serialized calls of a shard.
#[derive(Debug)]
pub(crate) struct WrittenShard {
    /// Ids of the calls.
    pub(crate) calls: Vec<u128>,
    /// The result of [`switch::Switch::write_down`].
    pub(crate) written: Vec<u8>,
    /// When they were written.
    pub(crate) at: Instant,
}

/// Everything that a process hands over.
#[derive(Debug, Default)]
pub struct Handover {
    pub(crate) listeners: Vec<KeptListener>,
    pub(crate) connections: Vec<KeptConnection>,
    pub(crate) shards: Vec<Option<WrittenShard>>,
}

/// The header of the memory. The unread and then the unsent bytes of each connection follow, then
/// the shards.
#[derive(Serialize, Deserialize)]
struct Head {
    listeners: Vec<HeadListener>,
    connections: Vec<HeadConnection>,
    shards: Vec<Option<HeadShard>>,
}

#[derive(Serialize, Deserialize)]
struct HeadListener {
    name: String,
    address: SocketAddr,
    sockets: Vec<RawFd>,
}

#[derive(Serialize, Deserialize)]
struct HeadConnection {
    flow: Flow,
    known: bool,
    used: bool,
    unread: usize,
    unsent: usize,
    socket: RawFd,
}

#[derive(Serialize, Deserialize)]
struct HeadShard {
    calls: Vec<String>,
    /// Monotonic clock of the machine (ns).
    at_ns: u64,
    bytes: usize,
}

impl Handover {
    /// Takes the sockets of a listener, which stay bound meanwhile.
    pub(crate) fn take_sockets(&mut self, name: &str, address: SocketAddr) -> Vec<OwnedFd> {
        let listeners = self.listeners.iter_mut();
        let mut same = listeners.filter(|kept| (&*kept.name, kept.address) == (name, address));
        same.next().map(|kept| std::mem::take(&mut kept.sockets)).unwrap_or_default()
    }

    /// Ids of the calls handed over.
    pub fn calls(&self) -> HashSet<u128> {
        self.shards.iter().flatten().flat_map(|shard| shard.calls.iter().copied()).collect()
    }

    /// Closes connections whose incomplete messages exceed the limit in total.
    pub fn bound(mut self) -> Handover {
        let mut bytes = 0;
        self.connections.retain(|kept| {
            bytes += kept.unread.len() + kept.unsent.len();
            bytes <= HALF_MESSAGES
        });
        self
    }

    /// Executes `program` in this process with the same arguments. Signals stay blocked until it
    /// handles them. Returns only if the system refuses.
    pub fn execute(&self, program: &Path) -> anyhow::Error {
        let run = || -> Result<()> {
            let memory = self.leave()?;
            let text = |text: OsString| CString::new(text.into_vec());
            let arguments = std::env::args_os().map(text).collect::<Result<Vec<_>, _>>()?;
            let others = std::env::vars_os().filter(|(name, _)| name != VARIABLE);
            let others = others.map(|(name, value)| joined(&name, &value));
            let own = OsString::from(format!("{VARIABLE}={}", memory.as_raw_fd()));
            let environment = others.chain([own]).map(text).collect::<Result<Vec<_>, _>>()?;
            let file = CString::new(program.as_os_str().as_bytes())?;
            nix::unistd::execve(&file, &arguments, &environment)?;
            Ok(())
        };
        let error = run().err().unwrap_or_else(|| anyhow::anyhow!("it did not begin"));
        error.context(format!("{} does not start", program.display()))
    }

    /// Writes everything to memory that outlives this program.
    fn leave(&self) -> Result<OwnedFd> {
        let head = Head {
            listeners: self.listeners.iter().map(leave_listener).collect::<Result<_>>()?,
            connections: self.connections.iter().map(leave_connection).collect::<Result<_>>()?,
            shards: self.shards.iter().map(|shard| shard.as_ref().map(head_of)).collect(),
        };
        let memory = rustix::fs::memfd_create(MEMORY, MemfdFlags::empty())?;
        let mut file = File::from(memory);
        let head = serde_json::to_vec(&head)?;
        file.write_all(&u64::try_from(head.len())?.to_le_bytes())?;
        file.write_all(&head)?;
        for kept in &self.connections {
            file.write_all(&kept.unread)?;
            file.write_all(&kept.unsent)?;
        }
        for shard in self.shards.iter().flatten() {
            file.write_all(&shard.written)?;
        }
        Ok(file.into())
    }

    /// Takes what the previous program handed over in this process; `None` if there was none.
    ///
    /// # Errors
    /// The memory cannot be read.
    pub fn take() -> Result<Option<Handover>> {
        let Ok(number) = std::env::var(VARIABLE) else { return Ok(None) };
        let number: RawFd = number.parse().with_context(|| format!("{VARIABLE}={number}"))?;
        let Some(memory) = inherited::memory(number, MEMORY) else { return Ok(None) };
        let taken = Handover::read(memory);
        taken.context("the handover of the previous program cannot be read").map(Some)
    }

    fn read(memory: OwnedFd) -> Result<Handover> {
        let mut file = File::open(format!("/proc/self/fd/{}", memory.as_raw_fd()))?;
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let head = take(&mut file, usize::try_from(u64::from_le_bytes(length))?)?;
        let head: Head = serde_json::from_slice(&head)?;
        let mut handover = Handover::default();
        for HeadListener { name, address, sockets } in head.listeners {
            let sockets = sockets.into_iter().map(inherited::socket).collect::<Result<_>>()?;
            handover.listeners.push(KeptListener { name, address, sockets });
        }
        for kept in head.connections {
            let HeadConnection { flow, known, used, unread, unsent, socket } = kept;
            let socket = inherited::socket(socket)?;
            let (unread, unsent) = (take(&mut file, unread)?, take(&mut file, unsent)?);
            let kept = KeptConnection { flow, known, used, unread, unsent, socket };
            handover.connections.push(kept);
        }
        for shard in head.shards {
            let Some(HeadShard { calls, at_ns, bytes }) = shard else {
                handover.shards.push(None);
                continue;
            };
            let written = take(&mut file, bytes)?;
            let ids = calls.iter().map(|id| u128::from_str_radix(id, 16));
            let calls = ids.collect::<Result<_, _>>()?;
            let passed = Duration::from_nanos(monotonic_ns().saturating_sub(at_ns));
            let now = Instant::now();
            let at = now.checked_sub(passed).unwrap_or(now);
            handover.shards.push(Some(WrittenShard { calls, written, at }));
        }
        Ok(handover)
    }
}

/// `NAME=value`.
fn joined(name: &OsStr, value: &OsStr) -> OsString {
    let mut line = name.to_owned();
    line.push("=");
    line.push(value);
    line
}

/// The next bytes of the memory.
fn take(file: &mut File, length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let taken = Read::take(file, u64::try_from(length)?).read_to_end(&mut bytes)?;
    ensure!(taken == length, "it ends too early");
    Ok(bytes)
}

/// Duplicates the sockets of a listener for the next program.
pub(crate) fn keep<'a, S: AsFd + 'a>(
    sockets: impl IntoIterator<Item = &'a S>,
) -> std::io::Result<Vec<OwnedFd>> {
    sockets.into_iter().map(|socket| socket.as_fd().try_clone_to_owned()).collect()
}

/// UDP sockets from the previous program.
pub(crate) fn datagrams(sockets: Vec<OwnedFd>) -> Vec<UdpSocket> {
    sockets.into_iter().map(UdpSocket::from).collect()
}

/// The TCP socket from the previous program.
pub(crate) fn accepting(sockets: Vec<OwnedFd>) -> Option<TcpListener> {
    sockets.into_iter().next().map(TcpListener::from)
}

fn leave_listener(kept: &KeptListener) -> Result<HeadListener> {
    let sockets = kept.sockets.iter().map(leave_open).collect::<Result<_>>()?;
    Ok(HeadListener { name: kept.name.clone(), address: kept.address, sockets })
}

fn leave_connection(kept: &KeptConnection) -> Result<HeadConnection> {
    Ok(HeadConnection {
        flow: kept.flow,
        known: kept.known,
        used: kept.used,
        unread: kept.unread.len(),
        unsent: kept.unsent.len(),
        socket: leave_open(&kept.socket)?,
    })
}

fn head_of(shard: &WrittenShard) -> HeadShard {
    let passed = u64::try_from(shard.at.elapsed().as_nanos()).unwrap_or(u64::MAX);
    HeadShard {
        calls: shard.calls.iter().map(|id| format!("{id:032x}")).collect(),
        at_ns: monotonic_ns().saturating_sub(passed),
        bytes: shard.written.len(),
    }
}

/// Clears close-on-exec, so that the next program gets the socket.
fn leave_open(socket: &OwnedFd) -> Result<RawFd> {
    rustix::io::fcntl_setfd(socket, FdFlags::empty())?;
    Ok(socket.as_raw_fd())
}

/// The clock behind [`Instant`], which continues across programs.
fn monotonic_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
}
