//! Payments to accounts, in the database and in the live purse (BILL-46). A payment with a key is
//! booked once, however often it is requested.

use super::Node;
use api::ApiError;
use api::{PaymentDone, PaymentRequest};
use ledger::Money;
use store::{Payment, StoreError};

/// Longest note, in characters.
const LONGEST_NOTE: usize = 255;
/// Longest key, in bytes.
const LONGEST_KEY: usize = 64;

impl Node {
    /// Books a payment; the next call counts with it.
    pub async fn pay(&self, name: &str, request: PaymentRequest) -> Result<PaymentDone, ApiError> {
        let amount = checked(&request)?;
        let snapshot = self.desk.snapshot();
        let Some(account) = snapshot.account(name) else {
            return Err(ApiError::not_found(format!(
                "no account `{name}`; /v1/accounts lists them"
            )));
        };
        let PaymentRequest { note, key, .. } = request;
        let payment = Payment { account: account.id, amount, note, key };
        let paid = self.store.pay(&payment).await.map_err(|error| match error {
            StoreError::Refused(why) => ApiError::refused("payment_refused", why),
            error => ApiError::internal(error.to_string()),
        })?;
        // The purse already includes calls whose records are still being written.
        let purses = &self.registry.live().purses;
        let balance = if paid.booked {
            purses.post(account.id, amount)
        } else {
            purses.standing(account.id, crate::clock::utc_ms()).map(|standing| standing.balance)
        };
        let balance = balance.unwrap_or(paid.balance);
        tracing::info!(account = name, %amount, %balance, booked = paid.booked, "payment");
        Ok(PaymentDone {
            account: name.to_owned(),
            amount: amount.to_string(),
            balance: balance.to_string(),
            booked: paid.booked,
        })
    }
}

fn checked(request: &PaymentRequest) -> Result<Money, ApiError> {
    let amount: Money = request
        .amount
        .parse()
        .map_err(|error: ledger::MoneyError| ApiError::invalid("amount", error.to_string()))?;
    if amount == Money::ZERO {
        return Err(ApiError::invalid("amount", "0 moves nothing; expected another amount"));
    }
    let note = &request.note;
    if note.chars().count() > LONGEST_NOTE || note.chars().any(char::is_control) {
        let detail = format!("expected at most {LONGEST_NOTE} characters, none of control");
        return Err(ApiError::invalid("note", detail));
    }
    let usable = |key: &String| {
        (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !request.key.as_ref().is_none_or(usable) {
        let detail = format!("expected 1 to {LONGEST_KEY} visible ASCII characters");
        return Err(ApiError::invalid("key", detail));
    }
    Ok(amount)
}
