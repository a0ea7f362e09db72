//! `strowger account pay`.

use super::{NodeArgs, print, show};
use anyhow::Result;
use api::{Client, NoAnswer, PaymentDone, PaymentRequest};
use clap::Args;
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::io::Write;

/// How often a payment is asked for before it is left to the operator.
const TRIES: u32 = 3;

/// A payment.
#[derive(Debug, Args)]
pub(super) struct PayArgs {
    /// The account.
    name: String,
    /// In the account's currency, such as 250 or 12.50; below zero takes back.
    #[arg(allow_hyphen_values = true)]
    amount: String,
    /// What is to be kept with it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// A word that no other payment has, such as the number of the bank statement: the same
    /// payment asked for again is booked once. Left out, one is made for this run.
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
            // A refusal is an answer: nothing is booked.
            done => print(out, node.json, &done?, show::payment),
        }
    }
}

/// A key that nobody else makes.
fn own_key() -> Result<String> {
    let mut bytes = [0; 16];
    OsRng.try_fill_bytes(&mut bytes)?;
    Ok(uuid::Uuid::from_bytes(bytes).to_string())
}

/// Asks until there is an answer, always under the same key.
fn ask(client: &Client, name: &str, request: &PaymentRequest) -> Result<PaymentDone> {
    let mut tries = 1;
    loop {
        match client.pay(name, request) {
            Err(error) if tries < TRIES && error.downcast_ref::<NoAnswer>().is_some() => tries += 1,
            done => return done,
        }
    }
}
