//! The admin interface of a real node, over real HTTP.

use crate::api::{ErrorBody, Health, PaymentDone, ReloadDone, TableLine};
use crate::node::RunningNode;
use config::Config;
use serde::de::DeserializeOwned;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

/// A stop without calls takes a fraction of this.
const STOP_LIMIT: Duration = Duration::from_secs(30);

const TOKEN: &str = "0123456789abcdef";

/// A node without plugins and calls, in a folder of its own.
struct Stage {
    runtime: tokio::runtime::Runtime,
    node: Option<RunningNode>,
    agent: ureq::Agent,
    folder: PathBuf,
}

impl Stage {
    fn new(test: &str, token: Option<&str>) -> Stage {
        let folder = std::env::temp_dir().join(format!("strowger-{test}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("business")).unwrap();
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let token = token.map(|token| format!("token = \"{token}\"\n")).unwrap_or_default();
        let node = format!(
            "data_dir = \"data\"\nbusiness = \"business\"\nshards = 1\n\
             [[listeners]]\nname = \"main\"\naddress = \"{free}\"\n\
             [media]\naddresses = [{{ name = \"main\", bind = \"127.0.0.1\", ports = \"20000-29999\" }}]\n\
             [admin]\naddress = \"127.0.0.1:0\"\n{token}"
        );
        std::fs::write(folder.join("node.toml"), node).unwrap();
        let account =
            "[[account]]\nname = \"acme\"\ncurrency = \"EUR\"\nopening_balance = \"12.5\"\n";
        std::fs::write(folder.join("business/all.toml"), account).unwrap();
        let config = Config::load(&folder.join("node.toml")).unwrap();
        let runtime = crate::run::runtime(None).unwrap();
        let node = runtime.block_on(RunningNode::start(config)).unwrap();
        let settings = ureq::Agent::config_builder().http_status_as_error(false).build();
        Stage { runtime, node: Some(node), agent: settings.into(), folder }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.node.as_ref().unwrap().admin)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> (u16, T) {
        let mut reply = self.agent.get(self.url(path)).call().unwrap();
        (reply.status().as_u16(), reply.body_mut().read_json().unwrap())
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &str) -> (u16, T) {
        let request = self.agent.post(self.url(path)).content_type("application/json");
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
    let stage = Stage::new("tells", None);
    let (status, health) = stage.get::<Health>("/health");
    assert_eq!((status, health.status.as_str(), health.calls), (200, "ok", 0));
    assert_eq!(stage.get::<Vec<serde_json::Value>>("/v1/calls"), (200, vec![]));
    assert_eq!(stage.get::<Vec<serde_json::Value>>("/v1/records?limit=5"), (200, vec![]));
    let (_, accounts) = stage.get::<serde_json::Value>("/v1/accounts");
    assert_eq!((&accounts[0]["name"], &accounts[0]["balance"]), (&"acme".into(), &"12.5".into()));
    let mut metrics = stage.agent.get(stage.url("/metrics")).call().unwrap();
    let page = metrics.body_mut().read_to_string().unwrap();
    assert!(page.contains("\nstrowger_calls_active 0\n"), "{page}");
    assert!(page.contains("strowger_relay_pairs{address=\"main\"} 5000"), "{page}");
}

/// A client that says half of what it wanted holds no stop up.
#[test]
fn requests_that_never_end_do_not_keep_the_node_from_stopping() {
    let mut stage = Stage::new("half", None);
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
    // Later requests are answered: the halves were accepted before them.
    assert_eq!(stage.get::<Health>("/health").0, 200);
    let node = stage.node.take().unwrap();
    let stopped = async { tokio::time::timeout(STOP_LIMIT, node.stop(Duration::ZERO)).await };
    stage.runtime.block_on(stopped).expect("the node stops");
}

/// Each row: path, status, and words of the refusal.
#[test]
fn refusals_say_what_is_wrong_and_where() {
    let stage = Stage::new("refuses", None);
    let rows: [(&str, u16, &str, Option<&str>, &str); 7] = [
        ("/v1/records?limit=0", 400, "invalid", Some("limit"), "1 to 10000"),
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
    let stage = Stage::new("reloads", None);
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

/// SEC-17: a table is shown, replaced on demand, and stays as it was when its file is wrong.
#[test]
fn a_table_is_shown_replaced_and_kept_when_its_file_is_wrong() {
    let stage = Stage::new("tables", None);
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
    let mut metrics = stage.agent.get(stage.url("/metrics")).call().unwrap();
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
    // The watched folder may have been faster.
    assert!(dry.changes.is_empty() || dry.changes == ["~ table barred: 2 -> 3 rows"], "{dry:?}");
    let (_, read) = stage.post::<TableLine>("/v1/tables/barred/reload", "");
    assert_eq!((read.rows, live().rows, live().error), (3, 3, String::new()));
    let (status, unknown) = stage.post::<ErrorBody>("/v1/tables/absent/reload", "");
    assert_eq!(status, 404);
    assert!(unknown.detail.contains("there are: barred"), "{}", unknown.detail);
}

/// BILL-46: in the database and in force at once; refused whole when something is wrong.
#[test]
fn a_payment_is_booked_once_and_in_force_at_once() {
    let stage = Stage::new("pays", None);
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

/// BILL-46: the key may stand in the header that other interfaces use; what an account does
/// not hold is refused by name.
#[test]
fn a_payment_has_one_key_and_bounds() {
    let stage = Stage::new("keys", None);
    let pay = |key: &str, body: &str| {
        let request = stage.agent.post(stage.url("/v1/accounts/acme/payments"));
        let request = request.header("Idempotency-Key", key).content_type("application/json");
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

/// CDR-24: what cannot be searched for is said, not left out.
#[test]
fn filters_of_records_are_checked() {
    let stage = Stage::new("filters", None);
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

/// BILL-74: an account that has money keeps its currency; the refusal is the operator's to
/// read, not an error of the node.
#[test]
fn a_reload_refuses_another_currency_and_changes_nothing() {
    let stage = Stage::new("currency", None);
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
    assert!(refused.detail.contains("all.toml:5: account.currency"), "{}", refused.detail);
}

#[test]
fn a_token_is_asked_for_everywhere_but_at_health() {
    let stage = Stage::new("guards", Some(TOKEN));
    assert_eq!(stage.get::<Health>("/health").0, 200);
    let (status, body) = stage.get::<ErrorBody>("/v1/calls");
    assert_eq!((status, body.error.as_str()), (401, "unauthorised"));
    for (token, code) in [(TOKEN, 200), ("0123456789abcdeX", 401)] {
        let request = stage.agent.get(stage.url("/v1/calls"));
        let reply = request.header("Authorization", format!("Bearer {token}")).call().unwrap();
        assert_eq!(reply.status().as_u16(), code);
    }
}
