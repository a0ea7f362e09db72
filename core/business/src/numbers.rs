//! Number files: up to millions of rows, read in one pass. Errors name the line and column of each
//! refused cell.

use super::sheets::{NOT_UTF8, not_utf8};
use super::{ConfigError, ConfigErrors, FilledList, NumberList};
use ledger::{NumberTable, NumberTableBuilder};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// Columns of a number file; a header row may give another order.
const COLUMNS: [&str; 2] = ["number", "value"];
/// Longest number, in characters.
const LONGEST_NUMBER: usize = 64;
/// Largest number file, in bytes.
const LARGEST_FILE: u64 = 1 << 30;
/// Longest value, in bytes.
const LONGEST_VALUE: usize = 255;

/// Identifies the state of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl FileStamp {
    /// The stamp of the file at `path`.
    ///
    /// # Errors
    ///
    /// The file does not exist or cannot be read.
    pub fn of(path: &Path) -> io::Result<FileStamp> {
        path.metadata().map(|metadata| FileStamp::from(&metadata))
    }
}

impl From<&Metadata> for FileStamp {
    fn from(metadata: &Metadata) -> Self {
        FileStamp {
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl NumberList {
    /// Reads the file: one row `number` or `number,value` per line. A header row with these names
    /// may come first, in either order. Of rows with the same number the last one counts; an empty
    /// number is the default row of a prefix list.
    ///
    /// Refuses a truncated file: empty, without a final newline, or changed while it was read.
    ///
    /// # Errors
    ///
    /// All errors, each with file, line, column, value and what is allowed; more than 10 million
    /// rows (SEC-17).
    pub fn fill(self) -> Result<FilledList, ConfigErrors> {
        let Some(file) = self.file.clone() else {
            let problem = format!("number list {}: it has no file", self.name);
            return Err(ConfigErrors::one(Path::new(""), problem));
        };
        let mut errors = ConfigErrors::default();
        let read = read(&file, &mut errors);
        errors.into_result()?;
        match read {
            Ok((numbers, stamp)) => {
                Ok(FilledList { list: self, numbers: Arc::new(numbers), stamp })
            }
            Err(problem) => Err(ConfigErrors::one(&file, problem)),
        }
    }
}

/// Refuses a row that no number list takes; returns the column at fault and what is allowed.
///
/// # Errors
///
/// The number has more than 64 characters or one not allowed in numbers (NUM-03); the value is
/// longer than 255 bytes or has control characters.
pub fn check_number_row(number: &str, value: &str) -> Result<(), (&'static str, String)> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+*#._-".contains(&byte);
    if number.len() > LONGEST_NUMBER || !number.bytes().all(plain) {
        let problem = format!(
            "expected 0 to {LONGEST_NUMBER} characters of 0-9 + * # A-Z a-z . _ - (NUM-03)"
        );
        return Err((COLUMNS[0], problem));
    }
    if value.len() > LONGEST_VALUE {
        return Err((COLUMNS[1], format!("expected at most {LONGEST_VALUE} bytes")));
    }
    if value.chars().any(char::is_control) {
        return Err((COLUMNS[1], "expected no control characters".to_owned()));
    }
    Ok(())
}

/// A number file is a regular file of limited size: a device or a pipe has no end.
fn good_file(metadata: &Metadata) -> Result<(), String> {
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if metadata.len() > LARGEST_FILE {
        return Err(format!("it has {} bytes, more than {LARGEST_FILE}", metadata.len()));
    }
    Ok(())
}

/// The rows of a file; an error concerns the whole file.
fn read(path: &Path, errors: &mut ConfigErrors) -> Result<(NumberTable, FileStamp), String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    // Before it is opened: opening a pipe waits for a writer.
    good_file(&path.metadata().map_err(unreadable)?)?;
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    good_file(&metadata)?;
    let stamp = FileStamp::from(&metadata);
    let mut rows = Rows::open(path, file);
    let mut builder = NumberTableBuilder::new();
    while let Some((number, value)) = rows.next(errors) {
        builder.push(number, value).map_err(|error| error.to_string())?;
    }
    let input = rows.reader.get_ref();
    match input.last {
        None => {
            return Err("the file is empty: a list without numbers has a header row \
                            `number,value`"
                .to_owned());
        }
        Some(b'\n') => {}
        Some(_) => {
            return Err("the last line has no end: the file is cut off or still being \
                               written"
                .to_owned());
        }
    }
    if FileStamp::of(path).map_err(unreadable)? != stamp {
        return Err("the file changed while it was read".to_owned());
    }
    Ok((builder.build().map_err(|error| error.to_string())?, stamp))
}

/// A file that remembers its last byte.
struct Input {
    file: File,
    last: Option<u8>,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.last = buffer[..read].last().copied().or(self.last);
        Ok(read)
    }
}

/// The rows of a file, one by one.
struct Rows<'a> {
    path: &'a Path,
    reader: csv::Reader<Input>,
    record: csv::StringRecord,
    /// Positions of number and value, known after the first row.
    columns: Option<(usize, Option<usize>)>,
}

impl<'a> Rows<'a> {
    fn open(path: &'a Path, file: File) -> Self {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(1 << 16)
            .from_reader(Input { file, last: None });
        Rows { path, reader, record: csv::StringRecord::new(), columns: None }
    }

    /// Number and value of the next valid row.
    fn next(&mut self, errors: &mut ConfigErrors) -> Option<(&str, &str)> {
        let (number, value) = loop {
            match self.reader.read_record(&mut self.record) {
                Ok(false) => return None,
                Ok(true) => {}
                Err(error) => {
                    match not_utf8(&error) {
                        Some((line, column)) => {
                            self.refuse_at(line, errors, self.name_of(column), "", NOT_UTF8.into());
                        }
                        None => self.refuse(errors, "", "", error.to_string()),
                    }
                    // An I/O error would repeat forever.
                    if error.is_io_error() {
                        return None;
                    }
                    continue;
                }
            }
            if self.columns.is_none() {
                match self.header() {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err((field, problem)) => {
                        self.refuse(errors, &field, "", problem);
                        return None;
                    }
                }
            }
            if let Some(row) = self.row(errors) {
                break row;
            }
        };
        let cell = |column: Option<usize>| column.and_then(|n| self.record.get(n)).unwrap_or("");
        Some((cell(Some(number)).trim(), cell(value).trim()))
    }

    /// Whether the first row is a header; sets the columns either way.
    fn header(&mut self) -> Result<bool, (String, String)> {
        if let Some(first) = self.record.get(0).and_then(|cell| cell.strip_prefix('\u{feff}')) {
            let rest = self.record.iter().skip(1);
            self.record = std::iter::once(first).chain(rest).collect();
        }
        let names: Vec<&str> = self.record.iter().map(str::trim).collect();
        let position = |name| names.iter().position(|cell| *cell == name);
        if let Some(number) = position(COLUMNS[0]) {
            if let Some(name) = names.iter().enumerate().find_map(|(n, name)| {
                let good = COLUMNS.contains(name) && position(name) == Some(n);
                (!good).then_some(*name)
            }) {
                let problem = "expected the columns number and value, each once".to_owned();
                return Err((name.to_owned(), problem));
            }
            self.columns = Some((number, position(COLUMNS[1])));
            return Ok(true);
        }
        let first = names.first().copied().unwrap_or_default();
        if !first.is_empty()
            && !first.bytes().any(|byte| byte.is_ascii_digit() || b"+*#".contains(&byte))
        {
            let problem = "expected a header row `number,value`, or a number".to_owned();
            return Err((first.to_owned(), problem));
        }
        self.columns = Some((0, Some(1)));
        Ok(false)
    }

    /// The columns of number and value, if the row is valid.
    fn row(&self, errors: &mut ConfigErrors) -> Option<(usize, Option<usize>)> {
        let (number, value) = self.columns?;
        let width = 1 + number.max(value.unwrap_or(0));
        if self.record.len() > width {
            let problem =
                format!("the row has {} cells, expected {width} at most", self.record.len());
            self.refuse(errors, "", "", problem);
            return None;
        }
        let cell = self.record.get(number).unwrap_or("").trim();
        let text = value.and_then(|value| self.record.get(value)).unwrap_or("").trim();
        if let Err((column, problem)) = check_number_row(cell, text) {
            let wrong = if column == COLUMNS[0] { cell } else { text };
            self.refuse(errors, column, wrong, problem);
            return None;
        }
        Some((number, value))
    }

    /// Name of a column, if known.
    fn name_of(&self, position: usize) -> &'static str {
        match self.columns {
            Some((number, _)) if number == position => COLUMNS[0],
            Some((_, value)) if value == Some(position) => COLUMNS[1],
            _ => "",
        }
    }

    fn refuse(&self, errors: &mut ConfigErrors, field: &str, value: &str, problem: String) {
        let line = self.record.position().map_or(0, csv::Position::line);
        self.refuse_at(line, errors, field, value, problem);
    }

    fn refuse_at(
        &self,
        line: u64,
        errors: &mut ConfigErrors,
        field: &str,
        value: &str,
        problem: String,
    ) {
        errors.push(ConfigError {
            file: self.path.to_owned(),
            line: usize::try_from(line).unwrap_or(0),
            field: field.to_owned(),
            value: if value.is_empty() { String::new() } else { format!("{value:?}") },
            problem,
        });
    }
}
