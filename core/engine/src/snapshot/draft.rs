//! A snapshot under construction: of a whole business, or of the previous snapshot and one object.

use super::book::{RuleNames, forget, rename};
use super::{Names, Shared, Snapshot, SnapshotError, trunks};
use business::{CallRate, CustomerTrunk, RuleSet, RunningCalls, VendorTrunk};
use config::Config;
use ledger::Terms;
use live::{Live, Rate};
use policy::Owner;
use std::sync::Arc;
use store::{Loaded, LoadedAccount, LoadedDeck, LoadedTrunk};
use switch::facts::{self, Account, Change, Facts};

/// A stored or removed object.
#[derive(Clone, Copy)]
pub(crate) enum Changed<'a> {
    /// An account, new or changed.
    Account(&'a LoadedAccount),
    /// The id of a removed account.
    NoAccount(u32),
    /// A customer trunk, new or changed.
    Customer(&'a LoadedTrunk<CustomerTrunk>),
    /// The id of a removed customer trunk.
    NoCustomer(u32),
    /// A vendor trunk, new or changed.
    Vendor(&'a LoadedTrunk<VendorTrunk>),
    /// The id of a removed vendor trunk.
    NoVendor(u32),
    /// A deck, new or changed.
    Deck(&'a LoadedDeck),
    /// The name of a removed deck.
    NoDeck(&'a str),
    /// A rule set, new or changed.
    RuleSet(&'a RuleSet),
    /// The name of a removed rule set.
    NoRuleSet(&'a str),
}

/// A snapshot under construction.
pub(super) struct Draft<'a> {
    facts: Facts,
    lookup: super::SnapshotLookup,
    book: super::Book,
    /// The source of unchanged objects.
    before: Arc<Facts>,
    names: Names<'a>,
    live: &'a Live,
    shared: &'a mut Shared,
}

impl<'a> Draft<'a> {
    /// A draft that begins as a snapshot.
    pub(super) fn of(
        snapshot: &Snapshot,
        before: Arc<Facts>,
        config: &'a Config,
        live: &'a Live,
        shared: &'a mut Shared,
    ) -> Draft<'a> {
        Draft {
            facts: Facts::clone(&snapshot.facts),
            lookup: super::SnapshotLookup::clone(&snapshot.lookup),
            book: snapshot.book.clone(),
            before,
            names: Names { config, problems: Vec::new() },
            live,
            shared,
        }
    }

    /// Completes the snapshot.
    ///
    /// # Errors
    /// References of objects that the node file lacks.
    pub(super) fn finish(self) -> Result<Snapshot, SnapshotError> {
        if !self.names.problems.is_empty() {
            return Err(SnapshotError(self.names.problems));
        }
        let (facts, lookup) = (Arc::new(self.facts), Arc::new(self.lookup));
        Ok(Snapshot { facts, lookup, book: self.book })
    }

    /// Adds all objects of a business.
    pub(super) fn fill(&mut self, business: &Loaded) {
        for set in &business.rule_sets {
            self.keep_rules(set);
        }
        for loaded in &business.decks {
            self.put_deck(loaded);
        }
        // Parents may follow their children.
        for loaded in &business.accounts {
            self.book.accounts.insert(loaded.account.name.as_str().into(), loaded.id);
        }
        for loaded in &business.accounts {
            self.put_account(loaded);
        }
        let customers = business.customer_trunks.iter().map(|loaded| self.customer(loaded));
        let customers: Vec<_> = customers.collect();
        let vendors: Vec<_> =
            business.vendor_trunks.iter().map(|loaded| self.vendor(loaded)).collect();
        self.facts.fill(customers, vendors);
    }

    /// Adds or removes one object.
    pub(super) fn apply(&mut self, change: Changed<'_>) {
        match change {
            Changed::Account(loaded) => self.put_account(loaded),
            Changed::NoAccount(id) => {
                if let Some(account) = self.facts.accounts().get(&id) {
                    forget(&mut self.book.accounts, &account.name, id);
                }
                self.lookup.set_attributes(Owner::Account(id), &Default::default());
                self.facts.apply(Change::NoAccount(id));
            }
            Changed::Customer(loaded) => {
                let trunk = self.customer(loaded);
                self.facts.apply(Change::Customer(trunk));
            }
            Changed::NoCustomer(id) => {
                if let Some(trunk) = self.facts.customers().get(&id) {
                    forget(&mut self.book.customers, &trunk.name, id);
                }
                self.forget_trunk(Owner::Customer(id));
                self.facts.apply(Change::NoCustomer(id));
            }
            Changed::Vendor(loaded) => {
                let trunk = self.vendor(loaded);
                self.facts.apply(Change::Vendor(trunk));
            }
            Changed::NoVendor(id) => {
                if let Some(trunk) = self.facts.vendors().get(&id) {
                    forget(&mut self.book.vendors, &trunk.name, id);
                }
                self.forget_trunk(Owner::Vendor(id));
                self.lookup.remove_vendor(id);
                self.facts.apply(Change::NoVendor(id));
            }
            Changed::Deck(loaded) => {
                self.put_deck(loaded);
                self.shared.decks.retain(|known| known.deck.name != loaded.deck.name);
                self.shared.decks.push(loaded.clone());
            }
            Changed::NoDeck(name) => {
                let number = self.shared.deck_number(name);
                self.facts.apply(Change::NoDeck(number));
                self.shared.decks.retain(|known| *known.deck.name != *name);
            }
            Changed::RuleSet(set) => {
                self.keep_rules(set);
                self.follow_rules(&set.name);
            }
            Changed::NoRuleSet(name) => {
                if let Some(handle) = self.book.rules.remove(name) {
                    self.lookup.release(handle);
                    self.follow_rules(name);
                }
            }
        }
    }

    fn forget_trunk(&mut self, trunk: Owner) {
        self.book.users.remove(&trunk);
        self.lookup.set_attributes(trunk, &Default::default());
    }

    fn put_deck(&mut self, loaded: &LoadedDeck) {
        let number = self.shared.deck_number(&loaded.deck.name);
        self.facts.apply(Change::Deck(number, Arc::clone(&loaded.deck)));
    }

    /// Stores the text of a rule set; a different text gets a different handle.
    fn keep_rules(&mut self, set: &RuleSet) {
        let handle = self.lookup.keep(&set.text);
        if let Some(before) = self.book.rules.insert(set.name.as_str().into(), handle) {
            self.lookup.release(before);
        }
    }

    /// Updates the trunks that use a rule set to its current handle.
    fn follow_rules(&mut self, name: &str) {
        let users = self.book.users.iter().filter(|(_, names)| names.have(name));
        let users: Vec<(Owner, RuleNames)> =
            users.map(|(trunk, names)| (*trunk, names.clone())).collect();
        for (trunk, names) in users {
            let handles = self.book.handles(&names);
            match trunk {
                Owner::Customer(id) => {
                    if let Some(trunk) = self.facts.customers().get(&id) {
                        let mut trunk = facts::CustomerTrunk::clone(trunk);
                        (trunk.caller_rules, trunk.callee_rules) = (handles.caller, handles.callee);
                        self.facts.apply(Change::Customer(Arc::new(trunk)));
                    }
                }
                Owner::Vendor(id) => {
                    if let Some(trunk) = self.facts.vendors().get(&id) {
                        let mut trunk = facts::VendorTrunk::clone(trunk);
                        (trunk.caller_rules, trunk.callee_rules) = (handles.caller, handles.callee);
                        trunk.identity_rules = handles.identity;
                        self.facts.apply(Change::Vendor(Arc::new(trunk)));
                    }
                }
                Owner::Account(_) => {}
            }
        }
    }

    fn put_account(&mut self, loaded: &LoadedAccount) {
        let account = &loaded.account;
        let terms = Terms {
            credit: account.credit_limit,
            block_at: account.block_at,
            daily_cap: account.daily_cap,
            monthly_cap: account.monthly_cap,
        };
        let utc_ms = crate::clock::utc_ms();
        self.live.purses.open(loaded.id, loaded.balance, loaded.spent, terms, utc_ms);
        let parent = account.parent.as_deref();
        let account = Account {
            id: loaded.id,
            name: account.name.as_str().into(),
            parent: parent.and_then(|name| self.book.accounts.get(name)).copied(),
            locked: account.locked,
            cuts: account.running_calls == RunningCalls::Cut,
            expires_ms: account.expires,
            channels: account.channels,
            rate: rate(account.cps, account.burst),
            max_duration: account.max_duration,
            deck: account.deck.as_deref().map(|name| self.shared.deck_number(name)),
            rounding: account.rounding.into(),
            terms,
        };
        let known = self.facts.accounts().get(&account.id).map(|known| &known.name);
        rename(&mut self.book.accounts, known, &account.name, account.id);
        self.lookup.set_attributes(Owner::Account(loaded.id), &loaded.account.attributes);
        let account = shared_with(self.before.accounts().get(&account.id), account);
        self.facts.apply(Change::Account(account));
    }

    /// Builds a customer trunk.
    fn customer(&mut self, loaded: &LoadedTrunk<CustomerTrunk>) -> Arc<facts::CustomerTrunk> {
        let (owner, trunk) = (Owner::Customer(loaded.id), &loaded.trunk);
        self.lookup.set_attributes(owner, &trunk.attributes);
        let rules = RuleNames::of(trunk.caller_rules.as_ref(), trunk.callee_rules.as_ref(), None);
        let handles = self.book.note_rules(owner, rules);
        let trunk = trunks::customer(loaded, &mut self.names, handles);
        let known = self.facts.customers().get(&trunk.id).map(|known| &known.name);
        rename(&mut self.book.customers, known, &trunk.name, trunk.id);
        shared_with(self.before.customers().get(&trunk.id), trunk)
    }

    /// Builds a vendor trunk.
    fn vendor(&mut self, loaded: &LoadedTrunk<VendorTrunk>) -> Arc<facts::VendorTrunk> {
        let (owner, trunk) = (Owner::Vendor(loaded.id), &loaded.trunk);
        self.lookup.set_attributes(owner, &trunk.attributes);
        self.lookup.add_vendor(loaded.id);
        let (caller, callee) = (trunk.caller_rules.as_ref(), trunk.callee_rules.as_ref());
        let rules = RuleNames::of(caller, callee, trunk.identity_rules.as_ref());
        let handles = self.book.note_rules(owner, rules);
        let trunk = trunks::vendor(loaded, &mut self.names, handles);
        let known = self.facts.vendors().get(&trunk.id).map(|known| &known.name);
        rename(&mut self.book.vendors, known, &trunk.name, trunk.id);
        shared_with(self.before.vendors().get(&trunk.id), trunk)
    }
}

/// The previous object if it is equal.
fn shared_with<T: PartialEq>(before: Option<&Arc<T>>, now: T) -> Arc<T> {
    match before {
        Some(before) if **before == now => Arc::clone(before),
        _ => Arc::new(now),
    }
}

/// A limit of calls per second.
pub(super) fn rate(cps: CallRate, burst: u32) -> Rate {
    Rate { per_mille: cps.per_mille, burst }
}
