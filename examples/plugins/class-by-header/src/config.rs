//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The header. Default `X-Class`.
    pub header: String,
    /// Vendors when no vendor of the class can be used now. Default `none`.
    pub fallback: Fallback,
    /// Callees that every vendor may get, whatever the class. Default 112 and 911.
    pub emergency: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            header: "X-Class".to_owned(),
            fallback: Fallback::None,
            emergency: vec!["112".to_owned(), "911".to_owned()],
        }
    }
}

/// Vendors when no vendor of the class can be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// None: the call ends with `no_route_available`.
    None,
    /// All others.
    Any,
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if self.header.is_empty() || !self.header.bytes().all(token) {
            let header = &self.header;
            return Err(format!("field `header`: `{header}` is no header name such as X-Class"));
        }
        Ok(())
    }
}
