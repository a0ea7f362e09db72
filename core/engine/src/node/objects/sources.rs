//! Sources of customer trunks: calls of one must not be confused with those of another (ROUTE-13).

use business::{Authentication, CustomerTrunk};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::LoadedTrunk;

/// The customer trunks by name, so that checking one does not read all from the database.
#[derive(Default)]
pub(crate) struct Sources(Mutex<BTreeMap<String, Arc<CustomerTrunk>>>);

impl Sources {
    pub(crate) fn of(trunks: &[LoadedTrunk<CustomerTrunk>]) -> Sources {
        let sources = Sources::default();
        sources.replace(trunks);
        sources
    }

    /// Replaces all trunks.
    pub(crate) fn replace(&self, trunks: &[LoadedTrunk<CustomerTrunk>]) {
        let sources =
            trunks.iter().map(|LoadedTrunk { trunk, .. }| (trunk.name.clone(), source(trunk)));
        let sources = sources.collect();
        *self.lock() = sources;
    }

    /// Replaces or removes one trunk.
    pub(super) fn change(&self, name: &str, trunk: Option<&CustomerTrunk>) {
        match trunk {
            Some(trunk) => drop(self.lock().insert(name.to_owned(), source(trunk))),
            None => drop(self.lock().remove(name)),
        }
    }

    /// Trunks with which this one could be confused: same tech prefix, and a common address or
    /// digest user.
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

/// A trunk without its rule sets, which do not matter when another trunk is checked.
fn source(trunk: &CustomerTrunk) -> Arc<CustomerTrunk> {
    let mut source = trunk.clone();
    (source.caller_rules, source.callee_rules, source.reject_unmatched) = (None, None, false);
    Arc::new(source)
}
