//! {{name}}: which caller identity does a vendor see?

use plugin_sdk::{
    Header, Identity, IdentityQuestion, NoConfig, Plugin, PresentedIdentity, Rejection,
    export_plugin,
};

/// The plugin; state kept here is a cache, one per signalling thread.
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
    /// Asked once per attempt.
    fn present(&mut self, question: &IdentityQuestion) -> Result<PresentedIdentity, Rejection> {
        let mut headers = Vec::new();
        // The asserted number, if there is one; a private caller's number only if the vendor is
        // trusted. Change this line:
        if !question.identity_out.is_empty() && (!question.private || question.target_trusted) {
            let value = format!("<sip:{}@{}>", escaped(&question.identity_out), question.host);
            headers.push(Header::new("P-Asserted-Identity", value));
        }
        if question.private {
            headers.push(Header::new("Privacy", "id"));
        }
        if question.private || question.caller_out.is_empty() {
            return Ok(PresentedIdentity {
                display: "Anonymous".to_owned(),
                user: "anonymous".to_owned(),
                host: "anonymous.invalid".to_owned(),
                headers,
            });
        }
        Ok(PresentedIdentity {
            display: question.display.clone(),
            user: escaped(&question.caller_out),
            host: question.host.clone(),
            headers,
        })
    }
}

/// Numbers may contain a `#`, the user part of a URI must not.
fn escaped(number: &str) -> String {
    number.replace('#', "%23")
}

export_plugin!(Presenter: identity);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_caller_is_not_shown_to_a_vendor_that_is_not_trusted() {
        let presented = Presenter
            .present(&IdentityQuestion {
                caller_out: "4930".to_owned(),
                identity_out: "4930".to_owned(),
                private: true,
                target_trusted: false,
                ..IdentityQuestion::default()
            })
            .unwrap();
        assert_eq!(presented.user, "anonymous");
        assert_eq!(presented.headers, [Header::new("Privacy", "id")]);
    }
}
