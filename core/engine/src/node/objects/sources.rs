//! Where the calls of customer trunks come from: calls of one must not be taken for those of another
//! (ROUTE-13).

use business::{Authentication, CustomerTrunk};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::LoadedTrunk;

/// The customer trunks by name, so that the check of one need not read all of them.
#[derive(Default)]
pub(crate) struct Sources(Mutex<BTreeMap<String, Arc<CustomerTrunk>>>);

impl Sources {
    pub(crate) fn of(trunks: &[LoadedTrunk<CustomerTrunk>]) -> Sources {
        let sources = Sources::default();
        sources.replace(trunks);
        sources
    }

    /// Another business is in force.
    pub(crate) fn replace(&self, trunks: &[LoadedTrunk<CustomerTrunk>]) {
        let sources =
            trunks.iter().map(|LoadedTrunk { trunk, .. }| (trunk.name.clone(), source(trunk)));
        let sources = sources.collect();
        *self.lock() = sources;
    }

    /// One trunk is another, or gone.
    pub(super) fn change(&self, name: &str, trunk: Option<&CustomerTrunk>) {
        match trunk {
            Some(trunk) => drop(self.lock().insert(name.to_owned(), source(trunk))),
            None => drop(self.lock().remove(name)),
        }
    }

    /// Those that calls of this trunk could be taken for: the same tech prefix, and an address or a
    /// digest user in common.
    pub(super) fn beside(&self, trunk: &CustomerTrunk) -> Vec<CustomerTrunk> {
        let digest = |one: &CustomerTrunk| one.authentication != Authentication::Address;
        let near = |other: &CustomerTrunk| {
            other.name != trunk.name
                && other.tech_prefix == trunk.tech_prefix
                && (digest(other) && digest(trunk) && other.user == trunk.user
                    || other
                        .addresses
                        .iter()
                        .any(|one| trunk.addresses.iter().any(|address| address.overlaps(one))))
        };
        let sources = self.lock();
        let near = sources.values().filter(|other| near(other));
        let of_same_account = |other: &Arc<CustomerTrunk>| CustomerTrunk {
            account: trunk.account.clone(),
            ..CustomerTrunk::clone(other)
        };
        near.map(of_same_account).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<CustomerTrunk>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A trunk without the rules that it refers to: they are not looked at where another is checked.
fn source(trunk: &CustomerTrunk) -> Arc<CustomerTrunk> {
    let mut source = trunk.clone();
    (source.caller_rules, source.callee_rules, source.reject_unmatched) = (None, None, false);
    Arc::new(source)
}
