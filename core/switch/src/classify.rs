//! Decides by the source of a datagram alone who may be heard, before it is parsed, handed to the
//! shard of its call, or put into a transaction (SEC-20).

use crate::facts::Facts;
use crate::foreign::Foreign;
use crate::strangers::{Admission, Strangers, source_of};
use sip::Flow;
use std::sync::Arc;
use std::time::Instant;

/// The rights of a datagram, by its source alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A trunk names its address.
    Known,
    /// A digest user may call from there.
    Stranger {
        /// A user has logged in from there within the last hour.
        proven: bool,
    },
    /// No user may call from there: only messages of our calls and transactions are heard.
    OnlyOurs,
}

/// Decides whose datagrams are heard. Each thread that reads sockets has one; the shards share its
/// data.
#[derive(Clone, Debug)]
pub struct Classifier {
    facts: Arc<Facts>,
    strangers: Arc<Strangers>,
    foreign: Arc<Foreign>,
}

impl Classifier {
    /// A classifier for this configuration.
    #[must_use]
    pub fn new(facts: Arc<Facts>, strangers: Arc<Strangers>, foreign: Arc<Foreign>) -> Classifier {
        Classifier { facts, strangers, foreign }
    }

    /// Switches to another configuration.
    pub fn set_facts(&mut self, facts: Arc<Facts>) {
        self.facts = facts;
    }

    /// The rights of a datagram or message from `flow`; none: drop it. This counts against a
    /// stranger's budget, so call it once per datagram.
    #[must_use]
    pub fn standing(&self, now: Instant, flow: Flow) -> Option<Standing> {
        if self.facts.knows(flow.remote) {
            return Some(Standing::Known);
        }
        // A vendor's name may resolve to another host by now; running calls stay with the old one.
        let ours = self.foreign.is_heard(now) || self.facts.directory.had_host(flow.remote.ip());
        let ours = ours.then_some(Standing::OnlyOurs);
        if !self.facts.admits_users(flow.listener) {
            return ours;
        }
        match self.strangers.admits(source_of(flow.remote), now) {
            Admission::Stranger => Some(Standing::Stranger { proven: false }),
            Admission::Proven => Some(Standing::Stranger { proven: true }),
            Admission::Refused => ours,
        }
    }
}
