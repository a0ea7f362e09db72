//! `host-accounts`: names, money and prices of accounts and trunks.

use crate::guest::sandbox::Sandbox;
use crate::wire::{Owner, Price, Standing};
use std::sync::Arc;
use wasmtime::component::LinkerInstance;
use wasmtime::{Result, StoreContextMut};

type Context<'a> = StoreContextMut<'a, Sandbox>;

pub(super) fn link(accounts: &mut LinkerInstance<'_, Sandbox>) -> Result<()> {
    accounts.func_wrap("name-of", name)?;
    accounts.func_wrap("standing-of", standing)?;
    accounts.func_wrap("price-of", price)
}

fn name(context: Context<'_>, (owner,): (Owner,)) -> Result<(Option<Arc<str>>,)> {
    let lookup = context.data().lookup();
    Ok((lookup.and_then(|lookup| lookup.name(owner.into())),))
}

fn standing(context: Context<'_>, (owner,): (Owner,)) -> Result<(Option<Standing>,)> {
    let lookup = context.data().lookup();
    Ok((lookup.and_then(|lookup| lookup.standing(owner.into())).map(Into::into),))
}

/// The price at the time of the INVITE (BILL-03).
fn price(context: Context<'_>, (owner, number): (Owner, String)) -> Result<(Option<Price>,)> {
    let Some(asking) = &context.data().asking else { return Ok((None,)) };
    let price = asking.lookup.price(owner.into(), &number, asking.call.received_ms);
    Ok((price.map(Into::into),))
}
