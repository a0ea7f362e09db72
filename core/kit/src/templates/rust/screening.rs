//! {{name}}: may this call proceed?

use plugin_sdk::{
    NoConfig, Plugin, Reason, Rejection, ScreenQuestion, Screening, Verdict, export_plugin,
};

/// Numbers that nobody may call. Change this line:
const BARRED: [&str; 2] = ["4490", "4987"];

/// The plugin; state kept here is a cache, one per signalling thread.
#[derive(Debug)]
pub struct Screen;

impl Plugin for Screen {
    const NAME: &'static str = "{{name}}";
    const SUMMARY: &'static str = "{{summary}}";
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Screen)
    }
}

impl Screening for Screen {
    fn screen(&mut self, question: &ScreenQuestion) -> Verdict {
        let callee = question.callee.as_str();
        if !BARRED.iter().any(|prefix| callee.starts_with(prefix)) {
            return Verdict::Allow;
        }
        let detail = format!("nobody may call {callee}");
        Verdict::Reject(Rejection::new(403, Reason::DestinationBarred, detail))
    }
}

export_plugin!(Screen: screening);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_barred_number_is_refused() {
        let question = ScreenQuestion { callee: "4490123".to_owned(), ..ScreenQuestion::default() };
        assert!(matches!(Screen.screen(&question), Verdict::Reject(_)));
        assert_eq!(Screen.screen(&ScreenQuestion::default()), Verdict::Allow);
    }
}
