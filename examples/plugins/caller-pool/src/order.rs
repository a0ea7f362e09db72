//! The order in which the numbers of a pool are tried.

use crate::config::{Order, Pool};
use plugin_sdk::{NumberQuestion, host};

/// The next number of each pool, for round-robin.
#[derive(Debug)]
pub(crate) struct Turns(Vec<usize>);

impl Turns {
    pub(crate) fn new(pools: usize) -> Turns {
        Turns(vec![0; pools])
    }

    /// Every number of the pool once, first choice first.
    pub(crate) fn order<'a>(
        &mut self,
        at: usize,
        pool: &'a Pool,
        question: &NumberQuestion,
    ) -> Vec<&'a String> {
        let mut numbers: Vec<&String> = pool.numbers.iter().collect();
        match pool.order {
            Order::Random => by_score(&mut numbers, &host::random().to_le_bytes()),
            Order::StickyCallee => by_score(&mut numbers, question.callee.as_bytes()),
            Order::StickyCaller => by_score(&mut numbers, question.caller.as_bytes()),
            Order::LeastUsed => {
                numbers.sort_by_cached_key(|number| host::places(&pool.key(number)).held());
            }
            Order::RoundRobin => {
                let turn = &mut self.0[at];
                numbers.rotate_left(*turn % pool.numbers.len());
                *turn = (*turn + 1) % pool.numbers.len();
            }
        }
        numbers
    }
}

/// Highest score first (rendezvous hashing): a key always gets the same number, and a number that
/// joins or leaves the pool changes the choice for few keys only.
fn by_score(numbers: &mut [&String], key: &[u8]) {
    let seed = fnv(0xcbf2_9ce4_8422_2325, key);
    numbers.sort_by_cached_key(|number| std::cmp::Reverse(mixed(fnv(seed, number.as_bytes()))));
}

/// FNV-1a.
fn fnv(state: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(state, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Every input bit affects every output bit, which FNV alone does not achieve for short keys.
fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
