//! Time of the five default plugins, question by question, beside the same decisions in LuaJIT
//! (feature `luajit`); the cost of a fresh instance per question; how soon a misbehaving plugin is
//! aborted; how long a swap takes and how it delays questions. Figures go to `target/bench.jsonl`.

#[cfg(feature = "luajit")]
mod lua;
mod shared;

use host::{Grant, Host, HostSettings, HttpSettings, Isolation, PluginSettings, ShardHost};
use policy::{CallFacts, Hook, Pin, Question, Side, Stage};
use shared::questions::Wholesale;
use shared::{PLUGINS, Snapshot, build, line, processor_ns, write};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// For the five hooks of a call together.
const FIVE_GOAL_US: f64 = 12.0;
const RATING_GOAL_US: f64 = 0.5;
const P50_GOAL_US: f64 = 3.0;
const P99_GOAL_US: f64 = 10.0;
const PER_CALL_GOAL_US: f64 = 20.0;
const CACHED_SWAP_GOAL_MS: f64 = 5.0;
const FRESH_SWAP_GOAL_MS: f64 = 50.0;
const SLOWEST_GOAL_MS: f64 = 5.0;
const MISDEED_GOAL_MS: f64 = 10.0;
/// LuaJIT must take at least this many times as long.
const LUA_GOAL: f64 = 1.3;

const ROUNDS: u32 = 20;
const QUESTIONS: u32 = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = build()?;
    let mut table = Vec::new();
    hooks(&folder, &mut table)?;
    per_call(&folder, &mut table)?;
    misdeeds(&folder, &mut table)?;
    swaps(&folder, &mut table)?;
    write(&table)
}

fn settings(folder: &Path, name: &str) -> PluginSettings {
    PluginSettings {
        grants: Grant::ALL.into_iter().collect(),
        http: Some(HttpSettings::new(["unused.example"])),
        config: match name {
            // One caller asks all questions; the velocity limit must not block it (SEC-18).
            "screening" => serde_json::json!({ "velocity": { "limit": u32::MAX } }),
            _ => serde_json::json!({}),
        },
        ..PluginSettings::new(name, file(folder, name))
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("strowger_{name}.wasm"))
}

fn host(plugins: Vec<PluginSettings>, cache_dir: Option<PathBuf>) -> Result<Host, Box<dyn Error>> {
    Ok(Host::new(HostSettings {
        plugins,
        cache_dir,
        shards: 1,
        random_seed: None,
        housekeeping: None,
    })?)
}

/// Every hook of a call, and the same in Lua.
fn hooks(folder: &Path, table: &mut Vec<serde_json::Value>) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let host = host(PLUGINS.map(|name| settings(folder, name)).into(), None)?;
    println!("five plugins compiled, self-tested and live in {:?}", begun.elapsed());
    let mut shard = host.shard();
    let begun = Instant::now();
    shard.warm_current();
    println!("five instances made in {:?}", begun.elapsed());
    let pin = host.pin(Arc::new(Snapshot));

    println!("{:<20} {:>9} {:>9} {:>9} {:>12}", "", "cpu us", "p50 us", "p99 us", "LuaJIT us");
    let (mut five, mut five_in_lua) = (0.0, 0.0);
    for (name, question) in questions() {
        let us = measure(|| Ok(shard.ask(&pin, &question).outcome.map(drop)?))?;
        let (p50, p99) = quantiles(&mut shard, &pin, &question)?;
        let in_lua = in_lua(&mut shard, &pin, &question)?;
        let shown = in_lua.map_or_else(|| "-".to_owned(), |us| format!("{us:.2}"));
        println!("{name:<20} {us:9.2} {p50:9.2} {p99:9.2} {shown:>12}");
        // Numbers are asked at ingress and for each vendor; the goal counts each hook once.
        if name != "numbering_egress" {
            five += us;
            five_in_lua += in_lua.unwrap_or(0.0);
        }
        let goal = (name == "rating").then_some(RATING_GOAL_US);
        table.push(line(&format!("hook_{name}_us"), us, "us", goal, lua_peer(in_lua, us)));
        table.push(line(&format!("hook_{name}_p50_us"), p50, "us", Some(P50_GOAL_US), None));
        table.push(line(&format!("hook_{name}_p99_us"), p99, "us", Some(P99_GOAL_US), None));
    }
    let in_lua = (five_in_lua > 0.0).then_some(five_in_lua);
    let verdict = if five <= FIVE_GOAL_US { "met" } else { "missed" };
    println!("five hooks together  {five:9.2} (goal {FIVE_GOAL_US}, {verdict})");
    if let Some(in_lua) = in_lua {
        let verdict = if in_lua / five >= LUA_GOAL { "met" } else { "missed" };
        println!(
            "the same in LuaJIT   {in_lua:9.2}, {:.2} times as long (goal {LUA_GOAL}, {verdict})",
            in_lua / five
        );
    }
    let peer = lua_peer(in_lua, five);
    table.push(line("five_hooks_us_per_call", five, "us", Some(FIVE_GOAL_US), peer));
    Ok(())
}

/// The peer of a figure: the name and our share of its time.
fn lua_peer(in_lua: Option<f64>, us: f64) -> Option<(&'static str, f64)> {
    in_lua.map(|in_lua| ("luajit through mlua", us / in_lua))
}

/// Processor time of a question in Lua, if it was built in; the answers must be equal.
#[cfg(feature = "luajit")]
fn in_lua(
    shard: &mut ShardHost,
    pin: &Pin,
    question: &Question,
) -> Result<Option<f64>, Box<dyn Error>> {
    let policies = lua::Policies::load()?;
    let (ours, theirs) = (shard.ask(pin, question).outcome?, policies.ask(question)?);
    if ours != theirs {
        return Err(format!("other answers: {ours:?} and in Lua {theirs:?}").into());
    }
    measure(|| Ok(policies.ask(question).map(drop)?)).map(Some)
}

#[cfg(not(feature = "luajit"))]
fn in_lua(_: &mut ShardHost, _: &Pin, _: &Question) -> Result<Option<f64>, Box<dyn Error>> {
    Ok(None)
}

/// The best round of processor time per question: other work on the machine can only slow a round
/// down.
fn measure(mut ask: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    ask()?;
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let before = processor_ns();
        for _ in 0..QUESTIONS {
            ask()?;
        }
        best = best.min((processor_ns() - before) as f64 / 1_000.0 / f64::from(QUESTIONS));
    }
    Ok(best)
}

/// Median and 99th percentile of the wall time of a question, microseconds.
fn quantiles(
    shard: &mut ShardHost,
    pin: &Pin,
    question: &Question,
) -> Result<(f64, f64), Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS * QUESTIONS {
        let before = Instant::now();
        shard.ask(pin, question).outcome?;
        times.push(before.elapsed());
    }
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100].as_nanos() as f64 / 1_000.0;
    Ok((at(50), at(99)))
}

/// A fresh instance for each question.
fn per_call(folder: &Path, table: &mut Vec<serde_json::Value>) -> Result<(), Box<dyn Error>> {
    let fresh = PluginSettings { isolation: Isolation::PerCall, ..settings(folder, "rating") };
    let host = host(vec![fresh], None)?;
    let mut shard = host.shard();
    let pin = host.pin(Arc::new(Snapshot));
    let rating = questions().into_iter().find(|(name, _)| *name == "rating");
    let (_, question) = rating.ok_or("no rating question")?;
    let us = measure(|| Ok(shard.ask(&pin, &question).outcome.map(drop)?))?;
    let verdict = if us <= PER_CALL_GOAL_US { "met" } else { "missed" };
    println!("rating, an instance per call {us:6.2} us (goal {PER_CALL_GOAL_US}, {verdict})");
    table.push(line("hook_rating_per_call_us", us, "us", Some(PER_CALL_GOAL_US), None));
    Ok(())
}

/// The hostile guest does one of these when a callee of that name is screened.
const DEEDS: [&str; 6] = ["loop", "loop-in-host", "trap", "recurse", "eat", "hoard-handles"];

/// Time from a question to a misbehaving plugin until its fault is known and the caller can take
/// the fallback, with the default deadline: median and 95th percentile.
fn misdeeds(folder: &Path, table: &mut Vec<serde_json::Value>) -> Result<(), Box<dyn Error>> {
    let file = file(folder, "guest_hostile");
    let hostile = PluginSettings {
        grants: Grant::ALL.into_iter().collect(),
        http: Some(HttpSettings::new(["unused.example"])),
        ..PluginSettings::new("hostile", file.clone())
    };
    let host = host(vec![hostile], None)?;
    // Two builds that do the same: if the previous build stands in, it fails too.
    host.swap("hostile", numbered(&std::fs::read(file)?, 0))?;
    let mut shard = host.shard();
    shard.warm_current();
    let pin = host.pin(Arc::new(Snapshot));
    let screened = DEEDS.map(|deed| (deed, asked(deed).screening()));
    let routed = ("loop, in both builds", asked("loop").routing());
    let mut slowest = 0.0_f64;
    for (deed, question) in screened.into_iter().chain([routed]) {
        let mut times = Vec::new();
        for _ in 0..40 {
            let begun = Instant::now();
            if shard.ask(&pin, &question).outcome.is_ok() {
                return Err(format!("{deed} was answered").into());
            }
            times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
        times.sort_unstable_by(f64::total_cmp);
        println!("{deed:<20} given up after p50 {:6.2} ms, p95 {:6.2} ms", times[20], times[38]);
        slowest = slowest.max(times[38]);
    }
    let verdict = if slowest <= MISDEED_GOAL_MS { "met" } else { "missed" };
    println!("the slowest of them  {slowest:6.2} ms (goal {MISDEED_GOAL_MS}, {verdict})");
    table.push(line("hook_misdeed_p95_ms", slowest, "ms", Some(MISDEED_GOAL_MS), None));
    Ok(())
}

/// A plugin of some 43 KB without an answer to these questions.
const SMALL: &str = "guest_plain";

/// Swaps while a thread asks a thousand questions a second.
fn swaps(folder: &Path, table: &mut Vec<serde_json::Value>) -> Result<(), Box<dyn Error>> {
    let cache = std::env::temp_dir().join(format!("strowger-swaps-{}", std::process::id()));
    let small = PluginSettings {
        hooks: Some([Hook::Events].into()),
        grants: Grant::ALL.into_iter().filter(|grant| *grant != Grant::Http).collect(),
        ..PluginSettings::new("plain", file(folder, SMALL))
    };
    let host = host(vec![settings(folder, "rating"), small], Some(cache.clone()))?;
    let done = AtomicBool::new(false);
    let mut shard = host.shard();
    let (small, large, slowest) = std::thread::scope(|scope| -> Result<_, String> {
        let asking = scope.spawn(|| ask_steadily(&host, &mut shard, &done));
        let small = swap_often(&host, "plain", &file(folder, SMALL));
        let large = swap_often(&host, "rating", &file(folder, "rating"));
        done.store(true, Ordering::Relaxed);
        let slowest = asking.join().map_err(|_| "the asking thread ended")??;
        Ok((small?, large?, slowest))
    })?;
    std::fs::remove_dir_all(&cache)?;
    for (name, shown, ms, goal) in [
        ("swap_fresh_ms", "swap, fresh, 43 KB", small.fresh, Some(FRESH_SWAP_GOAL_MS)),
        ("swap_fresh_sdk_ms", "swap, fresh, default rating", large.fresh, None),
        ("swap_cached_ms", "swap, cached, 43 KB", small.cached, Some(CACHED_SWAP_GOAL_MS)),
        (
            "swap_cached_sdk_ms",
            "swap, cached, default rating",
            large.cached,
            Some(CACHED_SWAP_GOAL_MS),
        ),
        ("swap_slowest_decision_ms", "slowest decision meanwhile", slowest, Some(SLOWEST_GOAL_MS)),
    ] {
        let verdict = goal.map_or(String::new(), |goal| {
            format!("(goal {goal}, {})", if ms <= goal { "met" } else { "missed" })
        });
        println!("{shown:<28} {ms:6.2} ms {verdict}");
        table.push(line(name, ms, "ms", goal, None));
    }
    for (shown, swaps) in [("small", small), ("rating", large)] {
        println!("{shown:<28} {} bytes, {} of them code", swaps.bytes, swaps.code);
    }
    Ok(())
}

/// Milliseconds of swaps, and the size of the swapped file.
struct Swaps {
    fresh: f64,
    cached: f64,
    bytes: u64,
    code: u64,
}

/// Medians of swaps to builds with different bytes, which are not in the cache, and of the same
/// swaps again.
fn swap_often(host: &Host, name: &str, file: &Path) -> Result<Swaps, String> {
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let anatomy = host.inspect(file).map_err(|error| error.to_string())?.anatomy;
    let mut times = [Vec::new(), Vec::new()];
    for round in &mut times {
        for build in 0..15_u8 {
            let begun = Instant::now();
            host.swap(name, numbered(&bytes, build)).map_err(|error| error.to_string())?;
            round.push(begun.elapsed());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let [fresh, cached] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1_000.0
    });
    Ok(Swaps { fresh, cached, bytes: anatomy.total, code: anatomy.code })
}

/// The module with a custom section that makes its bytes unique.
fn numbered(bytes: &[u8], build: u8) -> Vec<u8> {
    [bytes, &[0, 6, 4, b'n', b'o', b't', b'e', build]].concat()
}

/// A question each millisecond until `done`; returns the longest time, ms.
fn ask_steadily(host: &Host, shard: &mut ShardHost, done: &AtomicBool) -> Result<f64, String> {
    let (_, question) =
        questions().into_iter().find(|(name, _)| *name == "rating").ok_or("no question")?;
    let mut slowest = Duration::ZERO;
    let mut next = Instant::now();
    while !done.load(Ordering::Relaxed) {
        shard.warm_current();
        let pin = host.pin(Arc::new(Snapshot));
        let begun = Instant::now();
        shard
            .ask(&pin, &question)
            .outcome
            .map_err(|fault| format!("a decision failed: {fault}"))?;
        slowest = slowest.max(begun.elapsed());
        next += Duration::from_millis(1);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(slowest.as_secs_f64() * 1_000.0)
}

/// The questions of one call, by name.
fn questions() -> Vec<(&'static str, Question)> {
    let callee = "00331456789012";
    let asked = asked(callee);
    vec![
        ("screening", asked.screening()),
        ("numbering", asked.numbering(Stage::Ingress, callee, true)),
        ("rating", asked.rating(Side::Sell, true)),
        ("routing", asked.routing()),
        ("numbering_egress", asked.numbering(Stage::Egress, callee, true)),
        ("identity", asked.identity()),
    ]
}

fn asked(callee: &str) -> Wholesale {
    Wholesale {
        call: CallFacts { id: 1 << 100, received_ms: 1_700_000_000_000, trunk: 12, account: 3 },
        caller: "493012345678".to_owned(),
        callee: callee.to_owned(),
        load: 7,
        duration_ms: 187_345,
    }
}
