//! The WebAssembly engine's settings, and the thread that moves its epoch.

use crate::{HostSettings, LoadError};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy,
    PoolingAllocationConfig,
};

/// How often the epoch moves while a guest runs on: the grain of every deadline.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// How often it moves otherwise: the latest moment at which a guest that runs on is
/// noticed. Each tick wakes a thread, so a quiet switch should have few.
pub(crate) const IDLE_TICK: Duration = Duration::from_millis(5);

/// Fine ticks after a guest was found running.
const FINE_TICKS: u32 = 16;

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
        cache.with_directory(directory);
        config.cache(Some(Cache::new(cache).map_err(refused)?));
    }
    Engine::new(&config).map_err(refused)
}

/// Moves the engine's epoch until it is dropped: every [`IDLE_TICK`] while guests answer
/// in microseconds, every [`TICK`] once one was found still running.
#[derive(Debug)]
pub(crate) struct Ticker {
    pace: Arc<Pace>,
    thread: Thread,
}

/// How a guest that outlives a tick asks for finer ones.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    thread: OnceLock<Thread>,
    /// Fine ticks still to come.
    fine: AtomicU32,
    stopped: AtomicBool,
}

impl Pace {
    /// Makes the next ticks fine ones, from now on.
    pub(crate) fn hurry(&self) {
        if self.fine.swap(FINE_TICKS, Ordering::AcqRel) == 0
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    fn next(&self) -> Duration {
        let fewer = |fine: u32| fine.checked_sub(1);
        match self.fine.fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer) {
            Ok(_) => TICK,
            Err(_) => IDLE_TICK,
        }
    }
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Result<Ticker, LoadError> {
        let engine = engine.weak();
        let pace = Arc::new(Pace::default());
        let followed = Arc::clone(&pace);
        let handle = std::thread::Builder::new()
            .name("policy-epoch".to_owned())
            .spawn(move || {
                while !followed.stopped.load(Ordering::Acquire) {
                    std::thread::park_timeout(followed.next());
                    match engine.upgrade() {
                        Some(engine) => engine.increment_epoch(),
                        None => return,
                    }
                }
            })
            .map_err(|cause| LoadError::Engine(format!("no thread for the epoch: {cause}")))?;
        let thread = handle.thread().clone();
        // Set once: the pace is new.
        let _ = pace.thread.set(thread.clone());
        Ok(Ticker { pace, thread })
    }

    pub(crate) fn pace(&self) -> Arc<Pace> {
        Arc::clone(&self.pace)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.pace.stopped.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
