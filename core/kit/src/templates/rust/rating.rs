//! {{name}}: what does a call cost?

use plugin_sdk::{
    Charge, DeckRow, Money, NoCharge, NoConfig, Plugin, RateSubject, Rating, Rounding,
    export_plugin,
};

/// The plugin; state kept here is a cache, one per signalling thread.
#[derive(Debug)]
pub struct Rater;

impl Plugin for Rater {
    const NAME: &'static str = "{{name}}";
    const SUMMARY: &'static str = "{{summary}}";
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Rater)
    }
}

impl Rating for Rater {
    /// Asked at admission for the first increment, at the end for each side.
    fn rate(
        &mut self,
        _: &RateSubject,
        row: &DeckRow,
        _: &Rounding,
        duration_ms: u64,
    ) -> Result<Charge, NoCharge> {
        let too_long = || NoCharge::Failed(format!("{duration_ms} ms cannot be rated"));
        let seconds = u32::try_from(duration_ms.div_ceil(1000)).map_err(|_| too_long())?;
        if seconds == 0 {
            return Ok(Charge::default());
        }
        // Billed by the second; prices are per minute. Change this line:
        let amount = row.connect_fee.0 + (row.price_next.0 * i64::from(seconds) + 59) / 60;
        Ok(Charge { amount: Money(amount), billed_seconds: seconds })
    }
}

export_plugin!(Rater: rating);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_second_counts() {
        let row = DeckRow { price_next: Money(600), ..DeckRow::default() };
        let subject = RateSubject::default();
        let charge = Rater.rate(&subject, &row, &Rounding::default(), 1_001);
        assert_eq!(charge, Ok(Charge { amount: Money(20), billed_seconds: 2 }));
    }
}
