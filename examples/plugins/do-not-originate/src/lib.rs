//! Refuses callers that never make calls (NUM-26): numbers on which banks and authorities only
//! receive calls. They are in a host table of any size.
#![forbid(unsafe_code)]

use plugin_sdk::{
    Plugin, Reason, Rejection, ScreenQuestion, Screening, Verdict, export_plugin, host,
};
use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The number list. Default `dno`.
    pub table: String,
    /// Treatment of a listed caller. Default `reject`.
    pub action: Action,
}

impl Default for Config {
    fn default() -> Self {
        Config { table: "dno".to_owned(), action: Action::Reject }
    }
}

/// Treatment of a listed caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The call is refused with 403.
    Reject,
    /// The call proceeds, with a mark in its record.
    Mark,
}

/// The plugin. The switch holds the list, so the plugin stays small whatever its length.
#[derive(Debug)]
pub struct DoNotOriginate {
    config: Config,
}

impl Plugin for DoNotOriginate {
    const NAME: &'static str = "do-not-originate";
    const SUMMARY: &'static str = "Refuses callers that never call out.";
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        if config.table.is_empty() {
            return Err("field `table`: name a number list".to_owned());
        }
        Ok(DoNotOriginate { config })
    }
}

impl Screening for DoNotOriginate {
    fn screen(&mut self, question: &ScreenQuestion) -> Verdict {
        // Entries of a number list have no `+`; the customer may send one.
        let caller = question.caller.trim_start_matches('+');
        if caller.is_empty() || !host::table(&self.config.table).contains(caller) {
            return Verdict::Allow;
        }
        match self.config.action {
            Action::Mark => Verdict::Mark(vec!["do_not_originate".to_owned()]),
            Action::Reject => {
                let detail = format!("`{caller}` is in `{}`: it never calls", self.config.table);
                Verdict::Reject(Rejection::new(403, Reason::CallerBarred, detail))
            }
        }
    }
}

export_plugin!(DoNotOriginate: screening);

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::{FakeHost, configured, testing};

    fn call(caller: &str) -> ScreenQuestion {
        ScreenQuestion { caller: caller.to_owned(), ..ScreenQuestion::default() }
    }

    #[test]
    fn a_listed_caller_is_refused_and_the_record_says_why() {
        let switch = FakeHost::install();
        switch.table("dno", &[("18005550100", "")]);
        let mut plugin: DoNotOriginate = configured("").expect("defaults");
        for caller in ["18005550100", "+18005550100"] {
            let Verdict::Reject(rejection) = plugin.screen(&call(caller)) else {
                panic!("{caller} is listed");
            };
            assert_eq!((rejection.code, rejection.reason), (403, Reason::CallerBarred));
            assert_eq!(rejection.detail, "`18005550100` is in `dno`: it never calls");
        }
        assert_eq!(plugin.screen(&call("18005550101")), Verdict::Allow);
        assert_eq!(plugin.screen(&call("")), Verdict::Allow, "a withheld number is on no list");
    }

    #[test]
    fn marking_lets_the_call_go_on() {
        let switch = FakeHost::install();
        switch.table("never", &[("18005550100", "")]);
        let mut plugin: DoNotOriginate =
            configured(r#"{"table":"never","action":"mark"}"#).expect("legal");
        let marked = Verdict::Mark(vec!["do_not_originate".to_owned()]);
        assert_eq!(plugin.screen(&call("18005550100")), marked);
    }

    #[test]
    fn a_missing_list_refuses_nobody() {
        testing::check(200, |draw| {
            let mut plugin: DoNotOriginate = configured("").expect("defaults");
            assert_eq!(plugin.screen(&draw.screen_question()), Verdict::Allow);
        });
    }

    #[test]
    fn a_nameless_list_is_refused() {
        let error = configured::<DoNotOriginate>(r#"{"table":""}"#).expect_err("must be refused");
        assert_eq!(error, "field `table`: name a number list");
    }
}
