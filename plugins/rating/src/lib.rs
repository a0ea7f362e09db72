//! Computes the charge for answered time: the formula BILL-12, in whole numbers.
//!
//! Only the duration at the beginning and the charge at the end are rounded, so that a bill can be
//! checked by hand.
#![forbid(unsafe_code)]

mod formula;
mod table;

pub use formula::charge;

use plugin_sdk::{
    Charge, DeckRow, NoCharge, NoConfig, Plugin, RateSubject, Rating, Rounding, export_plugin,
};

/// The plugin. It has no state: every charge depends only on its question.
#[derive(Debug)]
pub struct DeckRating;

impl Plugin for DeckRating {
    const NAME: &'static str = "rating";
    const SUMMARY: &'static str = "Charges by increments, rounded once at the end (BILL-12).";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(DeckRating)
    }

    fn self_test(&self) -> Result<u32, String> {
        table::check()
    }
}

impl Rating for DeckRating {
    fn rate(
        &mut self,
        _: &RateSubject,
        row: &DeckRow,
        rounding: &Rounding,
        duration_ms: u64,
    ) -> Result<Charge, NoCharge> {
        Ok(charge(row, rounding, duration_ms)?)
    }
}

export_plugin!(DeckRating: rating);
