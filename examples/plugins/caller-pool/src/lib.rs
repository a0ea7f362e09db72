//! Gives calls a caller number out of a pool, once for each attempt (NUM-20), and never one
//! number to more calls at a time than its limit (NUM-21).
//!
//! It stands in a chain behind the plugin that rewrites numbers: the number of the pool
//! replaces what the rules made. A vendor trunk says with its attribute `caller_pool` which
//! pool is used for it.
#![forbid(unsafe_code)]

mod config;
mod order;

pub use config::{Config, Order, Pool, WhenFull};

use order::Turns;
use plugin_sdk::{
    NumberQuestion, Numbering, Numbers, Plugin, Reason, Rejection, Stage, export_plugin, host,
};
use std::collections::VecDeque;

/// Attribute of a vendor trunk that names its pool.
const ATTRIBUTE: &str = "caller_pool";

/// Calls whose number an instance remembers, so that the next attempt gives it back.
const REMEMBERED: usize = 4_096;

/// The plugin. Uses of numbers are counted by the switch, common to all instances; an
/// instance keeps its own turns, and which number a call in progress has.
#[derive(Debug)]
pub struct CallerPool {
    pools: Vec<Pool>,
    turns: Turns,
    held: VecDeque<(u128, String)>,
}

impl Plugin for CallerPool {
    const NAME: &'static str = "caller-pool";
    const SUMMARY: &'static str = "Gives calls a caller number out of a pool.";
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let pools = config.expand()?;
        Ok(CallerPool { turns: Turns::new(pools.len()), pools, held: VecDeque::new() })
    }
}

impl Numbering for CallerPool {
    fn rewrite(&mut self, question: &NumberQuestion) -> Result<Numbers, Rejection> {
        let caller = match question.stage {
            Stage::Ingress => None,
            Stage::Egress => {
                self.give_back(question.call.id);
                self.number_for(question)?
            }
        };
        let (caller, identity) = match caller {
            Some(number) => (number.clone(), number),
            None => (question.caller.clone(), question.identity.clone()),
        };
        Ok(Numbers { caller, callee: question.callee.clone(), identity, ..Numbers::default() })
    }
}

impl CallerPool {
    /// A failed attempt uses its number no longer. When the call ends, or this instance is
    /// lost, the switch gives the number back by itself.
    fn give_back(&mut self, call: u128) {
        let place = self.held.iter().position(|(holder, _)| *holder == call);
        if let Some((_, key)) = place.and_then(|place| self.held.remove(place)) {
            host::places(&key).release();
        }
    }

    /// None leaves the caller as it is.
    fn number_for(&mut self, question: &NumberQuestion) -> Result<Option<String>, Rejection> {
        let Some(name) = host::call().vendor_attribute(question.trunk, ATTRIBUTE) else {
            return Ok(None);
        };
        let Some(at) = self.pools.iter().position(|pool| pool.name == name) else {
            let detail = format!("trunk {} wants pool `{name}`, which is none", question.trunk);
            return Err(Rejection::new(500, Reason::InternalError, detail));
        };
        let pool = &self.pools[at];
        let counted = pool.limit > 0 || pool.order == Order::LeastUsed;
        for number in self.turns.order(at, pool, question) {
            if !counted {
                return Ok(Some(number.clone()));
            }
            let key = pool.key(number);
            let limit = if pool.limit > 0 { pool.limit } else { u32::MAX };
            if host::places(&key).hold(limit) {
                self.held.truncate(REMEMBERED - 1);
                self.held.push_front((question.call.id, key));
                return Ok(Some(number.clone()));
            }
        }
        match pool.when_full {
            WhenFull::Original => Ok(None),
            WhenFull::Next => {
                let detail = format!("all {} numbers of `{name}` are used", pool.numbers.len());
                Err(Rejection::new(503, Reason::Other("pool_exhausted".to_owned()), detail))
            }
        }
    }
}

export_plugin!(CallerPool: numbering);

#[cfg(test)]
mod tests;
