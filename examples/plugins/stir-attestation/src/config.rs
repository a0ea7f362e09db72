//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Number list of kind `exact`: verified callers, value: the id of their account. Default
    /// `verified-callers`.
    pub verified: String,
    /// Header with the level. Default `Attestation-Info`.
    pub header: String,
    /// Header with the attribute `origid` of the customer trunk, a UUID. Default `Origination-Id`.
    pub origid_header: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            verified: "verified-callers".to_owned(),
            header: "Attestation-Info".to_owned(),
            origid_header: "Origination-Id".to_owned(),
        }
    }
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.verified.is_empty() {
            return Err("field `verified`: name a number list".to_owned());
        }
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        for (field, name) in [("header", &self.header), ("origid_header", &self.origid_header)] {
            if name.is_empty() || !name.bytes().all(token) {
                return Err(format!("field `{field}`: `{name}` is no header name"));
            }
        }
        Ok(())
    }
}
