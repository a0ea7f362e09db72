//! Code generated from `wit/v0.1/policy.wit`, one module per interface that a plugin can export, so
//! that a plugin exports only the hooks it names.
//!
//! Each `generate!` writes two descriptions into the module: its imports when it is linked, its
//! exports where its `export!` macro is used. The componentiser joins the descriptions and drops
//! imports that no code calls.
#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    reason = "generated; the canonical ABI passes pointers"
)]

pub mod host {
    wit_bindgen::generate!({
        path: "../wit/v0.1",
        inline: "
            package strowger:sdk;
            world host {
                import strowger:policy/types@0.1.0;
                import strowger:policy/host-fault@0.1.0;
                import strowger:policy/host-log@0.1.0;
                import strowger:policy/host-config@0.1.0;
                import strowger:policy/host-call@0.1.0;
                import strowger:policy/host-accounts@0.1.0;
                import strowger:policy/host-notes@0.1.0;
                import strowger:policy/host-tables@0.1.0;
                import strowger:policy/host-counters@0.1.0;
                import strowger:policy/host-trunks@0.1.0;
                import strowger:policy/host-clock@0.1.0;
                import strowger:policy/host-random@0.1.0;
                import strowger:policy/host-metrics@0.1.0;
                import strowger:policy/host-http@0.1.0;
            }
        ",
        world: "strowger:sdk/host",
        generate_all,
    });
}

/// Expands to the module of one exported interface; `types` means that it uses the shared types,
/// those of [`host`].
macro_rules! exported {
    ($module:ident, $world:literal, $inline:literal, types) => {
        exported!($module, $world, $inline, {
            "strowger:policy/types@0.1.0": crate::bindings::host::strowger::policy::types
        });
    };
    ($module:ident, $world:literal, $inline:literal, $with:tt) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../wit/v0.1",
                inline: $inline,
                world: $world,
                pub_export_macro: true,
                with: $with,
                generate_all,
            });
        }
    };
}

exported!(
    lifecycle,
    "strowger:sdk/lifecycle-hook",
    "package strowger:sdk; world lifecycle-hook { export strowger:policy/lifecycle@0.1.0; }",
    {}
);
exported!(
    screening,
    "strowger:sdk/screening-hook",
    "package strowger:sdk; world screening-hook { export strowger:policy/screening@0.1.0; }",
    types
);
exported!(
    numbering,
    "strowger:sdk/numbering-hook",
    "package strowger:sdk; world numbering-hook { export strowger:policy/numbering@0.1.0; }",
    types
);
exported!(
    rule_sets,
    "strowger:sdk/rule-sets-export",
    "package strowger:sdk; world rule-sets-export { export strowger:policy/rule-sets@0.1.0; }",
    {}
);
exported!(
    rating,
    "strowger:sdk/rating-hook",
    "package strowger:sdk; world rating-hook { export strowger:policy/rating@0.1.0; }",
    {}
);
exported!(
    routing,
    "strowger:sdk/routing-hook",
    "package strowger:sdk; world routing-hook { export strowger:policy/routing@0.1.0; }",
    types
);
exported!(
    identity,
    "strowger:sdk/identity-hook",
    "package strowger:sdk; world identity-hook { export strowger:policy/identity@0.1.0; }",
    types
);
exported!(
    supervision,
    "strowger:sdk/supervision-hook",
    "package strowger:sdk; world supervision-hook { export strowger:policy/supervision@0.1.0; }",
    types
);
exported!(
    events,
    "strowger:sdk/events-hook",
    "package strowger:sdk; world events-hook { export strowger:policy/events@0.1.0; }",
    types
);
