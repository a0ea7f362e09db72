//! The WebAssembly engine's settings.

use crate::error::LoadError;
use crate::settings::HostSettings;
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy,
    PoolingAllocationConfig,
};

/// Native stack of a guest; a deeper recursion traps.
const GUEST_STACK: usize = 512 << 10;

/// Stack of a fibre: that of the guest, plus host functions on top of it. This is address space;
/// unused pages take no memory.
const FIBRE_STACK: usize = GUEST_STACK + (512 << 10);

/// Memory that a slot keeps when its instance is dropped, so that the plugin's next instance starts
/// on warm pages.
const KEPT_RESIDENT: usize = 256 << 10;

/// Simultaneous instances over all plugins, shards and versions that calls still pin. Each reserves
/// address space, not memory.
const INSTANCES: u32 = 1000;

/// Core instances per component. A component from Python, whose modules are linked at
/// instantiation, has 38.
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
        // In its own folder: the cache deletes files that it does not know.
        cache.with_directory(directory.join("code"));
        config.cache(Some(Cache::new(cache).map_err(refused)?));
    }
    Engine::new(&config).map_err(refused)
}
