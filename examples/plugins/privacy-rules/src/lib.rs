//! Decides who is anonymous towards a vendor (CLIR): by the caller's request, by codes such as
//! `*67` before the number, by the customer, and never for emergency calls (SIG-75, SIG-78,
//! ROUTE-66).
//!
//! It stands in place of the plugin `identity` and writes only From, P-Asserted-Identity and
//! Privacy, so no other header can tell a private caller's number.
#![forbid(unsafe_code)]

mod config;

pub use config::Config;

use plugin_sdk::host::{self, CallFacts};
use plugin_sdk::{
    Header, HeaderMode, Identity, IdentityQuestion, Plugin, PresentedIdentity, Reason, Rejection,
    export_plugin,
};

/// The plugin.
#[derive(Debug)]
pub struct PrivacyRules {
    config: Config,
}

impl Plugin for PrivacyRules {
    const NAME: &'static str = "privacy-rules";
    const SUMMARY: &'static str = "Decides who is anonymous towards a vendor.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(PrivacyRules { config })
    }
}

impl PrivacyRules {
    /// The code that was dialled decides, then the attribute `clir` of the customer trunk
    /// (`always`, `never`), then the caller's request. A word that is neither withholds.
    fn is_private(&self, question: &IdentityQuestion, call: &CallFacts) -> bool {
        let numbers = call.numbers();
        let dialled = |codes: &[String]| {
            codes.iter().any(|code| numbers.callee_in.starts_with(code.as_str()))
        };
        if self.config.emergency.contains(&numbers.callee) || dialled(&self.config.show_codes) {
            return false;
        }
        let clir = call.customer_attribute("clir");
        let by_customer = match clir.as_deref() {
            None | Some("request") => question.private,
            Some("never") => false,
            Some(_) => true,
        };
        by_customer || dialled(&self.config.withhold_codes)
    }
}

impl Identity for PrivacyRules {
    fn present(&mut self, question: &IdentityQuestion) -> Result<PresentedIdentity, Rejection> {
        let call = host::call();
        let private = self.is_private(question, &call);
        let refuses = call.vendor_attribute(question.trunk, "anonymous");
        if private && refuses.as_deref() == Some("refused") {
            let detail = format!("trunk {} takes no anonymous calls", question.trunk);
            return Err(Rejection::new(403, Reason::CallerBarred, detail));
        }
        let IdentityQuestion { caller_out, identity_out, host, .. } = question;
        let mut headers = Vec::with_capacity(2);
        let asserts = question.asserted_mode != HeaderMode::None && !identity_out.is_empty();
        if asserts && (!private || question.target_trusted) {
            let value = format!("<sip:{}@{host}>", escaped(identity_out));
            headers.push(Header::new("P-Asserted-Identity", value));
        }
        if private {
            headers.push(Header::new("Privacy", "id"));
        }
        let anonymous = private || caller_out.is_empty();
        let (display, user, host) = match anonymous {
            true => ("Anonymous".into(), "anonymous".into(), "anonymous.invalid".into()),
            false => (one_line(&question.display), escaped(caller_out), host.clone()),
        };
        Ok(PresentedIdentity { display, user, host, headers })
    }
}

/// `#` must be escaped in a URI.
fn escaped(number: &str) -> String {
    number.replace('#', "%23")
}

fn one_line(display: &str) -> String {
    display.chars().filter(|character| !character.is_control()).collect()
}

export_plugin!(PrivacyRules: identity);

#[cfg(test)]
mod tests;
