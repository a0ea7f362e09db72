//! Two layers, joined by a link that loses, duplicates and reorders, from one seed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use strowger_sip::{
    Dialog, Flow, Message, MessageBuilder, Method, ResendSchedule, Tag, TransactionEvent,
    TransactionId, Transactions,
};

const CALLS: usize = 60;

/// The link's faults.
#[derive(Clone, Copy, Debug)]
struct Faults {
    /// Per cent lost.
    loss: u32,
    /// Per cent duplicated.
    doubled: u32,
    /// Longest delay, ms; different delays reorder.
    delay: u64,
}

/// Both sides, the link and its clock.
struct World {
    now: Instant,
    rng: SmallRng,
    faults: Faults,
    schedule: Arc<ResendSchedule>,
    sides: [Transactions; 2],
    /// Arrival, receiving side, datagram.
    link: Vec<(Instant, usize, Arc<[u8]>)>,
    /// The calling side's INVITEs.
    invites: HashMap<TransactionId, Vec<u8>>,
    /// The called side's final responses to be sent later.
    answers: Vec<(Instant, TransactionId, u16, Vec<u8>)>,
    /// When the calling side loses patience with a ringing INVITE (SIG-19).
    patience: Vec<(Instant, TransactionId)>,
    /// How each client transaction ended.
    ended: HashMap<TransactionId, &'static str>,
    /// How each 2xx of the called side ended.
    accepted: HashMap<TransactionId, &'static str>,
}

const CALLER: usize = 0;
const CALLED: usize = 1;

impl World {
    fn new(seed: u64, faults: Faults) -> World {
        World {
            now: Instant::now(),
            rng: SmallRng::seed_from_u64(seed),
            faults,
            schedule: Arc::new(ResendSchedule::standard()),
            sides: [Transactions::with_secret([1; 16]), Transactions::with_secret([2; 16])],
            link: Vec::new(),
            invites: HashMap::new(),
            answers: Vec::new(),
            patience: Vec::new(),
            ended: HashMap::new(),
            accepted: HashMap::new(),
        }
    }

    fn via(&mut self) -> String {
        format!("SIP/2.0/UDP 198.51.100.1;branch={};rport", strowger_sip::new_branch(&mut self.rng))
    }

    fn call(&mut self, number: usize) {
        let method = if self.rng.random_ratio(3, 4) { Method::Invite } else { Method::Options };
        let bytes = MessageBuilder::request(&method, "sip:called@192.0.2.9")
            .header("Via", self.via())
            .header("Max-Forwards", 70)
            .header("From", format_args!("<sip:c@198.51.100.1>;tag={}", Tag::new(&mut self.rng)))
            .header("To", "<sip:called@192.0.2.9>")
            .header("Call-ID", format_args!("call-{number}"))
            .header("CSeq", format_args!("1 {}", method.as_str()))
            .header("Contact", "<sip:c@198.51.100.1>")
            .finish();
        let flow = flow_to(CALLED);
        let id = self.sides[CALLER].request(self.now, flow, bytes.clone(), &self.schedule);
        if method == Method::Invite {
            self.invites.insert(id, bytes);
        } else {
            self.ended.entry(id).or_insert("running");
        }
    }

    /// Puts the messages of both sides on the link.
    fn carry(&mut self) {
        for side in [CALLER, CALLED] {
            while let Some(transmit) = self.sides[side].poll_transmit() {
                let copies = 1 + u32::from(self.rng.random_ratio(self.faults.doubled, 100));
                for _ in 0..copies {
                    if !self.rng.random_ratio(self.faults.loss, 100) {
                        let delay = self.rng.random_range(0..=self.faults.delay);
                        let arrival = self.now + Duration::from_millis(delay);
                        self.link.push((arrival, 1 - side, Arc::clone(&transmit.bytes)));
                    }
                }
            }
        }
    }

    fn users(&mut self) {
        while let Some(event) = self.sides[CALLER].poll_event() {
            self.caller_hears(event);
        }
        while let Some(event) = self.sides[CALLED].poll_event() {
            self.called_hears(event);
        }
    }

    fn caller_hears(&mut self, event: TransactionEvent) {
        match event {
            TransactionEvent::Response { id, flow, message, .. } => match message.status() {
                0..200 => {
                    // Some callers hang up while it rings, the others after a minute.
                    let seconds = if self.rng.random_ratio(1, 4) { 0 } else { 60 };
                    self.patience.push((self.now + Duration::from_secs(seconds), id));
                }
                200..300 if *message.method() == Method::Invite => {
                    let invite = &self.invites[&id];
                    let dialog = Dialog::uac(&Message::parse(invite).unwrap(), &message);
                    let ack = dialog.ack(1).header("Via", self.via()).finish();
                    self.sides[CALLER].ack(self.now, id, flow, ack);
                    assert_eq!(self.ended.insert(id, "answered"), None, "reported once");
                }
                _ => {
                    let before = self.ended.insert(id, "refused");
                    assert!(matches!(before, None | Some("running")), "{before:?}");
                }
            },
            TransactionEvent::TimedOut { id, .. } => {
                self.ended.insert(id, "timed out");
            }
            other => panic!("the caller cannot hear {other:?}"),
        }
    }

    fn called_hears(&mut self, event: TransactionEvent) {
        match event {
            TransactionEvent::Request { id, message, .. } => {
                let tag = Tag::new(&mut self.rng).to_string();
                let answer = |status| {
                    MessageBuilder::response_to(&message, status, "Because")
                        .to_tag(&tag)
                        .header("Contact", "<sip:called@192.0.2.9>")
                        .finish()
                };
                if *message.method() != Method::Invite {
                    self.sides[CALLED].respond(self.now, id, 200, answer(200));
                    return;
                }
                self.sides[CALLED].respond(self.now, id, 180, answer(180));
                let status = if self.rng.random_bool(0.5) { 200 } else { 486 };
                let moment = self.now + Duration::from_millis(self.rng.random_range(0..20_000));
                self.answers.push((moment, id, status, answer(status)));
                self.answers.push((moment, id, 487, answer(487)));
            }
            TransactionEvent::Cancelled { invite, .. } => {
                let is_487 = |answer: &&(_, TransactionId, u16, Vec<u8>)| {
                    answer.1 == invite && answer.2 == 487
                };
                let (_, _, status, bytes) = self.answers.iter().find(is_487).unwrap().clone();
                self.answers.retain(|answer: &(Instant, _, _, _)| answer.1 != invite);
                self.sides[CALLED].respond(self.now, invite, status, bytes);
            }
            TransactionEvent::Acknowledged { invite, .. } => {
                assert_eq!(self.accepted.insert(invite, "acknowledged"), Some("waiting"));
            }
            TransactionEvent::TimedOut { id, .. } => {
                assert_eq!(self.accepted.insert(id, "timed out"), Some("waiting"));
            }
            other => panic!("the called side cannot hear {other:?}"),
        }
    }

    /// The decisions of both sides at this moment.
    fn decide(&mut self) {
        for (_, id) in self.patience.extract_if(.., |(moment, _)| *moment <= self.now) {
            self.sides[CALLER].cancel(self.now, id, Some("SIP;cause=487"));
        }
        while let Some(at) = self.answers.iter().position(|answer| answer.0 <= self.now) {
            let (_, id, status, bytes) = self.answers.remove(at);
            self.answers.retain(|answer| answer.1 != id);
            if status == 200 {
                self.accepted.insert(id, "waiting");
            }
            self.sides[CALLED].respond(self.now, id, status, bytes);
        }
    }

    fn next_moment(&self) -> Option<Instant> {
        let timers = self.sides.iter().filter_map(Transactions::poll_timeout);
        let arrivals = self.link.iter().map(|datagram| datagram.0);
        let answers = self.answers.iter().map(|answer| answer.0);
        let patience = self.patience.iter().map(|patience| patience.0);
        timers.chain(arrivals).chain(answers).chain(patience).min()
    }

    /// Runs until no event is left.
    fn run(&mut self) {
        let start = self.now;
        loop {
            self.users();
            self.carry();
            let Some(moment) = self.next_moment() else { break };
            self.now = self.now.max(moment);
            assert!(self.now - start < Duration::from_secs(600), "it does not come to an end");
            for side in &mut self.sides {
                side.handle_timeout(self.now);
            }
            self.decide();
            while let Some(at) = self.link.iter().position(|datagram| datagram.0 <= self.now) {
                let (_, side, bytes) = self.link.swap_remove(at);
                let message = Message::parse(&bytes).unwrap();
                self.sides[side].receive(self.now, flow_to(1 - side), message);
            }
        }
    }
}

fn flow_to(side: usize) -> Flow {
    Flow::datagram(0, ([192, 0, 2, side as u8], 5060).into())
}

fn check(seed: u64, faults: Faults) -> World {
    let mut world = World::new(seed, faults);
    for number in 0..CALLS {
        world.call(number);
    }
    world.run();
    let left: Vec<usize> = world.sides.iter().map(Transactions::len).collect();
    assert_eq!(left, [0, 0], "seed {seed}, {faults:?}: transactions left");
    for id in world.invites.keys() {
        assert!(world.ended.contains_key(id), "seed {seed}: {id:?} did not end");
    }
    for (id, end) in world.ended.iter().chain(&world.accepted) {
        assert!(!matches!(*end, "running" | "waiting"), "seed {seed}: {id:?} is {end}");
    }
    world
}

#[test]
fn without_faults_nothing_times_out_and_little_is_repeated() {
    let world = check(1, Faults { loss: 0, doubled: 0, delay: 20 });
    assert!(world.ended.values().chain(world.accepted.values()).all(|end| *end != "timed out"));
    assert_eq!(world.sides[CALLER].retransmissions(), 0);
}

#[test]
fn over_a_lossy_link_every_transaction_ends_and_both_sides_are_empty() {
    for seed in 0..40 {
        check(seed, Faults { loss: 20, doubled: 10, delay: 300 });
    }
}

#[test]
fn over_a_dreadful_link_too() {
    for seed in 100..120 {
        check(seed, Faults { loss: 70, doubled: 30, delay: 3000 });
    }
}

#[test]
fn over_a_dead_link_everything_times_out() {
    let world = check(3, Faults { loss: 100, doubled: 0, delay: 0 });
    assert!(world.ended.values().all(|end| *end == "timed out"));
    assert_eq!(world.ended.len(), CALLS);
}

#[test]
fn one_seed_is_one_run() {
    let faults = Faults { loss: 40, doubled: 20, delay: 1000 };
    let outcome = |seed| {
        let world = check(seed, faults);
        let resends = world.sides.each_ref().map(Transactions::retransmissions);
        let mut ended: Vec<_> = world.ended.into_iter().collect();
        ended.sort_unstable();
        (resends, ended)
    };
    assert_eq!(outcome(7), outcome(7));
    assert_ne!(outcome(7), outcome(8));
}
