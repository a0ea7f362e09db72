//! Checks a plugin's settings against the JSON Schema (draft 2020-12) that it ships.
//!
//! A separate crate because of its size: the library is compiled into every caller.
#![forbid(unsafe_code)]

mod format;

pub use format::of_format;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError};
use serde_json::Value;

/// Why settings are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The schema is invalid, with the reason at any length.
    NotValid(String),
    /// The settings do not match it; each problem gives the field as a JSON pointer, its value and
    /// what is allowed.
    DoesNotFit(Vec<String>),
}

/// Refuses settings that do not match, and an invalid schema. Nothing is fetched: a schema with
/// external references is invalid here. An empty schema accepts everything.
///
/// # Errors
/// What is wrong, and where.
pub fn check(schema: &str, config: &Value) -> Result<(), Refusal> {
    if schema.trim().is_empty() {
        return Ok(());
    }
    let schema: Value =
        serde_json::from_str(schema).map_err(|error| Refusal::NotValid(error.to_string()))?;
    let validator = jsonschema::options()
        .with_draft(Draft::Draft202012)
        // An engine whose time is linear in the length of the text.
        .with_pattern_options(PatternOptions::regex())
        .build(&schema)
        .map_err(|error| {
            Refusal::NotValid(format!("{}: {error}", place(error.instance_path().as_str())))
        })?;
    let problems: Vec<String> =
        validator.iter_errors(config).map(|error| problem(&error, config)).collect();
    if problems.is_empty() { Ok(()) } else { Err(Refusal::DoesNotFit(problems)) }
}

/// The place and description of a problem. For a schema that allows no field at all
/// (`"additionalProperties": false` without `properties`) the library does not name the fields, but
/// the reader needs their names for the correction.
fn problem(error: &ValidationError<'_>, config: &Value) -> String {
    let pointer = error.instance_path().as_str();
    let closed = matches!(error.kind(), ValidationErrorKind::FalseSchema)
        && error.schema_path().as_str().ends_with("/additionalProperties");
    let fields = config.pointer(pointer).and_then(Value::as_object).filter(|_| closed);
    let Some(fields) = fields else {
        return format!("{}: {error}", place(pointer));
    };
    let names: Vec<String> = fields.keys().map(|name| format!("'{name}'")).collect();
    let (names, were) = (names.join(", "), if fields.len() == 1 { "was" } else { "were" });
    format!("{}: no additional properties are allowed ({names} {were} unexpected)", place(pointer))
}

/// The field at a JSON pointer.
fn place(pointer: &str) -> &str {
    if pointer.is_empty() { "the whole" } else { pointer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SCHEMA: &str = r#"{
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "balance": { "enum": ["usage", "weight"] },
            "velocity": {
                "type": "object",
                "properties": { "window_s": { "type": "integer", "minimum": 60, "maximum": 86400 } }
            },
            "names": { "type": "array", "maxItems": 2, "items": { "type": "string", "pattern": "^[a-z]+$" } }
        }
    }"#;

    /// All problems in one text.
    fn refused(config: Value) -> String {
        words(check(SCHEMA, &config))
    }

    fn words(checked: Result<(), Refusal>) -> String {
        match checked {
            Ok(()) => String::new(),
            Err(Refusal::NotValid(cause)) => panic!("no schema: {cause}"),
            Err(Refusal::DoesNotFit(problems)) => problems.join("; "),
        }
    }

    #[test]
    fn what_fits_passes_and_no_schema_takes_everything() {
        assert_eq!(refused(json!({})), "");
        assert_eq!(refused(json!({ "balance": "usage", "names": ["a"] })), "");
        assert!(check("", &json!({ "anything": 1 })).is_ok());
    }

    #[test]
    fn a_refusal_names_field_value_and_what_is_allowed() {
        for (config, words) in [
            (json!({ "balance": "fair" }), ["/balance", "\"fair\"", "\"weight\""]),
            (json!({ "velocity": { "window_s": 10 } }), ["/velocity/window_s", "10", "60"]),
            (json!({ "names": ["a", "B"] }), ["/names/1", "\"B\"", "^[a-z]+$"]),
            (json!({ "blance": "usage" }), ["the whole", "'blance'", "unexpected"]),
        ] {
            let refusal = refused(config);
            for word in words {
                assert!(refusal.contains(word), "{word} in: {refusal}");
            }
        }
    }

    /// However a schema closes an object, in whole or in part.
    #[test]
    fn a_refused_field_is_named_however_the_schema_says_that_it_is_not_allowed() {
        let named = [r#""name": { "type": "string" }"#, ""];
        for properties in named {
            for word in ["additionalProperties", "unevaluatedProperties"] {
                let closed = format!(
                    r#"{{ "type": "object", "properties": {{ {properties} }}, "{word}": false }}"#
                );
                let without = format!(r#"{{ "type": "object", "{word}": false }}"#);
                for schema in [closed, without] {
                    let nested = format!(r#"{{ "properties": {{ "part": {schema} }} }}"#);
                    let refused = |schema: &str, config| words(check(schema, &config));
                    let flat = refused(&schema, json!({ "blance": 1, "wieght": 2 }));
                    assert!(flat.contains("the whole: "), "{flat}");
                    let deep = refused(&nested, json!({ "part": { "blance": 1, "wieght": 2 } }));
                    assert!(deep.contains("/part: "), "{deep}");
                    for refusal in [flat, deep] {
                        assert!(
                            refusal.contains("'blance'") && refusal.contains("'wieght'"),
                            "{schema}: {refusal}"
                        );
                    }
                    check(&schema, &json!({})).expect(&schema);
                }
            }
        }
        let refusal = words(check(r#"{ "properties": { "old": false } }"#, &json!({ "old": 1 })));
        assert!(refusal.contains("/old: "), "{refusal}");
    }

    #[test]
    fn several_problems_are_told_at_once() {
        let refusal = refused(json!({ "balance": 1, "velocity": { "window_s": "x" } }));
        assert!(
            refusal.contains("/balance") && refusal.contains("/velocity/window_s"),
            "{refusal}"
        );
    }

    #[test]
    fn a_schema_that_is_none_is_refused() {
        for schema in [
            "no JSON",
            r#"{ "type": "colour" }"#,
            r#"{ "minimum": "low" }"#,
            r#"{ "pattern": "(" }"#,
            r#"{ "$ref": "https://example.com/schema.json" }"#,
            r##"{ "$ref": "#/$defs/absent" }"##,
        ] {
            let error = check(schema, &json!({})).expect_err(schema);
            assert!(matches!(error, Refusal::NotValid(_)), "{schema}: {error:?}");
        }
    }

    #[test]
    fn each_shipped_schema_fits_its_own_defaults_and_refuses_what_is_misspelt() {
        let shipped = [
            ("identity", include_str!("../../../plugins/identity/src/schema.json")),
            ("numbering", include_str!("../../../plugins/numbering/src/schema.json")),
            ("rating", include_str!("../../../plugins/rating/src/schema.json")),
            ("routing", include_str!("../../../plugins/routing/src/schema.json")),
            ("screening", include_str!("../../../plugins/screening/src/schema.json")),
        ];
        for (plugin, text) in shipped {
            check(text, &json!({})).expect(plugin);
            check(text, &defaults(&serde_json::from_str(text).unwrap())).expect(plugin);
            let refusal = words(check(text, &json!({ "misspelt": 1 })));
            assert!(refusal.contains("'misspelt'"), "{plugin}: {refusal}");
        }
    }

    /// The defaults in a schema, as an object.
    fn defaults(schema: &Value) -> Value {
        let fields = schema["properties"].as_object().into_iter().flatten();
        let default = |schema: &Value| match &schema["default"] {
            Value::Null => defaults(schema),
            value => value.clone(),
        };
        let known =
            |schema: &&Value| schema["default"] != Value::Null || schema["type"] == "object";
        fields
            .filter(|(_, schema)| known(schema))
            .map(|(name, schema)| (name.clone(), default(schema)))
            .collect()
    }
}
