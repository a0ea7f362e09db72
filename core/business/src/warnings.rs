//! Configurations that are valid but rarely intended: reported when checked or applied.

use super::check::listed;
use super::{Business, VendorPrefix, VendorTrunk};
use std::collections::{BTreeMap, HashSet};

/// The unlocked vendor trunks of a prefix.
type Entries<'a> = Vec<(&'a VendorTrunk, &'a VendorPrefix)>;

impl Business {
    /// One line per kind of warning, with the prefixes concerned:
    ///
    /// - `extend_mixed`: trunks of one prefix disagree whether shorter prefixes follow (ROUTE-18);
    /// - `only_last_resort`: no other trunks exist for the prefix, so that these are used normally;
    /// - `one_failure_domain`: two or more trunks, all taken out by one fault (ROUTE-46).
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut prefixes: BTreeMap<&str, Entries<'_>> = BTreeMap::new();
        for trunk in self.vendor_trunks.iter().filter(|trunk| !trunk.locked) {
            for entry in &trunk.prefixes {
                prefixes.entry(&entry.prefix).or_default().push((trunk, entry));
            }
        }
        let (mut mixed, mut reserve, mut together) = (Vec::new(), Vec::new(), Vec::new());
        for (prefix, entries) in &prefixes {
            let extends: HashSet<bool> = ordinary(entries).map(|(_, entry)| entry.extend).collect();
            if extends.len() > 1 {
                mixed.push(*prefix);
            }
            let candidates = candidates(&prefixes, prefix);
            if candidates.iter().all(|trunk| trunk.last_resort) {
                reserve.push(*prefix);
            }
            let names: HashSet<&str> = candidates.iter().map(|trunk| &*trunk.name).collect();
            let domains: HashSet<Option<&str>> =
                candidates.iter().map(|trunk| trunk.failure_domain.as_deref()).collect();
            if names.len() > 1 && domains.len() == 1 && !domains.contains(&None) {
                together.push(*prefix);
            }
        }
        [
            (
                mixed,
                "extend_mixed",
                "trunks with and without `extend`; shorter prefixes are not tried after it (ROUTE-18)",
            ),
            (
                reserve,
                "only_last_resort",
                "last-resort trunks only, which are used as any others then (ROUTE-46)",
            ),
            (
                together,
                "one_failure_domain",
                "trunks of one failure domain only; one fault takes them all (ROUTE-46)",
            ),
        ]
        .into_iter()
        .filter(|(prefixes, ..)| !prefixes.is_empty())
        .map(|(prefixes, check, words)| {
            let quoted: Vec<String> = prefixes.iter().map(|prefix| format!("\"{prefix}\"")).collect();
            let noun = if quoted.len() == 1 { "prefix" } else { "prefixes" };
            let verb = if quoted.len() == 1 { "has" } else { "have" };
            let named = listed(quoted.iter().map(String::as_str));
            format!("{check}: {noun} {named} {verb} {words}")
        })
        .collect()
    }
}

/// The trunks that are not last resort: only they decide the walk over prefixes (ROUTE-45).
fn ordinary<'a, 'e>(
    entries: &'e Entries<'a>,
) -> impl Iterator<Item = &'e (&'a VendorTrunk, &'a VendorPrefix)> {
    entries.iter().filter(|(trunk, _)| !trunk.last_resort)
}

/// The trunks that a call to a number with `prefix` can reach: those of the prefix itself, of
/// shorter ones as far as ROUTE-18 walks, and those of last resort after its end.
fn candidates<'a>(prefixes: &BTreeMap<&str, Entries<'a>>, prefix: &str) -> Vec<&'a VendorTrunk> {
    let mut found = Vec::new();
    let mut walking = true;
    for length in (0..=prefix.len()).rev() {
        let Some(entries) = prefix.get(..length).and_then(|shorter| prefixes.get(shorter)) else {
            continue;
        };
        let reached = entries.iter().filter(|(trunk, _)| walking || trunk.last_resort);
        found.extend(reached.map(|(trunk, _)| *trunk));
        walking &= ordinary(entries).all(|(_, entry)| entry.extend);
    }
    found
}
