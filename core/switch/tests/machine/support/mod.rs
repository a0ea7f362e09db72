//! A world without sockets: the switch, callers and vendors over a network that can lose,
//! duplicate, delay and reorder, all in virtual time from one seed.

pub(crate) mod agent;
pub(crate) mod facts;
pub(crate) mod media;
pub(crate) mod phone;
pub(crate) mod policy;
pub(crate) mod raw;

use ::policy::Reply;
use agent::{Agent, CallerPlan, VendorPlan};
use facts::{CALLER, VENDOR_A, VENDOR_B};
use ledger::{CallDocument, Money, RecordState, Spent};
use live::{Holder, Live};
use media::MemoryMedia;
use phone::Phone;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use strowger_switch::facts::Facts;
use strowger_switch::{
    CallKey, NotPlaced, Now, Output, Strangers, Switch, SwitchSettings, TestCall, World,
};

/// The switch's listener.
pub(crate) const SWITCH: &str = "10.0.0.1:5060";

/// The initial balance of every account, in units of its currency.
pub(crate) const FUNDS: i128 = 100_000;
/// When purses are opened, UTC ms.
const DAY_ONE: u64 = 0;

/// The network's effect on datagrams.
#[derive(Clone, Copy)]
pub(crate) struct Network {
    pub(crate) loss: f64,
    pub(crate) double: f64,
    pub(crate) delay_ms: (u64, u64),
}

impl Network {
    /// Everything arrives once, 1 ms later.
    pub(crate) const PERFECT: Network = Network { loss: 0.0, double: 0.0, delay_ms: (1, 1) };
    /// One in twenty is lost, one in fifty doubled, and up to 300 ms of delay reorders.
    pub(crate) const BAD: Network = Network { loss: 0.05, double: 0.02, delay_ms: (1, 300) };
}

struct Datagram {
    at: Instant,
    order: u64,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Arc<[u8]>,
}

impl PartialEq for Datagram {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Datagram {}
impl PartialOrd for Datagram {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Datagram {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// The whole stage.
pub(crate) struct Stage {
    pub(crate) switch: Switch,
    pub(crate) facts: Arc<Facts>,
    pub(crate) live: Live,
    pub(crate) media: MemoryMedia,
    pub(crate) agents: HashMap<SocketAddr, Agent>,
    pub(crate) phones: BTreeMap<SocketAddr, Phone>,
    pub(crate) finals: Vec<CallDocument>,
    /// How calls went, as the host would be told.
    pub(crate) outcomes: Vec<::policy::CallOutcome>,
    pub(crate) interims: Vec<CallDocument>,
    pub(crate) policy: policy::Policy,
    pub(crate) strangers: Arc<Strangers>,
    /// Every datagram that the switch sent.
    pub(crate) wire: Vec<(Instant, SocketAddr, Arc<[u8]>)>,
    pub(crate) keep_wire: bool,
    rng: StdRng,
    /// Separate, so that changing machines does not affect other random choices.
    rng_of_machines: StdRng,
    generation: u64,
    network: Network,
    flying: BinaryHeap<Reverse<Datagram>>,
    /// Answers that come later, each with its time.
    late: Vec<(Instant, CallKey, u32, Reply)>,
    order: u64,
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    /// The wall clock is set after this time, by this many ms.
    pub(crate) clock_set: Option<(Duration, i64)>,
}

impl Stage {
    pub(crate) fn new(facts: Facts, network: Network, seed: u64) -> Stage {
        let facts = Arc::new(facts);
        let policy = policy::Policy::default();
        let world = Arc::new(World { facts: Arc::clone(&facts), pin: policy::pin(1) });
        let mut rng = StdRng::seed_from_u64(seed);
        let strangers = Arc::new(Strangers::default());
        let live = Live::default();
        let settings = SwitchSettings {
            shard: 0,
            shards: 1,
            seed: rng.random(),
            live: live.clone(),
            strangers: Arc::clone(&strangers),
            foreign: Arc::default(),
        };
        let start = Instant::now();
        for account in facts.accounts().values() {
            let balance = Money(FUNDS * Money::ONE.0);
            live.purses.open(account.id, balance, Spent::default(), account.terms, DAY_ONE);
        }
        Stage {
            switch: Switch::new(settings, world),
            facts,
            live,
            media: MemoryMedia::default(),
            agents: HashMap::new(),
            phones: BTreeMap::new(),
            finals: Vec::new(),
            outcomes: Vec::new(),
            interims: Vec::new(),
            policy,
            strangers,
            wire: Vec::new(),
            keep_wire: true,
            rng,
            rng_of_machines: StdRng::seed_from_u64(seed),
            generation: 1,
            network,
            flying: BinaryHeap::new(),
            late: Vec::new(),
            order: 0,
            now: start,
            start,
            clock_set: None,
        }
    }

    /// Stops the machine and serialises its calls; after `pause` another machine, with another seed
    /// and another plugin generation, continues them.
    pub(crate) fn change_machines(&mut self, pause: Duration) {
        let (written, written_at) = self.write_down();
        self.media.change_machines();
        self.late.clear();
        self.now += pause;
        self.read(&written, written_at);
    }

    /// A machine continues what another one has serialised just now.
    pub(crate) fn take_over(&mut self, written: &[u8]) {
        self.read(written, self.now);
    }

    fn read(&mut self, written: &[u8], written_at: Instant) {
        let (settings, world) = self.next_machine();
        let now = self.clock();
        let read = Switch::read(settings, world, written, written_at, now, &mut self.media);
        self.switch = read.expect("the same configuration");
        self.settle();
    }

    /// The serialised calls and the time; after that the machine has no calls.
    pub(crate) fn write_down(&mut self) -> (Vec<u8>, Instant) {
        self.settle();
        let now = self.clock();
        let written = self.switch.write_down(now, &mut self.media).expect("plain data");
        assert_eq!(self.channels(Holder::Node), 0, "channels that nobody has left");
        (written, self.now)
    }

    /// Sets another configuration for new calls.
    pub(crate) fn reconfigure(&mut self, facts: Facts) {
        self.facts = Arc::new(facts);
        let pin = policy::pin(self.generation);
        self.set_world(Arc::new(World { facts: Arc::clone(&self.facts), pin }));
    }

    /// Sets another world for new calls.
    pub(crate) fn set_world(&mut self, world: Arc<World>) {
        let now = self.clock();
        self.switch.set_world(now, world);
    }

    /// Settings and world of the next machine.
    pub(crate) fn next_machine(&mut self) -> (SwitchSettings, Arc<World>) {
        let settings = SwitchSettings {
            shard: 0,
            shards: 1,
            seed: self.rng_of_machines.random(),
            live: self.live.clone(),
            strangers: Arc::clone(&self.strangers),
            foreign: Arc::default(),
        };
        self.generation += 1;
        let pin = policy::pin(self.generation);
        (settings, Arc::new(World { facts: Arc::clone(&self.facts), pin }))
    }

    /// The balance of an account.
    pub(crate) fn balance(&self, account: u32) -> Money {
        self.standing(account).balance
    }

    /// The standing of an account.
    pub(crate) fn standing(&self, account: u32) -> live::Standing {
        let utc_ms = self.clock().utc_ms;
        self.live.purses.standing(account, utc_ms).expect("an account of the stage")
    }

    /// Sets the balance of an account.
    pub(crate) fn set_balance(&mut self, account: u32, balance: Money) {
        let before = self.balance(account);
        self.live.purses.post(account, balance - before);
    }

    /// Ends the running calls of an account.
    pub(crate) fn cut_account(&mut self, account: u32) {
        self.switch.cut_account(self.clock(), account);
    }

    /// Channels that calls have taken.
    pub(crate) fn channels(&self, of: Holder) -> u32 {
        self.live.channels.active(of)
    }

    /// Adds a caller or a vendor at its address.
    pub(crate) fn add(&mut self, agent: Agent) {
        self.agents.insert(agent.address, agent);
    }

    /// Adds a randomly acting telephone at its address.
    pub(crate) fn add_phone(&mut self, phone: Phone) {
        self.phones.insert(phone.address, phone);
    }

    pub(crate) fn phone(&mut self, address: &str) -> &mut Phone {
        let address: SocketAddr = address.parse().expect("an address");
        self.phones.get_mut(&address).expect("a telephone at this address")
    }

    pub(crate) fn agent(&mut self, address: &str) -> &mut Agent {
        let address: SocketAddr = address.parse().expect("an address");
        self.agents.get_mut(&address).expect("an agent at this address")
    }

    fn clock(&self) -> Now {
        let passed = self.now.duration_since(self.start);
        let set = self.clock_set.filter(|(after, _)| *after <= passed).map_or(0, |(_, by)| by);
        let passed = i64::try_from(passed.as_millis()).expect("a short test");
        Now { instant: self.now, utc_ms: 1_790_000_000_000_u64.saturating_add_signed(passed + set) }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Arc<[u8]>) {
        let copies = match self.rng.random::<f64>() {
            luck if luck < self.network.loss => 0,
            luck if luck < self.network.loss + self.network.double => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let (low, high) = self.network.delay_ms;
            let delay = Duration::from_millis(self.rng.random_range(low..=high));
            self.order += 1;
            self.flying.push(Reverse(Datagram {
                at: self.now + delay,
                order: self.order,
                from,
                to,
                bytes: Arc::clone(&bytes),
            }));
        }
    }

    /// Sends raw bytes to the switch as if from `from`.
    pub(crate) fn inject(&mut self, from: &str, bytes: &[u8]) {
        let from = from.parse().expect("an address");
        self.send(from, SWITCH.parse().expect("an address"), Arc::from(bytes));
    }

    /// The network reports to the switch that `address` is unreachable.
    pub(crate) fn unreachable(&mut self, address: &str) {
        let flow = sip::Flow::datagram(0, address.parse().expect("an address"));
        let now = self.clock();
        self.switch.transport_error(now, flow, &mut self.media);
    }

    /// An operator places a test call.
    pub(crate) fn place(&mut self, test: TestCall) -> Result<u128, NotPlaced> {
        let now = self.clock();
        let placed = self.switch.place(now, test, &mut self.media);
        self.settle();
        placed
    }

    /// An operator ends a call; false if it is not there.
    pub(crate) fn hang_up(&mut self, id: u128) -> bool {
        let now = self.clock();
        let found = self.switch.hangup(now, id, &mut self.media);
        self.settle();
        found
    }

    /// The node stops and waits for no peer any more.
    pub(crate) fn close_all(&mut self) {
        let now = self.clock();
        self.switch.close_all(now, &mut self.media);
        self.settle();
    }

    /// The node stops and waits for nothing any more, not even the charges.
    pub(crate) fn close_all_unrated(&mut self) {
        let now = self.clock();
        self.switch.close_all_unrated(now, &mut self.media);
        self.settle();
    }

    /// The node cannot keep a call.
    pub(crate) fn fail_call(&mut self, call: strowger_switch::CallKey) {
        let now = self.clock();
        self.switch.fail_call(now, call, &mut self.media);
        self.settle();
    }

    /// The relay reports an event of a call.
    pub(crate) fn media_event(&mut self, event: strowger_switch::MediaEvent) {
        let call = *self.media.watched.last().expect("an answered call");
        let now = self.clock();
        self.switch.media_event(now, call, event, &mut self.media);
        self.settle();
    }

    /// Records one call in its current state; false if there is none.
    pub(crate) fn close_one_unrated(&mut self) -> bool {
        let now = self.clock();
        let one = self.switch.close_one_unrated(now, &mut self.media);
        self.settle();
        one
    }

    /// Runs the current actions of the switch and the agents.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.switch.poll_output() {
                quiet = false;
                match output {
                    Output::Transmit(transmit) => {
                        if self.keep_wire {
                            self.wire.push((
                                self.now,
                                transmit.flow.remote,
                                Arc::clone(&transmit.bytes),
                            ));
                        }
                        let from = SWITCH.parse().expect("an address");
                        self.send(from, transmit.flow.remote, transmit.bytes);
                    }
                    Output::Ask(ask) => {
                        let reply = self.policy.answer(&ask.question, ask.details);
                        let delay = match &mut self.policy.delay {
                            Some(delay) => delay(&ask.question),
                            None => Some(Duration::ZERO),
                        };
                        let now = self.clock();
                        match delay {
                            Some(Duration::ZERO) => self.answer(now, ask.call, ask.ticket, reply),
                            Some(delay) => {
                                self.late.push((self.now + delay, ask.call, ask.ticket, reply));
                            }
                            None => {}
                        }
                    }
                    Output::Document(document) => match document.call.state {
                        RecordState::Interim => self.interims.push(*document),
                        RecordState::Final => self.finals.push(*document),
                    },
                    Output::Outcome(told) => self.outcomes.push(told.outcome),
                }
            }
            let switch: SocketAddr = SWITCH.parse().expect("an address");
            let mut sent = Vec::new();
            for agent in self.agents.values_mut() {
                while let Some(bytes) = agent.poll_transmit(self.now) {
                    sent.push((agent.address, bytes));
                }
            }
            for phone in self.phones.values_mut() {
                while let Some(bytes) = phone.poll_transmit() {
                    sent.push((phone.address, bytes));
                }
            }
            // HashMap order must not leak into the run: a seed replays exactly.
            sent.sort_by_key(|(address, _)| *address);
            for (from, bytes) in sent {
                quiet = false;
                self.send(from, switch, bytes);
            }
            if quiet {
                return;
            }
        }
    }

    fn answer(&mut self, now: Now, call: CallKey, ticket: u32, reply: Reply) {
        self.switch.answer(now, call, ticket, reply, &mut self.media);
    }

    fn deliver_late_answers(&mut self) {
        let now = self.clock();
        while let Some(at) = self.late.iter().position(|(due, ..)| *due <= self.now) {
            let (_, call, ticket, reply) = self.late.remove(at);
            self.answer(now, call, ticket, reply);
        }
    }

    fn next_moment(&self) -> Option<Instant> {
        let network = self.flying.peek().map(|Reverse(datagram)| datagram.at);
        let agents = self.agents.values().filter_map(Agent::poll_timeout).min();
        let phones = self.phones.values().filter_map(Phone::poll_timeout).min();
        let late = self.late.iter().map(|(due, ..)| *due).min();
        [network, agents, phones, late, self.switch.poll_timeout()].into_iter().flatten().min()
    }

    /// Nothing runs for so long, as when the operating system gives the machine no time.
    pub(crate) fn stand_still(&mut self, duration: Duration) {
        self.now += duration;
    }

    /// Lets `duration` of virtual time pass.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        while let Some(next) = self.next_moment().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            while let Some(Reverse(datagram)) = self.flying.peek() {
                if datagram.at > self.now {
                    break;
                }
                let Some(Reverse(datagram)) = self.flying.pop() else { break };
                self.deliver(&datagram);
                self.settle();
            }
            self.deliver_late_answers();
            let now = self.clock();
            self.switch.handle_timeout(now, &mut self.media);
            let mut addresses: Vec<SocketAddr> = self.agents.keys().copied().collect();
            addresses.sort();
            for address in addresses {
                if let Some(agent) = self.agents.get_mut(&address) {
                    agent.handle_timeout(self.now);
                }
            }
            for phone in self.phones.values_mut() {
                phone.handle_timeout(self.now);
            }
            self.settle();
        }
        self.now = end;
    }

    fn deliver(&mut self, datagram: &Datagram) {
        if datagram.to == SWITCH.parse::<SocketAddr>().expect("an address") {
            let flow = sip::Flow::datagram(0, datagram.from);
            let now = self.clock();
            match self.switch.classifier().standing(now.instant, flow) {
                Some(standing) => {
                    self.switch.receive(now, flow, standing, &datagram.bytes, &mut self.media);
                }
                None => self.switch.turn_away(),
            }
        } else if let Some(agent) = self.agents.get_mut(&datagram.to) {
            agent.receive(self.now, &datagram.bytes);
        } else if let Some(phone) = self.phones.get_mut(&datagram.to) {
            phone.receive(self.now, &datagram.bytes);
        }
    }

    /// Runs until nothing is left to do; panics after a virtual hour.
    pub(crate) fn run_until_quiet(&mut self) {
        let limit = self.now + Duration::from_secs(3600);
        self.settle();
        while let Some(next) = self.next_moment() {
            assert!(next < limit, "still busy after an hour: {} calls", self.switch.call_count());
            let step = next.saturating_duration_since(self.now);
            self.run(step);
        }
    }

    /// Conditions that hold when all calls are over.
    pub(crate) fn assert_nothing_leaks(&self) {
        assert_eq!(self.switch.call_count(), 0, "calls left");
        assert_eq!(self.switch.transactions(), 0, "transactions left");
        assert_eq!(self.switch.table_entries(), 0, "table entries left");
        assert_eq!(self.media.open_legs(), 0, "media legs left");
        let customers = self.facts.customers().keys().map(Holder::Customer);
        let vendors = self.facts.vendors().keys().map(Holder::Vendor);
        let accounts = self.facts.accounts().keys().map(Holder::Account);
        for of in customers.chain(vendors).chain(accounts).chain([Holder::Node]) {
            assert_eq!(self.channels(of), 0, "channels of {of:?} left");
        }
        for account in self.facts.accounts().keys() {
            let reserved = self.standing(account).reserved;
            assert_eq!(reserved, Money::ZERO, "held of account {account}");
        }
    }
}

/// A caller and two vendors on a perfect network.
pub(crate) fn stage_of(facts: Facts, a: VendorPlan, b: VendorPlan) -> Stage {
    let mut stage = Stage::new(facts, Network::PERFECT, 1);
    stage.add(Agent::new(CALLER, 5));
    stage.add(Agent::vendor(VENDOR_A, a));
    stage.add(Agent::vendor(VENDOR_B, b));
    stage
}

/// The texts of the messages to `address` that begin with `start`.
pub(crate) fn sent(stage: &Stage, address: &str, start: &str) -> Vec<String> {
    let to = |(_, to, bytes): &&(_, std::net::SocketAddr, std::sync::Arc<[u8]>)| {
        to.to_string() == address && bytes.starts_with(start.as_bytes())
    };
    stage.wire.iter().filter(to).map(|w| String::from_utf8_lossy(&w.2).into_owned()).collect()
}

/// The value of a header.
pub(crate) fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let value = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.map(str::trim)
}

/// The caller calls a London number.
pub(crate) fn call(stage: &mut Stage, plan: CallerPlan) {
    let now = stage.now;
    stage.agent(CALLER).invite(now, "4420123", plan);
}

/// A caller who hangs up `seconds` after the answer.
pub(crate) fn hangs_up_after(seconds: u64) -> CallerPlan {
    CallerPlan { hangup: Some(Duration::from_secs(seconds)), ..CallerPlan::default() }
}
