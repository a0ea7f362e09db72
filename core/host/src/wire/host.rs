use std::sync::Arc;
use wasmtime::component::{ComponentType, Lift, Lower};

/// `host-log.level`.
#[derive(Clone, Copy, Debug, ComponentType, Lift)]
#[expect(dead_code, reason = "made only by lifting what a guest passes")]
#[component(enum)]
#[repr(u8)]
pub(crate) enum LogLevel {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

/// `host-tables.hit`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct TableHit {
    #[component(name = "length")]
    pub(crate) length: u32,
    #[component(name = "value")]
    pub(crate) value: Arc<str>,
}
