//! Another version of the numbering plugin: it follows no rules, so that a replay shows
//! which numbers rules have changed.
#![forbid(unsafe_code)]

use plugin_sdk::{NoConfig, NumberQuestion, Numbering, Numbers, Plugin, Rejection, export_plugin};

/// Numbers stay as they are.
#[derive(Debug)]
pub struct AsDialled;

impl Plugin for AsDialled {
    const NAME: &'static str = "numbering";
    const SUMMARY: &'static str = "Numbers stay as they are.";
    type Config = NoConfig;
    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(AsDialled)
    }
}

impl Numbering for AsDialled {
    fn rewrite(&mut self, question: &NumberQuestion) -> Result<Numbers, Rejection> {
        Ok(Numbers {
            caller: question.caller.clone(),
            callee: question.callee.clone(),
            identity: question.caller.clone(),
            ..Numbers::default()
        })
    }
}

export_plugin!(AsDialled: numbering);
