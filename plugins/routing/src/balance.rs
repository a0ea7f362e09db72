//! Smooth weighted round-robin over tied trunks (ROUTE-27); with equal weights it is plain
//! round-robin.

use plugin_sdk::{Candidate, TrunkId};
use std::collections::BTreeMap;

/// Tied sets remembered by one instance; beyond that all start over.
const CAPACITY: usize = 4_096;

/// The turns in each set of tied trunks. Sets are independent, so that a trunk in several of them
/// gets its share in each.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    sets: BTreeMap<Vec<(TrunkId, u32)>, Vec<i64>>,
}

impl Turns {
    /// Arranges the tied trunks, sorted by id, in the order for this call.
    ///
    /// Each trunk earns its weight; the one with the most credit is first and pays the sum of
    /// weights, so that calls are shared exactly by weight and evenly spread. A trunk of weight 0
    /// comes after the others, unless all weights are 0.
    pub(crate) fn arrange(&mut self, tied: &mut [&Candidate], weight: impl Fn(&Candidate) -> u32) {
        let unweighted = tied.iter().all(|candidate| weight(candidate) == 0);
        let weight = |candidate: &Candidate| if unweighted { 1 } else { weight(candidate) };
        let members: Vec<(TrunkId, u32)> =
            tied.iter().map(|candidate| (candidate.trunk, weight(candidate))).collect();
        let total: i64 = members.iter().map(|(_, weight)| i64::from(*weight)).sum();
        if self.sets.len() >= CAPACITY && !self.sets.contains_key(&members) {
            self.sets.clear();
        }
        let credits = self.sets.entry(members).or_insert_with(|| vec![0; tied.len()]);

        let mut order: Vec<(i64, &Candidate)> = Vec::with_capacity(tied.len());
        for (credit, candidate) in credits.iter_mut().zip(tied.iter()) {
            *credit += i64::from(weight(candidate));
            order.push((*credit, *candidate));
        }
        order.sort_by_key(|(credit, candidate)| (weight(candidate) == 0, -credit, candidate.trunk));
        let first = order[0].1.trunk;
        for (credit, candidate) in credits.iter_mut().zip(tied.iter()) {
            if candidate.trunk == first {
                *credit -= total;
            }
        }
        for (place, (_, candidate)) in tied.iter_mut().zip(order) {
            *place = candidate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firsts(weights: &[u32], calls: usize) -> Vec<u32> {
        let candidates: Vec<Candidate> = (1..)
            .zip(weights)
            .map(|(id, weight)| Candidate {
                trunk: TrunkId(id),
                weight: *weight,
                ..Candidate::default()
            })
            .collect();
        let mut turns = Turns::default();
        (0..calls)
            .map(|_| {
                let mut tied: Vec<&Candidate> = candidates.iter().collect();
                turns.arrange(&mut tied, |candidate| candidate.weight);
                assert_eq!(tied.len(), weights.len());
                tied[0].trunk.0
            })
            .collect()
    }

    #[test]
    fn weights_are_shared_exactly_and_smoothly_route_27() {
        assert_eq!(firsts(&[5, 1, 1], 7), [1, 1, 2, 1, 3, 1, 1]);
        let thousand = firsts(&[70, 20, 10], 1_000);
        let share = |trunk| thousand.iter().filter(|first| **first == trunk).count();
        assert_eq!([share(1), share(2), share(3)], [700, 200, 100]);
    }

    #[test]
    fn weight_zero_is_used_only_if_all_weights_are_zero_route_27() {
        assert!(firsts(&[0, 3], 20).iter().all(|first| *first == 2));
        assert_eq!(firsts(&[0, 0, 0], 6), [1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn a_trunk_keeps_its_share_in_each_set_it_belongs_to() {
        let trunk = |id| Candidate { trunk: TrunkId(id), weight: 1, ..Candidate::default() };
        let (one, two, three) = (trunk(1), trunk(2), trunk(3));
        let mut turns = Turns::default();
        let mut counts = [0; 4];
        for _ in 0..10 {
            let mut uk = [&one, &two];
            let mut france = [&one, &three];
            turns.arrange(&mut uk, |candidate| candidate.weight);
            turns.arrange(&mut france, |candidate| candidate.weight);
            counts[uk[0].trunk.0 as usize] += 1;
            counts[france[0].trunk.0 as usize] += 1;
        }
        assert_eq!(counts, [0, 10, 5, 5]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut turns = Turns::default();
        for id in 0..3 * CAPACITY as u32 {
            let one = Candidate { trunk: TrunkId(id), ..Candidate::default() };
            let two = Candidate { trunk: TrunkId(id + 1), ..Candidate::default() };
            turns.arrange(&mut [&one, &two], |_| 1);
            assert!(turns.sets.len() <= CAPACITY);
        }
    }
}
