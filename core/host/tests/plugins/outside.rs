//! Plugins that contact outside servers: their calls wait, others go on.

use crate::common::{
    Tables, build_of, event, every_hook, file, guest, hostile, marks, rate, route, screen, settings,
};
use crate::server::Server;
use host::{Asked, Grant, Host, HttpMetrics, HttpSettings, LoadError, PluginSettings, ShardHost};
use policy::{Answer, Fault, Hook, Pin, Question, Reply};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

/// The guest `outside`, which may reach the server.
pub(crate) fn plugin(test: &str, server: &Server) -> PluginSettings {
    let mut http = HttpSettings::new([server.address.to_string()]);
    http.timeout_ms = 5_000;
    http.total_ms = 10_000;
    PluginSettings {
        config: serde_json::json!({ "server": server.address.to_string() }),
        grants: [Grant::Http].into(),
        http: Some(http),
        ..PluginSettings::new("outside", file(test, &guest("outside")))
    }
}

pub(crate) fn bench(plugin: PluginSettings) -> (Host, ShardHost, Pin) {
    let host = Host::new(settings(plugin, 1)).expect("the plugin loads");
    let shard = host.shard();
    let pin = host.pin(Arc::new(Tables));
    (host, shard, pin)
}

/// Puts a question that must not be answered at once.
fn later(shard: &mut ShardHost, pin: &Pin, question: &Question) -> Receiver<Reply> {
    let (sender, receiver) = channel();
    match shard.begin(pin, question) {
        Asked::Later(later) => {
            later.then(move |reply| sender.send(reply).expect("it is waited for"))
        }
        Asked::Now(reply) => panic!("answered at once: {reply:?}"),
    }
    receiver
}

/// The guest's marks after its version.
pub(crate) fn said(shard: &mut ShardHost, pin: &Pin, told: &str) -> String {
    let mut marks = marks(shard.ask(pin, &screen(told)));
    assert_eq!(marks.remove(0), "1.0.0-build-a");
    marks.join(", ")
}

fn figures(host: &Host) -> HttpMetrics {
    let figures = host.http_metrics().into_iter().find(|one| one.plugin == "outside");
    figures.expect("it may ask outside")
}

#[test]
fn what_a_server_answers_reaches_the_plugin() {
    let server = Server::start();
    let (host, mut shard, pin) = bench(plugin("answers", &server));
    assert_eq!(said(&mut shard, &pin, "path=/ok times=2"), "200 1 1, 200 1 2");
    assert_eq!(said(&mut shard, &pin, "path=/missing"), "404 0 ");
    let echoed = said(&mut shard, &pin, "path=/echo body=hello long=2");
    assert!(echoed.contains("POST /echo HTTP/1.1"), "{echoed}");
    assert_eq!(server.connections(), 1, "the connection is used again");
    let figures = figures(&host);
    assert_eq!((figures.answered, figures.questions, figures.requests), (4, 0, 0));
    assert_eq!(figures.nanos.count(), 4);
}

#[test]
fn a_slow_server_delays_its_own_question_only() {
    let server = Server::start();
    let mut other = hostile(file("beside", &guest("hostile")));
    other.hooks = Some([Hook::Rating, Hook::Numbering].into());
    let mut slow = plugin("slow", &server);
    slow.hooks = Some([Hook::Screening].into());
    let mut all = settings(slow, 1);
    all.plugins.push(other);
    let host = Host::new(all).expect("both load");
    let (mut shard, pin) = (host.shard(), host.pin(Arc::new(Tables)));
    let slow = later(&mut shard, &pin, &screen("path=/slow"));
    server.wait_for("/slow", 1);
    assert!(matches!(shard.begin(&pin, &rate(61_000)), Asked::Now(Reply { outcome: Ok(_), .. })));
    assert_eq!(said(&mut shard, &pin, "path=/ok"), "200 1 1", "another one waits beside it");
    assert!(slow.try_recv().is_err());
    assert_eq!(figures(&host).questions, 1);
    server.let_go();
    assert_eq!(marks(slow.recv().unwrap())[1], "200 1 1");
}

#[test]
fn a_request_that_takes_too_long_is_told_to_the_plugin() {
    let server = Server::start();
    let (host, mut shard, pin) = bench(plugin("request-limit", &server));
    assert_eq!(said(&mut shard, &pin, "path=/slow timeout=50"), "no response in time");
    assert_eq!(said(&mut shard, &pin, "path=/slow timeout=50 cache=9"), "no response in time");
    let range = "refused: timeout-ms is 9000, allowed is 1 to 5000";
    assert_eq!(said(&mut shard, &pin, "path=/ok timeout=9000"), range);
    // The second request runs in a separate task, which may finish a moment later.
    while figures(&host).timeouts < 2 {
        std::thread::yield_now();
    }
}

#[test]
fn a_question_that_takes_too_long_is_answered_by_the_fallback() {
    let server = Server::start();
    let mut plugin = plugin("question-limit", &server);
    if let Some(http) = &mut plugin.http {
        http.total_ms = 100;
    }
    let (host, mut shard, pin) = bench(plugin);
    let reply = shard.ask(&pin, &screen("path=/slow timeout=5000"));
    assert_eq!(reply.outcome, Err(Fault::Timeout(100)));
    server.let_go();
    assert_eq!(said(&mut shard, &pin, "path=/ok"), "200 1 1");
    let screening = host.metrics().into_iter().find(|one| one.hook == Hook::Screening).unwrap();
    assert_eq!((screening.faults.timeout, screening.answered), (1, 1));
}

/// A server that does not answer holds only each hook's own question, up to its limit: another
/// plugin answers on the same thread in the meantime.
#[test]
fn a_slow_server_costs_one_decision_in_every_hook() {
    let server = Server::start();
    let mut slow = plugin("every-hook", &server);
    if let Some(http) = &mut slow.http {
        http.total_ms = 100;
    }
    // Questions of the other hooks would go through both.
    let mut other = hostile(file("every-hook-beside", &guest("hostile")));
    other.hooks = Some([Hook::Screening].into());
    for question in every_hook("path=/slow timeout=5000", 100) {
        let mut slow = slow.clone();
        slow.hooks = Some([question.hook()].into());
        let mut all = settings(slow, 1);
        if question.hook() != Hook::Screening {
            all.plugins.push(other.clone());
        }
        let host = Host::new(all).expect("both load");
        let (mut shard, pin) = (host.shard(), host.pin(Arc::new(Tables)));
        let waiting = later(&mut shard, &pin, &question);
        if question.hook() != Hook::Screening {
            let asked = shard.begin(&pin, &screen("1"));
            assert!(matches!(asked, Asked::Now(Reply { outcome: Ok(_), .. })));
        }
        let reply = waiting.recv().expect("an answer comes");
        assert_eq!(reply.outcome, Err(Fault::Timeout(100)), "{question:?}");
        assert_eq!(reply.plugin.expect("it was asked").name.as_ref(), "outside");
    }
}

#[test]
fn processor_time_is_limited_and_waiting_is_none() {
    let server = Server::start();
    let (_host, mut shard, pin) = bench(plugin("processor", &server));
    // Ten times the deadline of 5 ms.
    assert_eq!(said(&mut shard, &pin, "path=/slow timeout=50"), "no response in time");
    let reply = shard.ask(&pin, &screen("path=/ok spin"));
    assert!(matches!(reply.outcome, Err(Fault::Deadline(5, _))), "{:?}", reply.outcome);
    assert_eq!(said(&mut shard, &pin, "path=/ok"), "200 1 2", "the next question works");
}

#[test]
fn only_granted_hosts_are_reached() {
    let server = Server::start();
    let other = Server::start();
    let (host, mut shard, pin) = bench(plugin("granted", &server));
    let told = format!("path=/ok host={}", other.address);
    let words = said(&mut shard, &pin, &told);
    assert!(words.contains("is not granted"), "{words}");
    assert_eq!(said(&mut shard, &pin, "path=/elsewhere"), "302 0 ", "nobody follows it");
    assert_eq!((other.connections(), figures(&host).refused), (0, 1));
}

#[test]
fn a_closed_port_is_told_without_the_url() {
    let server = Server::start();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut plugin = plugin("closed", &server);
    if let Some(http) = &mut plugin.http {
        http.hosts.push(closed.to_string());
    }
    let (host, mut shard, pin) = bench(plugin);
    let words = said(&mut shard, &pin, &format!("path=/secret host={closed}"));
    assert!(words.starts_with(&format!("failed {closed}: cannot connect: ")), "{words}");
    assert!(words.contains("refused") && !words.contains("secret"), "{words}");
    assert_eq!(figures(&host).failed, 1);
}

#[test]
fn what_is_too_large_or_broken_is_no_answer() {
    let server = Server::start();
    let (_host, mut shard, pin) = bench(plugin("too-large", &server));
    assert!(said(&mut shard, &pin, "path=/full").starts_with("200 262144 x"));
    let words = said(&mut shard, &pin, "path=/big");
    assert!(words.ends_with("the body has more than 262144 bytes"), "{words}");
    let words = said(&mut shard, &pin, "path=/breaks");
    assert!(words.contains("the body breaks off"), "{words}");
    let words = said(&mut shard, &pin, "path=/ok body=x long=65537");
    assert_eq!(words, "refused: the body has 65537 bytes, at most 65536");
}

#[test]
fn more_questions_than_may_wait_are_busy() {
    let server = Server::start();
    let mut plugin = plugin("busy", &server);
    if let Some(http) = &mut plugin.http {
        http.in_flight = 2;
    }
    let (_host, mut shard, pin) = bench(plugin);
    let waiting = [1, 2].map(|_| later(&mut shard, &pin, &screen("path=/slow")));
    server.wait_for("/slow", 2);
    let reply = shard.ask(&pin, &screen("path=/ok"));
    assert_eq!(reply.outcome, Err(Fault::Busy(2)));
    server.let_go();
    for reply in waiting {
        assert_eq!(marks(reply.recv().unwrap()).len(), 2);
    }
    assert_eq!(said(&mut shard, &pin, "path=/ok"), "200 1 1", "there is room again");
}

#[test]
fn a_good_answer_is_used_again() {
    let server = Server::start();
    let (host, mut shard, pin) = bench(plugin("cache", &server));
    assert_eq!(said(&mut shard, &pin, "path=/ok cache=60 times=2"), "200 1 1, 200 cached 1 1");
    assert_eq!(said(&mut shard, &pin, "path=/ok cache=60"), "200 cached 1 1");
    assert_eq!(said(&mut shard, &pin, "path=/ok"), "200 1 2", "it wants a new one");
    assert_eq!(said(&mut shard, &pin, "path=/ok cache=60 body=x"), "200 1 3", "not the same");
    assert_eq!(said(&mut shard, &pin, "path=/missing cache=60 times=2"), "404 0 , 404 cached 0 ");
    said(&mut shard, &pin, "path=/elsewhere cache=60 times=2");
    assert_eq!(server.requests("/elsewhere"), 2, "a redirect is not kept");
    let figures = figures(&host);
    assert_eq!((figures.cache_hits, figures.cache_entries), (3, 3));
    assert!(figures.cache_bytes > 0);
}

#[test]
fn equal_requests_under_way_are_one() {
    let server = Server::start();
    let (host, mut shard, pin) = bench(plugin("single-flight", &server));
    let first = later(&mut shard, &pin, &screen("path=/slow/n cache=60"));
    server.wait_for("/slow/n", 1);
    let others = [1, 2, 3].map(|_| later(&mut shard, &pin, &screen("path=/slow/n cache=60")));
    while figures(&host).joined < 3 {
        std::thread::yield_now();
    }
    server.let_go();
    for reply in others.into_iter().chain([first]) {
        assert_eq!(marks(reply.recv().unwrap())[1], "200 1 1");
    }
    assert_eq!(server.requests("/slow/n"), 1);
}

#[test]
fn a_swap_leaves_a_waiting_question_to_its_build() {
    let server = Server::start();
    let (host, mut shard, pin) = bench(plugin("swap", &server));
    assert_eq!(said(&mut shard, &pin, "path=/ok cache=60"), "200 1 1");
    // Until the build is compiled, which takes seconds on a busy machine.
    let waiting = later(&mut shard, &pin, &screen("path=/slow timeout=5000"));
    drop(pin);
    server.wait_for("/slow", 1);
    host.swap("outside", build_of("outside", 'b')).expect("build b is good");
    let builds = |host: &Host| host.list().remove(0).builds.len();
    assert_eq!(builds(&host), 2, "the question keeps its generation");
    let newer = host.pin(Arc::new(Tables));
    let said = marks(shard.ask(&newer, &screen("path=/ok cache=60")));
    assert_eq!(said, ["1.0.0-build-b", "200 cached 1 1"], "the answers outlive the build");
    server.let_go();
    assert_eq!(marks(waiting.recv().unwrap()), ["1.0.0-build-a", "200 1 1"]);
    while builds(&host) > 1 {
        std::thread::yield_now();
    }
}

#[test]
fn the_previous_build_stands_in_for_one_that_waits() {
    let server = Server::start();
    let (host, mut shard, _) = bench(plugin("stands-in", &server));
    host.swap("outside", build_of("outside", 'x')).expect("build x passes its self-test");
    let pin = host.pin(Arc::new(Tables));
    let reply = shard.ask(&pin, &route("path=/ok"));
    assert_eq!(reply.outcome, Ok(Answer::Route(Ok(vec![5, 3]))));
    assert!(reply.by_previous);
    assert_eq!(server.requests("/ok"), 2);
}

#[test]
fn events_are_told_without_anybody_waiting() {
    let server = Server::start();
    let (_host, mut shard, pin) = bench(plugin("events", &server));
    let told = later(&mut shard, &pin, &event("path=/slow"));
    server.wait_for("/slow", 1);
    server.let_go();
    assert_eq!(told.recv().unwrap().outcome, Ok(Answer::Noted));
}

#[test]
fn a_grant_without_hosts_is_refused() {
    let server = Server::start();
    let refusal = |change: fn(&mut PluginSettings)| {
        let mut plugin = plugin("settings", &server);
        change(&mut plugin);
        Host::new(settings(plugin, 1)).err().expect("it is refused").to_string()
    };
    let words = refusal(|plugin| plugin.http = None);
    assert!(words.contains("http.hosts is empty"), "{words}");
    let words = refusal(|plugin| plugin.grants.clear());
    assert!(words.contains("only beside the grant \"http\""), "{words}");
    let words = refusal(|plugin| plugin.http = Some(HttpSettings::new(["*.example.com"])));
    assert!(words.contains("\"*.example.com\""), "{words}");
    let words = refusal(|plugin| {
        plugin.grants = [Grant::Log].into();
        plugin.http = None;
    });
    assert!(words.contains("host-http") && words.contains("add \"http\""), "{words}");
}

#[test]
fn nothing_is_asked_while_a_plugin_is_configured() {
    let server = Server::start();
    let mut plugin = plugin("early", &server);
    plugin.config["early"] = true.into();
    match Host::new(settings(plugin, 1)).err() {
        Some(LoadError::ConfigRefused { cause, .. }) => {
            assert!(cause.contains("only a question may ask outside"), "{cause}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.connections(), 0);
}
