//! {{name}}: which caller identity does a vendor see?

use plugin_sdk::{
    Header, Identity, IdentityQuestion, NoConfig, Plugin, PresentedIdentity, Rejection,
    export_plugin,
};

/// The plugin; state that it keeps here is its own cache, one for each signalling thread.
#[derive(Debug)]
pub struct Presenter;

impl Plugin for Presenter {
    const NAME: &'static str = "{{name}}";
    const SUMMARY: &'static str = "{{summary}}";
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Presenter)
    }
}

impl Identity for Presenter {
    /// Asked for each attempt.
    fn present(&mut self, question: &IdentityQuestion) -> Result<PresentedIdentity, Rejection> {
        let mut headers = Vec::new();
        // The number that is asserted, if there is one. Change this line:
        if !question.identity_out.is_empty() {
            headers.push(Header {
                name: "P-Asserted-Identity".to_owned(),
                value: format!("<sip:{}@{}>", question.identity_out, question.host),
            });
        }
        Ok(PresentedIdentity {
            display: question.display.clone(),
            user: question.caller_out.clone(),
            host: question.host.clone(),
            headers,
        })
    }
}

export_plugin!(Presenter: identity);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_identity_number_nothing_is_asserted() {
        let presented = Presenter.present(&IdentityQuestion::default()).unwrap();
        assert_eq!(presented.headers, []);
    }
}
