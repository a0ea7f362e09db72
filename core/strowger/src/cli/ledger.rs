//! `strowger ledger`.

use super::{NodeArgs, print};
use anyhow::{Result, bail};
use api::LedgerProof;
use clap::Subcommand;
use std::fmt::Write as _;
use std::io::Write;

/// Commands on the books.
#[derive(Debug, Subcommand)]
pub(super) enum LedgerCommand {
    /// Verify the books of the running node: every balance is the sum of its postings, accounts and
    /// books sum to zero, every charge matches its record, and running calls use the same balances.
    /// Fails on any contradiction.
    Verify {
        #[command(flatten)]
        node: NodeArgs,
    },
}

impl LedgerCommand {
    pub(super) fn run(self, out: &mut impl Write) -> Result<()> {
        let LedgerCommand::Verify { node } = self;
        let proof = node.client()?.prove()?;
        print(out, node.json, &proof, text)?;
        match proof.faults.len() {
            0 => Ok(()),
            1 => bail!("the books contradict themselves"),
            count => bail!("the books contradict themselves in {count} places"),
        }
    }
}

fn text(proof: &LedgerProof) -> String {
    let LedgerProof { accounts, postings, owed, books, faults } = proof;
    let mut text = format!("{accounts} accounts, {postings} postings\n");
    let rows = std::iter::once(("accounts", owed.as_str()))
        .chain(books.iter().map(|(book, balance)| (book.as_str(), balance.as_str())));
    let (mut names, mut amounts) = (0, 0);
    for (name, amount) in rows.clone() {
        (names, amounts) = (names.max(name.len()), amounts.max(amount.len()));
    }
    for (name, amount) in rows {
        let _ = writeln!(text, "  {name:names$}  {amount:>amounts$}");
    }
    match faults.is_empty() {
        true => text.push_str("the books are right\n"),
        false => faults.iter().for_each(|fault| {
            let _ = writeln!(text, "wrong: {fault}");
        }),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_are_shown_with_their_balances_and_what_is_wrong() {
        let proof = LedgerProof {
            accounts: 2,
            postings: 3,
            owed: "149.5".to_owned(),
            books: [("cash".to_owned(), "-50".to_owned())].into(),
            faults: vec!["book cash: balance -50, its postings come to -49".to_owned()],
        };
        let expected = "2 accounts, 3 postings\n  accounts  149.5\n  cash        -50\n\
                        wrong: book cash: balance -50, its postings come to -49\n";
        assert_eq!(text(&proof), expected);
        let right = text(&LedgerProof::default());
        assert!(right.ends_with("the books are right\n"));
    }
}
