//! The glue between a plugin type and the generated exports. Authors use only
//! [`export_plugin!`](crate::export_plugin).

use crate::bindings::host::strowger::policy::types as wire;
use crate::{
    Events, Identity, Numbering, Plugin, Rating, Routing, RuleSets, Screening, Supervision,
    bindings, configured,
};
use std::marker::PhantomData;

/// Stores the single instance of a component; implemented by the macro.
pub trait Exported: Plugin {
    /// Version in the plugin's `Cargo.toml`.
    const CRATE_VERSION: &'static str;

    /// The instance; `None` before `configure`.
    fn slot<R>(use_slot: impl FnOnce(&mut Option<Self>) -> R) -> R;
}

/// Represents a plugin to the generated code.
pub struct Component<P>(PhantomData<P>);

/// The host configures before it asks; otherwise it gets a trap.
fn instance<P: Exported, R>(ask: impl FnOnce(&mut P) -> R) -> R {
    P::slot(|slot| match slot {
        Some(plugin) => ask(plugin),
        None => panic!("asked before it was configured"),
    })
}

impl<P: Exported> bindings::lifecycle::exports::strowger::policy::lifecycle::Guest
    for Component<P>
{
    fn describe() -> bindings::lifecycle::exports::strowger::policy::lifecycle::Description {
        bindings::lifecycle::exports::strowger::policy::lifecycle::Description {
            name: P::NAME.to_owned(),
            version: P::VERSION.unwrap_or(P::CRATE_VERSION).to_owned(),
            summary: P::SUMMARY.to_owned(),
            config_schema: P::CONFIG_SCHEMA.to_owned(),
        }
    }

    fn configure(config: String) -> Result<(), String> {
        // Each instance is configured before anything else.
        #[cfg(target_arch = "wasm32")]
        crate::panics::tell_host();
        let plugin = configured::<P>(&config)?;
        P::slot(|slot| *slot = Some(plugin));
        Ok(())
    }

    fn self_test() -> Result<u32, String> {
        instance::<P, _>(|plugin| plugin.self_test())
    }
}

impl<P: Exported + Screening> bindings::screening::exports::strowger::policy::screening::Guest
    for Component<P>
{
    fn screen(
        question: bindings::screening::exports::strowger::policy::screening::Question,
    ) -> bindings::screening::exports::strowger::policy::screening::Verdict {
        instance::<P, _>(|plugin| plugin.screen(&question.into()).into())
    }
}

impl<P: Exported + Numbering> bindings::numbering::exports::strowger::policy::numbering::Guest
    for Component<P>
{
    fn rewrite(
        question: bindings::numbering::exports::strowger::policy::numbering::Question,
    ) -> Result<bindings::numbering::exports::strowger::policy::numbering::Numbers, wire::Rejection>
    {
        instance::<P, _>(|plugin| plugin.rewrite(&question.into()))
            .map(Into::into)
            .map_err(Into::into)
    }
}

impl<P: Exported + RuleSets> bindings::rule_sets::exports::strowger::policy::rule_sets::Guest
    for Component<P>
{
    fn check(
        text: String,
    ) -> Vec<bindings::rule_sets::exports::strowger::policy::rule_sets::Problem> {
        let problems = instance::<P, _>(|plugin| plugin.check_rules(&text));
        problems.into_iter().map(Into::into).collect()
    }
}

impl<P: Exported + Rating> bindings::rating::exports::strowger::policy::rating::Guest
    for Component<P>
{
    fn rate(
        who: bindings::rating::exports::strowger::policy::rating::Subject,
        row: bindings::rating::exports::strowger::policy::rating::DeckRow,
        rounding: bindings::rating::exports::strowger::policy::rating::Rounding,
        duration_ms: u64,
    ) -> Result<
        bindings::rating::exports::strowger::policy::rating::Charge,
        bindings::rating::exports::strowger::policy::rating::NoCharge,
    > {
        let (who, row, rounding) = (who.into(), row.into(), rounding.into());
        instance::<P, _>(|plugin| plugin.rate(&who, &row, &rounding, duration_ms))
            .map(Into::into)
            .map_err(Into::into)
    }
}

impl<P: Exported + Routing> bindings::routing::exports::strowger::policy::routing::Guest
    for Component<P>
{
    fn select(
        question: bindings::routing::exports::strowger::policy::routing::Question,
    ) -> Result<Vec<u32>, wire::Rejection> {
        instance::<P, _>(|plugin| plugin.select(&question.into()))
            .map(|trunks| trunks.into_iter().map(|trunk| trunk.0).collect())
            .map_err(Into::into)
    }

    fn after_failure(
        call: wire::Call,
        outcome: bindings::routing::exports::strowger::policy::routing::Outcome,
    ) -> bindings::routing::exports::strowger::policy::routing::Decision {
        instance::<P, _>(|plugin| plugin.after_failure(&call.into(), &outcome.into()).into())
    }
}

impl<P: Exported + Identity> bindings::identity::exports::strowger::policy::identity::Guest
    for Component<P>
{
    fn present(
        question: bindings::identity::exports::strowger::policy::identity::Question,
    ) -> Result<bindings::identity::exports::strowger::policy::identity::Answer, wire::Rejection>
    {
        instance::<P, _>(|plugin| plugin.present(&question.into()))
            .map(Into::into)
            .map_err(Into::into)
    }
}

impl<P: Exported + Supervision> bindings::supervision::exports::strowger::policy::supervision::Guest
    for Component<P>
{
    fn supervise(
        question: bindings::supervision::exports::strowger::policy::supervision::Question,
    ) -> bindings::supervision::exports::strowger::policy::supervision::Answer {
        instance::<P, _>(|plugin| plugin.supervise(&question.into()).into())
    }
}

impl<P: Exported + Events> bindings::events::exports::strowger::policy::events::Guest
    for Component<P>
{
    fn notify(event: bindings::events::exports::strowger::policy::events::Event) {
        instance::<P, _>(|plugin| plugin.notify(&event.into()));
    }
}

/// Exports a plugin: its type, then the hooks that it answers, and `rule_sets` if it reads rule
/// sets ([`RuleSets`]).
///
/// ```ignore
/// export_plugin!(Cheapest: routing);
/// export_plugin!(Watch: screening, events);
/// export_plugin!(Rewriting: numbering, rule_sets);
/// ```
///
/// Outside WebAssembly it only checks that the type implements the hooks.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty : $($hook:ident),+ $(,)?) => {
        const _: () = {
            ::std::thread_local! {
                static SLOT: ::std::cell::RefCell<::core::option::Option<$plugin>> =
                    const { ::std::cell::RefCell::new(::core::option::Option::None) };
            }

            impl $crate::export::Exported for $plugin {
                const CRATE_VERSION: &'static str = ::core::env!("CARGO_PKG_VERSION");

                fn slot<R>(
                    use_slot: impl ::core::ops::FnOnce(&mut ::core::option::Option<Self>) -> R,
                ) -> R {
                    SLOT.with(|slot| use_slot(&mut slot.borrow_mut()))
                }
            }

            $($crate::export_hook!(implemented $hook, $plugin);)+

            #[cfg(target_arch = "wasm32")]
            type Guest = $crate::export::Component<$plugin>;
            #[cfg(target_arch = "wasm32")]
            $crate::export_hook!(export lifecycle, Guest);
            $(
                #[cfg(target_arch = "wasm32")]
                $crate::export_hook!(export $hook, Guest);
            )+
        };
    };
}

/// One hook of [`export_plugin!`](crate::export_plugin).
#[doc(hidden)]
#[macro_export]
macro_rules! export_hook {
    (implemented screening, $plugin:ty) => { $crate::export_hook!(check Screening, $plugin); };
    (implemented numbering, $plugin:ty) => { $crate::export_hook!(check Numbering, $plugin); };
    (implemented rating, $plugin:ty) => { $crate::export_hook!(check Rating, $plugin); };
    (implemented routing, $plugin:ty) => { $crate::export_hook!(check Routing, $plugin); };
    (implemented identity, $plugin:ty) => { $crate::export_hook!(check Identity, $plugin); };
    (implemented supervision, $plugin:ty) => { $crate::export_hook!(check Supervision, $plugin); };
    (implemented events, $plugin:ty) => { $crate::export_hook!(check Events, $plugin); };
    (implemented rule_sets, $plugin:ty) => { $crate::export_hook!(check RuleSets, $plugin); };
    (implemented $other:ident, $plugin:ty) => {
        ::core::compile_error!(::core::concat!(
            "`", ::core::stringify!($other), "` is not a hook; hooks are screening, numbering, ",
            "rating, routing, identity, supervision, events"
        ));
    };
    (check $hook:ident, $plugin:ty) => {
        const _: fn() = || {
            fn answers<P: $crate::$hook>() {}
            answers::<$plugin>();
        };
    };
    (export $hook:ident, $guest:ident) => {
        $crate::bindings::$hook::export!($guest with_types_in $crate::bindings::$hook);
    };
}
