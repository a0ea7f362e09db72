use std::fmt;
use std::path::{Path, PathBuf};

/// Most errors kept: beyond that, one mistake usually repeats.
const KEPT: usize = 100;

/// One error in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, or another source of the object.
    pub file: PathBuf,
    /// Line, from 1; 0 for the whole file.
    pub line: usize,
    /// Field, such as `customer_trunk.channels`, or column of a sheet.
    pub field: String,
    /// The value as written; empty for secrets and missing values.
    pub value: String,
    /// What is wrong and what is allowed.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        if !self.value.is_empty() {
            write!(f, " = {}", self.value)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// The errors in a configuration; at least one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    more: usize,
}

impl ConfigErrors {
    /// The first hundred errors, in the order of the files.
    #[must_use]
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }

    pub(crate) fn push(&mut self, error: ConfigError) {
        if self.errors.len() < KEPT {
            self.errors.push(error);
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn append(&mut self, other: ConfigErrors) {
        other.errors.into_iter().for_each(|error| self.push(error));
        self.more += other.more;
    }

    pub(crate) fn one(file: &Path, problem: String) -> ConfigErrors {
        let mut errors = ConfigErrors::default();
        errors.of_file(file, problem);
        errors
    }

    pub(crate) fn of_file(&mut self, file: &Path, problem: String) {
        self.push(ConfigError {
            file: file.to_owned(),
            line: 0,
            field: String::new(),
            value: String::new(),
            problem,
        });
    }

    /// `Ok` without errors.
    ///
    /// # Errors
    ///
    /// The errors collected.
    pub fn into_result(self) -> Result<(), ConfigErrors> {
        if self.errors.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl FromIterator<ConfigError> for ConfigErrors {
    fn from_iter<I: IntoIterator<Item = ConfigError>>(found: I) -> Self {
        let mut errors = ConfigErrors::default();
        found.into_iter().for_each(|error| errors.push(error));
        errors
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.errors.iter().enumerate() {
            let newline = if n == 0 { "" } else { "\n" };
            write!(f, "{newline}{error}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more errors", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
