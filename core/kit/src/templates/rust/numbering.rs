//! {{name}}: which numbers are used.

use plugin_sdk::{NoConfig, NumberQuestion, Numbering, Numbers, Plugin, Rejection, export_plugin};

/// The plugin; state kept here is a cache, one per signalling thread.
#[derive(Debug)]
pub struct Rewriter;

impl Plugin for Rewriter {
    const NAME: &'static str = "{{name}}";
    const SUMMARY: &'static str = "{{summary}}";
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Rewriter)
    }
}

impl Numbering for Rewriter {
    /// Asked when a call arrives and again for each attempt.
    fn rewrite(&mut self, question: &NumberQuestion) -> Result<Numbers, Rejection> {
        let callee = question.callee.as_str();
        // Removes the 00 of an international call. Change this line:
        let callee = callee.strip_prefix("00").filter(|rest| !rest.is_empty()).unwrap_or(callee);
        Ok(Numbers {
            caller: question.caller.clone(),
            callee: callee.to_owned(),
            identity: question.caller.clone(),
            ..Numbers::default()
        })
    }
}

export_plugin!(Rewriter: numbering);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_international_prefix_is_taken_off() {
        let question = NumberQuestion { callee: "00442071".to_owned(), ..NumberQuestion::default() };
        assert_eq!(Rewriter.rewrite(&question).unwrap().callee, "442071");
    }
}
