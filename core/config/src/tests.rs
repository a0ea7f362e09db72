//! A wrong node file is refused with file, line, field and what would be right.

use super::*;

const GOOD: &str = r#"name = "node-1"

[[listeners]]
name = "main"
address = "127.0.0.1:5060"

[media]
addresses = [{ name = "local", bind = "127.0.0.1" }]

[[plugins.list]]
name = "routing"
grants = ["log"]
config = { strategy = "priority" }
"#;

fn refusal(text: &str) -> String {
    Config::parse("node.toml", text).expect_err("the file is wrong").to_string()
}

#[test]
fn a_short_file_is_completed_by_defaults() {
    let config = Config::parse("node.toml", GOOD).unwrap();
    assert_eq!(config.listeners[0].advertised(), "127.0.0.1:5060");
    assert_eq!(config.listeners[0].domain(), "127.0.0.1");
    assert_eq!(config.listeners[0].dscp, Dscp::CS5);
    assert_eq!(config.media.dscp, Dscp::EF);
    assert_eq!(config.media.addresses[0].ports, PortRange { first: 10_000, last: 39_999 });
    assert_eq!(config.admin.address.to_string(), "127.0.0.1:8080");
    assert_eq!(config.calls.max_duration, Duration::from_secs(43_200));
    assert_eq!(config.calls.setup_limit, Duration::from_secs(180));
    let decisions = &config.decisions;
    assert!(decisions.enabled && decisions.mask_numbers == 0);
    assert_eq!((decisions.keep, decisions.max_size), (Duration::from_secs(86_400), 2 << 30));
    let records = &config.records;
    assert_eq!((records.keep.as_secs(), records.keep_attempts.as_secs()), (34_560_000, 7_776_000));
    assert_eq!((records.waiting, records.journal_size), (100_000, 50 << 30));
    let plugin = &config.plugins.list[0];
    assert_eq!(plugin.path(Path::new("p")), Path::new("p/routing.wasm"));
    assert_eq!(plugin.config_json().to_string(), r#"{"strategy":"priority"}"#);
    assert_eq!((plugin.deadline, plugin.memory), (Duration::from_millis(5), 16 << 20));
}

/// Each row: the text to replace in the good file, its replacement, and parts of the refusal.
#[test]
fn each_wrong_setting_is_named_with_its_line_and_what_is_allowed() {
    let rows: &[(&str, &str, &[&str])] = &[
        ("name = \"node-1\"", "name = \"node 1\"", &["node.toml:1: name:", "letters, digits"]),
        (
            "name = \"node-1\"",
            "nme = \"node-1\"",
            &["node.toml:1: nme:", "unknown field", "`data_dir`"],
        ),
        ("name = \"node-1\"", "shards = 0", &["node.toml:1: shards:", "1 to 64"]),
        (
            "name = \"node-1\"",
            "records.keep = \"59m\"",
            &["node.toml:1: records.keep:", "1h and more, or 0s"],
        ),
        ("name = \"node-1\"", "records.waiting = 9", &["node.toml:1: records.waiting:", "10 to"]),
        (
            "name = \"node-1\"",
            "records.journal_size = \"63MiB\"",
            &["node.toml:1: records.journal_size:", "64MiB and more"],
        ),
        (
            "name = \"node-1\"",
            "housekeeping_processors = \"last\"",
            &["node.toml:1: housekeeping_processors:", "\"0-3,7\"", "or \"none\""],
        ),
        (
            "name = \"node-1\"",
            "housekeeping_processors = \"1023\"",
            &[
                "node.toml:1: housekeeping_processors:",
                "may not use processor 1023",
                "allowed are 0",
            ],
        ),
        (
            "name = \"node-1\"",
            "processor_latency = 0",
            &["node.toml:1: processor_latency:", "expected a string"],
        ),
        (
            "name = \"node-1\"",
            "processor_latency = \"2s\"",
            &["node.toml:1: processor_latency:", "0us to 1s"],
        ),
        (
            "name = \"node-1\"",
            "decisions = { keep = \"10s\" }",
            &["node.toml:1: decisions.keep:", "1m to 8760h"],
        ),
        (
            "name = \"node-1\"",
            "decisions = { max_size = \"1KiB\" }",
            &["node.toml:1: decisions.max_size:", "1MiB"],
        ),
        (
            "name = \"node-1\"",
            "decisions = { mask_numbers = 19 }",
            &["node.toml:1: decisions.mask_numbers:", "0 to 18"],
        ),
        (
            "[media]",
            "[plugins.signing]\nrequired = true\n\n[media]",
            &["plugins.signing.keys:", "at least one key is needed"],
        ),
        (
            "[media]",
            "[plugins.signing]\nkeys = [\"0123\"]\n\n[media]",
            &["node.toml:8: plugins.signing.keys[0]:", "`strowger-public:` and 64 hex digits"],
        ),
        (
            "\"127.0.0.1:5060\"",
            "\"localhost\"",
            &["node.toml:5: listeners[0].address:", "socket address"],
        ),
        (
            "\"127.0.0.1:5060\"",
            "\"0.0.0.0:5060\"",
            &["node.toml:5: listeners[0].address:", "advertised"],
        ),
        (
            "\"127.0.0.1:5060\"",
            "\"127.0.0.1:5060\"\nadvertised = \"a b\"",
            &["node.toml:6: listeners[0].advertised:", "host:port"],
        ),
        (
            "\"127.0.0.1:5060\"",
            "\"127.0.0.1:5060\"\ndscp = \"0xb8\"",
            &["node.toml:6: listeners[0].dscp:", "0 to 63"],
        ),
        (
            "bind = \"127.0.0.1\"",
            "bind = \"127.0.0.1\", ports = \"5000-6000\"",
            &["node.toml:8: media.addresses[0].ports:", "contains port 5060 of listener `main`"],
        ),
        (
            "bind = \"127.0.0.1\"",
            "bind = \"127.0.0.1\", ports = \"6000\"",
            &["node.toml:8: media.addresses[0].ports:", "FIRST-LAST"],
        ),
        (
            "grants = [\"log\"]",
            "grants = [\"http\"]",
            &["plugins.list[0].grants:", "set `http = { hosts = [...] }`"],
        ),
        (
            "grants = [\"log\"]",
            "http = { hosts = [\"lrn.example.com\"] }",
            &["plugins.list[0].http:", "add \"http\" to `grants`"],
        ),
        (
            "grants = [\"log\"]",
            "grants = [\"http\"]\nhttp = { hosts = [\"http://lrn\"], timeout = \"6s\" }",
            &["plugins.list[0].http.hosts:", "`http://lrn`", "http.timeout:", "1ms to 5s"],
        ),
        (
            "grants = [\"log\"]",
            "grants = [\"log\", \"files\"]",
            &[
                "node.toml:12: plugins.list[0].grants[1]:",
                "`files`",
                "`log`, `config`, `call`, `accounts`",
            ],
        ),
        (
            "grants = [\"log\"]",
            "deadline = \"5\"",
            &["node.toml:12: plugins.list[0].deadline:", "\"5ms\""],
        ),
        (
            "grants = [\"log\"]",
            "memory = \"16MB\"",
            &["node.toml:12: plugins.list[0].memory:", "MiB"],
        ),
        (
            "[media]",
            "[admin]\naddress = \"0.0.0.0:8080\"\n[media]",
            &["node.toml:8: admin.address:", "token"],
        ),
        (
            "[media]",
            "[calls]\ninterim = \"2h\"\n[media]",
            &["node.toml:8: calls.interim:", "1s to 1h"],
        ),
        (
            "[media]",
            "[calls]\nsupervision = \"25h\"\n[media]",
            &["node.toml:8: calls.supervision:", "1s to 24h"],
        ),
        (
            "[media]",
            "[calls]\nsupervision = \"1500ms\"\n[media]",
            &["node.toml:8: calls.supervision:", "whole seconds"],
        ),
        (
            "[media]",
            "[calls]\nfree_seconds = 3601\n[media]",
            &["node.toml:8: calls.free_seconds:", "0 to 3600"],
        ),
        (
            "[media]",
            "[calls]\nsetup_limit = \"29s\"\n[media]",
            &["node.toml:8: calls.setup_limit:", "30s to 10m"],
        ),
        (
            "[media]",
            "[calls]\nmax_duration = \"721h\"\n[media]",
            &["node.toml:8: calls.max_duration:", "0s to 720h"],
        ),
        (
            "[media]",
            "[calls]\nsetup_limit = \"11m\"\n[media]",
            &["node.toml:8: calls.setup_limit:", "30s to 10m"],
        ),
        (
            "[media]",
            "[[plugins.chain]]\nhook = \"routing\"\nplugins = [\"nope\"]\n[media]",
            &["node.toml:9: plugins.chain[0].plugins[0]:", "`nope`", "there are: routing"],
        ),
        (
            "[media]",
            "[[plugins.chain]]\nhook = \"routing\"\nplugins = [\"routing\",\n\"routing\"]\n[media]",
            &["node.toml:10: plugins.chain[0].plugins[1]:", "`routing` is named twice"],
        ),
        (
            "[media]",
            "[dns]\nservers = [\"ns.example\"]\n[media]",
            &["node.toml:8: dns.servers", "`ns.example`", "\"192.0.2.53\""],
        ),
        (
            "[media]",
            "[dns]\nshortest = \"0s\"\n[media]",
            &["node.toml:8: dns.shortest:", "1s to 10m"],
        ),
        (
            "[media]",
            "[dns]\nlongest = \"10s\"\n[media]",
            &["node.toml:8: dns.longest:", "dns.shortest to 24h"],
        ),
        (
            "name = \"main\"\n",
            "name = \"main\"\nclose_with_reset = true\n",
            &["listeners[0].close_with_reset:", "transport = \"tcp\""],
        ),
        ("[media]", "[log]\nlevel = \"loud!\"\n[media]", &["node.toml:8: log.level:", "debug"]),
        ("name = \"main\"\n", "", &["node.toml:3: listeners[0]", "missing field `name`"]),
    ];
    for (from, to, words) in rows {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let refusal = refusal(&text);
        for word in *words {
            assert!(refusal.contains(word), "`{refusal}` does not say `{word}`");
        }
    }
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let text = GOOD.replace("\"node-1\"", "\"?\"").replace("127.0.0.1:5060", "0.0.0.0:5060");
    let ConfigErrors(problems) = Config::parse("node.toml", &text).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn a_missing_file_is_named() {
    let refusal = Config::load(Path::new("no/such/node.toml")).unwrap_err().to_string();
    assert!(refusal.starts_with("no/such/node.toml: cannot be read"), "{refusal}");
}
