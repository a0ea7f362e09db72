//! What an operator writes, and what is said about mistakes in it.

use crate::support::configuration::{SMALL, configuration};
use ledger::Money;
use std::time::Duration;
use strowger_business::Transport;
use strowger_business::{
    Authentication, FailureReply, HeaderMode, ListKind, PrivacyMode, RunningCalls, Secret,
    VendorPrefix,
};
use strowger_business::{Business, NodeListener, NodeNames};

#[test]
fn a_folder_is_read_with_every_default() {
    let folder = configuration(&[("all.toml", SMALL)]);
    let business = Business::from_folder(folder.path(), "sip.example.com").unwrap();
    let [acme, carrier] = &business.accounts[..] else { panic!("{business:?}") };
    assert_eq!(acme.opening_balance, Money(100 * Money::ONE.0));
    assert_eq!(acme.credit_limit, Some(Money::ZERO), "prepaid (BILL-43)");
    assert_eq!(acme.rounding.decimals, 7, "BILL-17");
    assert_eq!(carrier.name, "carrier");
    let office = &business.customer_trunks[0];
    assert_eq!(office.authentication, Authentication::Address);
    assert_eq!(office.max_attempts, 5, "ROUTE-53");
    assert_eq!(office.setup_budget, Duration::from_secs(30), "ROUTE-54");
    assert!(office.strip_tech_prefix && office.support_privacy && office.relay);
    let vendor = &business.vendor_trunks[0];
    assert_eq!(vendor.targets[0].port, Some(5060));
    assert_eq!(vendor.prefixes[0], VendorPrefix::new("44"));
    assert!(!vendor.prefixes[1].extend, "ROUTE-18");
    assert_eq!(vendor.timers.response, Duration::from_secs(10), "SIG-15");
    assert_eq!(vendor.resend.as_str(), "standard", "SIG-21");
}

#[test]
fn every_setting_has_its_words() {
    let text = r#"
[[account]]
name = "acme"
id = 7
currency = "USD"
opening_balance = "-12.5"
credit_limit = "unlimited"
expires = "2030-01-01"
deck = "retail"
rounding = { unit_ms = 50, mode = "nearest", decimals = 4, fee_unit = "0.01" }

[[account]]
name = "carrier"
kind = "vendor"
currency = "USD"

[[deck]]
name = "retail"
currency = "USD"
file = "retail.csv"

[[number_list]]
name = "denied"
kind = "exact"
file = "denied.csv"

[[rule_set]]
name = "national"
rules = ["0 -> +49", "00 -> +"]

[[customer_trunk]]
name = "phones"
account = "acme"
authentication = "digest"
user = "phones"
password = "a long enough secret"
callee_rules = "national"
max_duration = "2h"
failure_reply = 404

[[vendor_trunk]]
name = "carrier-a"
account = "carrier"
targets = ["[2001:db8::1]:5080"]
prefixes = [""]
timers = { response = "3s", ringing = "90s" }
resend = "0.5,1,2,4"
identity = { asserted = "pass", privacy = "id" }
failover = { stop_after_busy = false, code_policy = { "404" = "stop" } }
"#;
    let deck = "price,prefix,valid_from,blocked,destination\n\
                0.01,44,,,UK\n\
                0.02,44,2026-06-01,,UK\n\
                ,4470,,yes,UK personal\n\
                0.5,*,,,\n";
    let list = "number,value\n4770,fraud\n+44*,\n";
    let folder = configuration(&[("all.toml", text), ("retail.csv", deck), ("denied.csv", list)]);
    let business = Business::from_folder(folder.path(), "sip.example.com").unwrap();
    assert_eq!(business.accounts[0].credit_limit, None);
    assert_eq!(business.accounts[0].expires, Some(1_893_456_000_000));
    let rows = &business.decks[0].rows;
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0].price.price_next, Money(100_000_000), "as the first price (BILL-01)");
    assert!(rows[2].blocked && rows[3].prefix.is_empty());
    let denied = &business.number_lists[0];
    assert_eq!(denied.list.kind, ListKind::Exact);
    assert_eq!(denied.list.file, Some(folder.join("denied.csv")));
    assert_eq!((denied.numbers.get("4770"), denied.numbers.get("+44*")), (Some("fraud"), Some("")));
    assert_eq!(business.rule_sets[0].text, "0 -> +49\n00 -> +");
    let phones = &business.customer_trunks[0];
    assert_eq!(phones.failure_reply, FailureReply::Fixed(404), "SIG-86");
    assert_eq!(phones.password, None, "only its hashes are kept (SIG-51)");
    assert_eq!(phones.realm.as_deref(), Some("sip.example.com"));
    assert!(matches!(&phones.ha1_md5, Some(Secret(hash)) if hash.len() == 32));
    assert!(matches!(&phones.ha1_sha256, Some(Secret(hash)) if hash.len() == 64));
    assert!(!format!("{business:?}").contains("enough secret"));
}

/// BILL-44, BILL-51, SEC-11: limits of an account, and how each is refused.
#[test]
fn limits_of_an_account_have_their_words() {
    let account = |lines: &str| {
        let text = format!("[[account]]\nname = \"acme\"\ncurrency = \"EUR\"\n{lines}\n");
        let folder = configuration(&[("all.toml", &text)]);
        Business::from_folder(folder.path(), "sip.example.com")
    };
    let read = account(
        "block_at = \"5\"\nrunning_calls = \"cut\"\nchannels = 30\ncps = 2.5\nburst = 10\n\
         daily_cap = \"100\"\nmonthly_cap = 1000",
    );
    let read = read.unwrap().accounts.remove(0);
    assert_eq!((read.block_at.to_string(), read.running_calls), ("5".into(), RunningCalls::Cut));
    assert_eq!((read.channels, read.cps.per_mille, read.burst), (30, 2_500, 10));
    let caps = [read.daily_cap, read.monthly_cap].map(|cap| cap.unwrap().to_string());
    assert_eq!(caps, ["100", "1000"]);
    for (lines, told) in [
        ("cps = 0.05", "0.1 to 100000"),
        ("cps = 100001", "0.1 to 100000"),
        ("cps = 0.1005", "0.1 to 100000"),
        ("burst = 5", "there is no `cps`"),
        ("block_at = \"-1\"", "account.block_at = \"-1\": expected at least 0"),
        ("daily_cap = \"-1\"", "expected at least 0"),
        ("running_calls = \"stop\"", "`finish` or `cut`"),
        ("kind = \"vendor\"\nchannels = 3", "this account is a vendor's"),
    ] {
        let refused = account(lines).expect_err(lines).to_string();
        assert!(refused.contains(told), "{lines}: {refused}");
    }
}

/// BILL-60: an account names its reseller; the tree has no circles and at most eight levels above.
#[test]
fn resellers_stand_above_one_another_without_circles() {
    let deck = "[[deck]]\nname = \"retail\"\ncurrency = \"EUR\"\nfile = \"retail.csv\"\n";
    let tree = |accounts: &[(&str, &str)]| {
        let mut text = deck.to_owned();
        for (name, lines) in accounts {
            let table = "[[account]]\ncurrency = \"EUR\"\n";
            text.push_str(&format!("{table}name = \"{name}\"\n{lines}\n"));
        }
        let files = [("all.toml", &*text), ("retail.csv", "prefix,price\n44,1\n")];
        let folder = configuration(&files);
        Business::from_folder(folder.path(), "sip.example.com").map(|_| ())
    };
    let names: Vec<String> = (0..10).map(|n| format!("level-{n}")).collect();
    let below = |n: usize| match n {
        0 => "deck = \"retail\"".to_owned(),
        n => format!("deck = \"retail\"\nparent = \"level-{}\"", n - 1),
    };
    let lines: Vec<String> = (0..10).map(below).collect();
    let chain: Vec<(&str, &str)> =
        names.iter().zip(&lines).map(|(name, lines)| (&**name, &**lines)).collect();
    tree(&chain[..9]).expect("eight levels above the last");
    for (accounts, told) in [
        (&chain[..], "more than 8 accounts above it (BILL-60)"),
        (&chain[1..3], "account.parent = \"level-0\": no such account; there are level-1, level-2"),
        (
            &[
                ("a", "deck = \"retail\"\nparent = \"b\""),
                ("b", "deck = \"retail\"\nparent = \"a\""),
            ],
            "accounts go round: a -> b -> a",
        ),
        (&[("a", "parent = \"b\""), ("b", "")], "the reseller has no deck"),
        (
            &[("a", "parent = \"b\""), ("b", "kind = \"vendor\"\ndeck = \"retail\"")],
            "are customers",
        ),
    ] {
        let refused = tree(accounts).expect_err(told).to_string();
        assert!(refused.contains(told), "{refused}");
    }
}

/// SIG-83: a word stands for the modes of a trunk, and modes can be given one by one.
#[test]
fn an_identity_preset_stands_for_its_modes() {
    let identity = |setting: &str| {
        let text = SMALL.replace("targets = [", &format!("identity = {setting}\ntargets = ["));
        let folder = configuration(&[("all.toml", &text)]);
        let business = Business::from_folder(folder.path(), "sip.example.com").unwrap();
        business.vendor_trunks[0].identity.clone()
    };
    use HeaderMode::{Caller, None};
    for (preset, asserted, privacy) in [
        ("standard", Caller, PrivacyMode::Pass),
        ("emergency", Caller, PrivacyMode::None),
        ("hidden", Caller, PrivacyMode::Id),
        ("none", None, PrivacyMode::None),
    ] {
        let modes = identity(&format!("\"{preset}\""));
        assert_eq!((modes.asserted, modes.privacy), (asserted, privacy), "{preset}");
        assert_eq!((modes.preferred, modes.remote_party, modes.diversion), (None, None, None));
        let written = if asserted == Caller { "caller" } else { "none" };
        let privacy = format!("{privacy:?}").to_lowercase();
        let one_by_one = format!("{{ asserted = \"{written}\", privacy = \"{privacy}\" }}");
        assert_eq!(identity(&one_by_one), modes, "{preset}");
    }
}

/// BILL-14: rows that name no free seconds have those of the node, with and without the column;
/// a row that names 0 has none.
#[test]
fn free_seconds_have_a_default_for_all_decks() {
    let text =
        format!("{SMALL}[[deck]]\nname = \"retail\"\ncurrency = \"EUR\"\nfile = \"d.csv\"\n");
    for (sheet, expected) in [
        ("prefix,price,free_seconds\n1,1,\n2,1,0\n3,1,5\n", vec![10, 0, 5]),
        ("prefix,price\n1,1\n", vec![10]),
    ] {
        let folder = configuration(&[("all.toml", &text), ("d.csv", sheet)]);
        let free = |node: &NodeNames| -> Vec<u32> {
            let business = Business::for_node(folder.path(), node).unwrap();
            business.decks[0].rows.iter().map(|row| row.price.free_seconds).collect()
        };
        assert_eq!(free(&NodeNames { free_seconds: 10, ..NodeNames::default() }), expected);
        assert_eq!(free(&NodeNames::default())[0], 0, "none without a default");
    }
}

/// ROUTE-18, ROUTE-46: what is allowed and seldom meant is told, with the prefixes it is about.
#[test]
fn doubtful_routes_are_warned_of() {
    let trunk = |name: &str, prefixes: &str, lines: &str| {
        format!(
            "[[vendor_trunk]]\nname = \"{name}\"\naccount = \"carrier\"\n\
             targets = [\"192.0.2.21\"]\nprefixes = [{prefixes}]\n{lines}\n"
        )
    };
    let warnings = |trunks: &[String]| {
        let (accounts, _) = SMALL.split_once("[[vendor_trunk]]").unwrap();
        let text = accounts.to_owned() + &trunks.concat();
        let folder = configuration(&[("all.toml", &text)]);
        Business::from_folder(folder.path(), "sip.example.com").unwrap().warnings()
    };
    let stop = "{ prefix = \"44\", extend = false }";
    let (reserve, paris) = ("last_resort = true", "failure_domain = \"paris\"");
    assert_eq!(warnings(&[trunk("a", "\"44\"", ""), trunk("b", "\"44\"", "")]), [""; 0]);
    assert_eq!(
        warnings(&[trunk("a", "\"44\", \"33\"", ""), trunk("b", stop, "")]),
        ["extend_mixed: prefix \"44\" has trunks with and without `extend`; shorter prefixes are \
             not tried after it (ROUTE-18)"]
    );
    assert_eq!(
        warnings(&[trunk("a", "\"44\"", ""), trunk("b", stop, reserve)]),
        [""; 0],
        "a trunk of last resort has no say"
    );
    assert_eq!(
        warnings(&[trunk("a", "\"44\", \"4420\"", reserve), trunk("b", "\"33\"", "")]),
        ["only_last_resort: prefixes \"44\", \"4420\" have last-resort trunks only, which are \
             used as any others then (ROUTE-46)"]
    );
    assert_eq!(
        warnings(&[trunk("a", "\"4420\"", reserve), trunk("b", "\"4\"", "")]),
        [""; 0],
        "a shorter prefix has an ordinary trunk"
    );
    let behind = [reserve, paris].join("\n");
    assert_eq!(
        warnings(&[trunk("a", "\"44\"", paris), trunk("b", "\"44\"", &behind)]),
        ["one_failure_domain: prefix \"44\" has trunks of one failure domain only; one fault \
             takes them all (ROUTE-46)"],
        "those of last resort included"
    );
    let elsewhere = "failure_domain = \"rome\"";
    assert_eq!(
        warnings(&[trunk("a", "\"44\"", paris), trunk("b", "\"4\"", elsewhere)]),
        [""; 0],
        "not all of them"
    );
    let locked = [elsewhere, "locked = true"].join("\n");
    let locked = warnings(&[
        trunk("a", "\"44\"", paris),
        trunk("b", "\"44\"", paris),
        trunk("c", "\"44\"", &locked),
    ]);
    assert_eq!(locked.len(), 1, "a locked trunk does not help: {locked:?}");
}

/// Bad input: the mistake, the line it is in, and what the message must say.
#[test]
fn each_mistake_is_named_by_file_line_field_and_what_is_allowed() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "targets = [\"192.0.2.20\"]",
            "targets = [\"192.0.2.20\"]\nidentity = \"secret\"",
            &["all.toml:21: vendor_trunk.identity", "standard, emergency, hidden, none", "SIG-83"],
        ),
        (
            "[[customer_trunk]]",
            "[[customer_trunk]]\nmax_attempts = 101",
            &["customer_trunk.max_attempts = 101", "0 (no limit) to 100", "ROUTE-53"],
        ),
        (
            "[[customer_trunk]]",
            "[[customer_trunk]]\nsetup_budget = \"301s\"",
            &["customer_trunk.setup_budget = \"301s\"", "5s to 300s", "ROUTE-54"],
        ),
        (
            "[[customer_trunk]]",
            "[[customer_trunk]]\nmax_duration = \"721h\"",
            &["customer_trunk.max_duration = \"721h\"", "at most 720h", "SIG-35"],
        ),
        (
            "[[customer_trunk]]",
            "[[customer_trunk]]\nsetup_budget = \"4s\"",
            &["customer_trunk.setup_budget = \"4s\"", "5s to 300s", "ROUTE-54"],
        ),
        (
            "currency = \"EUR\"\nopening",
            "currency = \"euro\"\nopening",
            &["all.toml:4: account.currency = \"euro\"", "three capital letters"],
        ),
        (
            "opening_balance = \"100\"",
            "opening_balance = \"1,5\"",
            &["all.toml:5: account.opening_balance = \"1,5\"", "at most 10 decimals"],
        ),
        (
            "opening_balance = \"100\"",
            "opening_balance = 1.5",
            &["all.toml:5: account.opening_balance = 1.5", "in quotation marks"],
        ),
        (
            "opening_balance = \"100\"",
            "credit_limit = \"-1\"",
            &["all.toml:5: account.credit_limit", "at least 0, or \"unlimited\""],
        ),
        (
            "opening_balance = \"100\"",
            "credit = \"1\"",
            &["all.toml:5: account.credit", "unknown field `credit`", "`credit_limit`"],
        ),
        (
            "opening_balance = \"100\"",
            "expires = \"soon\"",
            &["all.toml:5: account.expires = \"soon\"", "\"2026-12-31\""],
        ),
        (
            "opening_balance = \"100\"",
            "deck = \"gold\"",
            &["all.toml:5: account.deck = \"gold\"", "no such deck; there are none"],
        ),
        (
            "opening_balance = \"100\"",
            "rounding = { unit_ms = 0 }",
            &["all.toml:5: account.rounding = unit_ms = 0", "1 to 60000 ms (BILL-11)"],
        ),
        ("name = \"acme\"", "", &["all.toml:2: account", "missing field `name`"]),
        (
            "name = \"carrier\"",
            "name = \"acme\"",
            &["all.toml:8: account.name = \"acme\"", "already used at", "all.toml:2"],
        ),
        (
            "kind = \"vendor\"",
            "kind = \"seller\"",
            &["all.toml:9: account.kind = \"seller\"", "`customer` or `vendor`"],
        ),
        (
            "account = \"acme\"",
            "account = \"nobody\"",
            &["all.toml:14: customer_trunk.account = \"nobody\"", "customer accounts are acme"],
        ),
        (
            "account = \"acme\"",
            "account = \"carrier\"",
            &["all.toml:14: customer_trunk.account", "kind = \"customer\""],
        ),
        (
            "\"192.0.2.10\"]",
            "\"192.0.2.300\"]",
            &["all.toml:15: customer_trunk.addresses", "192.0.2.300", "network/bits"],
        ),
        (
            "\"192.0.2.10\"]",
            "\"192.0.2.10\"]\nmax_duration = \"5 hours\"",
            &["all.toml:16: customer_trunk.max_duration = \"5 hours\"", "\"1h30m\""],
        ),
        (
            "\"192.0.2.10\"]",
            "\"192.0.2.10\"]\nfailure_reply = 200",
            &["all.toml:16: customer_trunk.failure_reply = 200", "400 to 699"],
        ),
        (
            "\"192.0.2.10\"]",
            "\"192.0.2.10\"]\nchannels = -1",
            &["all.toml:16: customer_trunk.channels = -1", "u32"],
        ),
        (
            "\"192.0.2.10\"]",
            "\"192.0.2.10\"]\ncallee_rules = \"x\"",
            &["all.toml:16: customer_trunk.callee_rules = \"x\"", "no such rule set"],
        ),
        (
            "addresses = [\"192.0.2.10\"]",
            "authentication = \"digest\"\nuser = \"u\"\npassword = \"short\"",
            &["all.toml:17: customer_trunk.password: ", "12 characters (SEC-05)"],
        ),
        (
            "addresses = [\"192.0.2.10\"]",
            "authentication = \"both\"",
            &["customer_trunk.addresses", "customer_trunk.user", "customer_trunk.password"],
        ),
        (
            "targets = [\"192.0.2.20\"]",
            "targets = [\"192.0.2.999\"]",
            &["all.toml:20: vendor_trunk.targets", "\"192.0.2.9:5080\""],
        ),
        (
            "\"44\",",
            "\"44x\",",
            &["all.toml:21: vendor_trunk.prefixes", "`44x` is not a prefix", "0 to 20 characters"],
        ),
        (
            "\"44\",",
            "\"123456789012345678901\",",
            &["all.toml:21: vendor_trunk.prefixes", "0 to 20 characters"],
        ),
        ("\"44\",", "\"49\",", &["all.toml:21: vendor_trunk.prefixes = \"49\"", "listed twice"]),
        (
            "targets = [\"192.0.2.20\"]",
            "targets = [\"192.0.2.20\"]\nresend = \"1,1,1,1\"",
            &["all.toml:21: vendor_trunk.resend", "standard, fast-failover", "SIG-21"],
        ),
        (
            "targets = [\"192.0.2.20\"]",
            "targets = [\"192.0.2.20\"]\nfrom_host = \"sip.example.com:5060\"",
            &["all.toml:21: vendor_trunk.from_host", "without port", "sip.example.com"],
        ),
        (
            "targets = [\"192.0.2.20\"]",
            "targets = [\"192.0.2.20\"]\ntimers = { response = \"10m\" }",
            &["all.toml:21: vendor_trunk.timers", "1s to 300s"],
        ),
        (
            "targets = [\"192.0.2.20\"]",
            "targets = [\"192.0.2.20\"]\nfailover = { code_policy = { \"200\" = \"stop\" } }",
            &["all.toml:21: vendor_trunk.failover", "300 to 699, or a Q.850 cause of 1 to 127"],
        ),
        (
            "targets = [\"192.0.2.20\"]",
            "targets = [\"192.0.2.20\"]\nuser = \"u\"",
            &["all.toml:17: vendor_trunk.password", "or neither"],
        ),
        (
            "\"192.0.2.10\"]",
            "\"192.0.2.10\"]\nreject_unmatched = true",
            &["all.toml:16: customer_trunk.reject_unmatched = true", "nothing", "NUM-19"],
        ),
        (
            "\"192.0.2.10\"]",
            "\"192.0.2.10\"]\nstrip_tech_prefix = true",
            &["all.toml:16: customer_trunk.strip_tech_prefix", "nothing", "no `tech_prefix`"],
        ),
        (
            "\"192.0.2.10\"]",
            "\"192.0.2.10\"]\npassword = \"a long enough one\"",
            &["all.toml:16: customer_trunk.password: ", "nothing", "no `user`"],
        ),
        (
            "targets = [\"192.0.2.20\"]",
            "targets = [\"192.0.2.20\"]\nreject_unmatched = true",
            &["all.toml:21: vendor_trunk.reject_unmatched", "nothing", "`callee_rules`"],
        ),
        (
            "targets = [\"192.0.2.20\"]",
            "targets = [\"192.0.2.20\"]\nidentity = { fixed_display = \"Us\" }",
            &["all.toml:21: vendor_trunk.identity = fixed_display", "not \"fixed\""],
        ),
        (
            "targets = [\"192.0.2.20\"]",
            "targets = [\"192.0.2.20\"]\nidentity = { fixed_identity = \"sip:1@h\" }",
            &["all.toml:21: vendor_trunk.identity = fixed_identity", "no identity header"],
        ),
        (
            "[[account]]\nname = \"carrier\"",
            "[[acount]]\nname = \"carrier\"",
            &["all.toml:7: acount", "expected one of [[account]]"],
        ),
        ("[[account]]\nname = \"carrier\"", "[[account]\nname = \"carrier\"", &["all.toml:7"]),
    ];
    for (right, wrong, parts) in cases {
        assert!(SMALL.contains(right), "{right}");
        let folder = configuration(&[("all.toml", &SMALL.replacen(right, wrong, 1))]);
        let errors = Business::from_folder(folder.path(), "realm").unwrap_err().to_string();
        for part in *parts {
            assert!(errors.contains(part), "{wrong}: expected {part:?} in:\n{errors}");
        }
        assert!(!errors.contains("short"), "a password is never shown:\n{errors}");
    }
}

#[test]
fn each_wrong_cell_of_a_sheet_is_named_by_line_and_column() {
    let toml = "[[deck]]\nname = \"retail\"\ncurrency = \"EUR\"\nfile = \"retail.csv\"\n";
    let head = "prefix,price,first_increment,next_increment,valid_from,valid_to,blocked";
    let cases = [
        ("44x,1,,,,,", "retail.csv:2: prefix = \"44x\": expected 0 to 20 digits"),
        ("123456789012345678901,1,,,,,", "retail.csv:2: prefix = "),
        ("44,-1,,,,,", "retail.csv:2: price = \"-1\": expected an amount of at least 0"),
        ("44,,,,,,", "retail.csv:2: price = \"\": expected an amount"),
        ("44,0.00000000001,,,,,", "at most 10 decimals"),
        ("44,1,4000,,,,", "retail.csv:2: first_increment = \"4000\": expected a whole number of 0"),
        (
            "44,1,,0,,,",
            "retail.csv:2: next_increment = \"0\": expected a whole number of 1 to 3600",
        ),
        ("44,1,,,tomorrow,,", "retail.csv:2: valid_from = \"tomorrow\": expected a date"),
        ("44,1,,,2026-02-01,2026-01-01,", "retail.csv:2: valid_to = \"2026-01-01\""),
        ("44,1,,,,,maybe", "retail.csv:2: blocked = \"maybe\": expected yes or no"),
        ("44,1,,,,,,,,", "retail.csv:2: the row has 10 cells, the header 7"),
        ("44,1,,,,,\n44,2,,,,,", "retail.csv:3: prefix = \"44\": the prefix is priced twice"),
    ];
    for (row, expected) in cases {
        let sheet = format!("{head}\n{row}\n");
        let folder = configuration(&[("decks.toml", toml), ("retail.csv", &sheet)]);
        let errors = Business::from_folder(folder.path(), "realm").unwrap_err().to_string();
        assert!(errors.contains(expected), "{row}: {errors}");
    }
    for (header, expected) in [
        ("prefix,prise", "retail.csv:1: prise: unknown column; expected prefix, destination"),
        ("prefix", "retail.csv:1: price: the header row lacks this column"),
        ("prefix,price,price", "retail.csv:1: price: column given twice"),
    ] {
        let folder = configuration(&[("decks.toml", toml), ("retail.csv", header)]);
        let errors = Business::from_folder(folder.path(), "realm").unwrap_err().to_string();
        assert!(errors.contains(expected), "{header}: {errors}");
    }
    let folder = configuration(&[("decks.toml", toml)]);
    let errors = Business::from_folder(folder.path(), "realm").unwrap_err().to_string();
    assert!(errors.contains("decks.toml:4: deck.file = \"retail.csv\""), "{errors}");
}

/// Bytes of another encoding are pointed at, in decks and in number files.
#[test]
fn a_sheet_that_is_not_utf_8_is_named_by_line_and_column() {
    let toml = "[[deck]]\nname = \"retail\"\ncurrency = \"EUR\"\nfile = \"retail.csv\"\n";
    let sheets: [(&[u8], &str); 3] = [
        (
            b"prefix,destination,price\n44,UK,1\n49,M\xfcnchen,2\n33,France,3\n",
            "retail.csv:3: destination: expected text in UTF-8",
        ),
        (b"prefix,price\n44,1\n49,\xa32\n", "retail.csv:3: price: expected text in UTF-8"),
        (b"prefix,pr\xffce\n", "retail.csv:1: the header row cannot be read: column 2: expected"),
    ];
    for (bytes, expected) in sheets {
        let folder = configuration(&[("decks.toml", toml)]);
        std::fs::write(folder.join("retail.csv"), bytes).unwrap();
        let errors = Business::from_folder(folder.path(), "realm").unwrap_err().to_string();
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.contains(expected), "{errors}");
    }
    let folder = configuration(&[("all.toml", LIST)]);
    std::fs::write(folder.join("n.csv"), b"number,value\n44,x\n45,\xfc\n").unwrap();
    let errors = Business::from_folder(folder.path(), "").unwrap_err().to_string();
    assert!(errors.contains("n.csv:3: value: expected text in UTF-8"), "{errors}");
}

fn listener(name: &str, address: &str, transport: Transport) -> NodeListener {
    NodeListener { name: name.to_owned(), address: address.parse().expect("an address"), transport }
}

/// SIG-65: a target may be reached by the other transport, if there is a listener for it.
#[test]
fn a_target_needs_a_listener_of_its_transport_and_family() {
    let tcp = listener("tcp", "192.0.2.1:5062", Transport::Tcp);
    let elsewhere = listener("tcp", "192.0.2.2:5060", Transport::Tcp);
    let told = |targets: &str, other: Option<&NodeListener>| {
        let mut node = NodeNames { realm: "realm".to_owned(), ..NodeNames::default() };
        node.listeners.push(listener("main", "192.0.2.1:5060", Transport::Udp));
        node.listeners.extend(other.cloned());
        let text = SMALL.replacen("targets = [\"192.0.2.20\"]", &format!("targets = {targets}"), 1);
        let folder = configuration(&[("all.toml", &text)]);
        let read = Business::for_node(folder.path(), &node);
        read.err().map(|errors| errors.to_string()).unwrap_or_default()
    };
    let by_tcp = "[\"sip:gw.example;transport=tcp\"]";
    let refused = "vendor_trunk.targets = \"sip:gw.example;transport=tcp\": the node has no tcp \
                   listener at 192.0.2.1, the address of the listener `main`; expected one with \
                   transport = \"tcp\" there";
    assert!(told(by_tcp, None).contains(refused), "{}", told(by_tcp, None));
    assert!(told(by_tcp, Some(&elsewhere)).contains(refused));
    assert_eq!(told(by_tcp, Some(&tcp)), "");
    assert_eq!(told("[\"sip:gw.example:5070;transport=udp\", \"gw.example\"]", None), "");
    let refused = "the listener `main` is bound to an IPv4 address; expected a `listener` with an \
                   IPv6 address for this target";
    assert!(told("[\"2001:db8::1\"]", None).contains(refused));
    let mixed = "[{ target = \"192.0.2.20\", weight = 1 }, \"gw.example\"]";
    let refused = "\"192.0.2.20:5060\": expected a weight for each target of its priority";
    assert!(told(mixed, None).contains(refused), "{}", told(mixed, None));
    let apart = "[{ target = \"192.0.2.20\", priority = 1, weight = 1 }, \"gw.example\"]";
    assert_eq!(told(apart, None), "");
}

/// Each row: what is put after a line of the small configuration, and the refusal.
#[test]
fn what_the_node_does_not_have_is_named_by_file_line_field_and_what_there_is() {
    let node = NodeNames {
        realm: "realm".to_owned(),
        listeners: vec![listener("main", "192.0.2.1:5060", Transport::Udp)],
        media_addresses: vec!["inside".to_owned(), "outside".to_owned()],
        ..NodeNames::default()
    };
    let targets = "targets = [\"192.0.2.20\"]";
    for (from, to, expected) in [
        (
            "account = \"acme\"\n",
            "account = \"acme\"\nmedia_address = \"out\"\n",
            "all.toml:15: customer_trunk.media_address = \"out\": not in the node file; there are \
             inside, outside",
        ),
        (
            targets,
            "targets = [\"192.0.2.20\"]\nmedia_address = \"out\"",
            "all.toml:21: vendor_trunk.media_address = \"out\"",
        ),
        (
            targets,
            "targets = [\"192.0.2.20\"]\nlistener = \"public\"",
            "all.toml:21: vendor_trunk.listener = \"public\": not in the node file; there are main",
        ),
        (
            targets,
            "targets = [\"192.0.2.20\", \"192.0.2.1\"]",
            "all.toml:20: vendor_trunk.targets = \"192.0.2.1:5060\": this is the switch's own \
             listener `main`",
        ),
    ] {
        let text = SMALL.replacen(from, to, 1);
        assert_ne!(text, SMALL, "{from}");
        let folder = configuration(&[("all.toml", &text)]);
        let errors = Business::for_node(folder.path(), &node).unwrap_err().to_string();
        assert!(errors.contains(expected), "{errors}");
    }
    let folder = configuration(&[("all.toml", SMALL)]);
    assert!(Business::for_node(folder.path(), &node).is_ok());
}

/// ROUTE-13
#[test]
fn trunks_that_cannot_be_told_apart_are_refused() {
    let second = |more: &str| {
        format!("{SMALL}\n[[customer_trunk]]\nname = \"second\"\naccount = \"acme\"\n{more}\n")
    };
    let read = |text: &str| {
        let folder = configuration(&[("all.toml", text)]);
        Business::from_folder(folder.path(), "realm").map_err(|errors| errors.to_string())
    };
    let same = read(&second("addresses = [\"192.0.2.0/24\"]")).unwrap_err();
    assert!(same.contains("all.toml:26: customer_trunk.addresses = \"192.0.2.0/24\""), "{same}");
    assert!(same.contains("trunk \"office\" at") && same.contains("ROUTE-13"), "{same}");
    read(&second("addresses = [\"192.0.2.0/24\"]\ntech_prefix = \"99\"")).unwrap();
    read(&second("addresses = [\"198.51.100.0/24\"]")).unwrap();
}

#[test]
fn several_mistakes_are_shown_at_once() {
    let text = SMALL.replacen("currency = \"EUR\"", "currency = \"euro\"", 1).replacen(
        "targets = [\"192.0.2.20\"]",
        "targets = []",
        1,
    );
    let folder = configuration(&[("all.toml", &text), ("broken.toml", "x = ")]);
    let errors = Business::from_folder(folder.path(), "realm").unwrap_err();
    let text = errors.to_string();
    assert!(errors.errors().len() >= 3, "{text}");
    assert!(text.contains("broken.toml:1"), "{text}");
}

/// SEC-17: each row: the file, and what it holds.
#[test]
fn number_files_have_a_header_or_none() {
    for (text, number, value) in [
        ("number,value\n4477,x\n", "4477", "x"),
        ("value,number\nx,4477\n", "4477", "x"),
        ("number\n4477\n", "4477", ""),
        ("\u{feff}number\r\n4477\r\n", "4477", ""),
        ("4477\n\n4478\n", "4478", ""),
        ("4477, x y \n", "4477", "x y"),
        ("4477,\"x,y\"\n4478\n", "4477", "x,y"),
        ("4477,a\n4477,b\n", "4477", "b"),
        ("number,value\n,rest\n", "", "rest"),
        ("alice.7\n", "alice.7", ""),
    ] {
        let folder = configuration(&[("all.toml", LIST), ("n.csv", text)]);
        let business = Business::from_folder(folder.path(), "").unwrap();
        assert_eq!(business.number_lists[0].numbers.get(number), Some(value), "{text:?}");
    }
}

/// Each row: the file, and words of the refusal.
#[test]
fn number_files_that_are_wrong_or_cut_off_are_refused_with_the_place() {
    let long = format!("1,{}\n", "x".repeat(256));
    for (text, words) in [
        ("", &["n.csv: the file is empty"][..]),
        ("4477\n44", &["n.csv: the last line has no end"]),
        ("4477\n44 78\n+49\n44/9,x\n", &["n.csv:2: number = \"44 78\"", "n.csv:4: number"]),
        ("4477,x,y\n", &["n.csv:1: the row has 3 cells, expected 2"]),
        ("prefix,value\n44,x\n", &["n.csv:1: prefix: expected a header row"]),
        ("number,note\n44,x\n", &["n.csv:1: note: expected the columns number and value"]),
        ("number,number\n44,45\n", &["n.csv:1: number: expected the columns"]),
        (&long, &["n.csv:1: value", "at most 255 bytes"]),
    ] {
        let folder = configuration(&[("all.toml", LIST), ("n.csv", text)]);
        let told = Business::from_folder(folder.path(), "").unwrap_err().to_string();
        for word in words {
            assert!(told.contains(word), "{text:?}: {told}");
        }
    }
    let folder = configuration(&[("all.toml", LIST)]);
    let told = Business::from_folder(folder.path(), "").unwrap_err().to_string();
    assert!(told.contains("all.toml:3: number_list.file = \"n.csv\""), "{told}");
}

const LIST: &str = "[[number_list]]\nname = \"n\"\nfile = \"n.csv\"\n";
