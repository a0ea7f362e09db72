//! Short numbers between the sites of a company: `7123` reaches extension 123 of the site whose
//! code is 7, and the colleague there sees `5200` and not a public number.
//!
//! The attribute `private_plan` of a trunk names the company. Two number lists of kind `prefix`
//! translate: private prefixes to public ones, and back.
#![forbid(unsafe_code)]

mod config;

pub use config::{Config, Unknown};

use plugin_sdk::{
    NumberQuestion, Numbering, Numbers, Plugin, Reason, Rejection, Stage, export_plugin, host,
};

/// The plugin.
#[derive(Debug)]
pub struct PrivateNumbering {
    config: Config,
}

impl Plugin for PrivateNumbering {
    const NAME: &'static str = "private-numbering";
    const SUMMARY: &'static str = "Short numbers between the sites of a company.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(PrivateNumbering { config })
    }
}

/// A number with its prefix exchanged by a list; `None` if no entry fits.
fn exchanged(list: &str, plan: &str, number: &str) -> Option<String> {
    let table = list.replace("{plan}", plan);
    let hit = host::table(&table).longest_prefix(number).filter(|_| !number.is_empty())?;
    let rest = number.get(hit.length as usize..)?;
    Some(format!("{}{rest}", hit.value))
}

impl PrivateNumbering {
    fn is_private(&self, number: &str) -> bool {
        (1..=self.config.max_digits).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && !self.config.emergency.iter().any(|public| public == number)
    }

    fn ingress(&self, plan: &str, numbers: Numbers) -> Result<Numbers, Rejection> {
        let public = |number: &str| match self.is_private(number) {
            true => exchanged(&self.config.private, plan, number),
            false => Some(number.to_owned()),
        };
        let Numbers { caller, callee, .. } = numbers;
        let callee = match (public(&callee), self.config.unknown) {
            (Some(public), _) => public,
            (None, Unknown::Pass) => callee,
            (None, Unknown::Reject) => {
                let detail = format!("`{callee}` is no private number of plan `{plan}`");
                return Err(Rejection::new(404, Reason::NumberInvalid, detail));
            }
        };
        Ok(Numbers { caller: public(&caller).unwrap_or(caller), callee, ..Numbers::default() })
    }

    /// A colleague sees the private number of the caller, if there is one.
    fn egress(&self, plan: &str, numbers: Numbers) -> Numbers {
        let private = |number: String| {
            let digits = number.trim_start_matches('+');
            exchanged(&self.config.public, plan, digits).unwrap_or(number)
        };
        let Numbers { caller, identity, .. } = numbers;
        Numbers { caller: private(caller), identity: private(identity), ..numbers }
    }
}

impl Numbering for PrivateNumbering {
    fn rewrite(&mut self, question: &NumberQuestion) -> Result<Numbers, Rejection> {
        let numbers = Numbers {
            caller: question.caller.clone(),
            callee: question.callee.clone(),
            identity: question.identity.clone(),
            ..Numbers::default()
        };
        let call = host::call();
        let Some(plan) = call.customer_attribute("private_plan") else { return Ok(numbers) };
        match question.stage {
            Stage::Ingress => self.ingress(&plan, numbers),
            Stage::Egress => {
                let of_vendor = call.vendor_attribute(question.trunk, "private_plan");
                let colleagues = of_vendor.as_ref() == Some(&plan);
                Ok(if colleagues { self.egress(&plan, numbers) } else { numbers })
            }
        }
    }
}

export_plugin!(PrivateNumbering: numbering);

#[cfg(test)]
mod tests;
