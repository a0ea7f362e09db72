//! Verifies the books of a running node (BILL-48): in the database, and against the purses used by
//! calls.

use super::Node;
use api::ApiError;
use api::LedgerProof;
use ledger::Money;
use std::collections::BTreeMap;
use store::{Fault, Proof};

/// Number of comparisons: calls that end meanwhile move purses before the books.
const LOOKS: usize = 5;

impl Node {
    /// Verifies the books.
    pub async fn prove_ledger(&self) -> Result<LedgerProof, ApiError> {
        let failed = |error: store::StoreError| ApiError::internal(error.to_string());
        self.store_catches_up().await;
        let proof = self.store.prove().await.map_err(failed)?;
        let snapshot = self.desk.snapshot();
        let named = |id: u32| {
            let account = snapshot.facts.accounts().get(&id);
            account.map_or_else(|| format!("id {id}"), |account| account.name.to_string())
        };
        let mut faults: Vec<String> =
            proof.faults.iter().map(|fault| described(fault, &named)).collect();
        for (account, (purse, book)) in self.purses_that_differ().await.map_err(failed)? {
            faults.push(format!(
                "account {}: calls count with {purse}, the books say {book}",
                named(account)
            ));
        }
        let Proof { accounts, postings, owed, books, .. } = proof;
        let books = books.into_iter().map(|(book, balance)| (book, balance.to_string())).collect();
        Ok(LedgerProof { accounts, postings, owed: owed.to_string(), books, faults })
    }

    /// Accounts whose purse and balance differ at every comparison, with both amounts.
    async fn purses_that_differ(&self) -> Result<BTreeMap<u32, (Money, Money)>, store::StoreError> {
        let mut suspects: Option<BTreeMap<u32, (Money, Money)>> = None;
        for _ in 0..LOOKS {
            self.store_catches_up().await;
            let utc_ms = crate::clock::utc_ms();
            let purse = |account| self.registry.live().purses.standing(account, utc_ms);
            let mut differ = BTreeMap::new();
            for (account, balance) in self.store.balances().await? {
                let known = suspects.as_ref().is_none_or(|known| known.contains_key(&account));
                if let Some(standing) = purse(account).filter(|_| known)
                    && standing.balance != balance
                {
                    differ.insert(account, (standing.balance, balance));
                }
            }
            if differ.is_empty() {
                return Ok(differ);
            }
            suspects = Some(differ);
        }
        Ok(suspects.unwrap_or_default())
    }
}

/// Describes a contradiction.
fn described(fault: &Fault, named: &impl Fn(u32) -> String) -> String {
    match fault {
        Fault::Balance { account, balance: Some(balance), postings } => {
            format!(
                "account {}: balance {balance}, its postings come to {postings}",
                named(*account)
            )
        }
        Fault::Balance { account, balance: None, postings } => {
            format!("postings of {postings} are booked to account id {account}, which is not there")
        }
        Fault::Book { book, balance, postings } => {
            format!("book {book}: balance {balance}, its postings come to {postings}")
        }
        Fault::Unbalanced { sum } => {
            format!("accounts and books come to {sum} together, not to 0")
        }
        Fault::Kind { kind } => format!("postings of the kind `{kind}` belong to no book"),
        Fault::Orphan { call, account } => {
            format!("account {}: a posting of call {call}, which has no record", named(*account))
        }
        Fault::Charge { call, account, charge, booked } => format!(
            "account {}: call {call} was charged {charge}, booked are {booked}",
            named(*account)
        ),
    }
}
