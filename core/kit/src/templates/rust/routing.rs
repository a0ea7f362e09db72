//! {{name}}: which vendor trunks are tried, in which order.

use plugin_sdk::{
    Call, Decision, NoConfig, Outcome, Plugin, Rejection, RouteQuestion, Routing, TrunkId,
    export_plugin,
};

/// The plugin; state kept here is a cache, one per signalling thread.
#[derive(Debug)]
pub struct Router;

impl Plugin for Router {
    const NAME: &'static str = "{{name}}";
    const SUMMARY: &'static str = "{{summary}}";
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Router)
    }
}

impl Routing for Router {
    /// The trunks to try, first to last.
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        let mut order = question.candidates.clone();
        // The cheapest first. Change this line to make your own router:
        order.sort_by_key(|candidate| (candidate.buy_price, candidate.trunk));
        Ok(order.iter().map(|candidate| candidate.trunk).collect())
    }

    /// What happens after a failed attempt?
    fn after_failure(&mut self, _: &Call, outcome: &Outcome) -> Decision {
        if outcome.code == 486 { Decision::Stop } else { Decision::Next }
    }
}

export_plugin!(Router: routing);

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::{Candidate, Money};

    #[test]
    fn the_cheapest_vendor_is_tried_first() {
        let vendor = |trunk, price| Candidate {
            trunk: TrunkId(trunk),
            buy_price: Money(price),
            ..Candidate::default()
        };
        let candidates = vec![vendor(1, 30), vendor(2, 10)];
        let question = RouteQuestion { candidates, ..RouteQuestion::default() };
        assert_eq!(Router.select(&question).unwrap(), [TrunkId(2), TrunkId(1)]);
    }
}
