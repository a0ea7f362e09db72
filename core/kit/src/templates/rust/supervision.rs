//! {{name}}: may this call, which is up, continue?

use plugin_sdk::{
    NoConfig, Plugin, Reason, Supervision, SupervisionAnswer, SupervisionQuestion, export_plugin,
};

/// Longest call in seconds. Change this line:
const LONGEST_S: u32 = 3_600;

/// The plugin; state kept here is a cache, one per signalling thread.
#[derive(Debug)]
pub struct Watch;

impl Plugin for Watch {
    const NAME: &'static str = "{{name}}";
    const SUMMARY: &'static str = "{{summary}}";
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Watch)
    }
}

impl Supervision for Watch {
    /// Asked when the call is answered, and again at the time that this answer requests.
    fn supervise(&mut self, question: &SupervisionQuestion) -> SupervisionAnswer {
        let answered_s = question.answered_s;
        if answered_s < LONGEST_S {
            return SupervisionAnswer::go_on().ask_again(LONGEST_S - answered_s);
        }
        let detail = format!("up for {answered_s} s");
        SupervisionAnswer::end(Reason::Other("too_long".to_owned()), 31, detail).mark("long")
    }
}

export_plugin!(Watch: supervision);

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::Course;

    #[test]
    fn a_long_call_ends() {
        let after = |answered_s| {
            Watch.supervise(&SupervisionQuestion { answered_s, ..SupervisionQuestion::default() })
        };
        assert_eq!(after(600), SupervisionAnswer::go_on().ask_again(3_000));
        assert!(matches!(after(3_600).course, Course::End(_)));
    }
}
