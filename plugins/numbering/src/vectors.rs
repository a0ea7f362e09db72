//! The test vectors V01 to V65, run by native tests and by the plugin's self-test.

use crate::ruleset::RuleSet;

const VECTORS: &str = include_str!("../testdata/vectors.txt");

/// Draws per vector: enough to see every alternative with high probability.
const DRAWS: u32 = 40;

/// Runs all vectors; returns the number that passed.
///
/// # Errors
/// The first that failed.
pub(crate) fn check() -> Result<u32, String> {
    let mut state = 0_u64;
    let mut random = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits ^ (bits >> 31)
    };
    let mut passed = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        check_one(line, &mut random).map_err(|error| format!("{line}: {error}"))?;
        passed += 1;
    }
    Ok(passed)
}

/// Checks `name | rules, separated by a comma | tech prefix | input | output | note`.
fn check_one(line: &str, random: &mut dyn FnMut() -> u64) -> Result<(), String> {
    let fields: Vec<&str> = line.split(" | ").map(str::trim).collect();
    let [_, rules, prefix, input, expected, _] = fields[..] else {
        return Err(format!("has {} fields instead of 6", fields.len()));
    };
    let rules = RuleSet::parse(&rules.replace(", ", "\n"));
    if expected == "refused" {
        return match rules {
            Ok(_) => Err("was not refused".to_owned()),
            Err(_) => Ok(()),
        };
    }
    let rules = rules.map_err(|error| error.to_string())?;
    let input = text(input);
    for _ in 0..DRAWS {
        let rewritten = rules.rewrite(input, random).unwrap_or_else(|| input.to_owned());
        let output = format!("{}{rewritten}", text(prefix));
        if !expected.split(" or ").any(|pattern| fits(text(pattern), &output)) {
            return Err(format!("got `{output}`"));
        }
    }
    Ok(())
}

fn text(field: &str) -> &str {
    if field == "(nothing)" || field == "-" { "" } else { field }
}

/// Compares with a pattern: `{a-b}` is any value of the range, `?` any digit.
fn fits(pattern: &str, output: &str) -> bool {
    if let Some((range, rest)) = pattern.strip_prefix('{').and_then(|open| open.split_once('}')) {
        let Some((low, high)) = range.split_once('-') else { return false };
        let Some((drawn, tail)) = output.split_at_checked(low.len()) else { return false };
        return (low..=high).contains(&drawn) && tail == rest;
    }
    pattern.len() == output.len()
        && pattern
            .bytes()
            .zip(output.bytes())
            .all(|(wanted, got)| wanted == got || (wanted == b'?' && got.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_vectors_v01_to_v65_come_out_as_written() {
        assert_eq!(super::check(), Ok(65));
    }
}
