//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Keys that precede prefix length, at most four (K2 and K3 of ROUTE-23). Default none.
    pub strategies: Vec<Strategy>,
    /// The order among trunks of equal priority (K8). Default `usage`.
    pub balance: Balance,
    /// The meaning of response codes (ROUTE-51). Default `wholesale`.
    pub failover: Preset,
    /// Rows 8 and 9 of ROUTE-50 stop no call; a trunk may set this for itself. Default false.
    pub until_connect: bool,
}

/// A key that outranks prefix length (ROUTE-24).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Lowest price per minute first.
    BuyPrice,
    /// Lowest trunk priority first.
    TrunkPriority,
    /// Highest weight first.
    Weight,
}

/// How equal trunks share calls (K8 of ROUTE-23).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Lowest share of used channels first; an unlimited trunk counts as empty.
    #[default]
    Usage,
    /// Smooth weighted round-robin (ROUTE-27).
    Weight,
    /// In turn.
    RoundRobin,
}

/// Default decisions for final codes (ROUTE-51).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Vendors use 404 for "no route": switch on most codes.
    #[default]
    Wholesale,
    /// Vendors know their numbers: 404, 410, 480, 484, 487 and the 4xx not listed in the table end
    /// the call.
    Retail,
    /// The stop list of most systems derived from VOS3000: 403, 404, 484, 486, 487, 488.
    VosClassic,
    /// Every failure ends the call, unless the trunk's code policy names it.
    NoFailover,
}

impl Config {
    /// Checks beyond the types.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.strategies.len() {
            0..=4 => Ok(()),
            count => Err(format!("field `strategies`: {count} strategies; at most 4 are allowed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::PrefixRouting;
    use plugin_sdk::configured;

    fn refused(json: &str) -> String {
        configured::<PrefixRouting>(json).expect_err("must be refused")
    }

    #[test]
    fn all_settings_are_optional() {
        for json in ["", "{}", r#"{"strategies":["buy_price"],"balance":"round_robin"}"#] {
            assert!(configured::<PrefixRouting>(json).is_ok(), "{json}");
        }
    }

    #[test]
    fn a_bad_setting_names_its_field_and_what_is_allowed() {
        let error = refused(r#"{"balance":"fair"}"#);
        assert!(error.contains("field `balance`") && error.contains("`round_robin`"), "{error}");
        let error = refused(r#"{"strategies":["buy_price","asr"]}"#);
        assert!(error.contains("`strategies[1]`") && error.contains("`buy_price`"), "{error}");
        let error = refused(r#"{"fail_over":"retail"}"#);
        assert!(error.contains("`fail_over`") && error.contains("`failover`"), "{error}");
        let many = r#"{"strategies":["weight","weight","weight","weight","weight"]}"#;
        assert!(refused(many).contains("at most 4"));
    }
}
