//! `strowger account pay`.

use super::{NodeArgs, print};
use crate::show;
use anyhow::Result;
use api::{Client, NoAnswer, PaymentDone, PaymentRequest};
use clap::Args;
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::io::Write;

/// Number of tries before the payment is left to the operator.
const TRIES: u32 = 3;

/// A payment.
#[derive(Debug, Args)]
pub(super) struct PayArgs {
    /// Name of the account.
    name: String,
    /// Amount in the account's currency, such as 250 or 12.50; negative for a refund.
    #[arg(allow_hyphen_values = true)]
    amount: String,
    /// Note to keep with it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Idempotency key, unique among payments, such as the number of the bank statement: a payment
    /// repeated with its key is booked once. By default a new one for each run.
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

impl PayArgs {
    pub(super) fn run(self, out: &mut impl Write) -> Result<()> {
        let PayArgs { name, amount, note, key, node } = self;
        let key = key.map_or_else(own_key, Ok)?;
        let request = PaymentRequest { amount, note, key: Some(key.clone()) };
        match ask(&node.client()?, &name, &request) {
            Err(error) if error.downcast_ref::<NoAnswer>().is_some() => {
                Err(error.context(format!(
                    "it is not known whether the payment is booked; ask again with --key {key}: \
                     it is booked once"
                )))
            }
            // A refusal is a response: nothing was booked.
            done => print(out, node.json, &done?, show::payment),
        }
    }
}

/// A random key.
fn own_key() -> Result<String> {
    let mut bytes = [0; 16];
    OsRng.try_fill_bytes(&mut bytes)?;
    Ok(uuid::Uuid::from_bytes(bytes).to_string())
}

/// Retries until there is a response, always with the same key.
fn ask(client: &Client, name: &str, request: &PaymentRequest) -> Result<PaymentDone> {
    let mut tries = 1;
    loop {
        match client.pay(name, request) {
            Err(error) if tries < TRIES && error.downcast_ref::<NoAnswer>().is_some() => tries += 1,
            done => return done,
        }
    }
}
