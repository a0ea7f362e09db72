//! Events wait in a queue for a thread of their own: no thread that asks waits for them, and nothing
//! of a call is left behind.

use crate::common::{
    Tables, bench as hostile_bench, build_of, event, event_of, eventually, file, guest, hostile,
    marks, screen, settings,
};
use crate::outside::{bench, plugin, said};
use crate::server::Server;
use host::{Asked, BreakerSettings, Host, Later, PluginSettings, ShardHost};
use policy::{Answer, Fault, Hook, Pin, Question, Reply};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// How many events may wait.
const MOST: usize = 10_000;

fn later(shard: &mut ShardHost, pin: &Pin, question: &Question) -> Later {
    match shard.begin(pin, question) {
        Asked::Later(later) => later,
        Asked::Now(reply) => panic!("told on the thread that asks: {reply:?}"),
    }
}

fn tell(shard: &mut ShardHost, pin: &Pin, question: &Question) {
    later(shard, pin, question).tell();
}

/// Processor time of this thread, ms.
fn spent_ms() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

fn told(host: &Host) -> u64 {
    host.event_metrics().told
}

#[test]
fn a_loop_in_notify_takes_no_time_of_the_thread_that_asks() {
    // Otherwise the breaker would leave most of them out.
    let breaker = BreakerSettings::OFF;
    let plugin = PluginSettings { breaker, ..hostile(file("events-loop", &guest("hostile"))) };
    let (host, mut shard, pin) = bench(plugin);
    let before = spent_ms();
    for _ in 0..100 {
        tell(&mut shard, &pin, &event("loop"));
    }
    for _ in 0..20 {
        assert_eq!(
            shard.ask(&pin, &screen("1")).outcome,
            Ok(Answer::Screen(policy::Verdict::Allow))
        );
    }
    // Each loop takes 5 ms.
    let spent = spent_ms() - before;
    assert!(spent < 250, "{spent} ms for 100 loops");
    assert!(host.event_metrics().waiting > 0, "questions are answered before the loops end");
    eventually("all are told", || told(&host) == 100);
    let events = host.metrics().into_iter().find(|one| one.hook == Hook::Events).expect("it hears");
    assert_eq!((events.faults.deadline, events.answered), (100, 0));
    assert_eq!(host.event_metrics().waiting, 0);
}

#[test]
fn events_arrive_in_their_order() {
    let (_host, mut shard, pin) = hostile_bench("events-order");
    let (sender, receiver) = channel();
    for number in 0..200 {
        let sender = sender.clone();
        let callee = if number % 50 == 0 { "loop" } else { "1" };
        later(&mut shard, &pin, &event(callee))
            .then(move |_| sender.send(number).expect("it is waited for"));
    }
    drop(sender);
    assert_eq!(receiver.into_iter().collect::<Vec<i32>>(), (0..200).collect::<Vec<_>>());
}

#[test]
fn a_slow_server_keeps_the_order_of_a_call_and_delays_no_other() {
    let server = Server::start();
    let (host, mut shard, pin) = bench(plugin("events-calls", &server));
    tell(&mut shard, &pin, &event_of(1, "path=/slow timeout=5000"));
    server.wait_for("/slow", 1);
    tell(&mut shard, &pin, &event_of(1, "path=/ok/1"));
    tell(&mut shard, &pin, &event_of(2, "path=/ok/2"));
    server.wait_for("/ok/2", 1);
    assert_eq!(server.requests("/ok/1"), 0, "it follows the slow one");
    server.let_go();
    server.wait_for("/ok/1", 1);
    eventually("all are told", || told(&host) == 3);
}

/// Two events are under way, ten wait, and the same plugin screens.
#[test]
fn a_slow_server_in_events_refuses_and_delays_no_question() {
    let server = Server::start();
    let mut plugin = plugin("events-pool", &server);
    if let Some(http) = &mut plugin.http {
        http.in_flight = 2;
    }
    let (host, mut shard, pin) = bench(plugin);
    for call in 0..12 {
        tell(&mut shard, &pin, &event_of(call, "path=/slow timeout=5000 cache=60"));
    }
    server.wait_for("/slow", 1);
    for _ in 0..50 {
        assert_eq!(said(&mut shard, &pin, "path=/ok times=0"), "");
    }
    let (sender, receiver) = channel();
    // Equal to the request that events wait for.
    let Asked::Later(asked) = shard.begin(&pin, &screen("path=/slow timeout=50 cache=60")) else {
        panic!("it waits")
    };
    asked.then(move |reply| sender.send(reply).expect("it is waited for"));
    server.wait_for("/slow", 2);
    assert_eq!(marks(receiver.recv().expect("a reply"))[1], "no response in time");
    assert!(host.event_metrics().waiting >= 10, "{:?}", host.event_metrics());
    server.let_go();
    eventually("all are told", || told(&host) == 12);
    let faults = host.metrics().iter().map(|hook| hook.faults.total()).sum::<u64>();
    assert_eq!(faults, 0, "nothing was busy");
}

#[test]
fn a_full_queue_drops_events_and_counts_them() {
    let server = Server::start();
    let (host, mut shard, pin) = bench(plugin("events-full", &server));
    tell(&mut shard, &pin, &event("path=/slow timeout=5000"));
    server.wait_for("/slow", 1);
    for _ in 1..MOST + 5 {
        tell(&mut shard, &pin, &event("times=0"));
    }
    let (sender, receiver) = channel();
    later(&mut shard, &pin, &event("times=0"))
        .then(move |reply: Reply| sender.send(reply).expect("never"));
    assert!(receiver.recv().is_err(), "a dropped event has no reply");
    let full = host.event_metrics();
    assert_eq!((full.waiting, full.dropped, full.most), (MOST, 6, MOST));
    assert_eq!(said(&mut shard, &pin, "times=0"), "", "questions go on");
    server.let_go();
    eventually("the queue is empty", || host.event_metrics().waiting == 0);
    assert_eq!((told(&host), host.event_metrics().dropped), (MOST as u64, 6));
    tell(&mut shard, &pin, &event("times=0"));
    eventually("there is room again", || told(&host) == MOST as u64 + 1);
}

#[test]
fn a_swap_loses_no_event_and_leaves_nothing_behind() {
    let server = Server::start();
    let (host, mut shard, pin) = bench(plugin("events-swap", &server));
    let (sender, receiver) = channel();
    for callee in ["path=/slow timeout=5000", "times=0", "times=0", "times=0"] {
        let sender = sender.clone();
        later(&mut shard, &pin, &event(callee))
            .then(move |reply| sender.send(reply).expect("it is waited for"));
    }
    drop((sender, pin));
    server.wait_for("/slow", 1);
    host.swap("outside", build_of("outside", 'b')).expect("build b is good");
    let builds = |host: &Host| host.list().remove(0).builds.len();
    assert_eq!(builds(&host), 2, "the events keep their generation");
    server.let_go();
    let replies: Vec<Reply> = receiver.into_iter().collect();
    assert_eq!(replies.len(), 4);
    for reply in replies {
        assert_eq!(reply.outcome, Ok(Answer::Noted));
        assert_eq!(&*reply.plugin.expect("it was told").version, "1.0.0-build-a");
    }
    eventually("the old build is gone", || builds(&host) == 1);
    assert_eq!(host.event_metrics().waiting, 0);
}

/// A call that ended while its events wait holds nothing any more.
#[test]
fn an_event_that_waits_keeps_no_place_of_its_call() {
    let server = Server::start();
    let mut all = settings(plugin("events-places", &server), 1);
    all.plugins[0].hooks = Some([Hook::Events].into());
    let mut other = hostile(file("events-places-beside", &guest("hostile")));
    other.hooks = Some([Hook::Screening].into());
    all.plugins.push(other);
    let host = Host::new(all).expect("both load");
    let (mut shard, pin) = (host.shard(), host.pin(Arc::new(Tables)));
    let call = pin.for_call();
    let places =
        |shard: &mut ShardHost, pin: &Pin| marks(shard.ask(pin, &screen("places")))[1].clone();
    assert_eq!(places(&mut shard, &call), "1");
    tell(&mut shard, &call, &event("path=/slow timeout=5000"));
    server.wait_for("/slow", 1);
    tell(&mut shard, &call, &event("times=0"));
    drop(call);
    assert_eq!(places(&mut shard, &pin.for_call()), "1", "the place of the first call is free");
    server.let_go();
    eventually("all are told", || told(&host) == 2);
}

#[test]
fn the_end_waits_for_events_a_limited_time() {
    let server = Server::start();
    let (host, mut shard, pin) = bench(plugin("events-end", &server));
    for _ in 0..3 {
        tell(&mut shard, &pin, &event("times=0"));
    }
    let left = host.finish(Duration::from_secs(60));
    assert_eq!((left.events, left.requests, told(&host)), (0, 0, 3));

    let (host, mut shard, pin) = bench(plugin("events-end", &server));
    tell(&mut shard, &pin, &event("path=/slow timeout=5000"));
    server.wait_for("/slow", 1);
    tell(&mut shard, &pin, &event("times=0"));
    tell(&mut shard, &pin, &event_of(2, "path=/slow timeout=5000"));
    server.wait_for("/slow", 2);
    assert_eq!(host.finish(Duration::from_millis(50)).events, 3);
    server.let_go();
    eventually("nothing waits", || host.event_metrics().waiting == 0);
    let metrics = host.event_metrics();
    assert_eq!(
        (metrics.told, metrics.dropped),
        (2, 1),
        "those under way end, the other is dropped"
    );
}

#[test]
fn a_server_that_never_answers_costs_each_event_its_limit() {
    let server = Server::start();
    let mut plugin = plugin("events-away", &server);
    if let Some(http) = &mut plugin.http {
        (http.in_flight, http.total_ms) = (4, 50);
    }
    let (host, mut shard, pin) = bench(plugin);
    let (sender, receiver) = channel();
    for call in 0..16 {
        let sender = sender.clone();
        later(&mut shard, &pin, &event_of(call, "path=/slow timeout=5000"))
            .then(move |reply: Reply| sender.send(reply.outcome).expect("it is waited for"));
    }
    drop(sender);
    let outcomes: Vec<_> = receiver.into_iter().collect();
    assert_eq!(outcomes, vec![Err(Fault::Timeout(50)); 16], "none was refused for lack of a place");
    eventually("nothing waits", || host.event_metrics().waiting == 0);
}
