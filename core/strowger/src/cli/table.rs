//! Aligned tables and times for people.

use std::fmt::Write;

/// Rows under a heading, columns aligned; figures to the right.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A heading that begins with `>` marks a column of figures.
    pub(crate) fn new(headings: &[&'static str]) -> Table {
        Table { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; a missing cell is shown as `-`.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }
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

/// `2026-11-21 06:12:01` in UTC.
pub(crate) fn date_time(utc_ms: u64) -> String {
    let (days, seconds) = (utc_ms / 86_400_000, utc_ms / 1000 % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `06:12:01.250` in UTC.
pub(crate) fn clock(utc_ms: u64) -> String {
    let date_time = date_time(utc_ms);
    format!("{}.{:03}", &date_time[11..], utc_ms % 1000)
}

/// `1:02:03` or `2:03`.
pub(crate) fn elapsed(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// Year, month and day of a day number since 1970-01-01, by the 400-year cycle of the
/// Gregorian calendar counted from 1 March of year 0.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
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

    #[test]
    fn times_are_utc() {
        assert_eq!(date_time(0), "1970-01-01 00:00:00");
        assert_eq!(date_time(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(date_time(1_795_241_521_250), "2026-11-21 06:12:01");
        assert_eq!(clock(1_795_241_521_250), "06:12:01.250");
        assert_eq!(elapsed(59_999), "0:59");
        assert_eq!(elapsed(3_723_000), "1:02:03");
    }
}
