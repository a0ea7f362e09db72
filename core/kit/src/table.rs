//! Aligned tables for people.

use platform::plain;
use std::fmt::Write;

/// Rows under a heading, columns aligned, figures to the right. Every command that prints a list
/// uses it.
#[derive(Debug)]
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A heading that begins with `>` marks a column of figures.
    pub fn new(headings: &[&str]) -> Table {
        Table { headings: headings.iter().copied().map(str::to_owned).collect(), rows: Vec::new() }
    }

    /// Adds a row; a missing cell is shown as `-`, terminal control characters as escapes.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| plain(&cell).into_owned()).collect());
    }
}

/// The text of a fault for people: the lines that ` | ` separates one below the other, from the
/// second on `indent` columns to the right, and control characters as escapes.
pub fn fault_lines(text: &str, indent: usize) -> String {
    plain(text).replace(" | ", &format!("\n{:indent$}", ""))
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cell = |row: &[String], column: usize| match row.get(column) {
            Some(text) if !text.is_empty() => text.clone(),
            _ => "-".to_owned(),
        };
        let width = |column: usize, heading: &str| {
            let cells = self.rows.iter().map(|row| cell(row, column).chars().count());
            cells.max().unwrap_or(0).max(heading.chars().count())
        };
        let columns: Vec<(bool, &str, usize)> = self
            .headings
            .iter()
            .enumerate()
            .map(|(column, heading)| {
                let plain = heading.trim_start_matches('>');
                (heading.starts_with('>'), plain, width(column, plain))
            })
            .collect();
        let mut line = String::new();
        let headings: Vec<String> = columns.iter().map(|(_, name, _)| (*name).to_owned()).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            line.clear();
            for (column, (right, _, width)) in columns.iter().enumerate() {
                let text = cell(row, column);
                let gap = if column == 0 { "" } else { "  " };
                if *right {
                    write!(line, "{gap}{text:>width$}")?;
                } else {
                    write!(line, "{gap}{text:<width$}")?;
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_figures_go_to_the_right() {
        let mut table = Table::new(&["NAME", ">AMOUNT", "NOTE"]);
        table.row(["acme".into(), "1.5".into(), "x".into()]);
        table.row(["a".into(), "1000".into(), String::new()]);
        assert_eq!(table.to_string(), "NAME  AMOUNT  NOTE\nacme     1.5  x\na       1000  -\n");
    }
}
