//! Figures of a benchmark: a table for people, a JSON line each for programs.

use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// One measured figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The measurement.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it may be at most (or at least, see below); none where there is no goal.
    pub goal: Option<f64>,
    /// More is better: the goal is a floor.
    pub more_is_better: bool,
    /// The same measurement of a peer in the same run, and the peer's name.
    pub peer: Option<(String, f64)>,
}

impl Figure {
    /// Ours divided by the peer's.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        self.peer.as_ref().filter(|(_, peer)| *peer > 0.0).map(|(_, peer)| self.value / peer)
    }

    /// Whether the goal is met, if there is one.
    #[must_use]
    pub fn meets_goal(&self) -> Option<bool> {
        self.goal
            .map(|goal| if self.more_is_better { self.value >= goal } else { self.value <= goal })
    }
}

/// Prints the table and appends the lines to `file`.
///
/// # Errors
/// When the file cannot be written.
pub fn publish(title: &str, figures: &[Figure], file: &Path) -> std::io::Result<()> {
    println!("\n{title}");
    println!(
        "{:<52} {:>12} {:<8} {:>10}  {:<5} {:>10} {:>6}  peer",
        "", "value", "unit", "goal", "met", "peer", "ratio"
    );
    let mut out = OpenOptions::new().create(true).append(true).open(file)?;
    for figure in figures {
        let text = |value: Option<f64>| value.map_or(String::new(), |v| format!("{v:.2}"));
        let met = figure.meets_goal().map_or("", |met| if met { "yes" } else { "NO" });
        println!(
            "{:<52} {:>12.2} {:<8} {:>10}  {:<5} {:>10} {:>6}  {}",
            figure.name,
            figure.value,
            figure.unit,
            text(figure.goal),
            met,
            text(figure.peer.as_ref().map(|(_, value)| *value)),
            text(figure.ratio()),
            figure.peer.as_ref().map_or("", |(name, _)| name),
        );
        let line = json!({
            "name": figure.name, "value": figure.value, "unit": figure.unit, "goal": figure.goal,
            "peer": figure.peer.as_ref().map(|(name, value)| json!({ "name": name, "value": value })),
            "ratio": figure.ratio(),
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
