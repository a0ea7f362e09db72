//! Gives each attempt of a call a caller number from a pool (NUM-20), and never gives a number to
//! more calls at a time than its limit (NUM-21).
//!
//! The plugin stands in a chain after the plugin that rewrites numbers: the number from the pool
//! replaces the result of the rules. The attribute `caller_pool` of a vendor trunk names its pool.
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

/// Calls whose number an instance remembers, so that the next attempt can give it back.
const REMEMBERED: usize = 4_096;

/// The plugin. The switch counts uses of numbers for all instances; an instance keeps only its
/// turns and the number of each call in progress.
#[derive(Debug)]
pub struct CallerPool {
    pools: Vec<Pool>,
    turns: Turns,
    held: VecDeque<(u128, String)>,
}

impl Plugin for CallerPool {
    const NAME: &'static str = "caller-pool";
    const SUMMARY: &'static str = "Gives calls a caller number out of a pool.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
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
    /// A failed attempt no longer uses its number. When the call ends, or this instance is lost,
    /// the switch gives the number back by itself.
    fn give_back(&mut self, call: u128) {
        let place = self.held.iter().position(|(holder, _)| *holder == call);
        if let Some((_, key)) = place.and_then(|place| self.held.remove(place)) {
            host::places(&key).release();
        }
    }

    /// `None` leaves the caller unchanged.
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
