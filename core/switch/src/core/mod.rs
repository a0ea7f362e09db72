//! Everything of a shard except its calls: identifies callers, answers requests that belong to no
//! call, and keeps the tables that calls share.

mod authentication;
pub(crate) mod ingress;
mod ops;
mod refusal;

use crate::foreign::{Foreign, ForeignCalls};
use crate::intake::Intake;
use crate::io::{Counters, Output, World};
use crate::shard::{CallIds, CallKey};
use crate::strangers::{Budget, Strangers};
use foldhash::{HashMap, HashSet};
use ingress::Entered;
use live::Live;
use ops::{Farewells, Names};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use sip::Transactions;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Settings of a shard.
#[derive(Clone, Debug)]
pub struct SwitchSettings {
    /// This shard, from 0.
    pub shard: u16,
    /// Number of shards, at least 1.
    pub shards: u16,
    /// Seed of tags, branches and ids: from the operating system in the program, fixed in tests.
    pub seed: [u8; 32],
    /// State that all shards share.
    pub live: Live,
    /// Budgets and lockouts of strangers, the same for all shards.
    pub strangers: Arc<Strangers>,
    /// Peers that no trunk names; the same for all shards.
    pub foreign: Arc<Foreign>,
}

/// The call and leg that a transaction or one of our tags belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) call: CallKey,
    /// Number of the leg in its call.
    pub(crate) leg: u16,
}

/// Everything of the shard except the calls, so that a call can be borrowed at the same time.
pub(crate) struct Core {
    pub(crate) settings: SwitchSettings,
    pub(crate) transactions: Transactions<Owner>,
    pub(crate) rng: StdRng,
    pub(crate) world: Arc<World>,
    pub(crate) counters: Counters,
    pub(crate) intake: Intake,
    pub(crate) ids: CallIds,
    pub(crate) names: Names,
    pub(crate) outputs: VecDeque<Output>,
    /// BYEs that may be challenged.
    pub(crate) farewells: Farewells,
    /// The leg of each of our tags.
    pub(crate) tags: HashMap<u64, Owner>,
    /// INVITEs of the current calls, by the parts that a forking proxy does not change.
    pub(crate) callers: HashSet<u64>,
    /// Calls by their payers: accounts and the resellers above them.
    pub(crate) payers: BTreeSet<(u32, CallKey)>,
    /// Accounts whose calls are being ended, and since when.
    pub(crate) cutting: VecDeque<(Instant, u32)>,
    /// The sender of the INVITE that is being passed to the transactions.
    pub(crate) entered: Option<Entered>,
    /// Remaining refusals of each customer trunk; 0: known addresses without a trunk.
    pub(crate) refusals: HashMap<u32, Budget>,
    /// Calls with a peer that wants its requests at an address that no trunk names.
    pub(crate) foreign: ForeignCalls,
    /// When each call wants [`Call::on_timeout`]: one entry for each call with a timer.
    pub(crate) deadlines: BTreeSet<(Instant, CallKey)>,
    pub(crate) next_key: u64,
}

/// How long a transaction may resend (SIG-21, window W).
pub(crate) const WINDOW: Duration = Duration::from_secs(32);

impl Core {
    /// The tables of a shard without calls.
    pub(crate) fn new(settings: SwitchSettings, world: Arc<World>) -> Core {
        let mut rng = StdRng::from_seed(settings.seed);
        Core {
            transactions: Transactions::with_secret(rng.random()),
            rng,
            world,
            counters: Counters::default(),
            intake: Intake::default(),
            ids: CallIds::default(),
            names: Names::default(),
            outputs: VecDeque::new(),
            farewells: Farewells::default(),
            tags: HashMap::default(),
            callers: HashSet::default(),
            payers: BTreeSet::new(),
            cutting: VecDeque::new(),
            entered: None,
            refusals: HashMap::default(),
            foreign: ForeignCalls::new(Arc::clone(&settings.foreign)),
            deadlines: BTreeSet::new(),
            next_key: 1,
            settings,
        }
    }

    /// A new, unique key.
    pub(crate) fn new_key(&mut self) -> CallKey {
        let key = CallKey(self.next_key);
        self.next_key += 1;
        key
    }
}
