//! Limits of simultaneous calls and of new calls per second at each level (SEC-10 to SEC-12,
//! BILL-51): all are taken together at admission, and the channels are returned at the end.

use super::{Call, Cx};
use crate::core::Core;
use crate::facts::{Rate, VendorTrunk};
use crate::reason::name;
use compact_str::format_compact;
use ledger::Text;
use live::{Holder, Live};
use smallvec::SmallVec;
use std::time::Instant;

/// A limit that has been reached.
pub(super) struct Reached {
    pub(super) reason: &'static str,
    /// The holder of the limit and its value.
    pub(super) detail: Text,
    /// The node's own limit: its peers are told when to come again.
    pub(super) of_node: bool,
}

/// One level that a call counts at.
struct Level {
    of: Holder,
    channels: u32,
    rate: Rate,
}

impl Cx<'_> {
    pub(super) fn live(&self) -> &Live {
        &self.core.settings.live
    }

    /// Takes a channel of a vendor trunk for an attempt; if there is none, returns the attempt's
    /// end reason.
    pub(super) fn take_vendor_channel(&self, vendor: &VendorTrunk) -> Result<(), &'static str> {
        let (live, of) = (self.live(), Holder::Vendor(vendor.id));
        if !live.channels.take(of, vendor.channels) {
            return Err(name::CONCURRENCY_LIMIT);
        }
        if !live.rates.take(of, vendor.rate, self.now.instant) {
            live.channels.release(of);
            return Err(name::CPS_LIMIT);
        }
        Ok(())
    }

    pub(super) fn release_vendor_channel(&self, vendor: &VendorTrunk) {
        self.live().channels.release(Holder::Vendor(vendor.id));
    }
}

impl Call {
    /// The levels, from the narrowest to the node. A call that we placed counts only at the node.
    fn levels(&self) -> SmallVec<[Level; 4]> {
        let mut levels = SmallVec::new();
        if self.placed.is_none() {
            let customer = &self.customer;
            levels.push(Level {
                of: Holder::Customer(customer.id),
                channels: customer.channels,
                rate: customer.rate,
            });
            levels.extend(self.world.payers(&self.account).map(|account| Level {
                of: Holder::Account(account.id),
                channels: account.channels,
                rate: account.rate,
            }));
        }
        let settings = &self.world.settings;
        let (channels, rate) = (settings.channels, settings.rate);
        levels.push(Level { of: Holder::Node, channels, rate });
        levels
    }

    /// A level in words.
    fn level_name(&self, of: Holder) -> Text {
        match of {
            Holder::Node => "node".into(),
            Holder::Customer(_) => format_compact!("customer trunk {}", self.customer.name),
            Holder::Vendor(id) => format_compact!("vendor trunk {id}"),
            Holder::Account(id) => {
                let name = self.world.accounts.get(&id).map_or("", |account| &account.name);
                format_compact!("account {name}")
            }
        }
    }

    /// Enters the call into the shard's table of payers.
    pub(super) fn enter_payers(&self, core: &mut Core) {
        if self.placed.is_none() && self.channel_taken {
            let payers = self.world.payers(&self.account);
            core.payers.extend(payers.map(|account| (account.id, self.key)));
        }
    }

    /// Removes it from the table.
    pub(super) fn leave_payers(&self, core: &mut Core) {
        if self.placed.is_none() {
            for account in self.world.payers(&self.account) {
                core.payers.remove(&(account.id, self.key));
            }
        }
    }

    /// Takes a channel at every level, or at none.
    pub(super) fn take_channels(&mut self, live: &Live, now: Instant) -> Result<(), Reached> {
        let levels = self.levels();
        for (at, Level { of, channels, rate }) in levels.iter().enumerate() {
            let full = !live.channels.take(*of, *channels);
            let fast = !full && !live.rates.take(*of, *rate, now);
            if !full && !fast {
                continue;
            }
            let taken = if full { at } else { at + 1 };
            levels.iter().take(taken).for_each(|level| live.channels.release(level.of));
            let whose = self.level_name(*of);
            let (reason, detail) = if full {
                (name::CONCURRENCY_LIMIT, format_compact!("{whose} has {channels}"))
            } else {
                let rate = f64::from(rate.per_mille) / 1000.0;
                (name::CPS_LIMIT, format_compact!("{whose} has {rate} calls a second"))
            };
            return Err(Reached { reason, detail, of_node: *of == Holder::Node });
        }
        self.channel_taken = true;
        Ok(())
    }

    /// Takes the channels that the call had in another machine, even beyond a limit that was
    /// lowered since: limits apply to new calls.
    pub(super) fn take_channels_again(&self, live: &Live) {
        for attempt in &self.attempts {
            let _taken = live.channels.take(Holder::Vendor(attempt.vendor.id), 0);
        }
        if self.channel_taken {
            for level in self.levels() {
                let _taken = live.channels.take(level.of, 0);
            }
        }
    }

    /// Frees the channels of a call that moves to another machine.
    pub(super) fn leave_channels(&self, live: &Live) {
        for attempt in &self.attempts {
            live.channels.release(Holder::Vendor(attempt.vendor.id));
        }
        if self.channel_taken {
            self.levels().iter().for_each(|level| live.channels.release(level.of));
        }
    }

    pub(super) fn release_channels(&mut self, cx: &Cx<'_>) {
        if std::mem::take(&mut self.channel_taken) {
            self.levels().iter().for_each(|level| cx.live().channels.release(level.of));
        }
    }
}
