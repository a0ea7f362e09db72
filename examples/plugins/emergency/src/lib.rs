//! Emergency calls (ROUTE-66): recognised by the numbers of the caller's site, marked, logged and
//! counted, tried over every trunk, those for emergency calls first, with the caller's location.
//!
//! * `emergency_numbers` of a customer trunk lists the numbers of its site, such as `112, 110`.
//! * `emergency = "yes"` of a vendor trunk: first for emergency calls; `"only"`: for nothing else.
//! * `location` of a customer trunk is the URI of its site's location, for calls that bring none.
#![forbid(unsafe_code)]

mod config;
mod location;

pub use config::Config;

use plugin_sdk::host::{self, CallFacts};
use plugin_sdk::{
    Call, Decision, Identity, IdentityQuestion, Outcome, Plugin, PresentedIdentity, Rejection,
    RouteQuestion, Routing, ScreenQuestion, Screening, TrunkId, Verdict, export_plugin,
};

/// The plugin.
#[derive(Debug)]
pub struct Emergency {
    config: Config,
}

impl Plugin for Emergency {
    const NAME: &'static str = "emergency";
    const SUMMARY: &'static str = "Emergency calls over every trunk, with caller and location.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(Emergency { config })
    }
}

impl Emergency {
    fn is_emergency(&self, call: &CallFacts, callee: &str) -> bool {
        let of_site = call.customer_attribute("emergency_numbers").unwrap_or_default();
        let mut of_site = of_site.split(',').map(str::trim).filter(|it| !it.is_empty()).peekable();
        match of_site.peek() {
            Some(_) => of_site.any(|number| number == callee),
            None => self.config.numbers.iter().any(|number| number == callee),
        }
    }
}

impl Screening for Emergency {
    fn screen(&mut self, question: &ScreenQuestion) -> Verdict {
        let ScreenQuestion { call, caller, callee, .. } = question;
        if !self.is_emergency(&host::call(), callee) {
            return Verdict::Allow;
        }
        host::count("calls", 1);
        host::log!(Warn, "emergency call from `{caller}` to {callee}, account {}", call.account);
        Verdict::Mark(vec!["emergency".to_owned()])
    }
}

impl Routing for Emergency {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        let call = host::call();
        let is_emergency = self.is_emergency(&call, &question.callee);
        let mut order: Vec<(u8, TrunkId)> = Vec::with_capacity(question.candidates.len());
        for vendor in &question.candidates {
            let purpose = call.vendor_attribute(vendor.trunk, "emergency");
            let rank = match (is_emergency, purpose.as_deref()) {
                (true, Some("yes" | "only")) => 0,
                (true, _) => 1,
                (false, Some("only")) => continue,
                (false, _) => 0,
            };
            order.push((rank, vendor.trunk));
        }
        order.sort_by_key(|(rank, _)| *rank);
        Ok(order.into_iter().map(|(_, trunk)| trunk).collect())
    }

    /// A busy emergency centre, too, may be reached over another trunk.
    fn after_failure(&mut self, _: &Call, _: &Outcome) -> Decision {
        let call = host::call();
        let callee = call.numbers().callee;
        if self.is_emergency(&call, &callee) { Decision::Next } else { Decision::Pass }
    }
}

impl Identity for Emergency {
    fn present(&mut self, question: &IdentityQuestion) -> Result<PresentedIdentity, Rejection> {
        let call = host::call();
        let is_emergency = self.is_emergency(&call, &call.numbers().callee);
        Ok(PresentedIdentity {
            display: question.display.chars().filter(|it| !it.is_control()).collect(),
            user: question.caller_out.replace('#', "%23"),
            host: question.host.clone(),
            headers: if is_emergency { location::headers(&call) } else { Vec::new() },
        })
    }
}

export_plugin!(Emergency: screening, routing, identity);

#[cfg(test)]
mod tests;
