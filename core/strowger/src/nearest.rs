//! Suggestions for misspelt words.

/// The entry of `known` with the smallest edit distance to `word`, ignoring the case of `word`, and
/// that distance; `None` if `known` is empty. Ties go to the first.
pub(crate) fn nearest<'a>(
    word: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<(usize, &'a str)> {
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
