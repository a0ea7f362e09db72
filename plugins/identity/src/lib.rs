//! The caller identity that a vendor sees: From, P-Asserted-Identity, P-Preferred-Identity,
//! Remote-Party-ID, Privacy and Diversion (SIG-70 to SIG-78).
#![forbid(unsafe_code)]

mod config;
mod headers;
mod pipeline;
mod presets;

pub use config::Config;
pub use headers::quoted;

use plugin_sdk::{Identity, IdentityQuestion, Plugin, PresentedIdentity, Rejection, export_plugin};

/// The plugin. It has no state: every identity depends only on its question.
#[derive(Debug)]
pub struct CallerIdentity {
    config: Config,
}

impl Plugin for CallerIdentity {
    const NAME: &'static str = "identity";
    const SUMMARY: &'static str = "From, PAI, PPI, RPID, Privacy and Diversion by trunk modes.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        Ok(CallerIdentity { config })
    }

    fn self_test(&self) -> Result<u32, String> {
        presets::check()
    }
}

impl Identity for CallerIdentity {
    fn present(&mut self, question: &IdentityQuestion) -> Result<PresentedIdentity, Rejection> {
        Ok(pipeline::present(&self.config, question))
    }
}

export_plugin!(CallerIdentity: identity);
