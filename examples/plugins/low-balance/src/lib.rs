//! Sends the calls of accounts that are nearly empty to the cheapest vendors: the less a call may
//! last, the less it matters who carries it.
//!
//! Two hooks decide one call. Screening sees the account and the price of the destination, and keeps
//! the minutes that the money lasts; routing reads them. Both explain themselves in the record.
#![forbid(unsafe_code)]

use plugin_sdk::host::accounts::{self, Owner};
use plugin_sdk::{
    Call, Decision, Outcome, Plugin, Rejection, RouteQuestion, Routing, ScreenQuestion, Screening,
    TrunkId, Verdict, export_plugin, host,
};
use serde::Deserialize;

/// The key of the minutes that the money lasts.
const MINUTES: &str = "minutes";

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// An account whose money lasts for fewer minutes is nearly empty. Default 30.
    pub minutes: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config { minutes: 30 }
    }
}

/// The plugin.
#[derive(Debug)]
pub struct LowBalance {
    minutes: u32,
}

impl Plugin for LowBalance {
    const NAME: &'static str = "low-balance";
    const SUMMARY: &'static str = "Cheapest vendors for accounts that are nearly empty.";
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        match config.minutes {
            0 => Err("field `minutes`: 0, allowed is 1 or more".to_owned()),
            minutes => Ok(LowBalance { minutes }),
        }
    }
}

/// Whole minutes that the money of the account lasts; `None` if that is not limited or not known.
fn minutes_left(account: Owner, callee: &str) -> Option<u64> {
    let available = accounts::standing(account)?.available?.0.max(0);
    let price = accounts::price(account, callee)?.row.price_next.0;
    (price > 0).then(|| (available / price).unsigned_abs())
}

impl Screening for LowBalance {
    fn screen(&mut self, question: &ScreenQuestion) -> Verdict {
        let left = minutes_left(Owner::Account(question.call.account), &question.callee);
        if let Some(left) = left.filter(|left| *left < u64::from(self.minutes)) {
            host::keep(MINUTES, &left.to_string());
            host::explain(&format!("the money lasts {left} minutes"));
        }
        Verdict::Allow
    }
}

impl Routing for LowBalance {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        let mut candidates: Vec<_> = question.candidates.iter().collect();
        if let Some(left) = host::kept(MINUTES) {
            // Stable: vendors of one price stay in the order of the plugin before.
            candidates.sort_by_key(|candidate| candidate.buy_price);
            host::explain(&format!("cheapest first, {left} minutes left"));
        }
        Ok(candidates.into_iter().map(|candidate| candidate.trunk).collect())
    }

    fn after_failure(&mut self, _: &Call, _: &Outcome) -> Decision {
        Decision::Pass
    }
}

export_plugin!(LowBalance: screening, routing);

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::host::accounts::{Price, Standing};
    use plugin_sdk::{AccountId, Candidate, DeckRow, FakeHost, Money, configured};

    const ACCOUNT: AccountId = AccountId(4);

    fn plugin() -> LowBalance {
        configured(r#"{"minutes": 10}"#).expect("good settings")
    }

    fn call() -> Call {
        Call { account: ACCOUNT, ..Call::default() }
    }

    fn with_money(switch: &FakeHost, available: Option<i64>) {
        let owner = Owner::Account(ACCOUNT);
        let row = DeckRow { price_next: Money(60), ..DeckRow::default() };
        let price = Price { prefix: "44".into(), destination: "UK".into(), row };
        switch.price(owner, price);
        let (balance, reserved) = (Money(available.unwrap_or(0)), Money::ZERO);
        let available = available.map(Money);
        switch.standing(owner, Standing { currency: "EUR".into(), balance, reserved, available });
    }

    fn routed(plugin: &mut LowBalance, callee: &str) -> Vec<u32> {
        let question = ScreenQuestion { call: call(), callee: callee.into(), ..Default::default() };
        assert_eq!(plugin.screen(&question), Verdict::Allow);
        let candidate = |trunk, price| Candidate {
            trunk: TrunkId(trunk),
            buy_price: Money(price),
            ..Candidate::default()
        };
        let candidates = vec![candidate(7, 30), candidate(3, 20), candidate(5, 20)];
        let question = RouteQuestion { call: call(), candidates, ..Default::default() };
        let routes = plugin.select(&question).expect("routes");
        routes.into_iter().map(|trunk| trunk.0).collect()
    }

    #[test]
    fn an_account_that_is_nearly_empty_gets_the_cheapest_first() {
        let switch = FakeHost::install();
        with_money(&switch, Some(9 * 60 + 59));
        assert_eq!(routed(&mut plugin(), "4420"), [3, 5, 7]);
        assert_eq!(switch.explanation().as_deref(), Some("cheapest first, 9 minutes left"));
    }

    #[test]
    fn money_for_the_limit_is_enough() {
        let switch = FakeHost::install();
        with_money(&switch, Some(600));
        assert_eq!(routed(&mut plugin(), "4420"), [7, 3, 5]);
        assert_eq!(switch.explanation(), None);
    }

    #[test]
    fn unlimited_money_unknown_prices_and_debts() {
        for (available, callee, order) in
            [(None, "4420", [7, 3, 5]), (Some(1), "1", [7, 3, 5]), (Some(-5), "4420", [3, 5, 7])]
        {
            let switch = FakeHost::install();
            with_money(&switch, available);
            assert_eq!(routed(&mut plugin(), callee), order, "{available:?} {callee}");
        }
        let _switch = FakeHost::install();
        assert_eq!(routed(&mut plugin(), "4420"), [7, 3, 5], "an unknown account");
    }

    #[test]
    fn settings_are_checked() {
        let error = configured::<LowBalance>(r#"{"minutes": 0}"#).expect_err("no minutes");
        assert!(error.contains("minutes"), "{error}");
        assert!(configured::<LowBalance>(r#"{"minuets": 5}"#).is_err());
    }
}
