//! Leaves out vendors whose price leaves too little of the sell price (ROUTE-22).
//!
//! It works in a chain: before another routing plugin it removes candidates, after one it removes
//! choices. It leaves the decision after a failed attempt to other plugins.
#![forbid(unsafe_code)]

use plugin_sdk::{
    Call, Candidate, Decision, Money, Outcome, Plugin, Rejection, RouteQuestion, Routing, TrunkId,
    export_plugin, host,
};
use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Treatment of a vendor below the margin. Default `warn`.
    pub action: Action,
    /// Least difference of sell price and buy price, both per minute, such as `0.001`; a negative
    /// value accepts a loss. Default 0.
    pub min_margin: String,
}

/// Treatment of a vendor below the margin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    Off,
    /// A line in the log and a count in the metrics.
    #[default]
    Warn,
    /// The vendor is left out, and counted.
    Exclude,
}

/// The plugin.
#[derive(Debug)]
pub struct MarginGuard {
    action: Action,
    min_margin: Money,
}

impl Plugin for MarginGuard {
    const NAME: &'static str = "margin-guard";
    const SUMMARY: &'static str = "Leaves out vendors that cost too much for the call's price.";
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let min_margin = match config.min_margin.as_str() {
            "" => Money::ZERO,
            text => text.parse().map_err(|error| format!("field `min_margin`: {error}"))?,
        };
        Ok(MarginGuard { action: config.action, min_margin })
    }

    /// Both sides of the boundary, with the configured margin.
    fn self_test(&self) -> Result<u32, String> {
        let sell = Money::UNIT;
        let dearest = Money(sell.0.saturating_sub(self.min_margin.0));
        let dearer = Money(dearest.0.saturating_add(1));
        match (self.is_kept(sell, dearest), self.is_kept(sell, dearer)) {
            (true, false) => Ok(2),
            kept => Err(format!("at and above the margin: {kept:?}, not (true, false)")),
        }
    }
}

impl MarginGuard {
    fn is_kept(&self, sell: Money, buy: Money) -> bool {
        // The difference of two amounts cannot overflow 128 bits.
        i128::from(buy.0) <= i128::from(sell.0) - i128::from(self.min_margin.0)
    }

    fn warns(&self, question: &RouteQuestion, vendor: &Candidate) {
        host::count("below_margin", 1);
        let RouteQuestion { callee, sell_price, .. } = question;
        let Candidate { trunk, buy_price, .. } = vendor;
        host::log!(Warn, "trunk {trunk} costs {buy_price} for {callee}, sold at {sell_price}");
    }
}

impl Routing for MarginGuard {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        let mut kept = Vec::with_capacity(question.candidates.len());
        for vendor in &question.candidates {
            let good = self.is_kept(question.sell_price, vendor.buy_price);
            match self.action {
                Action::Warn if !good => self.warns(question, vendor),
                Action::Exclude if !good => {
                    host::count("excluded", 1);
                    continue;
                }
                _ => {}
            }
            kept.push(vendor.trunk);
        }
        // If no vendor is left, the call ends with `no_route_available`.
        Ok(kept)
    }

    fn after_failure(&mut self, _: &Call, _: &Outcome) -> Decision {
        Decision::Pass
    }
}

export_plugin!(MarginGuard: routing);

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::{FakeHost, configured, testing};

    fn question() -> RouteQuestion {
        let vendor = |trunk, price| Candidate {
            trunk: TrunkId(trunk),
            buy_price: Money(price),
            ..Candidate::default()
        };
        RouteQuestion {
            callee: "4420".to_owned(),
            sell_price: Money(100),
            candidates: vec![vendor(3, 101), vendor(1, 90), vendor(2, 91)],
            ..RouteQuestion::default()
        }
    }

    fn chosen(json: &str) -> Vec<u32> {
        let mut plugin: MarginGuard = configured(json).expect("legal");
        let order = plugin.select(&question()).expect("no rejection");
        order.into_iter().map(|trunk| trunk.0).collect()
    }

    #[test]
    fn exclude_leaves_out_and_keeps_the_order_of_the_rest_route_22() {
        let switch = FakeHost::install();
        let json = r#"{"action":"exclude","min_margin":"0.000000001"}"#;
        assert_eq!(chosen(json), [1], "a margin of 10 is just met by 90");
        assert_eq!(chosen(r#"{"action":"exclude"}"#), [1, 2]);
        assert_eq!(switch.metric("excluded"), 3);
        assert!(switch.lines().is_empty());
    }

    #[test]
    fn warn_is_the_default_and_only_tells() {
        let switch = FakeHost::install();
        assert_eq!(chosen(""), [3, 1, 2]);
        assert_eq!(switch.metric("below_margin"), 1);
        let line = "warn: trunk 3 costs 0.0000000101 for 4420, sold at 0.00000001";
        assert_eq!(switch.lines(), [line]);
    }

    #[test]
    fn off_does_nothing_and_failures_are_left_to_others() {
        let switch = FakeHost::install();
        assert_eq!(chosen(r#"{"action":"off"}"#), [3, 1, 2]);
        assert_eq!(switch.metric("below_margin"), 0);
        let mut plugin: MarginGuard = configured("").expect("defaults");
        testing::check(100, |draw| {
            let decision = plugin.after_failure(&draw.call(), &draw.outcome());
            assert_eq!(decision, Decision::Pass);
        });
    }

    /// For every question: the kept vendors come from the candidates in their order and leave the
    /// margin; the others do not.
    #[test]
    fn the_split_is_exact_for_every_question() {
        testing::check(2_000, |draw| {
            let margin = Money(draw.money(Money(400_000_000)).0 - 100_000_000);
            let mut plugin: MarginGuard =
                configured(&format!(r#"{{"action":"exclude","min_margin":"{margin}"}}"#))
                    .expect("legal");
            let question = draw.route_question();
            let kept = plugin.select(&question).expect("no rejection");
            let expected: Vec<TrunkId> = question
                .candidates
                .iter()
                .filter(|vendor| question.sell_price.0 - vendor.buy_price.0 >= margin.0)
                .map(|vendor| vendor.trunk)
                .collect();
            assert_eq!(kept, expected);
        });
    }

    #[test]
    fn the_self_test_passes_at_the_ends_of_the_range_of_money() {
        for margin in ["0", "0.001", "-2", "922000000"] {
            let json = format!(r#"{{"min_margin":"{margin}"}}"#);
            let plugin: MarginGuard = configured(&json).expect("legal");
            assert_eq!(plugin.self_test(), Ok(2), "{margin}");
        }
        let error = configured::<MarginGuard>(r#"{"min_margin":"1%"}"#).expect_err("refused");
        assert!(error.starts_with("field `min_margin`: `1%` is not an amount"), "{error}");
    }
}
