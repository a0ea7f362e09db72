//! Changes of one object in a snapshot.

use super::*;
use crate::snapshot::Changed;
use policy::Owner;

struct Stage {
    config: Config,
    registry: Registry,
    loaded: Loaded,
    snapshot: Snapshot,
}

impl Stage {
    fn new(test: &str) -> Stage {
        let (registry, loaded) = (Registry::default(), business(test, BUSINESS));
        let snapshot = build(&loaded, &registry).unwrap();
        let config = Config::parse("node.toml", NODE).unwrap();
        Stage { config, registry, loaded, snapshot }
    }

    fn try_patch(&self, change: Changed<'_>) -> Result<Snapshot, SnapshotError> {
        self.snapshot.patched(&self.config, change, &self.registry)
    }

    /// Patches, and compares with a snapshot of the whole business.
    fn patch(&mut self, change: impl Fn(&Loaded) -> Changed<'_>) {
        self.snapshot = self.try_patch(change(&self.loaded)).unwrap();
        let anew = build(&self.loaded, &Registry::default()).unwrap();
        let (facts, other) = (&self.snapshot.facts, &anew.facts);
        assert_eq!(facts.accounts(), other.accounts());
        assert_eq!(facts.customers(), other.customers());
        assert_eq!(facts.vendors(), other.vendors());
        assert!(facts.routes().iter().eq(other.routes().iter()));
        assert_eq!(facts.decks().len(), other.decks().len());
        let (book, written) = (&self.snapshot.book, &anew.book);
        assert_eq!((&book.accounts, &book.customers), (&written.accounts, &written.customers));
        assert_eq!((&book.vendors, &book.rules), (&written.vendors, &written.rules));
        assert_eq!(book.users, written.users);
        for handle in book.rules.values() {
            assert!(self.snapshot.lookup.text(*handle).is_some());
        }
    }
}

#[test]
fn an_account_changes_comes_and_goes() {
    let mut stage = Stage::new("patch-account");
    let before = Arc::clone(&stage.snapshot.facts);
    let acme = stage.snapshot.account("acme").unwrap().id;
    let at = stage.loaded.accounts.iter().position(|one| one.id == acme).unwrap();
    stage.loaded.accounts[at].account.locked = true;
    stage.loaded.accounts[at].account.credit_limit = Some(Money::ONE);
    stage.loaded.accounts[at].account.attributes.insert("vip".to_owned(), "yes".to_owned());
    stage.patch(|loaded| Changed::Account(&loaded.accounts[at]));
    assert!(stage.snapshot.account("acme").unwrap().locked);
    let purses = &stage.registry.live().purses;
    assert_eq!(purses.standing(acme, 0).unwrap().terms.credit, Some(Money::ONE));
    let vip = |snapshot: &Snapshot| snapshot.lookup.attribute(Owner::Account(acme), "vip");
    assert_eq!(vip(&stage.snapshot).as_deref(), Some("yes"));
    for (id, trunk) in before.vendors().iter() {
        assert!(Arc::ptr_eq(trunk, &stage.snapshot.facts.vendors()[&id]), "it did not change");
    }

    let mut below = stage.loaded.accounts[at].clone();
    (below.id, below.account.name) = (70, "below".to_owned());
    below.account.parent = Some("acme".to_owned());
    stage.loaded.accounts.push(below);
    stage.patch(|loaded| Changed::Account(loaded.accounts.last().unwrap()));
    assert_eq!(stage.snapshot.account("below").unwrap().parent, Some(acme));
    stage.loaded.accounts.last_mut().unwrap().account.name = "beneath".to_owned();
    stage.patch(|loaded| Changed::Account(loaded.accounts.last().unwrap()));
    assert!(stage.snapshot.account("below").is_none(), "it has another name");
    stage.loaded.accounts.pop();
    stage.patch(|_| Changed::NoAccount(70));
    assert!(stage.snapshot.account("beneath").is_none());
    assert!(stage.snapshot.lookup.attribute(Owner::Account(70), "vip").is_none());
}

#[test]
fn trunks_change_and_go_with_their_addresses_and_routes() {
    let mut stage = Stage::new("patch-trunks");
    stage.loaded.customer_trunks[0].trunk.addresses = vec!["198.51.100.9".parse().unwrap()];
    stage.patch(|loaded| Changed::Customer(&loaded.customer_trunks[0]));
    let knows = |stage: &Stage, source: &str| stage.snapshot.facts.knows(source.parse().unwrap());
    assert!(knows(&stage, "198.51.100.9:5060") && !knows(&stage, "192.0.2.7:5060"));
    let mut other = stage.loaded.vendor_trunks[0].clone();
    (other.id, other.trunk.name) = (90, "carrier-2".to_owned());
    other.trunk.targets = vec!["203.0.113.77:5060".parse().unwrap()];
    stage.loaded.vendor_trunks.push(other);
    stage.patch(|loaded| Changed::Vendor(&loaded.vendor_trunks[1]));
    assert_eq!(stage.snapshot.vendor("carrier-2").unwrap().id, 90);
    assert!(knows(&stage, "203.0.113.77:5060"));
    assert!(stage.snapshot.lookup.trunk_statistics(90).is_some());
    stage.loaded.vendor_trunks.pop();
    stage.patch(|_| Changed::NoVendor(90));
    assert!(!knows(&stage, "203.0.113.77:5060"));
    assert!(stage.snapshot.lookup.trunk_statistics(90).is_none());
    let id = stage.loaded.customer_trunks.remove(0).id;
    stage.patch(|_| Changed::NoCustomer(id));
    assert!(!knows(&stage, "198.51.100.9:5060"));
}

/// A changed deck changes no account, however many use it.
#[test]
fn a_deck_changes_for_all_who_use_it() {
    let mut stage = Stage::new("patch-deck");
    let acme = Arc::clone(stage.snapshot.account("acme").unwrap());
    let call = Arc::clone(&stage.snapshot.facts);
    let price = |facts: &switch::facts::Facts| match facts.deck_of(&acme).unwrap().find("4420", 0) {
        RateLookup::Found(row) => row.price.price_next.to_string(),
        other => panic!("{other:?}"),
    };
    let mut row = stage.loaded.decks[0].deck.rows().next().unwrap();
    row.price.price_next = Money::ONE;
    let changed = stage.loaded.decks[0].deck.with([ledger::RowChange::Put(row)]).unwrap();
    stage.loaded.decks[0].deck = Arc::new(changed);
    stage.patch(|loaded| Changed::Deck(&loaded.decks[0]));
    assert!(Arc::ptr_eq(&acme, stage.snapshot.account("acme").unwrap()));
    assert_eq!(price(&stage.snapshot.facts), "1");
    assert_eq!(price(&call), "0.6", "a call keeps the snapshot that it began with");
    assert!(Arc::ptr_eq(&stage.registry.decks()[0].deck, &stage.loaded.decks[0].deck));
    stage.loaded.decks.clear();
    stage.patch(|_| Changed::NoDeck("retail"));
    assert!(stage.snapshot.facts.deck_of(&acme).is_none());
}

#[test]
fn trunks_follow_a_changed_rule_set() {
    let mut stage = Stage::new("patch-rules");
    let handle = |stage: &Stage| stage.snapshot.customer("office").unwrap().callee_rules;
    let before = handle(&stage);
    stage.loaded.rule_sets[0].text = "000 -> ".to_owned();
    stage.patch(|loaded| Changed::RuleSet(&loaded.rule_sets[0]));
    assert_ne!(handle(&stage), before);
    assert_eq!(stage.snapshot.lookup.text(handle(&stage)).as_deref(), Some("000 -> "));
    assert_eq!(stage.snapshot.lookup.text(before), None, "nobody has it any more");
    let mut same = stage.loaded.rule_sets[0].clone();
    same.name = "same".to_owned();
    stage.loaded.rule_sets.push(same);
    stage.patch(|loaded| Changed::RuleSet(&loaded.rule_sets[1]));
    stage.loaded.rule_sets.pop();
    stage.patch(|_| Changed::NoRuleSet("same"));
    assert!(stage.snapshot.lookup.text(handle(&stage)).is_some(), "the other set has it still");
}

#[test]
fn a_patch_names_what_the_node_file_does_not_have() {
    let mut stage = Stage::new("patch-unknown");
    stage.loaded.vendor_trunks[0].trunk.listener = Some("nowhere".to_owned());
    let Err(error) = stage.try_patch(Changed::Vendor(&stage.loaded.vendor_trunks[0])) else {
        panic!("must be refused")
    };
    assert!(error.to_string().contains("vendor trunk `carrier-1`: listener `nowhere`"), "{error}");
}

/// BILL-51: an account locked together with its calls is found among the changed ones.
#[test]
fn a_new_world_shares_with_the_one_before() {
    let mut stage = Stage::new("patch-world");
    let first = Arc::clone(&stage.snapshot.facts);
    stage.loaded.accounts[0].account.locked = true;
    let next = stage.try_patch(Changed::Account(&stage.loaded.accounts[0])).unwrap();
    let desk = desk_of(stage.snapshot);
    desk.replace_snapshot(Arc::new(next));
    let published = desk.published().load_full();
    assert!(published.facts.accounts()[&stage.loaded.accounts[0].id].locked);
    let (one, other) = (first.decks().values().next(), published.facts.decks().values().next());
    assert!(Arc::ptr_eq(one.unwrap(), other.unwrap()));
}
