use super::*;
use crate::dice::Dice;
use std::collections::BTreeMap;

fn table<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> NumberTable {
    let mut builder = NumberTableBuilder::new();
    for (number, value) in rows {
        builder.push(number, value).unwrap();
    }
    builder.build().unwrap()
}

/// Checks every answer for a number against a map.
fn agrees(table: &NumberTable, naive: &BTreeMap<String, String>, number: &str) {
    let longest = (0..=number.len())
        .rev()
        .find_map(|n| naive.get(&number[..n]).map(|value| (n, value.as_str())));
    assert_eq!(table.longest(number), longest, "longest prefix of {number:?}");
    assert_eq!(table.get(number), naive.get(number).map(String::as_str), "exactly {number:?}");
}

/// Few symbols make deep nesting, many values make wide positions, the longest keys exceed 15
/// symbols, and letters occur among the digits.
#[test]
fn agrees_with_a_naive_map_on_random_tables() {
    let shapes = [
        ("01", 8, 1),
        ("0123456789", 8, 3),
        ("12", 20, 200),
        ("12+*#aZ._-", 6, 400),
        ("1", 64, 70_000),
        ("059a", 18, 70_000),
    ];
    for (seed, (alphabet, longest, values)) in (1..).zip(shapes) {
        let alphabet = alphabet.as_bytes();
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ seed);
        for size in [0, 1, 15, 16, 17, 256, 257, 5000] {
            let mut builder = NumberTableBuilder::new();
            let mut naive = BTreeMap::new();
            for _ in 0..size {
                let (key, value) =
                    (dice.text(alphabet, 0..=longest), dice.roll(values).to_string());
                builder.push(&key, &value).unwrap();
                naive.insert(key, value);
            }
            let table = builder.build().unwrap();
            assert_eq!((table.len(), table.is_empty()), (naive.len(), naive.is_empty()));
            for _ in 0..1000 {
                agrees(&table, &naive, &dice.text(alphabet, 0..=longest + 4));
            }
            for key in naive.keys() {
                agrees(&table, &naive, key);
                agrees(&table, &naive, &format!("{key}1"));
            }
        }
    }
}

#[test]
fn values_of_every_width_are_found() {
    let counts = [1_u32, 2, 256, 257, 65_536, 65_537];
    for (count, copies) in counts.into_iter().flat_map(|count| [(count, 0), (count, 2)]) {
        let mut builder = NumberTableBuilder::new();
        for n in 0..count {
            builder.push(&n.to_string(), &format!("{n}")).unwrap();
            // With each value three times it pays to store each value once.
            for copy in ["a", "b"].into_iter().take(copies) {
                builder.push(&format!("{n}{copy}"), &format!("{n}")).unwrap();
            }
        }
        let table = builder.build().unwrap();
        for n in [0, count / 2, count - 1] {
            assert_eq!(table.get(&n.to_string()), Some(&*format!("{n}")), "of {count}");
            let copy = Some(format!("{n}")).filter(|_| copies > 0);
            assert_eq!(table.get(&format!("{n}b")), copy.as_deref(), "of {count}");
        }
    }
}

#[test]
fn the_empty_prefix_is_the_default_row() {
    let table = table([("44", "uk"), ("", "rest"), ("447", "uk mobile")]);
    assert_eq!(table.longest("447700900123"), Some((3, "uk mobile")));
    assert_eq!(table.longest("4420"), Some((2, "uk")));
    assert_eq!(table.longest("1"), Some((0, "rest")));
    assert_eq!(table.longest("alice"), Some((0, "rest")));
    assert_eq!(table.longest(""), Some((0, "rest")));
    assert_eq!(table.get(""), Some("rest"));
    assert_eq!(table.get("4"), None);
}

#[test]
fn an_empty_table_finds_nothing() {
    let table = table([]);
    assert!(table.is_empty());
    assert_eq!((table.longest(""), table.longest("44"), table.get("")), (None, None, None));
}

#[test]
fn texts_of_more_than_255_bytes_are_refused() {
    let mut builder = NumberTableBuilder::new();
    assert_eq!(builder.push("1", &"x".repeat(256)), Err(NumberTableError::Text));
    builder.push("1", &"x".repeat(255)).unwrap();
    builder.push(&"1".repeat(255), "").unwrap();
    let table = builder.build().unwrap();
    assert_eq!(table.longest(&"1".repeat(300)), Some((255, "")));
    let mut builder = NumberTableBuilder::new();
    builder.push(&"1".repeat(256), "").unwrap();
    assert_eq!(builder.build(), Err(NumberTableError::Text));
}

#[test]
fn of_equal_numbers_the_last_row_counts() {
    let table = table([("44", "a"), ("x44", "a"), ("44", "b"), ("x44", "b"), ("49", "a")]);
    assert_eq!(table.len(), 3);
    assert_eq!((table.get("44"), table.get("x44")), (Some("b"), Some("b")));
}

/// 15 symbols are the most that fit into a key; longer numbers and those with letters are text, and
/// the longer match of both kinds wins.
#[test]
fn long_numbers_and_letters_stand_beside_the_keys() {
    let (fifteen, sixteen) = ("4".repeat(15), "4".repeat(16));
    let rows = [(&*fifteen, "15"), (&*sixteen, "16"), ("44", "2"), ("44a", "3"), ("alice", "5")];
    let table = table(rows);
    assert_eq!(table.longest(&"4".repeat(64)), Some((16, "16")));
    assert_eq!(table.longest(&fifteen), Some((15, "15")));
    assert_eq!(table.longest(&format!("{fifteen}9")), Some((15, "15")));
    assert_eq!(table.longest("44a9"), Some((3, "3")));
    assert_eq!(table.longest("44b"), Some((2, "2")));
    assert_eq!(table.longest("alice.b"), Some((5, "5")));
    assert_eq!(table.longest("Alice"), None);
    assert_eq!(table.get(&sixteen), Some("16"));
    assert_eq!((table.get("44a"), table.get("44b")), (Some("3"), None));
}

/// A set of whole numbers takes little more space than its keys.
#[test]
fn a_set_takes_nine_bytes_a_row() {
    let numbers: Vec<String> =
        (0..100_000).map(|n| (4_915_000_000_000_u64 + n * 7).to_string()).collect();
    let set = table(numbers.iter().map(|number| (number.as_str(), "")));
    assert!(set.bytes() < 9 * numbers.len(), "{} bytes", set.bytes());
    let valued =
        table(numbers.iter().zip(["a", "b"].into_iter().cycle()).map(|(n, v)| (n.as_str(), v)));
    assert!(valued.bytes() < 10 * numbers.len(), "{} bytes", valued.bytes());
}
