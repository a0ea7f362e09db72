//! Suggestions for misspelt words.

/// The word of `known` that takes the fewest changes to become `word`, whose case does not matter,
/// and how many; none if there are no words. Of several that lie as near it is the first in order.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<(usize, &'a str)> {
    let word = word.to_lowercase();
    known.map(|known| (changes(&word, &known.to_lowercase()), known)).min()
}

/// Edit distance: characters to insert, delete or replace.
fn changes(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (above, left) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (column, right) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
