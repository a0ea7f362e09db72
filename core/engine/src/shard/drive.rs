//! The loop around a call machine: datagrams, letters and timers in; datagrams, questions and
//! records out.

use super::queue::Queue;
use super::rescue;
use crate::handover::WrittenShard;
use crate::mailbox::{Answer, Arrived, Command, Inbox, Letter, Mailbox, ShardReading};
use crate::media_plane::{PlaneControl, Report};
use crate::transport::streams::Streams;
use crate::transport::{arrival, icmp};
use crate::{allocator, clock};
use arc_swap::ArcSwap;
use host::decisions::{Decided, DecisionTap};
use host::{Asked, ShardHost};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use policy::{Context, NotesMark, Reply};
use rustix::io::Errno;
use sip::Flow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use store::Recorder;
use switch::{
    Ask, Classifier, NotPlaced, Now, Outcome, Output, Switch, SwitchSettings, World, shard_of,
};

/// Datagrams taken from one socket before timers and letters.
const DATAGRAMS_PER_TURN: usize = 256;

/// A question that takes longer has delayed the 100 Trying of others (SIG-14).
const LONG_QUESTION: Duration = Duration::from_millis(1);

/// Datagrams taken between questions before timers and letters: few, so that new calls wait where
/// the wait is measured.
const DATAGRAMS_BETWEEN_QUESTIONS: usize = 16;

/// Why no test call is placed during a handover.
const HANDING_OVER: &str = "maintenance";

/// Largest UDP datagram.
const DATAGRAM_BYTES: usize = 65_536;

/// Token of the waker; sockets have their listener's index.
pub(crate) const WAKER: Token = Token(usize::MAX);

/// The parts of a shard.
pub(crate) struct ShardParts {
    /// Shard number, number of shards, seed.
    pub(crate) settings: SwitchSettings,
    /// The poll of the inbox's waker.
    pub(crate) poll: Poll,
    /// One socket per listener; `None` for TCP.
    pub(crate) sockets: Vec<Option<std::net::UdpSocket>>,
    /// The TCP connections, if there is a TCP listener.
    pub(crate) streams: Option<Streams>,
    /// Letters to this shard.
    pub(crate) inbox: Inbox,
    /// The mailboxes of all shards, in order, including this one.
    pub(crate) mailboxes: Vec<Mailbox>,
    /// The world of new calls.
    pub(crate) world: Arc<ArcSwap<World>>,
    /// Plugin instances of this shard.
    pub(crate) host: ShardHost,
    /// The relay.
    pub(crate) media: PlaneControl,
    /// Receives records.
    pub(crate) recorder: Recorder,
    /// Receives decisions, if they are logged.
    pub(crate) decisions: Option<DecisionTap>,
    /// The calls of the previous program, if any.
    pub(crate) switch: Option<Switch>,
    /// Longest wait of a new call before it is refused; zero is unlimited.
    pub(crate) longest_wait: Duration,
}

impl ShardParts {
    pub(super) fn own_mailbox(&self) -> Mailbox {
        self.mailboxes[usize::from(self.settings.shard)].clone()
    }

    pub(super) fn number(&self) -> u16 {
        self.settings.shard
    }

    pub(super) fn run(self) {
        let number = self.settings.shard;
        match Driver::new(self) {
            Ok(mut driver) => rescue::run_to_the_end(&mut driver),
            Err(error) => {
                tracing::error!(shard = number, %error, "ALARM internal_error: a shard does not start");
            }
        }
    }
}

/// The loop and everything it drives.
pub(super) struct Driver {
    pub(super) number: u16,
    shards: u16,
    poll: Poll,
    pub(super) listeners: Vec<Option<ListenerSocket>>,
    streams: Option<Streams>,
    pub(super) inbox: Inbox,
    mailboxes: Vec<Mailbox>,
    published: Arc<ArcSwap<World>>,
    world: Arc<World>,
    pub(super) switch: Switch,
    /// Decides which datagrams are accepted.
    classifier: Classifier,
    host: ShardHost,
    pub(super) media: PlaneControl,
    recorder: Recorder,
    decisions: Option<DecisionTap>,
    queue: Queue,
    /// Buffers for a datagram and its ancillary data.
    buffer: Box<[u8]>,
    notes: Vec<u8>,
    /// Datagrams left of [`DATAGRAMS_BETWEEN_QUESTIONS`].
    pub(super) between: usize,
    stopping: bool,
    /// The sockets are left to the next program.
    paused: bool,
    /// When the shard began, UTC ms.
    began_ms: u64,
}

/// A listener's socket of this shard.
pub(super) struct ListenerSocket {
    socket: UdpSocket,
    /// The poll is edge-triggered: until a read would block, there may be more.
    pub(super) readable: bool,
}

impl Driver {
    fn new(parts: ShardParts) -> io::Result<Driver> {
        let mut listeners = Vec::with_capacity(parts.sockets.len());
        for (index, socket) in parts.sockets.into_iter().enumerate() {
            let Some(socket) = socket else {
                listeners.push(None);
                continue;
            };
            let mut socket = UdpSocket::from_std(socket);
            parts.poll.registry().register(&mut socket, Token(index), Interest::READABLE)?;
            listeners.push(Some(ListenerSocket { socket, readable: true }));
        }
        let (number, shards) = (parts.settings.shard, parts.settings.shards);
        let world = parts.world.load_full();
        let mut host = parts.host;
        host.warm_current();
        let switch = parts.switch.unwrap_or_else(|| Switch::new(parts.settings, world.clone()));
        Ok(Driver {
            number,
            shards,
            poll: parts.poll,
            listeners,
            streams: parts.streams,
            inbox: parts.inbox,
            mailboxes: parts.mailboxes,
            classifier: switch.classifier(),
            switch,
            published: parts.world,
            world,
            host,
            media: parts.media,
            recorder: parts.recorder,
            decisions: parts.decisions,
            queue: Queue::new(parts.longest_wait),
            buffer: vec![0; DATAGRAM_BYTES].into_boxed_slice(),
            notes: arrival::notes(),
            between: 0,
            stopping: false,
            paused: false,
            began_ms: clock::utc_ms(),
        })
    }

    pub(super) fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(64);
        let mut busy = false;
        // Calls of the previous program have repeated their questions.
        self.give();
        while !self.stopping {
            let patience = self.patience();
            if patience != Some(Duration::ZERO) {
                self.host.rest();
                let at_rest = self.switch.poll_timeout().is_none();
                // Without calls and transactions, nothing waits for this thread.
                if busy && at_rest {
                    allocator::give_back();
                }
                busy = !at_rest;
            }
            match self.poll.poll(&mut events, patience) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                if let Some(Some(listener)) = self.listeners.get_mut(event.token().0) {
                    listener.readable = true;
                }
            }
            self.take_world();
            self.switch.set_room_for_records(!self.recorder.is_full());
            self.take_letters();
            self.between = DATAGRAMS_BETWEEN_QUESTIONS;
            for index in 0..self.listeners.len() {
                for _ in 0..DATAGRAMS_PER_TURN {
                    if !self.take_datagram(index) {
                        break;
                    }
                    self.give();
                }
            }
            self.take_timeouts();
        }
        Ok(())
    }

    /// How long the poll may sleep.
    fn patience(&self) -> Option<Duration> {
        if !self.paused && self.listeners.iter().flatten().any(|listener| listener.readable) {
            return Some(Duration::ZERO);
        }
        let kept = self.decisions.as_ref().and_then(DecisionTap::due);
        let next = [self.switch.poll_timeout(), kept].into_iter().flatten().min();
        next.map(|at| at.saturating_duration_since(Instant::now()))
    }

    fn take_world(&mut self) {
        let published = self.published.load();
        if !Arc::ptr_eq(&published, &self.world) {
            let world = Arc::clone(&published);
            drop(published);
            self.host.warm_current();
            self.switch.set_world(clock::now(), world.clone());
            self.classifier.set_facts(Arc::clone(&world.facts));
            self.world = world;
        }
    }

    fn take_letters(&mut self) {
        self.inbox.open();
        while let Some(letter) = self.inbox.take() {
            match letter {
                Letter::Datagram(Arrived { flow, standing, at_ms }, datagram) => {
                    let now = self.note_wait(Some(at_ms));
                    self.switch.receive(now, flow, standing, &datagram, &mut self.media);
                    self.give();
                }
                Letter::Media(call, Report::Lost) => {
                    self.switch.fail_call(clock::now(), call, &mut self.media);
                    self.give();
                }
                Letter::Media(call, Report::Event(event)) => {
                    self.switch.media_event(clock::now(), call, event, &mut self.media);
                    self.give();
                }
                Letter::Unreachable(flow) => {
                    self.switch.transport_error(clock::now(), flow, &mut self.media);
                    self.give();
                }
                Letter::Command(command) => self.obey(command),
                Letter::Answer(Answer { ask, mark, reply }) => {
                    self.answer(&ask, mark, reply);
                    self.give();
                }
            }
        }
    }

    /// Passes the next datagram of a listener to its owner; `false` if there is none.
    fn take_datagram(&mut self, index: usize) -> bool {
        let Some(Some(listener)) = self.listeners.get_mut(index) else { return false };
        if self.paused || !listener.readable {
            return false;
        }
        match arrival::receive(&listener.socket, &mut self.buffer, &mut self.notes) {
            Ok(arrival) => {
                let datagram = &self.buffer[..arrival.length];
                // RFC 5626 section 3.5.1: a CRLF keep-alive for NATs.
                if datagram.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                    return true;
                }
                let Ok(listener) = u16::try_from(index) else { return false };
                let flow = Flow::datagram(listener, arrival.remote);
                let Some(standing) = self.classifier.standing(Instant::now(), flow) else {
                    self.switch.turn_away();
                    return true;
                };
                let owner = shard_of(datagram, self.shards);
                match self.mailboxes.get(usize::from(owner)) {
                    Some(mailbox) if owner != self.number => {
                        let at_ms = arrival.at_ms.unwrap_or_else(clock::utc_ms);
                        mailbox.hand_over(Arrived { flow, standing, at_ms }, datagram);
                    }
                    _ => {
                        let now = self.note_wait(arrival.at_ms);
                        let datagram = &self.buffer[..arrival.length];
                        self.switch.receive(now, flow, standing, datagram, &mut self.media);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => listener.readable = false,
            // An error of an earlier datagram; the next read is a new one.
            Err(error) => {
                tracing::debug!(shard = self.number, %error, "receive failed");
                self.take_errors(index);
            }
        }
        true
    }

    /// After a long question, calls that arrived meanwhile get their 100 before the next question
    /// (SIG-14).
    fn take_who_waits(&mut self) {
        while self.between > 0
            && let Some((arrived, datagram)) = self.inbox.take_datagram()
        {
            let Arrived { flow, standing, at_ms } = arrived;
            let now = self.note_wait(Some(at_ms));
            self.switch.receive(now, flow, standing, &datagram, &mut self.media);
            self.after_one_between();
        }
        for index in 0..self.listeners.len() {
            if let Some(listener) = &mut self.listeners[index] {
                listener.readable = true;
            }
            while self.between > 0 && self.take_datagram(index) {
                self.after_one_between();
            }
        }
    }

    fn after_one_between(&mut self) {
        self.between -= 1;
        while let Some(transmit) = self.switch.poll_transmit() {
            self.transmit(transmit.flow, &transmit.bytes);
        }
    }

    fn take_timeouts(&mut self) {
        let now = clock::now();
        if let Some(decisions) = &mut self.decisions
            && decisions.due().is_some_and(|at| at <= now.instant)
        {
            decisions.hand_over();
        }
        if self.switch.poll_timeout().is_some_and(|at| at <= now.instant) {
            self.switch.handle_timeout(now, &mut self.media);
            self.give();
        }
    }

    /// Records how long a datagram that arrived at `arrived_ms` has waited; returns the time.
    fn note_wait(&mut self, arrived_ms: Option<u64>) -> Now {
        let now = clock::now();
        // Datagrams from before the shard's start waited for the program, not for the shard.
        let waited = |at: u64| if at < self.began_ms { 0 } else { now.utc_ms.saturating_sub(at) };
        let waited_ms = arrived_ms.map_or(0, waited);
        self.inbox.counters().waited_ms.store(waited_ms, Ordering::Relaxed);
        if let Some(too_long) = self.queue.waited(self.number, waited_ms) {
            self.inbox.counters().overloads.fetch_add(u64::from(too_long), Ordering::Relaxed);
            self.switch.set_overloaded(too_long);
        }
        now
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Calls(reply) => {
                let _ = reply.send(self.switch.calls().collect());
            }
            Command::Look(id, reply) => {
                let _ = reply.send(self.switch.call(id));
            }
            // The next program would not know of it.
            Command::Place(_, reply) if self.paused => {
                let _ = reply.send(Err(NotPlaced::Closed(HANDING_OVER)));
            }
            Command::Place(test, reply) => {
                let placed = self.switch.place(clock::now(), test, &mut self.media);
                self.give();
                let _ = reply.send(placed);
            }
            Command::HangUp(id, reply) => {
                let found = self.switch.hangup(clock::now(), id, &mut self.media);
                self.give();
                let _ = reply.send(found);
            }
            Command::Cut(account) => {
                self.switch.cut_account(clock::now(), account);
            }
            Command::TakeWorld(reply) => {
                self.take_world();
                let _ = reply.send(());
            }
            Command::Drain => self.switch.drain(),
            #[cfg(test)]
            Command::Fail => panic!("a deliberate fault"),
            Command::HangUpAll => {
                for key in self.switch.call_keys() {
                    self.switch.hangup_call(clock::now(), key, &mut self.media);
                    self.give();
                }
            }
            Command::Read(reply) => {
                let mut counters = self.switch.counters();
                let turned_away = self.inbox.counters().turned_away.load(Ordering::Relaxed);
                counters.datagrams_in += turned_away;
                counters.unknown_source += turned_away;
                let _ = reply.send(ShardReading {
                    counters,
                    calls: self.switch.call_count(),
                    transactions: self.switch.transactions(),
                });
            }
            Command::CloseAll => {
                self.switch.close_all(clock::now(), &mut self.media);
                self.give();
            }
            Command::Pause(reply) => {
                self.paused = true;
                let _ = reply.send(());
            }
            Command::WriteDown(reply) => {
                let _ = reply.send(self.write_down());
            }
            Command::Stop => {
                self.switch.close_all_unrated(clock::now(), &mut self.media);
                self.give();
                self.stopping = true;
            }
        }
    }

    /// Serializes the calls for the next program.
    fn write_down(&mut self) -> Option<WrittenShard> {
        self.give();
        let now = clock::now();
        let calls = self.switch.calls().map(|call| call.id).collect();
        match self.switch.write_down(now, &mut self.media) {
            Ok(written) => Some(WrittenShard { calls, written, at: now.instant }),
            Err(error) => {
                tracing::error!(shard = self.number, %error, "ALARM internal_error: they are ended");
                None
            }
        }
    }

    /// Processes the machine's outputs in order until there are none.
    pub(super) fn give(&mut self) {
        while let Some(output) = self.switch.poll_output() {
            match output {
                Output::Transmit(transmit) => self.transmit(transmit.flow, &transmit.bytes),
                Output::Ask(ask) => {
                    let context = Context { pin: &ask.pin, details: ask.details.as_ref() };
                    let mark = ask.pin.notes.mark();
                    match self.host.begin(context, &ask.question) {
                        Asked::Now(reply) => {
                            let long = u128::from(reply.nanos) > LONG_QUESTION.as_nanos();
                            self.answer(&ask, mark, reply);
                            if long {
                                self.take_who_waits();
                            }
                        }
                        // Nobody takes the reply to an event.
                        Asked::Later(later) if ask.ticket == 0 && self.decisions.is_none() => {
                            later.tell();
                        }
                        // Only this call waits, or for an event the decision log.
                        Asked::Later(later) => {
                            let own = self.mailboxes[usize::from(self.number)].clone();
                            let mut ask = Box::new(ask);
                            if ask.ticket == 0 {
                                // What the call holds must be free at its end, even if the event
                                // still waits; the log needs the values that it kept.
                                ask.pin.notes = Arc::new(ask.pin.notes.copy());
                            }
                            later.then(move |reply| own.answer(Answer { ask, mark, reply }));
                        }
                    }
                }
                Output::Document(document) => self.recorder.submit(document),
                Output::Outcome(Outcome { pin, call, outcome }) => {
                    self.host.note_outcome(&pin, call, &outcome);
                }
            }
        }
    }

    fn answer(&mut self, ask: &Ask, mark: NotesMark, reply: Reply) {
        let now: Now = clock::now();
        if let Some(decisions) = &mut self.decisions {
            let context = Context { pin: &ask.pin, details: ask.details.as_ref() };
            let (at_ms, question, reply) = (now.utc_ms, &ask.question, &reply);
            decisions.record(now.instant, &Decided { at_ms, mark, context, question, reply });
        }
        self.switch.answer(now, ask.call, ask.ticket, reply, &mut self.media);
    }

    fn transmit(&mut self, flow: Flow, bytes: &[u8]) {
        let mut sent = self.send(flow, bytes);
        let mut of_another = false;
        if sent.as_ref().is_err_and(|error| !is_full(error)) {
            // Mostly an error of an earlier datagram, reported by this call.
            self.take_errors(usize::from(flow.listener));
            sent = self.send(flow, bytes);
            of_another = sent.is_err() && self.take_errors(usize::from(flow.listener));
        }
        let Err(error) = sent else { return };
        self.inbox.counters().send_errors.fetch_add(1, Ordering::Relaxed);
        // A full buffer loses the datagram, and the transaction retransmits it (RFC 3261 section
        // 17); any other error means that the peer is unreachable (SIG-24).
        if !is_full(&error) && !of_another {
            tracing::debug!(remote = %flow.remote, %error, "send failed");
            self.switch.transport_error(clock::now(), flow, &mut self.media);
        }
    }

    fn send(&self, flow: Flow, bytes: &[u8]) -> io::Result<usize> {
        match (self.listeners.get(usize::from(flow.listener)), &self.streams) {
            (Some(Some(listener)), _) => listener.socket.send_to(bytes, flow.remote),
            (Some(None), Some(streams)) => {
                streams.send(flow, bytes);
                Ok(bytes.len())
            }
            _ => Ok(0),
        }
    }

    /// Handles ICMP errors for datagrams from this listener (SIG-24); `false` if there are none.
    /// The kernel chooses the socket of a shared port by the peer's address, so the transaction may
    /// belong to another shard.
    fn take_errors(&mut self, index: usize) -> bool {
        let Some(Some(listener)) = self.listeners.get(index) else { return false };
        let mut gone = Vec::new();
        let any = icmp::take(&listener.socket, |remote| gone.push(remote));
        let Ok(listener) = u16::try_from(index) else { return any };
        for flow in gone.into_iter().map(|remote| Flow::datagram(listener, remote)) {
            tracing::debug!(remote = %flow.remote, "unreachable");
            for (shard, mailbox) in self.mailboxes.iter().enumerate() {
                if shard == usize::from(self.number) {
                    self.switch.transport_error(clock::now(), flow, &mut self.media);
                } else {
                    mailbox.tell_unreachable(flow);
                }
            }
        }
        any
    }
}

/// Whether a datagram was refused because too many wait: in the socket's buffer or in the network
/// card's queue, which the kernel reports with `IP_RECVERR`.
fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || Errno::from_io_error(error) == Some(Errno::NOBUFS)
}
