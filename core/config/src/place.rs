//! Finds the line and the dotted name of a setting in the node file's text.

use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// Line of a byte offset, from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// Dotted name of the deepest setting around `span`, such as `listeners[1].address`; empty if the
/// span lies in none.
pub(super) fn field_at(text: &str, span: &Range<usize>) -> String {
    let mut name = String::new();
    if let Ok(root) = DeTable::parse(text) {
        walk_table(root.get_ref(), span, &mut name);
    }
    name
}

fn walk_table(table: &DeTable<'_>, span: &Range<usize>, name: &mut String) {
    for (key, value) in table {
        if encloses(&key.span(), span) || encloses(&value.span(), span) {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(key.get_ref());
            walk_value(value.get_ref(), span, name);
            return;
        }
        // A table under a `[header]` lies outside the span of its parent.
        let before = name.len();
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(key.get_ref());
        let here = name.len();
        walk_value(value.get_ref(), span, name);
        if name.len() > here {
            return;
        }
        name.truncate(before);
    }
}

fn walk_value(value: &DeValue<'_>, span: &Range<usize>, name: &mut String) {
    match value {
        DeValue::Table(table) => walk_table(table, span, name),
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let before = name.len();
                name.push_str(&format!("[{index}]"));
                let here = name.len();
                if encloses(&item.span(), span) {
                    walk_value(item.get_ref(), span, name);
                    return;
                }
                walk_value(item.get_ref(), span, name);
                if name.len() > here {
                    return;
                }
                name.truncate(before);
            }
        }
        _ => {}
    }
}

fn encloses(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Line of the setting called `name`, or of the nearest table around it.
pub(super) fn line_of_field(text: &str, name: &str) -> usize {
    let Ok(root) = DeTable::parse(text) else { return 1 };
    let mut line = 1;
    let mut table = Some(root.get_ref());
    for part in name.split('.') {
        let (key, index) = match part.split_once('[') {
            Some((key, index)) => (key, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (part, None),
        };
        let Some((found, inner)) =
            table.and_then(|table| table.iter().find(|(name, _)| name.get_ref().as_ref() == key))
        else {
            return line;
        };
        line = line_of(text, found.span().start);
        let mut value = inner.get_ref();
        if let Some(index) = index {
            let Some(item) = value.as_array().and_then(|items| items.get(index)) else {
                return line;
            };
            line = line_of(text, item.span().start);
            value = item.get_ref();
        }
        table = value.as_table();
    }
    line
}
