//! Texts in settings whose meaning a schema gives by `format`, such as the name of a number list.

use serde_json::Value;

/// Maximum depth of schemas, because a schema may refer to itself.
const DEEPEST: usize = 32;

/// The texts in settings for which the schema has this `format`, each with its place, such as
/// `levels[0].caller_deny`. Only the given settings are searched: defaults belong to the plugin.
#[must_use]
pub fn of_format(schema: &str, config: &Value, format: &str) -> Vec<(String, String)> {
    let Ok(root) = serde_json::from_str::<Value>(schema) else { return Vec::new() };
    let mut walk = Walk { root: &root, format, found: Vec::new() };
    walk.value(&root, config, "", DEEPEST);
    walk.found
}

struct Walk<'a> {
    root: &'a Value,
    format: &'a str,
    found: Vec<(String, String)>,
}

impl Walk<'_> {
    fn value(&mut self, schema: &Value, value: &Value, place: &str, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        let target = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        if let Some(target) = target.and_then(|pointer| self.root.pointer(pointer)) {
            self.value(target, value, place, depth);
        }
        for word in ["allOf", "anyOf", "oneOf"] {
            for part in schema[word].as_array().into_iter().flatten() {
                self.value(part, value, place, depth);
            }
        }
        match value {
            Value::String(text) if schema["format"] == self.format => {
                let found = (place.to_owned(), text.clone());
                if !self.found.contains(&found) {
                    self.found.push(found);
                }
            }
            Value::Array(items) => {
                let first = schema["prefixItems"].as_array().map_or(&[][..], Vec::as_slice);
                for (index, item) in items.iter().enumerate() {
                    let of_item = first.get(index).unwrap_or(&schema["items"]);
                    self.value(of_item, item, &format!("{place}[{index}]"), depth);
                }
            }
            Value::Object(fields) => {
                let dot = if place.is_empty() { "" } else { "." };
                for (name, field) in fields {
                    let known = schema["properties"].get(name);
                    let of_field = known.unwrap_or(&schema["additionalProperties"]);
                    self.value(of_field, field, &format!("{place}{dot}{name}"), depth);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn marked_texts_are_found_at_every_depth_and_others_are_not() {
        let schema = r##"{
            "properties": {
                "levels": { "items": { "properties": { "deny": { "$ref": "#/$defs/list" } } } },
                "by_name": { "additionalProperties": { "anyOf": [{ "$ref": "#/$defs/list" }] } },
                "title": { "type": "string" },
                "left_out": { "$ref": "#/$defs/list", "default": "usual" },
                "self": { "$ref": "#" }
            },
            "$defs": { "list": { "type": "string", "format": "number-list" } }
        }"##;
        let config = json!({
            "levels": [{ "deny": "a" }, { "deny": 7 }, { "other": "x" }],
            "by_name": { "x": "b" },
            "title": "c",
            "self": { "levels": [{ "deny": "d" }] }
        });
        let mut found = of_format(schema, &config, "number-list");
        found.sort();
        let expected = [("by_name.x", "b"), ("levels[0].deny", "a"), ("self.levels[0].deny", "d")];
        assert_eq!(found, expected.map(|(place, text)| (place.to_owned(), text.to_owned())));
        assert!(of_format("", &config, "number-list").is_empty());
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let config = json!({ "a": "x" });
        assert!(of_format(r##"{ "$ref": "#" }"##, &config, "number-list").is_empty());
    }
}
