//! `host-notes`: values that a plugin keeps for the later questions of a call, and explanations.

use crate::guest::fault::HostRefusal;
use crate::guest::sandbox::Sandbox;
use crate::guest::verify::shortened;
use policy::Text;
use wasmtime::component::LinkerInstance;
use wasmtime::{Result, StoreContextMut};

const KEY: usize = 64;
const VALUE: usize = 1_024;

type Context<'a> = StoreContextMut<'a, Sandbox>;

pub(super) fn link(notes: &mut LinkerInstance<'_, Sandbox>) -> Result<()> {
    notes.func_wrap("keep", keep)?;
    notes.func_wrap("kept", kept)?;
    notes.func_wrap("explain", explain)
}

/// False without a call, and if the call keeps as much as it may.
fn keep(mut context: Context<'_>, (key, value): (String, String)) -> Result<(bool,)> {
    for (word, text, most) in [("key", &key, KEY), ("value", &value, VALUE)] {
        if text.len() > most {
            let words = format!("{word} of {} bytes to keep, at most {most}", text.len());
            return Err(HostRefusal(words).into());
        }
    }
    let Some(asking) = &mut context.data_mut().asking else { return Ok((false,)) };
    let kept = &mut asking.beside.kept;
    let bytes = kept.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
    if !asking.notes.has_room(kept.len() + 1, bytes + key.len() + value.len()) {
        return Ok((false,));
    }
    kept.push((key.into(), value.into()));
    Ok((true,))
}

/// An empty plugin name means the plugin that asks.
fn kept(context: Context<'_>, (plugin, key): (String, String)) -> Result<(Option<String>,)> {
    let sandbox = context.data();
    let Some(asking) = &sandbox.asking else { return Ok((None,)) };
    let own = &*sandbox.plugin.name;
    let of = if plugin.is_empty() { own } else { &plugin };
    let just_kept = asking.beside.kept.iter().rev().filter(|_| of == own);
    let value = just_kept
        .into_iter()
        .find(|(known, _)| *known == key)
        .map(|(_, value)| value.clone())
        .or_else(|| asking.notes.kept(of, &key));
    Ok((value.map(Text::into_string),))
}

fn explain(mut context: Context<'_>, (reason,): (String,)) -> Result<()> {
    if let Some(asking) = &mut context.data_mut().asking {
        asking.beside.reason = Some(shortened(reason).into());
    }
    Ok(())
}
