//! The admin API of a real node, over real HTTP.

use super::{Admin, AdminToken, BoundAdmin};
use api::{AlarmLine, ErrorBody, Health, PaymentDone, ReloadDone, TableLine};
use config::Config;
use engine::{Handover, PreparedNode, RunningNode};
use serde::de::DeserializeOwned;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A stop without calls takes a fraction of this.
const STOP_LIMIT: Duration = Duration::from_secs(30);

const TOKEN: &str = "0123456789abcdef";

/// A node and its interface.
struct Served {
    running: RunningNode,
    service: Admin,
    admin: SocketAddr,
}

impl Served {
    async fn start(config: Config) -> Served {
        let prepared = PreparedNode::new(config).unwrap();
        let bound = BoundAdmin::new(prepared.config()).await.unwrap();
        let running = prepared.start(Handover::default()).await.unwrap();
        let admin = bound.address();
        Served { service: bound.serve(running.node.clone()), running, admin }
    }

    async fn stop(self, drain: Duration) {
        self.running.stop(drain).await;
        self.service.stop().await;
    }
}

/// A node without plugins and calls, in a temporary folder.
struct Stage {
    runtime: tokio::runtime::Runtime,
    node: Option<Served>,
    agent: ureq::Agent,
    token: String,
    folder: PathBuf,
}

impl Stage {
    fn new(test: &str, admin: &str) -> Stage {
        let folder = std::env::temp_dir().join(format!("strowger-{test}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("business")).unwrap();
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let node = format!(
            "data_dir = \"data\"\nbusiness = \"business\"\nshards = 1\n\
             [[listeners]]\nname = \"main\"\naddress = \"{free}\"\n\
             [media]\naddresses = [{{ name = \"main\", bind = \"127.0.0.1\", ports = \"20000-29999\" }}]\n\
             [admin]\naddress = \"127.0.0.1:0\"\n{admin}\n"
        );
        std::fs::write(folder.join("node.toml"), node).unwrap();
        let account =
            "[[account]]\nname = \"acme\"\ncurrency = \"EUR\"\nopening_balance = \"12.5\"\n";
        std::fs::write(folder.join("business/all.toml"), account).unwrap();
        let config = Config::load(&folder.join("node.toml")).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let node = runtime.block_on(Served::start(config.clone()));
        let token = AdminToken::find(&config).unwrap().unwrap();
        let settings = ureq::Agent::config_builder().http_status_as_error(false).build();
        Stage { runtime, node: Some(node), agent: settings.into(), token, folder }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// The first line of the response to a raw request; empty if there is none.
    fn raw(&self, request: &str) -> String {
        let mut client = self.connect();
        client.write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        let _ = BufReader::new(client).read_line(&mut line);
        line.trim_end().to_owned()
    }

    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.node.as_ref().unwrap().admin).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.node.as_ref().unwrap().admin)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> (u16, T) {
        let request = self.agent.get(self.url(path)).header("Authorization", self.bearer());
        let mut reply = request.call().unwrap();
        (reply.status().as_u16(), reply.body_mut().read_json().unwrap())
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &str) -> (u16, T) {
        let request = self.agent.post(self.url(path)).content_type("application/json");
        let request = request.header("Authorization", self.bearer());
        let mut reply = request.send(body).unwrap();
        (reply.status().as_u16(), reply.body_mut().read_json().unwrap())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            self.runtime.block_on(node.stop(Duration::ZERO));
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_node_tells_its_health_calls_records_and_accounts() {
    let stage = Stage::new("tells", "");
    let (status, health) = stage.get::<Health>("/health");
    assert_eq!((status, health.status.as_str(), health.calls), (200, "ok", 0));
    assert_eq!(stage.get::<Vec<serde_json::Value>>("/v1/calls"), (200, vec![]));
    assert_eq!(stage.get::<Vec<serde_json::Value>>("/v1/records?limit=5"), (200, vec![]));
    let (_, accounts) = stage.get::<serde_json::Value>("/v1/accounts");
    assert_eq!((&accounts[0]["name"], &accounts[0]["balance"]), (&"acme".into(), &"12.5".into()));
    let page = stage.agent.get(stage.url("/metrics")).header("Authorization", stage.bearer());
    let mut metrics = page.call().unwrap();
    let page = metrics.body_mut().read_to_string().unwrap();
    assert!(page.contains("\nstrowger_calls_active 0\n"), "{page}");
    assert!(page.contains("strowger_relay_pairs{address=\"main\"} 5000"), "{page}");
}

/// A client with an incomplete request does not delay a stop.
#[test]
fn requests_that_never_end_do_not_keep_the_node_from_stopping() {
    let mut stage = Stage::new("half", "");
    let address = stage.node.as_ref().unwrap().admin;
    let halves = [
        "GET /health HTTP/1.1\r\nHo",
        "POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: 10\r\n\r\n{",
    ];
    let _clients = halves.map(|half| {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(half.as_bytes()).unwrap();
        client
    });
    // Later requests are answered: the incomplete ones were accepted before them.
    assert_eq!(stage.get::<Health>("/health").0, 200);
    let node = stage.node.take().unwrap();
    let stopped = async { tokio::time::timeout(STOP_LIMIT, node.stop(Duration::ZERO)).await };
    stage.runtime.block_on(stopped).expect("the node stops");
}

/// Each row: path, status, and parts of the error.
#[test]
fn refusals_say_what_is_wrong_and_where() {
    let stage = Stage::new("refuses", "");
    let rows: [(&str, u16, &str, Option<&str>, &str); 9] = [
        ("/v1/records?limit=0", 400, "invalid", Some("limit"), "1 to 10000"),
        ("/v1/customer-trunks?limit=0", 400, "invalid", Some("limit"), "1 to 1000"),
        ("/v1/decks?limit=-1", 400, "invalid", Some("query"), "limit"),
        ("/v1/records?limt=1", 400, "invalid", Some("query"), "limit"),
        ("/v1/records/xyz", 400, "invalid", Some("id"), "32 hexadecimal digits"),
        ("/v1/records/00000000000070000000000000000001", 404, "not_found", None, "no record"),
        ("/v1/nothing", 404, "not_found", None, "/v1/calls"),
        ("/v1/tables/t", 404, "not_found", None, "/v1/tables"),
        ("/v1/reload", 405, "wrong_method", None, "GET"),
    ];
    for (path, code, error, field, words) in rows {
        let (status, body) = stage.get::<ErrorBody>(path);
        assert_eq!(
            (status, body.error.as_str(), body.field.as_deref()),
            (code, error, field),
            "{path}"
        );
        assert!(body.detail.contains(words), "{path}: {}", body.detail);
    }
    let (status, body) = stage.post::<ErrorBody>("/v1/plugins/routing/swap", r#"{"file":"x"}"#);
    assert_eq!((status, body.field.as_deref()), (400, Some("body")));
    let (status, body) = stage.post::<ErrorBody>("/v1/plugins/routing/swap", r#"{"path":"x"}"#);
    assert_eq!((status, body.error.as_str()), (404, "not_found"));
}

#[test]
fn a_reload_shows_the_difference_first_and_refuses_what_is_wrong() {
    let stage = Stage::new("reloads", "");
    let file = stage.folder.join("business/all.toml");
    let more = "[[account]]\nname = \"second\"\ncurrency = \"EUR\"\n";
    let text = std::fs::read_to_string(&file).unwrap() + more;
    std::fs::write(&file, &text).unwrap();

    let (status, dry) = stage.post::<ReloadDone>("/v1/reload", r#"{"dry_run":true}"#);
    assert_eq!(status, 200);
    assert!(dry.changes.iter().any(|line| line.contains("second")), "{dry:?}");
    assert_eq!(stage.get::<Vec<serde_json::Value>>("/v1/accounts").1.len(), 1);
    let (_, done) = stage.post::<ReloadDone>("/v1/reload", "");
    assert_eq!(done.changes, dry.changes);
    assert_eq!(stage.get::<Vec<serde_json::Value>>("/v1/accounts").1.len(), 2);

    std::fs::write(&file, text.replace("EUR", "euro")).unwrap();
    let (status, refused) = stage.post::<ErrorBody>("/v1/reload", "");
    assert_eq!((status, refused.error.as_str()), (422, "configuration_refused"));
    assert!(refused.detail.contains("all.toml:3"), "{}", refused.detail);
    assert_eq!(stage.get::<Vec<serde_json::Value>>("/v1/accounts").1.len(), 2);
}

/// SEC-17: a table is shown, replaced on demand, and unchanged when its file is wrong.
#[test]
fn a_table_is_shown_replaced_and_kept_when_its_file_is_wrong() {
    let stage = Stage::new("tables", "");
    let put = |name: &str, text: &str| {
        std::fs::write(stage.folder.join("business").join(name), text).unwrap();
    };
    put("lists.toml", "[[number_list]]\nname = \"barred\"\nkind = \"exact\"\nfile = \"b.csv\"\n");
    put("b.csv", "44\n45\n");
    assert_eq!(stage.post::<ReloadDone>("/v1/reload", "").0, 200);
    let live = || stage.get::<Vec<TableLine>>("/v1/tables").1.remove(0);
    let table = live();
    assert_eq!((table.name.as_str(), table.kind.as_str(), table.rows), ("barred", "exact", 2));
    assert!(table.file.ends_with("business/b.csv") && table.bytes > 0 && table.loaded_ms > 0);
    let page = stage.agent.get(stage.url("/metrics")).header("Authorization", stage.bearer());
    let mut metrics = page.call().unwrap();
    let page = metrics.body_mut().read_to_string().unwrap();
    assert!(page.contains("\nstrowger_table_rows{table=\"barred\"} 2\n"), "{page}");
    let bytes = format!("\nstrowger_table_bytes{{table=\"barred\"}} {}\n", table.bytes);
    assert!(page.contains(&bytes), "{page}");

    put("b.csv", "44\n45\n4 6\n");
    let (status, refused) = stage.post::<ErrorBody>("/v1/tables/barred/reload", "");
    assert_eq!((status, refused.error.as_str()), (422, "table_refused"));
    assert!(refused.detail.contains("b.csv:3: number = \"4 6\""), "{}", refused.detail);
    assert_eq!((live().rows, live().error), (2, refused.detail));

    put("b.csv", "44\n45\n46\n");
    let (_, dry) = stage.post::<ReloadDone>("/v1/reload", r#"{"dry_run":true}"#);
    // The watcher may have been faster.
    assert!(dry.changes.is_empty() || dry.changes == ["~ table barred: 2 -> 3 rows"], "{dry:?}");
    let (_, read) = stage.post::<TableLine>("/v1/tables/barred/reload", "");
    assert_eq!((read.rows, live().rows, live().error), (3, 3, String::new()));
    let (status, unknown) = stage.post::<ErrorBody>("/v1/tables/absent/reload", "");
    assert_eq!(status, 404);
    assert!(unknown.detail.contains("there are: barred"), "{}", unknown.detail);
}

/// BILL-46: a payment is durable and in force at once; a wrong one is refused whole.
#[test]
fn a_payment_is_booked_once_and_in_force_at_once() {
    let stage = Stage::new("pays", "");
    let path = "/v1/accounts/acme/payments";
    let balance = || stage.get::<serde_json::Value>("/v1/accounts").1[0]["balance"].clone();
    let body = r#"{"amount":"7.25","note":"cash","key":"receipt-1"}"#;
    for booked in [true, false] {
        let (status, done) = stage.post::<PaymentDone>(path, body);
        assert_eq!((status, done.balance.as_str(), done.booked), (200, "19.75", booked));
        assert_eq!(balance(), "19.75");
    }
    let rows: [(&str, u16, Option<&str>, &str); 6] = [
        (r#"{"amount":"1,5"}"#, 400, Some("amount"), "not an amount"),
        (r#"{"amount":"0"}"#, 400, Some("amount"), "moves nothing"),
        (r#"{"amount":"1","key":"two words"}"#, 400, Some("key"), "1 to 64 visible"),
        (r#"{"amount":"1","note":"a\nb"}"#, 400, Some("note"), "none of control"),
        (r#"{"amount":"1","memo":"x"}"#, 400, Some("body"), "unknown field `memo`"),
        (r#"{"amount":"1","key":"receipt-1"}"#, 422, None, "used for another payment"),
    ];
    for (body, code, field, words) in rows {
        let (status, refused) = stage.post::<ErrorBody>(path, body);
        assert_eq!((status, refused.field.as_deref()), (code, field), "{body}");
        assert!(refused.detail.contains(words), "{body}: {}", refused.detail);
    }
    let unknown = stage.post::<ErrorBody>("/v1/accounts/nobody/payments", r#"{"amount":"1"}"#);
    assert_eq!(unknown.0, 404);
    assert_eq!(balance(), "19.75");
}

/// BILL-46: the key may be in the header that other APIs use; an amount or balance out of range is
/// refused by name.
#[test]
fn a_payment_has_one_key_and_bounds() {
    let stage = Stage::new("keys", "");
    let pay = |key: &str, body: &str| {
        let request = stage.agent.post(stage.url("/v1/accounts/acme/payments"));
        let request = request.header("Idempotency-Key", key).content_type("application/json");
        let request = request.header("Authorization", stage.bearer());
        let mut reply = request.send(body).unwrap();
        (reply.status().as_u16(), reply.body_mut().read_json::<serde_json::Value>().unwrap())
    };
    for booked in [true, false, false] {
        let (status, done) = pay("receipt-9", r#"{"amount":"1","note":"cash"}"#);
        assert_eq!(
            (status, &done["booked"], &done["balance"]),
            (200, &booked.into(), &"13.5".into())
        );
    }
    let rows = [
        ("receipt-9", r#"{"amount":"2","note":"cash"}"#, 422, "used for another payment: 1 to"),
        ("receipt-9", r#"{"amount":"1"}"#, 422, "note `cash`"),
        ("receipt-9", r#"{"amount":"1","key":"receipt-8"}"#, 400, "one payment has one"),
        ("two words", r#"{"amount":"1"}"#, 400, "1 to 64 visible"),
        ("large", r#"{"amount":"999999999999999999"}"#, 422, "moves at most 1000000000000"),
    ];
    for (key, body, code, words) in rows {
        let (status, refused) = pay(key, body);
        let detail = refused["detail"].as_str().unwrap_or_default();
        assert!(status == code && detail.contains(words), "{key} {body}: {status} {refused}");
    }
    let accounts = stage.get::<serde_json::Value>("/v1/accounts").1;
    assert_eq!(accounts[0]["balance"], "13.5");
}

/// CDR-24: a filter that cannot be used is an error, not ignored.
#[test]
fn filters_of_records_are_checked() {
    let stage = Stage::new("filters", "");
    let good = "/v1/records?since=1&until=2&caller=44&callee=1&number=3&account=acme&reason=no_route\
        &answered=true&rerate=true&before=00000000000070000000000000000001&limit=7";
    assert_eq!(stage.get::<Vec<serde_json::Value>>(good), (200, vec![]));
    let rows = [
        ("account=nobody", "query", "no account has or had the name `nobody`"),
        ("customer=nobody", "query", "no customer trunk has or had the name"),
        ("vendor=nobody", "query", "no vendor trunk has or had the name"),
        ("caller=", "caller", "at least one character"),
        ("since=yesterday", "query", "invalid digit"),
        ("answered=maybe", "query", "true"),
        ("before=xyz", "before", "not a call id"),
        ("limit=10001", "limit", "1 to 10000"),
    ];
    for (query, field, words) in rows {
        let (status, refused) = stage.get::<ErrorBody>(&format!("/v1/records?{query}"));
        assert_eq!((status, refused.field.as_deref()), (400, Some(field)), "{query}");
        assert!(refused.detail.contains(words), "{query}: {}", refused.detail);
    }
}

/// BILL-74: an account with money keeps its currency; the refusal is for the operator and is no
/// error of the node.
#[test]
fn a_reload_refuses_another_currency_and_changes_nothing() {
    let stage = Stage::new("currency", "");
    let file = stage.folder.join("business/all.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("EUR", "USD")).unwrap();
    for body in [r#"{"dry_run":true}"#, ""] {
        let (status, refused) = stage.post::<ErrorBody>("/v1/reload", body);
        assert_eq!((status, refused.error.as_str()), (422, "configuration_refused"));
        assert!(refused.detail.contains("account acme: currency = \"USD\""), "{}", refused.detail);
    }
    let more = "[[account]]\nname = \"second\"\ncurrency = \"USD\"\n";
    std::fs::write(&file, text + more).unwrap();
    let (status, refused) = stage.post::<ErrorBody>("/v1/reload", "");
    assert_eq!(status, 422);
    assert!(refused.detail.contains("all.toml:7: account.currency"), "{}", refused.detail);
}

#[test]
fn a_token_is_asked_for_everywhere_but_at_health() {
    let stage = Stage::new("guards", &format!("token = \"{TOKEN}\""));
    assert_eq!(stage.token, TOKEN);
    assert!(!stage.folder.join("data/admin-token").exists());
    // A method that the path lacks is refused before the token is checked.
    let refusals = ["HTTP/1.1 401 Unauthorized", "HTTP/1.1 405 Method Not Allowed"];
    for path in PATHS {
        let ask = |method: &str| {
            stage.raw(&format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        };
        let lines = ["GET", "HEAD", "POST", "DELETE"].map(ask);
        assert!(lines.iter().all(|line| refusals.contains(&line.as_str())), "{path}: {lines:?}");
        assert!(lines.iter().any(|line| line == refusals[0]), "{path}: {lines:?}");
    }
    for (token, code) in [(TOKEN, 200), ("0123456789abcdeX", 401)] {
        let request = stage.agent.get(stage.url("/v1/calls"));
        let reply = request.header("Authorization", format!("Bearer {token}")).call().unwrap();
        assert_eq!(reply.status().as_u16(), code);
    }
    // Without the token the answer is up or down.
    let mut health = stage.agent.get(stage.url("/health")).call().unwrap();
    assert_eq!(health.body_mut().read_to_string().unwrap(), r#"{"status":"up"}"#);
    assert_eq!(stage.get::<Health>("/health").1.node, "strowger");
}

/// Every guarded path.
const PATHS: &[&str] = &[
    "/metrics",
    "/v1/alarms",
    "/v1/calls",
    "/v1/calls/00000000000070000000000000000001",
    "/v1/records",
    "/v1/records/00000000000070000000000000000001",
    "/v1/accounts",
    "/v1/accounts/acme/payments",
    "/v1/plugins",
    "/v1/plugins/routing",
    "/v1/plugins/routing/swap",
    "/v1/plugins/routing/canary",
    "/v1/plugins/routing/shadow",
    "/v1/plugins/routing/promote",
    "/v1/plugins/routing/rollback",
    "/v1/plugins/routing/trial",
    "/v1/plugins/routing/differences",
    "/v1/tables",
    "/v1/tables/t/reload",
    "/v1/reload",
];

/// A web page in a browser cannot act here: each row is a request as a browser would send it, even
/// with the token, and the response.
#[test]
fn requests_of_web_pages_and_for_other_names_are_refused() {
    let stage = Stage::new("pages", "hosts = [\"switch.example.com\"]");
    let bearer = stage.bearer();
    let send = |head: &str, body: &str| {
        let length = body.len();
        stage.raw(&format!(
            "{head}\r\nAuthorization: {bearer}\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    };
    let get = "GET /v1/calls HTTP/1.1\r\n";
    let rows = [
        (format!("{get}Host: localhost"), "200 OK"),
        (format!("{get}Host: 127.0.0.1:8080"), "200 OK"),
        (format!("{get}Host: [::1]:8080"), "200 OK"),
        (format!("{get}Host: Switch.example.com"), "200 OK"),
        (format!("{get}Host: 127.0.0.1:9\r\nOrigin: http://127.0.0.1:9"), "200 OK"),
        (format!("{get}Host: evil.example"), "421 Misdirected Request"),
        (format!("{get}Host: 127.0.0.1.evil.example"), "421 Misdirected Request"),
        (format!("{get}Host: localhost@evil.example"), "421 Misdirected Request"),
        (format!("{get}Host: localhost\r\nHost: evil.example"), "421 Misdirected Request"),
        (format!("{get}X-Host: localhost"), "421 Misdirected Request"),
        (
            "GET http://evil.example/v1/calls HTTP/1.1\r\nHost: localhost".to_owned(),
            "421 Misdirected Request",
        ),
        (format!("{get}Host: localhost\r\nOrigin: http://evil.example"), "403 Forbidden"),
        (format!("{get}Host: localhost\r\nOrigin: null"), "403 Forbidden"),
        (format!("{get}Host: localhost\r\nOrigin: http://localhost:81"), "403 Forbidden"),
        (format!("{get}Host: localhost\r\nSec-Fetch-Site: cross-site"), "403 Forbidden"),
        (format!("{get}Host: localhost\r\nSec-Fetch-Site: same-site"), "403 Forbidden"),
        (
            format!("{get}Host: localhost\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site"),
            "403 Forbidden",
        ),
    ];
    for (head, answer) in rows {
        assert_eq!(send(&head, ""), format!("HTTP/1.1 {answer}"), "{head}");
    }
    let pay = "POST /v1/accounts/acme/payments HTTP/1.1\r\nHost: localhost";
    let types = [
        ("", "415 Unsupported Media Type"),
        ("\r\nContent-Type: text/plain", "415 Unsupported Media Type"),
        ("\r\nContent-Type: application/x-www-form-urlencoded", "415 Unsupported Media Type"),
        (
            "\r\nContent-Type: text/plain\r\nContent-Type: application/json",
            "415 Unsupported Media Type",
        ),
        ("\r\nContent-Type: application/json; charset=utf-8", "200 OK"),
    ];
    for (kind, answer) in types {
        let line = send(&format!("{pay}{kind}"), r#"{"amount":"1"}"#);
        assert_eq!(line, format!("HTTP/1.1 {answer}"), "{kind}");
    }
    let (_, accounts) = stage.get::<serde_json::Value>("/v1/accounts");
    assert_eq!(accounts[0]["balance"], "13.5", "one of them was booked");
}

#[test]
fn reading_without_a_token_is_a_setting_and_the_metrics_have_a_token_of_their_own() {
    let metrics = "metrics_token = \"for-prometheus-only\"";
    let closed = Stage::new("closed", metrics);
    let open = Stage::new("opened", "open_reading_on_loopback = true");
    let ask = |stage: &Stage, method: &str, path: &str, more: &str| {
        stage.raw(&format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n"))
    };
    let prometheus = "Authorization: Bearer for-prometheus-only\r\n";
    let json = "Content-Type: application/json\r\n";
    let (ok, refused) = ("HTTP/1.1 200 OK", "HTTP/1.1 401 Unauthorized");
    for (stage, method, path, more, answer) in [
        (&closed, "GET", "/metrics", prometheus, ok),
        (&closed, "GET", "/metrics", "", refused),
        (&closed, "GET", "/v1/records", prometheus, refused),
        (&closed, "POST", "/v1/reload", prometheus, refused),
        (&closed, "GET", "/v1/records", "", refused),
        (&open, "GET", "/v1/records", "", ok),
        (&open, "GET", "/metrics", "", ok),
        (&open, "POST", "/v1/reload", json, refused),
        (&open, "DELETE", "/v1/calls/00000000000070000000000000000001", "", refused),
        // A proxy on this machine would make every client come from loopback.
        (&open, "GET", "/v1/records", "X-Forwarded-For: 192.0.2.1\r\n", refused),
        (&open, "GET", "/v1/records", "Forwarded: for=192.0.2.1\r\n", refused),
        (&open, "GET", "/v1/records", "Origin: http://evil.example\r\n", "HTTP/1.1 403 Forbidden"),
    ] {
        assert_eq!(ask(stage, method, path, more), answer, "{method} {path} {more}");
    }
}

/// A token made by the node persists and is readable by its user only; repeated wrong tokens raise
/// an alarm.
#[test]
fn a_node_makes_a_token_that_only_its_user_can_read() {
    let stage = Stage::new("makes", "");
    let file = stage.folder.join("data/admin-token");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&stage.folder.join("data"))), (0o600, 0o700));
    assert_eq!(stage.token.len(), 64);
    let config = Config::load(&stage.folder.join("node.toml")).unwrap();
    let kept = AdminToken::of_node(&config).unwrap();
    assert_eq!((kept.text, kept.is_new), (stage.token.clone(), false));
    assert_eq!(stage.get::<Vec<AlarmLine>>("/v1/alarms"), (200, vec![]));
    for _ in 0..20 {
        stage.raw(
            "GET /v1/calls HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer guess\r\n\r\n",
        );
    }
    let alarms = stage.get::<Vec<AlarmLine>>("/v1/alarms").1;
    assert_eq!((alarms[0].alarm.as_str(), alarms[0].severity.as_str()), ("brute_force", "warning"));
    // Others could have read it: it is no longer valid.
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let made = AdminToken::of_node(&config).unwrap();
    assert!(made.is_new && made.text != stage.token);
    assert_eq!(mode(&file), 0o600);
}

/// Clients with incomplete requests, with or without the token, keep nobody out.
#[test]
fn halves_and_unread_answers_keep_nobody_out() {
    let stage = Stage::new("halves", "open_reading_on_loopback = true");
    let bearer = stage.bearer();
    let body = format!(
        "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{"
    );
    let unread = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(64);
    let mut held = Vec::new();
    for part in [body.as_str(), "GET /health HTTP/1.1\r\nHo", unread.as_str()] {
        for _ in 0..256 {
            let mut client = stage.connect();
            let _ = client.write_all(part.as_bytes());
            held.push(client);
        }
        let begun = Instant::now();
        for path in ["/health", "/v1/calls"] {
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\n\r\n"
            );
            assert_eq!(stage.raw(&request), "HTTP/1.1 200 OK", "{path} while {part} is held");
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{part}");
    }
}

/// Reads without the token have no bodies: they take neither memory nor upload slots.
#[test]
fn bodies_of_who_only_reads_are_not_waited_for() {
    let stage = Stage::new("reads", "open_reading_on_loopback = true");
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut client = stage.connect();
        let half = b"GET /v1/calls HTTP/1.1\r\nHost: localhost\r\n\
            Content-Type: application/wasm\r\nContent-Length: 67108864\r\n\r\nhalf";
        client.write_all(half).unwrap();
        let mut line = String::new();
        BufReader::new(&client).read_line(&mut line).unwrap();
        assert_eq!(line, "HTTP/1.1 200 OK\r\n");
        held.push(client);
    }
    let upload = format!(
        "POST /v1/plugins/routing/swap HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n\
         Content-Type: application/wasm\r\nContent-Length: 4\r\n\r\n\0asm",
        stage.bearer()
    );
    assert_eq!(stage.raw(&upload), "HTTP/1.1 404 Not Found");
}

/// A body that does not arrive, and one that is too large.
#[test]
fn bodies_have_a_time_and_a_size() {
    let stage = Stage::new("bodies", "");
    let bearer = stage.bearer();
    let head = |length: usize| {
        format!(
            "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let large = head(2 << 20) + &" ".repeat(2 << 20);
    assert_eq!(stage.raw(&large), "HTTP/1.1 413 Payload Too Large");
    let mut client = stage.connect();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client.write_all((head(10) + "{").as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(client).read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 408 Request Timeout\r\n");
}
