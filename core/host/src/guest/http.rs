use crate::guest::interface::Interface;
use crate::guest::sandbox::Sandbox;
use crate::outside::Fetch;
use crate::settings::Grant;
use crate::wire::{HttpError, HttpRequest, HttpResponse};
use std::sync::Arc;
use wasmtime::component::Linker;
use wasmtime::{Result, StoreContextMut};

/// The only function during which a plugin waits, on a fibre.
pub(crate) const WAITS: &str = "fetch";

/// The function that sends a request for whose response nobody waits.
pub(crate) const SENDS: &str = "send";

/// Text for a request outside a question.
const NO_QUESTION: &str = "only a question may ask outside, not configure or self-test";

/// Adds `host-http`, with the function that waits if `waits` is set.
pub(crate) fn link(linker: &mut Linker<Sandbox>, waits: bool) -> Result<()> {
    for version in Interface::ANSWERED {
        let mut instance = linker.instance(&version.name(Grant::Http.interface()))?;
        instance.func_wrap(SENDS, send)?;
        if waits {
            instance.func_wrap_async(WAITS, |context, (request,): (HttpRequest,)| {
                Box::new(async move { Ok((fetch(context, request).await,)) })
            })?;
        }
    }
    Ok(())
}

/// Keeps a request and sends it later. A shadow or a replay sends none: a decision that is not
/// obeyed must not be reported as one.
fn send(
    context: StoreContextMut<'_, Sandbox>,
    (request,): (HttpRequest,),
) -> Result<(std::result::Result<(), HttpError>,)> {
    let sandbox = context.data();
    let plugin = &sandbox.plugin;
    let refused = |words: &str| Err(HttpError::Refused(words.to_owned()));
    let sent = match &plugin.outside {
        _ if sandbox.asking.is_none() => refused(NO_QUESTION),
        None => refused("no host is granted"),
        // Its hosts are those of the replay, which opens none.
        Some(_) if plugin.services.recorded.is_some() => Ok(()),
        Some(outside) if plugin.is_shadow() => outside.send_later(None, request),
        Some(outside) => match plugin.services.lanes.sending() {
            Some(lane) => outside.send_later(Some(lane), request),
            None => refused("the host is stopping"),
        },
    };
    Ok((sent,))
}

async fn fetch(
    mut context: StoreContextMut<'_, Sandbox>,
    request: HttpRequest,
) -> std::result::Result<HttpResponse, HttpError> {
    let sandbox = context.data();
    let refused = |words: &str| Err(HttpError::Refused(words.to_owned()));
    let Some(hook) = sandbox.asking.as_ref().map(|asking| asking.hook) else {
        return refused(NO_QUESTION);
    };
    let plugin = Arc::clone(&sandbox.plugin);
    let (Some(outside), Some(lane)) = (&plugin.outside, plugin.services.lanes.of(hook)) else {
        return refused("no host is granted");
    };
    match outside.begin(hook, request) {
        Fetch::Done(answer) => answer,
        fetch => {
            context.data_mut().pause();
            let answer = Arc::clone(outside).wait(lane, hook, fetch).await;
            context.data_mut().resume();
            answer
        }
    }
}
