//! May this call proceed? Allow and deny lists (SEC-17, ROUTE-63) and the block of callers that
//! call too often (SEC-18).
#![forbid(unsafe_code)]

mod config;
mod lists;
mod velocity;

pub use config::{Config, Level, Velocity};

use lists::Lists;
use plugin_sdk::{Plugin, Rejection, ScreenQuestion, Screening, Verdict, export_plugin};

/// The plugin. Lists and counters belong to the switch and are shared by all instances.
#[derive(Debug)]
pub struct ListScreening {
    config: Config,
    lists: Lists,
}

impl Plugin for ListScreening {
    const NAME: &'static str = "screening";
    const SUMMARY: &'static str =
        "Allow and deny lists, and a block for callers that call too often.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(ListScreening { config, lists: Lists::default() })
    }

    fn self_test(&self) -> Result<u32, String> {
        lists::check()
    }
}

impl Screening for ListScreening {
    fn screen(&mut self, question: &ScreenQuestion) -> Verdict {
        if self.config.emergency.contains(&question.callee) {
            return Verdict::Allow;
        }
        match self.refusal(question) {
            Some(rejection) => Verdict::Reject(rejection),
            None => Verdict::Allow,
        }
    }
}

impl ListScreening {
    /// Lists first: a barred call does not count towards the limit.
    fn refusal(&mut self, question: &ScreenQuestion) -> Option<Rejection> {
        self.lists
            .refusal(&self.config.levels, question)
            .or_else(|| velocity::refusal(&self.config.velocity, question))
    }
}

export_plugin!(ListScreening: screening);
