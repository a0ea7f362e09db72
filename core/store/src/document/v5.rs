//! Format 5: the document of format 4, followed by the charges of the account's resellers.

use super::v2::Charge;
use super::v4;
use ledger::{CallDocument, ResellerCharge};
use serde::{Deserialize, Serialize};

/// A document.
#[derive(Serialize, Deserialize)]
pub(super) struct Document<'a> {
    #[serde(borrow)]
    before: v4::Document<'a>,
    #[serde(borrow)]
    resellers: Vec<Reseller<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Reseller<'a> {
    account: u32,
    account_name: &'a str,
    #[serde(borrow)]
    charge: Charge<'a>,
}

impl<'a> Document<'a> {
    pub(super) fn of(document: &'a CallDocument) -> Document<'a> {
        let reseller = |reseller: &'a ResellerCharge| Reseller {
            account: reseller.account,
            account_name: &reseller.account_name,
            charge: Charge::of(&reseller.charge),
        };
        let resellers = document.call.resellers.iter().map(reseller).collect();
        Document { before: v4::Document::of(document), resellers }
    }

    /// # Errors
    /// As for format 4.
    pub(super) fn into_ledger(self) -> Result<CallDocument, String> {
        let mut document = self.before.into_ledger()?;
        let reseller = |Reseller { account, account_name, charge }: Reseller<'_>| ResellerCharge {
            account,
            account_name: account_name.into(),
            charge: charge.into_ledger(),
        };
        document.call.resellers = self.resellers.into_iter().map(reseller).collect();
        Ok(document)
    }
}
