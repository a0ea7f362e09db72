//! The WebAssembly engine's settings, and the thread that moves its epoch.

use crate::{HostSettings, LoadError};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy,
    PoolingAllocationConfig,
};

/// How often the epoch moves: the grain of every deadline.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Native stack of a guest; a recursion that passes it traps.
const GUEST_STACK: usize = 512 << 10;

/// Memory that a slot keeps when its instance goes: the next instance of the plugin
/// starts on warm pages.
const KEPT_RESIDENT: usize = 256 << 10;

/// Instances at one time over all plugins, shards and versions that calls still pin.
/// Address space is reserved for each, memory is not.
const INSTANCES: u32 = 1000;

pub(crate) fn engine(settings: &HostSettings) -> Result<Engine, LoadError> {
    let refused = |cause: wasmtime::Error| LoadError::Engine(format!("{cause:#}"));
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * 4)
        .total_memories(INSTANCES)
        .total_tables(INSTANCES * 2)
        .max_memories_per_component(1)
        .max_core_instances_per_component(8)
        .max_tables_per_component(4)
        .linear_memory_keep_resident(KEPT_RESIDENT)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .concurrency_support(false)
        .wasm_component_model(true)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK);
    if let Some(directory) = &settings.cache_dir {
        let mut cache = CacheConfig::new();
        cache.with_directory(directory);
        config.cache(Some(Cache::new(cache).map_err(refused)?));
    }
    Engine::new(&config).map_err(refused)
}

/// Moves the engine's epoch each millisecond until it is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    _stop: Sender<()>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Result<Ticker, LoadError> {
        let engine = engine.weak();
        let (stop, stopped) = channel::<()>();
        std::thread::Builder::new()
            .name("policy-epoch".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    match engine.upgrade() {
                        Some(engine) => engine.increment_epoch(),
                        None => return,
                    }
                }
            })
            .map_err(|cause| LoadError::Engine(format!("no thread for the epoch: {cause}")))?;
        Ok(Ticker { _stop: stop })
    }
}
