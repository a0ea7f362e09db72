//! The order of semantic versions, as needed to find the newest.

use std::cmp::Ordering;

/// Compares two versions: numbers by value, a pre-release before its release; the part after `+` is
/// ignored.
pub(super) fn order(one: &str, two: &str) -> Ordering {
    let (one, two) = (parts(one), parts(two));
    words(one.0, two.0).then_with(|| match (one.1, two.1) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(one), Some(two)) => words(one, two),
    })
}

fn parts(version: &str) -> (&str, Option<&str>) {
    let version = version.split('+').next().unwrap_or(version);
    version.split_once('-').map_or((version, None), |(numbers, before)| (numbers, Some(before)))
}

fn words(one: &str, two: &str) -> Ordering {
    let (mut one, mut two) = (one.split('.'), two.split('.'));
    loop {
        let step = match (one.next(), two.next()) {
            (None, None) => return Ordering::Equal,
            (one, two) if one.is_none() || two.is_none() => one.is_some().cmp(&two.is_some()),
            (one, two) => {
                let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok());
                match (number(one), number(two)) {
                    (Some(one), Some(two)) => one.cmp(&two),
                    (None, None) => one.cmp(&two),
                    // A number comes before a word.
                    (one, two) => two.is_some().cmp(&one.is_some()),
                }
            }
        };
        if step != Ordering::Equal {
            return step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_order_of_semver() {
        let rising = [
            "0.9.0",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.2.0",
            "1.10.0",
            "2.0.0",
        ];
        for (at, one) in rising.iter().enumerate() {
            for (other, two) in rising.iter().enumerate() {
                assert_eq!(order(one, two), at.cmp(&other), "{one} {two}");
            }
        }
        assert_eq!(order("1.0.0+a", "1.0.0+b"), Ordering::Equal);
    }
}
