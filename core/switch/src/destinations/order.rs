//! The order in which a call tries entries with priorities and weights (RFC 2782, SIG-65).

use rand::Rng;

/// Sorts by priority, lower first. Within one priority the order is random in proportion to the
/// weights; entries without any weight keep their order.
pub(super) fn drawn<T>(mut entries: Vec<(u32, Option<u32>, T)>, rng: &mut impl Rng) -> Vec<T> {
    entries.sort_by_key(|(priority, ..)| *priority);
    let mut order = Vec::with_capacity(entries.len());
    let mut entries = entries.into_iter().peekable();
    while let Some((priority, weight, entry)) = entries.next() {
        let mut group = vec![(weight, entry)];
        while let Some((_, weight, entry)) = entries.next_if(|(next, ..)| *next == priority) {
            group.push((weight, entry));
        }
        if group.len() > 1 && group.iter().any(|(weight, _)| weight.is_some()) {
            draw(group, rng, &mut order);
        } else {
            order.extend(group.into_iter().map(|(_, entry)| entry));
        }
    }
    order
}

/// Draws one entry after the other. An entry of weight 0 has only a small chance to come before
/// others (RFC 2782, "Weight").
fn draw<T>(mut group: Vec<(Option<u32>, T)>, rng: &mut impl Rng, order: &mut Vec<T>) {
    let weight = |entry: &(Option<u32>, T)| u64::from(entry.0.unwrap_or_default());
    group.sort_by_key(|entry| weight(entry) > 0);
    while !group.is_empty() {
        let sum: u64 = group.iter().map(weight).sum();
        let mut left = rng.random_range(0..=sum);
        let mut at = 0;
        for (place, entry) in group.iter().enumerate() {
            at = place;
            let weight = weight(entry);
            if weight >= left {
                break;
            }
            left -= weight;
        }
        order.push(group.remove(at).1);
    }
}
