//! Fields in requests and responses: secrets are masked, changes merged, rows read like those of
//! sheets.

use api::ApiError;
use business::deck_row;
use serde_json::{Map, Value};
use store::{SECRET, is_secret, without_secrets};

pub(super) fn masked(body: Map<String, Value>) -> Map<String, Value> {
    let Value::Object(mut body) = without_secrets(Value::Object(body)) else { return Map::new() };
    // It identifies the state of the deck and is meaningless to readers.
    body.remove("digest");
    body
}

/// Restores secrets that are sent back masked.
pub(super) fn unmasked(
    mut body: Map<String, Value>,
    before: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    restore(&mut body, before);
    // A new password replaces its hashes.
    if body.get("password").is_some_and(|password| !password.is_null()) {
        body.remove("ha1_md5");
        body.remove("ha1_sha256");
    }
    body
}

fn restore(body: &mut Map<String, Value>, before: Option<&Map<String, Value>>) {
    let shown: Vec<String> = body
        .iter()
        .filter(|(field, value)| is_secret(field) && **value == SECRET)
        .map(|(field, _)| field.clone())
        .collect();
    for field in shown {
        match before.and_then(|before| before.get(&field)) {
            Some(value) => body.insert(field, value.clone()),
            None => body.remove(&field),
        };
    }
    for (field, value) in body {
        restore_in(value, before.and_then(|before| before.get(field)));
    }
}

/// Entries of a list are matched by position.
fn restore_in(value: &mut Value, before: Option<&Value>) {
    match value {
        Value::Object(fields) => restore(fields, before.and_then(Value::as_object)),
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                restore_in(item, before.and_then(|before| before.get(at)));
            }
        }
        _ => {}
    }
}

/// Merges a patch (RFC 7396).
pub(super) fn merge(whole: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (field, value) in patch {
        match (whole.get_mut(&field), value) {
            (_, Value::Null) => {
                whole.remove(&field);
            }
            (Some(Value::Object(inner)), Value::Object(patch)) => merge(inner, patch),
            (_, value) => {
                whole.insert(field, value);
            }
        }
    }
}

/// The fields of a row as in a sheet.
pub(super) fn texts<'a>(
    place: &str,
    fields: &'a Map<String, Value>,
) -> Result<Vec<(&'a str, String)>, ApiError> {
    let text = |(field, value): (&'a String, &Value)| match value {
        Value::String(text) => Ok((field.as_str(), text.clone())),
        Value::Number(number) => Ok((field.as_str(), number.to_string())),
        Value::Bool(yes) => Ok((field.as_str(), if *yes { "yes" } else { "no" }.to_owned())),
        Value::Null => Ok((field.as_str(), String::new())),
        _ => Err(ApiError::invalid(&format!("{place}.{field}"), "expected a text or a number")),
    };
    fields.iter().map(text).collect()
}

pub(super) fn row(
    place: &str,
    fields: &[(&str, String)],
    free_seconds: u32,
) -> Result<ledger::RateRow, ApiError> {
    let fields = fields.iter().map(|(field, text)| (*field, text.as_str()));
    deck_row(fields, free_seconds).map_err(|problem| ApiError::invalid(place, problem))
}
