//! Chooses the STIR/SHAKEN attestation of a call (ATIS-1000074) and tells it to the server that
//! signs, in `Attestation-Info` and `Origination-Id` (3GPP TS 24.229).
//!
//! | Level | The call comes from |
//! |---|---|
//! | A | a customer of ours, with a number that is his |
//! | B | a customer of ours, with another number |
//! | C | another network, or we do not know |
//!
//! The attribute `origin = "direct"` says that a customer trunk is a customer's own. Without it the
//! call counts as one of another network; a signature that it brings is passed on, not replaced.
#![forbid(unsafe_code)]

mod config;

pub use config::Config;

use plugin_sdk::host::{self, CallFacts};
use plugin_sdk::{
    Header, Identity, IdentityQuestion, Plugin, PresentedIdentity, Rejection, export_plugin,
};

/// The plugin.
#[derive(Debug)]
pub struct StirAttestation {
    config: Config,
}

impl Plugin for StirAttestation {
    const NAME: &'static str = "stir-attestation";
    const SUMMARY: &'static str = "Chooses the STIR/SHAKEN attestation of each call.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(StirAttestation { config })
    }
}

impl StirAttestation {
    /// Whether the list gives a number to the account that pays for the call.
    fn is_verified(&self, number: &str, question: &IdentityQuestion) -> bool {
        let owner = host::table(&self.config.verified).exact(number.trim_start_matches('+'));
        owner.is_some_and(|owner| owner.trim() == question.call.account.to_string())
    }

    /// A and B differ in whether all numbers that the vendor sees are verified.
    fn level(&self, question: &IdentityQuestion, direct: bool) -> &'static str {
        let from = if is_hidden(question) { "" } else { question.caller_out.as_str() };
        let mut shown = [from, question.identity_out.as_str()]
            .into_iter()
            .filter(|number| !number.is_empty())
            .peekable();
        let any = shown.peek().is_some();
        match direct {
            false => "C",
            true if any && shown.all(|number| self.is_verified(number, question)) => "A",
            true => "B",
        }
    }

    /// Signatures of other networks. They contain the caller's number, so a vendor that may not
    /// know a private caller does not get them.
    fn signatures(question: &IdentityQuestion, call: &CallFacts) -> Vec<Header> {
        if is_hidden(question) && !question.target_trusted {
            return Vec::new();
        }
        let usable = |value: &String| value.len() <= 2_048 && !value.chars().any(char::is_control);
        let values = call.header("Identity").into_iter().filter(usable).take(8);
        values.map(|value| Header::new("Identity", value)).collect()
    }
}

/// Whether the caller is private: by its request, or because a plugin before made From anonymous.
fn is_hidden(question: &IdentityQuestion) -> bool {
    question.private || question.caller_out == "anonymous"
}

impl Identity for StirAttestation {
    fn present(&mut self, question: &IdentityQuestion) -> Result<PresentedIdentity, Rejection> {
        let call = host::call();
        let direct = call.customer_attribute("origin").as_deref() == Some("direct");
        let mut headers =
            if direct { Vec::new() } else { StirAttestation::signatures(question, &call) };
        if headers.is_empty() {
            let level = self.level(question, direct);
            headers.push(Header::new(&self.config.header, level));
            let origid = call.customer_attribute("origid");
            headers.extend(origid.map(|id| Header::new(&self.config.origid_header, id)));
        }
        Ok(PresentedIdentity {
            display: question.display.chars().filter(|it| !it.is_control()).collect(),
            user: question.caller_out.replace('#', "%23"),
            host: question.host.clone(),
            headers,
        })
    }
}

export_plugin!(StirAttestation: identity);

#[cfg(test)]
mod tests;
