//! Reads the configuration folder: TOML files with the position of every field, for error messages.

use super::lists::{DeckEntry, RulePlace};
use super::{
    Account, Business, ConfigError, ConfigErrors, CustomerTrunk, Deck, NodeNames, NumberList,
    RuleSet, VendorTrunk, check, secrets, sheets,
};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// Tables allowed in a file.
const TABLES: [&str; 6] =
    ["account", "customer_trunk", "vendor_trunk", "deck", "rule_set", "number_list"];

/// Where an object was written.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    file: PathBuf,
    line: usize,
    fields: HashMap<String, usize>,
}

impl Origin {
    /// An error at a field of this object; `table` is the object's TOML table.
    pub(super) fn error(
        &self,
        table: &str,
        field: &str,
        value: impl Into<String>,
        problem: impl Into<String>,
    ) -> ConfigError {
        ConfigError {
            file: self.file.clone(),
            line: self.fields.get(field).copied().unwrap_or(self.line),
            field: format!("{table}.{field}"),
            value: value.into(),
            problem: problem.into(),
        }
    }

    /// Whether the field is present.
    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Whether it was read from a file.
    pub(super) fn has_line(&self) -> bool {
        self.line > 0
    }

    /// `file:line`, for references in other errors.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }
}

/// Where the objects of each kind were written, in order.
#[derive(Debug, Default)]
pub(super) struct Origins {
    pub(super) accounts: Vec<Origin>,
    pub(super) customer_trunks: Vec<Origin>,
    pub(super) vendor_trunks: Vec<Origin>,
    pub(super) decks: Vec<Origin>,
    pub(super) rule_sets: Vec<Origin>,
    pub(super) number_lists: Vec<Origin>,
    /// For objects that did not come from files.
    source: Origin,
}

impl Origins {
    /// For objects that were not read from files.
    pub(super) fn of_source(source: &str) -> Self {
        let source = Origin { file: PathBuf::from(source), ..Origin::default() };
        Origins { source, ..Origins::default() }
    }

    /// The origin of object `n` of a kind.
    pub(super) fn get<'a>(&'a self, kind: &'a [Origin], n: usize) -> &'a Origin {
        kind.get(n).unwrap_or(&self.source)
    }
}

pub(super) fn read(
    folder: &Path,
    realm: &str,
    node: Option<&NodeNames>,
) -> Result<Business, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let free_seconds = node.map_or(0, |node| node.free_seconds);
    let mut reader = Reader { free_seconds, ..Reader::default() };
    match toml_files(folder) {
        Ok(files) => {
            for file in files {
                reader.file(&file, &mut errors);
            }
        }
        Err(error) => errors.of_file(folder, format!("the folder cannot be read: {error}")),
    }
    let Reader { mut business, origins, .. } = reader;
    check::check(&business, &origins, &mut errors);
    if let Some(node) = node {
        node.check(&business, &origins, &mut errors);
    }
    errors.into_result()?;
    secrets::seal(&mut business, realm);
    Ok(business)
}

fn toml_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[derive(Default)]
struct Reader {
    business: Business,
    origins: Origins,
    /// Free seconds of deck rows that set none (BILL-14).
    free_seconds: u32,
}

/// A TOML file being read.
struct Page<'a> {
    file: &'a Path,
    text: &'a str,
    /// Byte offset of each line, to look lines up.
    lines: Vec<usize>,
}

impl Reader {
    fn file(&mut self, file: &Path, errors: &mut ConfigErrors) {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => return errors.of_file(file, format!("cannot be read: {error}")),
        };
        let page = Page::new(file, &text);
        let (table, wrong) = DeTable::parse_recoverable(&text);
        if !wrong.is_empty() {
            for error in wrong {
                errors.push(page.toml_error("", &[], &error));
            }
            return;
        }
        for (name, value) in table.into_inner() {
            let line = page.line(name.span().start);
            let name = name.into_inner();
            let Some(items) = page.items(&name, line, value, errors) else { continue };
            for item in items {
                self.item(&page, &name, item, errors);
            }
        }
    }

    fn item(
        &mut self,
        page: &Page<'_>,
        table: &str,
        item: Spanned<DeValue<'_>>,
        errors: &mut ConfigErrors,
    ) {
        let Reader { business, origins, free_seconds } = self;
        match table {
            "account" => {
                if let Some((account, origin)) = page.object::<Account>(table, item, errors) {
                    business.accounts.push(account);
                    origins.accounts.push(origin);
                }
            }
            "customer_trunk" => {
                if let Some((trunk, origin)) = page.object::<CustomerTrunk>(table, item, errors) {
                    business.customer_trunks.push(trunk);
                    origins.customer_trunks.push(origin);
                }
            }
            "vendor_trunk" => {
                if let Some((trunk, origin)) = page.object::<VendorTrunk>(table, item, errors) {
                    business.vendor_trunks.push(trunk);
                    origins.vendor_trunks.push(origin);
                }
            }
            "rule_set" => {
                let lines = page.rule_lines(&item);
                if let Some((set, origin)) = page.object::<RuleSet>(table, item, errors) {
                    let mut set = joined(set, &origin, errors);
                    set.place = RulePlace { file: origin.file.clone(), line: origin.line, lines };
                    business.rule_sets.push(set);
                    origins.rule_sets.push(origin);
                }
            }
            "deck" => {
                if let Some((entry, origin)) = page.object::<DeckEntry>(table, item, errors) {
                    let rows =
                        page.sheet(&entry.file, table, &origin, errors).map(|(file, bytes)| {
                            sheets::deck_rows(&file, &bytes, *free_seconds, errors)
                        });
                    let DeckEntry { name, currency, .. } = entry;
                    business.decks.push(Deck { name, currency, rows: rows.unwrap_or_default() });
                    origins.decks.push(origin);
                }
            }
            _ => {
                if let Some((mut list, origin)) = page.object::<NumberList>(table, item, errors) {
                    let Some(file) = list.file.as_ref() else {
                        let problem = "name the file of the rows; a list whose rows are changed \
                                       one by one is made by `strowger numbers set`";
                        return errors.push(origin.error(table, "file", "", problem));
                    };
                    let path = page.beside(file);
                    if let Err(error) = path.metadata() {
                        let problem = format!("{} cannot be read: {error}", path.display());
                        let value = format!("{file:?}");
                        return errors.push(origin.error(table, "file", value, problem));
                    }
                    list.file = Some(path);
                    match list.fill() {
                        Ok(list) => business.number_lists.push(list),
                        Err(wrong) => return errors.append(wrong),
                    }
                    origins.number_lists.push(origin);
                }
            }
        }
    }
}

/// Joins a rule set's list form into its text form.
fn joined(mut set: RuleSet, origin: &Origin, errors: &mut ConfigErrors) -> RuleSet {
    if !set.rules.is_empty() {
        if !set.text.is_empty() {
            let problem = "rules are given twice: use either `text` or `rules`";
            errors.push(origin.error("rule_set", "rules", "", problem));
        }
        set.text = std::mem::take(&mut set.rules).join("\n");
    }
    set
}

impl<'p> Page<'p> {
    fn new(file: &'p Path, text: &'p str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Page { file, text, lines }
    }

    /// The tables of one kind; an error if it is not an array of tables.
    fn items<'a>(
        &self,
        name: &str,
        line: usize,
        value: Spanned<DeValue<'a>>,
        errors: &mut ConfigErrors,
    ) -> Option<Vec<Spanned<DeValue<'a>>>> {
        let known = TABLES.contains(&name);
        if known && let DeValue::Array(items) = value.into_inner() {
            return Some(items.into_iter().collect());
        }
        let headers = TABLES.map(|table| format!("[[{table}]]")).join(", ");
        errors.push(ConfigError {
            file: self.file.to_owned(),
            line,
            field: name.to_owned(),
            value: String::new(),
            problem: if known {
                format!("expected a list of tables, headed [[{name}]]")
            } else {
                format!("unknown table; expected one of {headers}")
            },
        });
        None
    }

    fn object<T: DeserializeOwned>(
        &self,
        table: &str,
        item: Spanned<DeValue<'_>>,
        errors: &mut ConfigErrors,
    ) -> Option<(T, Origin)> {
        let line = self.line(item.span().start);
        let mut spans = Vec::new();
        if let DeValue::Table(fields) = item.get_ref() {
            for (key, value) in fields {
                spans.push((key.get_ref().to_string(), key.span().start..value.span().end));
            }
        }
        match T::deserialize(ValueDeserializer::from(item)) {
            Ok(object) => {
                let fields =
                    spans.into_iter().map(|(key, span)| (key, self.line(span.start))).collect();
                Some((object, Origin { file: self.file.to_owned(), line, fields }))
            }
            Err(error) => {
                errors.push(self.toml_error(table, &spans, &error));
                None
            }
        }
    }

    fn toml_error(
        &self,
        table: &str,
        fields: &[(String, Range<usize>)],
        error: &toml::de::Error,
    ) -> ConfigError {
        let span = error.span().unwrap_or_default();
        let field = fields.iter().find(|(_, place)| place.contains(&span.start));
        let path = match field {
            Some((name, _)) => format!("{table}.{name}"),
            None => table.to_owned(),
        };
        let hidden = path.contains("password") || path.contains("ha1") || field.is_none();
        let value = if hidden { "" } else { self.text.get(span.clone()).unwrap_or("") };
        ConfigError {
            file: self.file.to_owned(),
            line: self.line(span.start),
            field: path,
            value: value.lines().next().unwrap_or("").trim().to_owned(),
            problem: error.message().to_owned(),
        }
    }

    /// Line numbers in the file of the lines of a rule set's text.
    fn rule_lines(&self, item: &Spanned<DeValue<'_>>) -> Vec<usize> {
        let DeValue::Table(fields) = item.get_ref() else { return Vec::new() };
        let mut lines = Vec::new();
        for (_, value) in
            fields.iter().filter(|(key, _)| ["text", "rules"].contains(&&**key.get_ref()))
        {
            match value.get_ref() {
                DeValue::Array(rules) => {
                    rules.iter().for_each(|rule| self.text_lines(rule, &mut lines))
                }
                _ => self.text_lines(value, &mut lines),
            }
        }
        lines
    }

    fn text_lines(&self, value: &Spanned<DeValue<'_>>, lines: &mut Vec<usize>) {
        let DeValue::String(text) = value.get_ref() else { return };
        let written = self.text.get(value.span()).unwrap_or_default();
        let several = ["\"\"\"", "'''"].iter().find_map(|quotes| written.strip_prefix(quotes));
        // A newline right after the opening quotes is not part of the text (TOML).
        let skipped = several.is_some_and(|rest| rest.starts_with(['\n', '\r']));
        let first = self.line(value.span().start) + usize::from(skipped);
        let step = usize::from(several.is_some());
        lines.extend(text.lines().enumerate().map(|(n, _)| first + n * step));
    }

    /// The bytes of a CSV file named in the field `file`.
    fn sheet(
        &self,
        name: &str,
        table: &str,
        origin: &Origin,
        errors: &mut ConfigErrors,
    ) -> Option<(PathBuf, Vec<u8>)> {
        let path = self.file.parent().unwrap_or(Path::new(".")).join(name);
        match std::fs::read(&path) {
            Ok(bytes) => Some((path, bytes)),
            Err(error) => {
                let problem = format!("{} cannot be read: {error}", path.display());
                errors.push(origin.error(table, "file", format!("{name:?}"), problem));
                None
            }
        }
    }

    /// A path in this file, made absolute.
    fn beside(&self, name: &Path) -> PathBuf {
        let path = self.file.parent().unwrap_or(Path::new(".")).join(name);
        std::path::absolute(&path).unwrap_or(path)
    }

    /// Line number of a byte offset, from 1.
    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= offset)
    }
}
