//! CSV sheets of rate decks. Errors name the line and column of each refused cell.

use super::parse_instant;
use super::{ConfigError, ConfigErrors};
use foldhash::HashMap;
use ledger::{Money, PriceRow, RateRow, Text};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

/// Longest name of a destination, in bytes.
const LONGEST_DESTINATION: usize = 255;
/// Columns of a deck sheet; the header row lists those present, in any order.
pub(super) const DECK_COLUMNS: [&str; 12] = [
    "prefix",
    "destination",
    "price",
    "price_next",
    "connect_fee",
    "first_increment",
    "next_increment",
    "free_seconds",
    "minimum_charge",
    "valid_from",
    "valid_to",
    "blocked",
];

/// Builds a deck row from fields by column name, with the checks of a sheet.
///
/// # Errors
/// The field at fault and what is allowed.
pub fn deck_row<'a>(
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    free_seconds: u32,
) -> Result<RateRow, String> {
    let (names, cells): (Vec<&str>, Vec<&str>) = fields.into_iter().unzip();
    let mut sheet = csv::Writer::from_writer(Vec::new());
    let written = sheet.write_record(&names).and_then(|()| sheet.write_record(&cells));
    written.map_err(|error| error.to_string())?;
    let bytes = sheet.into_inner().map_err(|error| error.to_string())?;
    let mut errors = ConfigErrors::default();
    let rows = deck_rows(Path::new("row"), &bytes, free_seconds, &mut errors);
    if let Some(error) = errors.errors().first() {
        let ConfigError { field, value, problem, .. } = error;
        return Err(match value.is_empty() {
            true => format!("{field}: {problem}"),
            false => format!("{field} = {value}: {problem}"),
        });
    }
    rows.into_iter().next().ok_or_else(|| "a row has at least a prefix and a price".to_owned())
}

fn good_destination(name: &str) -> Result<(), String> {
    if name.len() > LONGEST_DESTINATION {
        return Err(format!("expected at most {LONGEST_DESTINATION} bytes"));
    }
    Ok(())
}

/// Reads the rows of a deck (BILL-01). `prefix` and `price` are required, but a blocked row needs
/// no price. Rows without free seconds get `free_seconds` (BILL-14).
pub(super) fn deck_rows(
    file: &Path,
    bytes: &[u8],
    free_seconds: u32,
    errors: &mut ConfigErrors,
) -> Vec<RateRow> {
    let Some(mut sheet) = Sheet::open(file, bytes, &DECK_COLUMNS, &["prefix", "price"], errors)
    else {
        return Vec::new();
    };
    let columns = DECK_COLUMNS.map(|name| sheet.column(name));
    let [prefix_at, destination_at, price_at, price_next_at, connect_fee_at, ..] = columns;
    let [.., first_at, next_at, free_at, minimum_at, from_at, to_at, blocked_at] = columns;
    let mut rows = Vec::new();
    let mut destinations: HashMap<String, Arc<str>> = HashMap::default();
    let mut seen: HashMap<(Text, u64), u64> = HashMap::default();
    while let Some(cells) = sheet.next(errors) {
        let prefix = cells.read(prefix_at, errors, |text| match text {
            "*" => Ok(Text::default()),
            text if text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(Text::from(text))
            }
            _ => Err("expected 0 to 20 digits; empty or `*` is the default row".to_owned()),
        });
        let blocked = cells.read(blocked_at, errors, |text| match text {
            "" | "no" | "false" | "0" => Ok(false),
            "yes" | "true" | "1" => Ok(true),
            _ => Err("expected yes or no".to_owned()),
        });
        let price_first = cells.read(price_at, errors, |text| match text {
            "" if blocked == Some(true) => Ok(Money::ZERO),
            text => amount(text),
        });
        let money = |column, errors: &mut _| {
            cells.read(column, errors, |text| match text {
                "" => Ok(None),
                text => amount(text).map(Some),
            })
        };
        let seconds = |column, errors: &mut _, lowest, default| {
            cells.read(column, errors, |text| match text {
                "" => Ok(default),
                text => whole(text, lowest, 3600),
            })
        };
        let time = |column, errors: &mut _| {
            cells.read(column, errors, |text| match text {
                "" => Ok(None),
                text => parse_instant(text).map(Some),
            })
        };
        let price_next = money(price_next_at, errors);
        let connect_fee = money(connect_fee_at, errors);
        let first_increment = seconds(first_at, errors, 0, 1);
        let next_increment = seconds(next_at, errors, 1, 1);
        let free = seconds(free_at, errors, 0, free_seconds);
        let minimum_charge = money(minimum_at, errors);
        let valid_from = time(from_at, errors);
        let valid_to = time(to_at, errors);
        cells.read(destination_at, errors, good_destination);
        let destination = cells.get(destination_at);
        let destination = match destinations.get(destination) {
            Some(known) => known.clone(),
            None => {
                let name: Arc<str> = destination.into();
                destinations.insert(destination.to_owned(), name.clone());
                name
            }
        };
        let row = || {
            let price_first = price_first?;
            Some(RateRow {
                prefix: prefix?,
                destination,
                price: PriceRow {
                    price_first,
                    price_next: price_next?.unwrap_or(price_first),
                    connect_fee: connect_fee?.unwrap_or_default(),
                    first_increment_s: first_increment?,
                    next_increment_s: next_increment?,
                    free_seconds: free?,
                    minimum_charge: minimum_charge?.unwrap_or_default(),
                },
                valid_from_ms: valid_from?.unwrap_or(0),
                valid_to_ms: valid_to?,
                blocked: blocked?,
            })
        };
        let Some(row) = row() else { continue };
        if row.valid_to_ms.is_some_and(|end| end <= row.valid_from_ms) {
            cells.refuse(to_at, errors, "expected an instant after valid_from".to_owned());
            continue;
        }
        if let Some(line) = seen.insert((row.prefix.clone(), row.valid_from_ms), cells.line) {
            let problem = format!(
                "the prefix is priced twice from the same instant on; first in line {line}"
            );
            cells.refuse(prefix_at, errors, problem);
            continue;
        }
        rows.push(row);
    }
    rows
}

/// An amount of at least 0 that fits the plugin boundary.
fn amount(text: &str) -> Result<Money, String> {
    let allowed = || {
        "expected an amount of at least 0 and at most 922337203 with at most 10 decimals, \
         such as 0.0049"
            .to_owned()
    };
    match Money::from_str(text) {
        Ok(money) if money >= Money::ZERO && i64::try_from(money).is_ok() => Ok(money),
        _ => Err(allowed()),
    }
}

fn whole(text: &str, lowest: u32, highest: u32) -> Result<u32, String> {
    match text.parse() {
        Ok(number) if (lowest..=highest).contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number of {lowest} to {highest}")),
    }
}

/// The error for a cell in another encoding.
pub(super) const NOT_UTF8: &str = "expected text in UTF-8; save the file in that encoding";

/// Line and column (from 0) of a cell that is not UTF-8, if that is the error.
pub(super) fn not_utf8(error: &csv::Error) -> Option<(u64, usize)> {
    match error.kind() {
        csv::ErrorKind::Utf8 { pos, err } => {
            Some((pos.as_ref().map_or(0, csv::Position::line), err.field()))
        }
        _ => None,
    }
}

/// A CSV file with a checked header row.
struct Sheet<'a> {
    file: &'a Path,
    columns: HashMap<&'static str, usize>,
    width: usize,
    reader: csv::Reader<&'a [u8]>,
    record: csv::StringRecord,
}

/// A column and its position in the sheet, resolved once for all rows.
#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    at: Option<usize>,
}

/// One row.
struct Cells<'a> {
    file: &'a Path,
    record: &'a csv::StringRecord,
    line: u64,
}

impl<'a> Sheet<'a> {
    fn open(
        file: &'a Path,
        bytes: &'a [u8],
        allowed: &[&'static str],
        needed: &[&str],
        errors: &mut ConfigErrors,
    ) -> Option<Self> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes));
        let mut refuse = |field: &str, problem: String| {
            let (file, field) = (file.to_owned(), field.to_owned());
            errors.push(ConfigError { file, line: 1, field, value: String::new(), problem });
        };
        let header = match reader.headers() {
            Ok(header) => header.clone(),
            Err(error) => {
                let wrong = match not_utf8(&error) {
                    Some((_, column)) => format!("column {}: {NOT_UTF8}", column + 1),
                    None => error.to_string(),
                };
                refuse("", format!("the header row cannot be read: {wrong}"));
                return None;
            }
        };
        let (mut columns, mut good) = (HashMap::default(), true);
        for (position, name) in header.iter().map(str::trim).enumerate() {
            let problem = match allowed.iter().find(|column| **column == name) {
                None => "unknown column",
                Some(column) if columns.insert(*column, position).is_some() => "column given twice",
                Some(_) => continue,
            };
            refuse(name, format!("{problem}; expected {}", allowed.join(", ")));
            good = false;
        }
        for name in needed {
            if !columns.contains_key(name) {
                refuse(name, "the header row lacks this column".to_owned());
                good = false;
            }
        }
        let (width, record) = (header.len(), csv::StringRecord::new());
        good.then_some(Sheet { file, columns, width, reader, record })
    }

    fn column(&self, name: &'static str) -> Column {
        Column { name, at: self.columns.get(name).copied() }
    }

    /// Name of a column; empty if the header names none.
    fn name_of(&self, position: usize) -> &'static str {
        let named = self.columns.iter().find(|(_, at)| **at == position);
        named.map_or("", |(name, _)| name)
    }

    /// The next row without excess cells.
    fn next(&mut self, errors: &mut ConfigErrors) -> Option<Cells<'_>> {
        loop {
            let read = self.reader.read_record(&mut self.record);
            let mut line = self.record.position().map_or(0, csv::Position::line);
            let mut field = "";
            let problem = match read {
                Ok(false) => return None,
                Ok(true) if self.record.len() <= self.width => break,
                Ok(true) => {
                    format!("the row has {} cells, the header {}", self.record.len(), self.width)
                }
                Err(error) => match not_utf8(&error) {
                    Some((at, column)) => {
                        line = at;
                        field = self.name_of(column);
                        NOT_UTF8.to_owned()
                    }
                    None => error.to_string(),
                },
            };
            errors.push(ConfigError {
                file: self.file.to_owned(),
                line: usize::try_from(line).unwrap_or(0),
                field: field.to_owned(),
                value: String::new(),
                problem,
            });
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        Some(Cells { file: self.file, record: &self.record, line })
    }
}

impl Cells<'_> {
    /// The trimmed cell of a column; empty if absent.
    fn get(&self, column: Column) -> &str {
        column.at.and_then(|position| self.record.get(position)).unwrap_or("").trim()
    }

    fn read<T>(
        &self,
        column: Column,
        errors: &mut ConfigErrors,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(self.get(column)) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.refuse(column, errors, problem);
                None
            }
        }
    }

    fn refuse(&self, column: Column, errors: &mut ConfigErrors, problem: String) {
        errors.push(ConfigError {
            file: self.file.to_owned(),
            line: usize::try_from(self.line).unwrap_or(0),
            field: column.name.to_owned(),
            value: format!("{:?}", self.get(column)),
            problem,
        });
    }
}
