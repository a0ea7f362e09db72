//! Benchmark results: a table for people, one JSON line each for programs.

use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// One result.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The measured value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Its maximum, or minimum if `more_is_better`; `None` without a goal.
    pub goal: Option<f64>,
    /// Whether the goal is a minimum.
    pub more_is_better: bool,
    /// A peer's name and its value in the same run.
    pub peer: Option<(String, f64)>,
}

impl Figure {
    /// Our value divided by the peer's.
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
