use crate::guest::interface::Interface;
use crate::guest::sandbox::Sandbox;
use crate::outside::Fetch;
use crate::settings::Grant;
use crate::wire::{HttpError, HttpRequest, HttpResponse};
use std::sync::Arc;
use wasmtime::component::Linker;
use wasmtime::{Result, StoreContextMut};

/// Adds `host-http`: the only function during which a plugin waits, on a fibre.
pub(crate) fn link(linker: &mut Linker<Sandbox>) -> Result<()> {
    for version in Interface::ANSWERED {
        linker.instance(&version.name(Grant::Http.interface()))?.func_wrap_async(
            "fetch",
            |context, (request,): (HttpRequest,)| {
                Box::new(async move { Ok((fetch(context, request).await,)) })
            },
        )?;
    }
    Ok(())
}

async fn fetch(
    mut context: StoreContextMut<'_, Sandbox>,
    request: HttpRequest,
) -> std::result::Result<HttpResponse, HttpError> {
    let sandbox = context.data();
    let refused = |words: &str| Err(HttpError::Refused(words.to_owned()));
    if sandbox.asking.is_none() {
        return refused("only a question may ask outside, not configure or self-test");
    }
    let plugin = Arc::clone(&sandbox.plugin);
    let (Some(outside), Some(lane)) = (&plugin.outside, plugin.services.lane()) else {
        return refused("no host is granted");
    };
    match outside.begin(request) {
        Fetch::Done(answer) => answer,
        fetch => {
            context.data_mut().pause();
            let answer = Arc::clone(outside).wait(lane, fetch).await;
            context.data_mut().resume();
            answer
        }
    }
}
