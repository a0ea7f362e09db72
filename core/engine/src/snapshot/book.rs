//! Names in a snapshot. Calls use numbers only; names serve to find the object of a change.

use policy::Owner;
use std::sync::Arc;
use switch::SharedMap;

/// Names of objects, and the names that objects use. A clone shares them.
#[derive(Clone, Default)]
pub(super) struct Book {
    /// Ids of accounts.
    pub(super) accounts: SharedMap<Arc<str>, u32>,
    /// Ids of customer trunks.
    pub(super) customers: SharedMap<Arc<str>, u32>,
    /// Ids of vendor trunks.
    pub(super) vendors: SharedMap<Arc<str>, u32>,
    /// Content handles of rule sets.
    pub(super) rules: SharedMap<Arc<str>, u64>,
    /// The rule sets of trunks that use any.
    pub(super) users: SharedMap<Owner, RuleNames>,
}

/// The rule sets of a trunk by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RuleNames {
    pub(super) caller: Option<Arc<str>>,
    pub(super) callee: Option<Arc<str>>,
    pub(super) identity: Option<Arc<str>>,
}

/// The rule sets of a trunk as content handles; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RuleHandles {
    pub(super) caller: u64,
    pub(super) callee: u64,
    pub(super) identity: u64,
}

impl RuleNames {
    /// The rule sets as configured.
    pub(super) fn of(
        caller: Option<&String>,
        callee: Option<&String>,
        identity: Option<&String>,
    ) -> RuleNames {
        let name = |name: Option<&String>| name.map(|name| Arc::from(name.as_str()));
        RuleNames { caller: name(caller), callee: name(callee), identity: name(identity) }
    }

    /// Whether this rule set is among them.
    pub(super) fn have(&self, name: &str) -> bool {
        let names = [&self.caller, &self.callee, &self.identity];
        names.into_iter().flatten().any(|known| **known == *name)
    }
}

impl Book {
    /// The content handles of these rule sets. Unknown names were refused on reading.
    pub(super) fn handles(&self, names: &RuleNames) -> RuleHandles {
        let handle = |name: &Option<Arc<str>>| {
            let name = name.as_ref();
            name.and_then(|name| self.rules.get(name)).copied().unwrap_or_default()
        };
        RuleHandles {
            caller: handle(&names.caller),
            callee: handle(&names.callee),
            identity: handle(&names.identity),
        }
    }

    /// Stores the rule sets of a trunk; returns their handles.
    pub(super) fn note_rules(&mut self, trunk: Owner, names: RuleNames) -> RuleHandles {
        let handles = self.handles(&names);
        if names == RuleNames::default() {
            self.users.remove(&trunk);
        } else {
            self.users.insert(trunk, names);
        }
        handles
    }
}

/// Enters the name of an object and removes its former one, if any.
pub(super) fn rename(
    names: &mut SharedMap<Arc<str>, u32>,
    before: Option<&Arc<str>>,
    now: &Arc<str>,
    id: u32,
) {
    if before == Some(now) {
        return;
    }
    if let Some(before) = before {
        forget(names, before, id);
    }
    names.insert(Arc::clone(now), id);
}

/// Removes the name of an object, unless another object has taken it.
pub(super) fn forget(names: &mut SharedMap<Arc<str>, u32>, name: &Arc<str>, id: u32) {
    if names.get(name) == Some(&id) {
        names.remove(name);
    }
}
