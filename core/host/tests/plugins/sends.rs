//! Requests that a plugin leaves to the switch: sent later, again after a failure, and bounded.

use crate::common::{Tables, build_of, event, eventually, file, screen, settings};
use crate::outside::{bench, plugin, said};
use crate::server::Server;
use host::{Grant, Host, HttpSettings, PluginSettings, Selection, SendMetrics};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn sends(host: &Host) -> SendMetrics {
    host.send_metrics().remove(0).1
}

#[test]
fn a_request_is_sent_and_nobody_waits() {
    let server = Server::start();
    let (host, mut shard, pin) = bench(plugin("sends", &server));
    assert_eq!(said(&mut shard, &pin, "leave path=/slow body=hello"), "left");
    server.wait_for("/slow", 1);
    assert_eq!(sends(&host).waiting, 1);
    server.let_go();
    eventually("it is sent", || sends(&host).sent == 1);
    eventually("nothing waits", || sends(&host).waiting == 0);
    assert_eq!(sends(&host), SendMetrics { sent: 1, ..SendMetrics::default() });
    shard.ask(&pin, &event("leave path=/ok")).outcome.expect("an event may send too");
    eventually("it is sent", || sends(&host).sent == 2);
}

#[test]
fn a_request_is_sent_again_until_the_server_takes_it() {
    let server = Server::start();
    let (host, mut shard, pin) = bench(plugin("sends-again", &server));
    assert_eq!(said(&mut shard, &pin, "leave path=/third"), "left");
    eventually("it is sent", || sends(&host).sent == 1);
    assert_eq!((server.requests("/third"), sends(&host).retries), (3, 2));
    let failure = format!("{}: status 503", server.address);
    assert_eq!(sends(&host).last_failure, failure);
}

#[test]
fn the_attempts_end() {
    let server = Server::start();
    let (host, mut shard, pin) = bench(plugin("sends-fail", &server));
    assert_eq!(said(&mut shard, &pin, "leave path=/away"), "left");
    eventually("it is given up", || sends(&host).failed == 1);
    assert_eq!((server.requests("/away"), sends(&host).retries), (5, 4));
    for path in ["/missing", "/elsewhere"] {
        assert_eq!(said(&mut shard, &pin, &format!("leave path={path}")), "left");
        server.wait_for(path, 1);
    }
    eventually("both are given up", || sends(&host).failed == 3);
    assert_eq!((server.requests("/missing"), server.requests("/elsewhere")), (1, 1));
    assert_eq!(sends(&host).sent, 0);
}

#[test]
fn a_swap_loses_no_request() {
    let server = Server::start();
    let (host, mut shard, pin) = bench(plugin("sends-swap", &server));
    assert_eq!(
        said(&mut shard, &pin, "leave path=/slow timeout=5000 times=20"),
        ["left"; 20].join(", ")
    );
    server.wait_for("/slow", 16);
    drop(pin);
    host.swap("outside", build_of("outside", 'b')).expect("build b is good");
    eventually("no call keeps the old build", || host.list().remove(0).builds.len() == 1);
    server.let_go();
    eventually("all are sent", || sends(&host).sent == 20);
    eventually("nothing waits", || sends(&host).waiting == 0);
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let server = Server::start();
    let (host, mut shard, pin) = bench(plugin("sends-refused", &server));
    let words = said(&mut shard, &pin, "leave host=192.0.2.1:80 path=/ok");
    assert!(words.contains("is not granted"), "{words}");
    let words = said(&mut shard, &pin, "leave path=/ok body=x long=65537");
    assert_eq!(words, "refused: the body has 65537 bytes, at most 65536");
    let words = said(&mut shard, &pin, "leave path=/ok timeout=5001");
    assert_eq!(words, "refused: timeout-ms is 5001, allowed is 1 to 5000");
    assert_eq!((server.connections(), sends(&host).waiting), (0, 0));
}

#[test]
fn only_so_many_wait() {
    let server = Server::start();
    let plugin = PluginSettings { deadline_ms: 1_000, ..plugin("sends-full", &server) };
    let (host, mut shard, pin) = bench(plugin);
    let mut full = 0;
    // 16 MiB are fewer than 258 of them.
    for _ in 0..5 {
        let words =
            said(&mut shard, &pin, "leave path=/slow timeout=5000 body=x long=65000 times=60");
        full += words.matches("too many requests").count();
    }
    let metrics = sends(&host);
    assert!(full >= 300 - 258 && metrics.waiting >= 200, "{full} refused, {metrics:?}");
    assert_eq!(metrics.dropped, full as u64);
    assert_eq!(said(&mut shard, &pin, "path=/ok"), "200 1 1", "questions do not notice");
    server.let_go();
    eventually("all others are sent", || sends(&host).sent == 300 - full as u64);
    assert_eq!(said(&mut shard, &pin, "leave path=/ok body=x long=65000"), "left", "there is room");
}

#[test]
fn the_end_tries_once_more_and_counts_the_rest_as_lost() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::start();
    let mut plugin = plugin("sends-end", &server);
    if let Some(http) = &mut plugin.http {
        http.hosts.push(closed.to_string());
    }
    let (host, mut shard, pin) = bench(plugin.clone());
    assert_eq!(said(&mut shard, &pin, &format!("leave path=/ host={closed}")), "left");
    eventually("the first attempt fails", || sends(&host).last_failure.contains("cannot connect"));
    let begun = Instant::now();
    assert_eq!(host.finish(Duration::from_secs(60)).requests, 0);
    assert!(begun.elapsed() < Duration::from_secs(30), "no pause is waited for");
    assert_eq!((sends(&host).lost, sends(&host).waiting), (1, 0));

    let (host, mut shard, pin) = bench(plugin);
    assert_eq!(said(&mut shard, &pin, "leave path=/slow timeout=5000"), "left");
    server.wait_for("/slow", 1);
    assert_eq!(host.finish(Duration::from_millis(50)).requests, 1);
    assert_eq!(sends(&host).lost, 1);
    server.let_go();
    eventually("nothing waits", || sends(&host).waiting == 0);
    assert_eq!((sends(&host).lost, sends(&host).sent), (1, 0), "it is counted once");
}

#[test]
fn a_shadow_sends_nothing() {
    let server = Server::start();
    let (host, mut shard, _) = bench(plugin("sends-shadow", &server));
    host.shadow("outside", build_of("outside", 'b'), Selection::all()).expect("it loads");
    let pin = host.pin(Arc::new(Tables));
    assert_eq!(said(&mut shard, &pin, "leave path=/ok"), "left");
    let asked = |host: &Host| host.list().remove(0).shadow.expect("it is there").asked;
    eventually("the shadow is asked", || asked(&host) == 1);
    // It does not differ by what it was told about its request, only by its version.
    let shadow = host.differences("outside").expect("there is one").remove(0).shadow;
    assert!(format!("{shadow:?}").contains("left"), "{shadow:?}");
    eventually("the live build's request is sent", || sends(&host).sent == 1);
    host.end_trial("outside").expect("it ends");
    assert_eq!(server.requests("/ok"), 1);
}

#[test]
fn the_example_reports_calls_without_waiting() {
    let server = Server::start();
    let reporter = crate::examples::example("call-report");
    let plugin = PluginSettings {
        config: serde_json::json!({
            "url": format!("http://{}/ok", server.address),
            "events": ["incoming"],
        }),
        grants: [Grant::Http, Grant::Metrics].into(),
        http: Some(HttpSettings::new([server.address.to_string()])),
        ..PluginSettings::new("call-report", file("sends-report", &reporter))
    };
    let host = Host::new(settings(plugin, 1)).unwrap_or_else(|error| panic!("{error}"));
    let pin = host.pin(Arc::new(Tables));
    let mut shard = host.shard();
    // Nothing answers screening, so that only the event reaches it.
    assert!(shard.ask(&pin, &screen("1")).outcome.is_err());
    shard.ask(&pin, &event("442071230001")).outcome.expect("it is told");
    server.wait_for("/ok", 1);
    eventually("it is sent", || sends(&host).sent == 1);
    let http = host.http_metrics().remove(0);
    assert_eq!((http.answered, http.questions), (0, 0), "it waited for nothing");
}
