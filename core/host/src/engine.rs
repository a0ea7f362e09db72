//! The WebAssembly engine's settings.

use crate::{HostSettings, LoadError};
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy,
    PoolingAllocationConfig,
};

/// Native stack of a guest; a recursion that passes it traps.
const GUEST_STACK: usize = 512 << 10;

/// Stack of a fibre: that of the guest, and host functions on top of it. Address space; what
/// was never used takes no memory.
const FIBRE_STACK: usize = GUEST_STACK + (512 << 10);

/// Memory that a slot keeps when its instance goes: the next instance of the plugin
/// starts on warm pages.
const KEPT_RESIDENT: usize = 256 << 10;

/// Instances at one time over all plugins, shards and versions that calls still pin.
/// Address space is reserved for each, memory is not.
const INSTANCES: u32 = 1000;

/// Core instances that one component may be made of. A component from Python, whose modules
/// are linked when it is instantiated, has 38.
const CORE_INSTANCES: u32 = 64;

pub(crate) fn engine(settings: &HostSettings) -> Result<Engine, LoadError> {
    let refused = |cause: wasmtime::Error| LoadError::Engine(format!("{cause:#}"));
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * 16)
        .total_memories(INSTANCES)
        .total_tables(INSTANCES * 2)
        .max_memories_per_component(1)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_tables_per_component(4)
        .linear_memory_keep_resident(KEPT_RESIDENT)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .concurrency_support(false)
        .async_stack_size(FIBRE_STACK)
        .wasm_component_model(true)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK);
    if let Some(directory) = &settings.cache_dir {
        let mut cache = CacheConfig::new();
        // Of its own: the cache removes what it does not know.
        cache.with_directory(directory.join("code"));
        config.cache(Some(Cache::new(cache).map_err(refused)?));
    }
    Engine::new(&config).map_err(refused)
}
