//! A first plugin: the cheapest vendor first. Its name is `routing`, so it can be swapped in for
//! the plugin of that name.
#![forbid(unsafe_code)]

use plugin_sdk::{NoConfig, Plugin, Rejection, RouteQuestion, Routing, TrunkId, export_plugin};

/// Tries vendors by buy price, lowest first.
#[derive(Debug)]
pub struct Cheapest;

impl Plugin for Cheapest {
    const NAME: &'static str = "routing";
    const SUMMARY: &'static str = "Cheapest vendor first.";
    type Config = NoConfig;
    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Cheapest)
    }
}

impl Routing for Cheapest {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        let mut candidates = question.candidates.clone();
        candidates.sort_by_key(|candidate| (candidate.buy_price, candidate.trunk));
        Ok(candidates.iter().map(|candidate| candidate.trunk).collect())
    }
}

export_plugin!(Cheapest: routing);

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::{Call, Candidate, Decision, Money, Outcome};

    fn vendor(trunk: u32, price: i64) -> Candidate {
        Candidate { trunk: TrunkId(trunk), buy_price: Money(price), ..Candidate::default() }
    }

    #[test]
    fn the_cheapest_vendor_is_tried_first() {
        let question = RouteQuestion {
            candidates: vec![vendor(1, 30), vendor(2, 10), vendor(3, 20)],
            ..RouteQuestion::default()
        };
        let order = Cheapest.select(&question).expect("a choice");
        assert_eq!(order, [TrunkId(2), TrunkId(3), TrunkId(1)]);
    }

    #[test]
    fn a_vendor_that_answers_503_is_followed_by_the_next() {
        let outcome = Outcome { code: 503, ..Outcome::default() };
        assert_eq!(Cheapest.after_failure(&Call::default(), &outcome), Decision::Next);
    }
}
