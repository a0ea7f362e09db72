//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A call must pass every level, such as system, account and trunk. Default: one, with
    /// the lists `allowed-callers`, `barred-callers`, `allowed-destinations` and
    /// `barred-destinations`.
    pub levels: Vec<Level>,
    /// The block of callers that call too often (SEC-18).
    pub velocity: Velocity,
    /// Numbers that are never refused here (ROUTE-66). Default none.
    pub emergency: Vec<String>,
}

/// The lists of one level, by name; empty means none. `{account}` and `{trunk}` in a name are
/// replaced by the ids of the call's account and customer trunk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Level {
    /// Callers that pass this level regardless of the next list.
    pub caller_allow: String,
    /// Callers that are refused.
    pub caller_deny: String,
    /// Destinations that pass this level unless a longer entry of the next list matches.
    pub callee_allow: String,
    /// Destinations that are refused.
    pub callee_deny: String,
}

/// Limit on calls of one caller number and account (SEC-18).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Velocity {
    /// Calls within the window; one more blocks the caller. 0 means no limit. Default 1,000.
    pub limit: u32,
    /// Sliding window, 60 to 86,400 seconds. Default 3,600.
    pub window_s: u32,
    /// How long the caller is blocked, 60 to 86,400 seconds. Default 3,600.
    pub block_s: u32,
    /// List of callers without a limit; empty means none. Default `unlimited-callers`.
    pub exempt: String,
}

impl Default for Config {
    fn default() -> Self {
        let level = Level {
            caller_allow: "allowed-callers".to_owned(),
            caller_deny: "barred-callers".to_owned(),
            callee_allow: "allowed-destinations".to_owned(),
            callee_deny: "barred-destinations".to_owned(),
        };
        Config { levels: vec![level], velocity: Velocity::default(), emergency: Vec::new() }
    }
}

impl Default for Velocity {
    fn default() -> Self {
        Velocity {
            limit: 1_000,
            window_s: 3_600,
            block_s: 3_600,
            exempt: "unlimited-callers".to_owned(),
        }
    }
}

impl Config {
    /// Checks beyond the types.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (field, value) in
            [("window_s", self.velocity.window_s), ("block_s", self.velocity.block_s)]
        {
            if !(60..=86_400).contains(&value) {
                return Err(format!("field `velocity.{field}`: {value}; it must be 60 to 86400"));
            }
        }
        check_list_name("velocity.exempt", &self.velocity.exempt)?;
        for (index, level) in self.levels.iter().enumerate() {
            for (field, name) in [
                ("caller_allow", &level.caller_allow),
                ("caller_deny", &level.caller_deny),
                ("callee_allow", &level.callee_allow),
                ("callee_deny", &level.callee_deny),
            ] {
                check_list_name(&format!("levels[{index}].{field}"), name)?;
            }
        }
        Ok(())
    }
}

/// Checks that a name contains only known placeholders.
fn check_list_name(field: &str, name: &str) -> Result<(), String> {
    let rest = name.replace("{account}", "").replace("{trunk}", "");
    if rest.contains(['{', '}']) {
        return Err(format!(
            "field `{field}`: `{name}`; placeholders are {{account}} and {{trunk}}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::ListScreening;
    use plugin_sdk::configured;

    fn refused(json: &str) -> String {
        configured::<ListScreening>(json).expect_err("must be refused")
    }

    #[test]
    fn a_bad_setting_names_its_field_and_what_is_allowed() {
        let error = refused(r#"{"velocity":{"window_s":10}}"#);
        assert_eq!(error, "field `velocity.window_s`: 10; it must be 60 to 86400");
        let error = refused(r#"{"velocity":{"limit":"many"}}"#);
        assert!(error.starts_with("field `velocity.limit`"), "{error}");
        let error = refused(r#"{"levels":[{"caller_deny":"x-{customer}"}]}"#);
        assert!(error.contains("levels[0].caller_deny") && error.contains("{account}"), "{error}");
        let error = refused(r#"{"levels":[{"callers":"x"}]}"#);
        assert!(error.contains("`callers`") && error.contains("`caller_deny`"), "{error}");
    }
}
