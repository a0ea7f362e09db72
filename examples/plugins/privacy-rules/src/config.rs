//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Codes before the dialled number that withhold the caller. Default `*67` and `#31#`.
    pub withhold_codes: Vec<String>,
    /// Codes before the dialled number that show the caller. Default `*82` and `*31#`.
    pub show_codes: Vec<String>,
    /// Callees that always see the caller. Default 112 and 911.
    pub emergency: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let words = |words: [&str; 2]| words.map(str::to_owned).to_vec();
        Config {
            withhold_codes: words(["*67", "#31#"]),
            show_codes: words(["*82", "*31#"]),
            emergency: words(["112", "911"]),
        }
    }
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, codes) in
            [("withhold_codes", &self.withhold_codes), ("show_codes", &self.show_codes)]
        {
            let special = |code: &String| code.starts_with(['*', '#']) && code.len() > 1;
            if let Some(code) = codes.iter().find(|code| !special(code)) {
                return Err(format!("field `{name}`: `{code}` is no code such as *67"));
            }
        }
        Ok(())
    }
}
