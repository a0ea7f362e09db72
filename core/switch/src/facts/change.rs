//! The facts of the next snapshot: the previous facts with one object changed.

use super::{Account, CustomerTrunk, Facts, RouteEntry, VendorTrunk};
use ledger::{LayeredTable, PrefixTable, RateDeck};
use std::sync::Arc;

/// An object that is added or replaces the one with its id, or an id to remove. Removing an absent
/// object is allowed.
#[derive(Clone, Debug)]
pub enum Change {
    /// An account.
    Account(Arc<Account>),
    /// The id of a removed account.
    NoAccount(u32),
    /// A customer trunk.
    Customer(Arc<CustomerTrunk>),
    /// The id of a removed customer trunk.
    NoCustomer(u32),
    /// A vendor trunk; routes follow its prefixes.
    Vendor(Arc<VendorTrunk>),
    /// The id of a removed vendor trunk.
    NoVendor(u32),
    /// A deck, by the number that accounts refer to.
    Deck(u32, Arc<RateDeck>),
    /// The number of a removed deck.
    NoDeck(u32),
}

impl Facts {
    /// These facts with one object changed. Everything else is shared, so this takes microseconds
    /// for any number of objects. Still, do not call it on a thread that carries calls.
    #[must_use]
    pub fn with(&self, change: Change) -> Facts {
        let mut next = self.clone();
        next.apply(change);
        next
    }

    /// Changes one object in these facts. Their clones do not change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Account(account) => drop(self.accounts.insert(account.id, account)),
            Change::NoAccount(id) => drop(self.accounts.remove(&id)),
            Change::Customer(trunk) => self.put_customer(trunk),
            Change::NoCustomer(id) => {
                if let Some(trunk) = self.customers.remove(&id) {
                    self.sources.change_customer(Some(&trunk), None);
                }
            }
            Change::Vendor(trunk) => {
                let now = Arc::clone(&trunk);
                let before = self.put_vendor(trunk);
                let before = before.as_deref();
                if before.is_none_or(|before| before.prefixes != now.prefixes) {
                    self.change_routes(before, Some(&now));
                }
            }
            Change::NoVendor(id) => {
                if let Some(trunk) = self.vendors.remove(&id) {
                    self.sources.change_vendor(Some(&trunk), None);
                    self.change_routes(Some(&trunk), None);
                }
            }
            Change::Deck(number, deck) => drop(self.decks.insert(number, deck)),
            Change::NoDeck(number) => drop(self.decks.remove(&number)),
        }
    }

    /// Adds many trunks at once, as for a whole business. Afterwards the routes have no changes to
    /// fold ([`Facts::needs_fold`]).
    pub fn fill(
        &mut self,
        customers: impl IntoIterator<Item = Arc<CustomerTrunk>>,
        vendors: impl IntoIterator<Item = Arc<VendorTrunk>>,
    ) {
        customers.into_iter().for_each(|trunk| self.put_customer(trunk));
        vendors.into_iter().for_each(|trunk| drop(self.put_vendor(trunk)));
        self.fold();
    }

    /// Whether so many prefixes have changed that [`Facts::fold`] pays off. Routes are found either
    /// way, but changes of vendor trunks get slower and slower.
    #[must_use]
    pub fn needs_fold(&self) -> bool {
        self.routes.needs_fold()
    }

    /// Rebuilds the routes from all vendor trunks, which takes as long as for a whole business.
    pub fn fold(&mut self) {
        let mut vendors: Vec<&Arc<VendorTrunk>> = self.vendors.values().collect();
        vendors.sort_unstable_by_key(|trunk| trunk.id);
        let mut lists: PrefixTable<Vec<RouteEntry>> = PrefixTable::new();
        for trunk in vendors {
            for (prefix, entry) in entries(trunk) {
                lists.entry(prefix).push(entry);
            }
        }
        let mut routes: PrefixTable<Arc<[RouteEntry]>> =
            lists.iter().map(|(prefix, list)| (prefix, Arc::from(&**list))).collect();
        routes.compact();
        self.routes = LayeredTable::new(routes);
    }

    fn put_customer(&mut self, trunk: Arc<CustomerTrunk>) {
        let before = self.customers.insert(trunk.id, Arc::clone(&trunk));
        self.sources.change_customer(before.as_deref(), Some(&trunk));
    }

    /// Adds the trunk without its routes; returns the trunk that it replaced.
    fn put_vendor(&mut self, trunk: Arc<VendorTrunk>) -> Option<Arc<VendorTrunk>> {
        let before = self.vendors.insert(trunk.id, Arc::clone(&trunk));
        self.sources.change_vendor(before.as_deref(), Some(&trunk));
        before
    }

    fn change_routes(&mut self, before: Option<&VendorTrunk>, now: Option<&VendorTrunk>) {
        for (prefix, entry) in before.into_iter().flat_map(entries) {
            let list = self.routes.get(prefix).map(|list| &**list).unwrap_or_default();
            let rest = list.iter().copied().filter(|other| other.trunk != entry.trunk);
            let rest: Arc<[RouteEntry]> = rest.collect();
            self.routes.set(prefix, Some(rest).filter(|rest| !rest.is_empty()));
        }
        for (prefix, entry) in now.into_iter().flat_map(entries) {
            let list = self.routes.get(prefix).map(|list| &**list).unwrap_or_default();
            // After those with a lower id, the order that [`Facts::fill`] makes.
            let at = list.partition_point(|other| other.trunk <= entry.trunk);
            let (lower, higher) = list.split_at(at);
            self.routes.set(prefix, Some([lower, &[entry], higher].concat().into()));
        }
    }
}

/// The routes of a vendor trunk.
fn entries(trunk: &VendorTrunk) -> impl Iterator<Item = (&str, RouteEntry)> {
    trunk.prefixes.iter().map(|listed| {
        let (priority, extend) = (listed.priority, listed.extend);
        (&*listed.prefix, RouteEntry { trunk: trunk.id, priority, extend })
    })
}

#[cfg(test)]
mod tests;
