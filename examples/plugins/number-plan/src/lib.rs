//! Converts numbers between the dialling plans of customers, E.164 and the formats of vendors
//! (NUM-28): inside the switch every number is E.164 without `+`.
//!
//! The attribute `number_plan` of a customer trunk names its plan. The attribute `number_format` of
//! a vendor trunk is `e164`, `plus`, or `plan NAME`; without it numbers stay as they are.
#![forbid(unsafe_code)]

mod config;
mod plan;

pub use config::{Config, Plan};

use plan::is_digits;
use plugin_sdk::{
    NumberQuestion, Numbering, Numbers, Plugin, Reason, Rejection, Stage, export_plugin, host,
};

/// The plugin.
#[derive(Debug)]
pub struct NumberPlan {
    config: Config,
}

impl Plugin for NumberPlan {
    const NAME: &'static str = "number-plan";
    const SUMMARY: &'static str = "Converts numbers between dialling plans, E.164 and formats.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(NumberPlan { config })
    }
}

impl NumberPlan {
    fn plan(&self, name: &str) -> Result<&Plan, Rejection> {
        self.config.plans.get(name).ok_or_else(|| {
            let detail = format!("number plan `{name}` is not in the settings");
            Rejection::new(500, Reason::InternalError, detail)
        })
    }

    /// A caller that cannot be converted stays; a callee is refused.
    fn ingress(&self, question: &NumberQuestion) -> Result<Numbers, Rejection> {
        let NumberQuestion { caller, callee, .. } = question;
        let stay = Numbers { caller: caller.clone(), callee: callee.clone(), ..Numbers::default() };
        let name = host::call().customer_attribute("number_plan");
        let name = name.unwrap_or_else(|| self.config.default_plan.clone());
        if name.is_empty() {
            return Ok(stay);
        }
        let plan = self.plan(&name)?;
        let caller = plan.e164(caller).unwrap_or(stay.caller);
        if self.config.unchanged.contains(callee) {
            return Ok(Numbers { caller, ..stay });
        }
        let callee = plan.e164(callee).ok_or_else(|| {
            let detail = format!("`{callee}` is no number of plan `{name}`");
            Rejection::new(484, Reason::NumberInvalid, detail)
        })?;
        Ok(Numbers { caller, callee, ..Numbers::default() })
    }

    fn egress(&self, question: &NumberQuestion) -> Result<Numbers, Rejection> {
        let format = host::call().vendor_attribute(question.trunk, "number_format");
        let plan = match format.as_deref().map(str::trim).unwrap_or("e164") {
            "e164" => None,
            "plus" => Some(None),
            other => Some(Some(self.plan(other.strip_prefix("plan ").unwrap_or(other))?)),
        };
        let converted = |number: &String| match plan {
            Some(_) if !is_digits(number) || number.len() < 7 => number.clone(),
            Some(Some(plan)) => plan.dialled(number),
            Some(None) => format!("+{number}"),
            None => number.clone(),
        };
        let NumberQuestion { caller, callee, identity, .. } = question;
        Ok(Numbers {
            caller: converted(caller),
            callee: converted(callee),
            identity: converted(if identity.is_empty() { caller } else { identity }),
            ..Numbers::default()
        })
    }
}

impl Numbering for NumberPlan {
    fn rewrite(&mut self, question: &NumberQuestion) -> Result<Numbers, Rejection> {
        match question.stage {
            Stage::Ingress => self.ingress(question),
            Stage::Egress => self.egress(question),
        }
    }
}

export_plugin!(NumberPlan: numbering);

#[cfg(test)]
mod tests;
