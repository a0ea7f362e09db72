//! Number portability: asks a database over HTTP where a number is now served, and routes and rates
//! the call by that number (ROUTE-61, ROUTE-62).
//!
//! This example shows how to:
//!
//! * **Ask an outside service.** `host::http` is an import like any other. Because this plugin
//!   uses it, the switch runs its questions on fibres: a call waits for its own dip, all others
//!   continue. The operator grants the host in the node file; no other host can be reached.
//! * **Wait as little as possible.** The limit is 500 ms. An answer that is no older than a day
//!   is reused, whichever instance requested it.
//! * **Fail well.** Whatever goes wrong, the call proceeds with the dialled number: a database
//!   that is down makes calls more expensive, not impossible. Failures are counted, and not
//!   logged for each call.
//! * **Work in a chain.** Listed after `numbering`, the plugin gets the rewritten numbers and
//!   passes them on unchanged.
//!
//! ```toml
//! [[plugins.list]]
//! name = "lrn-router"
//! file = "lrn_router.wasm"
//! grants = ["call", "metrics", "http"]
//! http = { hosts = ["lrn.example.com"], timeout = "500ms" }
//! config = { url = "https://lrn.example.com/v1/{number}", prefixes = ["1"] }
//! ```
//!
//! The database answers `{"lrn": "12025550100"}`; 404 or an empty `lrn` means that the number is
//! not ported. A caller's `npdi` in the Request-URI means that the database was already asked
//! (RFC 4694). The plugin believes it from customer trunks with the attribute `npdi = "trusted"`
//! and uses its `rn`; any other customer could use it to choose a cheaper price.
#![forbid(unsafe_code)]

use plugin_sdk::host::{self, http};
use plugin_sdk::{NumberQuestion, Numbering, Numbers, Plugin, Rejection, Stage, export_plugin};
use serde::Deserialize;

/// Settings; `schema.json` in this directory describes the same to the switch.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// URL of a query; `{number}` stands for the number.
    pub url: String,
    /// `Authorization` header of each request; empty: no header.
    pub authorization: String,
    /// Only numbers with one of these prefixes are looked up.
    pub prefixes: Vec<String>,
    /// Longest wait for an answer, 1 to 5,000 ms.
    pub timeout_ms: u32,
    /// Greatest age of a reused answer, seconds.
    pub cache_s: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            url: String::new(),
            authorization: String::new(),
            prefixes: vec!["1".to_owned()],
            timeout_ms: 500,
            cache_s: 86_400,
        }
    }
}

/// The location routing number of a number; `None` if the number is not ported.
type Lrn = Option<String>;

/// Answer of the database.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    lrn: String,
}

/// Routes by location routing number.
#[derive(Debug)]
pub struct LrnRouter {
    config: Config,
}

impl Plugin for LrnRouter {
    const NAME: &'static str = "lrn-router";
    const SUMMARY: &'static str = "Routes and rates by the location routing number.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        if !config.url.contains("{number}") {
            return Err("field `url`: it needs `{number}` where the number belongs".to_owned());
        }
        Ok(LrnRouter { config })
    }

    /// The parameters of a Request-URI can be checked without a database.
    fn self_test(&self) -> Result<u32, String> {
        let uri = "sip:+12025550199;rn=+12025550100;npdi@switch.example;user=phone";
        match (has_npdi(uri), routing_number(uri)) {
            (true, Some(lrn)) if lrn == "12025550100" => Ok(1),
            other => Err(format!("{uri} is read as {other:?}")),
        }
    }
}

impl Numbering for LrnRouter {
    fn rewrite(&mut self, question: &NumberQuestion) -> Result<Numbers, Rejection> {
        let mut numbers = Numbers {
            caller: question.caller.clone(),
            callee: question.callee.clone(),
            identity: question.identity.clone(),
            ..Numbers::default()
        };
        if question.stage == Stage::Ingress
            && let Some(lrn) = self.lrn(&question.callee)
        {
            numbers.route_as.clone_from(&lrn);
            numbers.rate_as = lrn;
        }
        Ok(numbers)
    }
}

impl LrnRouter {
    fn lrn(&self, number: &str) -> Lrn {
        let dialled = number.strip_prefix('+').unwrap_or(number);
        if !is_number(dialled) || !self.config.prefixes.iter().any(|one| dialled.starts_with(one)) {
            return None;
        }
        let call = host::call();
        let uri = call.request_uri();
        if has_npdi(&uri) && call.customer_attribute("npdi").as_deref() == Some("trusted") {
            host::count("asked_before", 1);
            return routing_number(&uri);
        }
        match self.dip(dialled) {
            Ok(lrn) => {
                host::count(if lrn.is_some() { "ported" } else { "not_ported" }, 1);
                lrn
            }
            Err(_) => {
                host::count("dip_failed", 1);
                None
            }
        }
    }

    /// Asks the database.
    fn dip(&self, number: &str) -> Result<Lrn, String> {
        let url = self.config.url.replace("{number}", number);
        let mut request = http::get(url).timeout_ms(self.config.timeout_ms);
        if !self.config.authorization.is_empty() {
            request = request.header("Authorization", &self.config.authorization);
        }
        let response =
            request.cache_s(self.config.cache_s).send().map_err(|error| error.to_string())?;
        if response.status == 404 {
            return Ok(None);
        }
        if !response.is_success() {
            return Err(format!("status {}", response.status));
        }
        let answer: Answer = response.json()?;
        let lrn = answer.lrn.strip_prefix('+').unwrap_or(&answer.lrn);
        match lrn {
            "" => Ok(None),
            lrn if is_number(lrn) => Ok(Some(lrn.to_owned())),
            _ => Err("the answer is no number".to_owned()),
        }
    }
}

/// 1 to 15 digits, as in E.164.
fn is_number(text: &str) -> bool {
    (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Parameters of the number in the user part of a Request-URI.
fn parameters(uri: &str) -> impl Iterator<Item = &str> {
    let user = uri.split_once('@').map_or(uri, |(user, _)| user);
    user.split(';').skip(1)
}

fn has_npdi(uri: &str) -> bool {
    parameters(uri).any(|one| one.eq_ignore_ascii_case("npdi"))
}

/// The number of `rn`, without visual separators.
fn routing_number(uri: &str) -> Lrn {
    let mut named = parameters(uri).filter_map(|one| one.split_once('='));
    let (_, number) = named.find(|(name, _)| name.eq_ignore_ascii_case("rn"))?;
    let digits: String = number.chars().filter(|one| !"+-.()".contains(*one)).collect();
    is_number(&digits).then_some(digits)
}

export_plugin!(LrnRouter: numbering);

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::host::http::HttpError;
    use plugin_sdk::{FakeHost, configured};

    const DIALLED: &str = "12025550199";
    const URL: &str = "http://lrn.example.com/12025550199";

    fn router() -> LrnRouter {
        configured(r#"{"url": "http://lrn.example.com/{number}"}"#).expect("it is configured")
    }

    fn routed_as(router: &mut LrnRouter, callee: &str) -> String {
        let question = NumberQuestion { callee: callee.to_owned(), ..NumberQuestion::default() };
        let numbers = router.rewrite(&question).expect("the call goes on");
        assert_eq!((numbers.callee.as_str(), &numbers.route_as), (callee, &numbers.rate_as));
        numbers.route_as
    }

    #[test]
    fn the_database_tells_route_and_rate_of_a_ported_number() {
        let switch = FakeHost::install();
        switch.http_answer(URL, 200, r#"{"lrn": "+12125550100"}"#);
        let mut router = router();
        assert_eq!(routed_as(&mut router, DIALLED), "12125550100");
        assert_eq!(routed_as(&mut router, "+12025550199"), "12125550100", "from the cache");
        assert_eq!(switch.http_sent(), [format!("GET {URL}")]);
        switch.advance(86_401_000);
        routed_as(&mut router, DIALLED);
        assert_eq!(switch.http_sent().len(), 2, "a day later it is asked again");
    }

    #[test]
    fn a_call_goes_on_with_the_dialled_number_whatever_goes_wrong() {
        let outcomes: [&dyn Fn(&FakeHost); 6] = [
            &|switch| switch.http_error(URL, HttpError::Timeout),
            &|switch| switch.http_error(URL, HttpError::Busy),
            &|switch| switch.http_answer(URL, 500, ""),
            &|switch| switch.http_answer(URL, 200, "no JSON"),
            &|switch| switch.http_answer(URL, 200, r#"{"lrn": "sip:evil"}"#),
            &|_| {},
        ];
        for outcome in outcomes {
            let switch = FakeHost::install();
            outcome(&switch);
            assert_eq!(routed_as(&mut router(), DIALLED), "");
            assert_eq!(switch.metric("dip_failed"), 1);
        }
    }

    #[test]
    fn a_number_that_is_not_ported_keeps_its_route() {
        for (status, body) in [(404, ""), (200, r#"{"lrn": ""}"#), (200, "{}")] {
            let switch = FakeHost::install();
            switch.http_answer(URL, status, body);
            assert_eq!(routed_as(&mut router(), DIALLED), "");
            assert_eq!(switch.metric("not_ported"), 1);
        }
    }

    #[test]
    fn only_the_numbers_of_the_database_are_asked_for() {
        let switch = FakeHost::install();
        let mut router = router();
        for callee in ["442071234567", "friendly", "1;phone-context=x", ""] {
            assert_eq!(routed_as(&mut router, callee), "");
        }
        let egress =
            NumberQuestion { stage: Stage::Egress, callee: DIALLED.into(), ..Default::default() };
        assert_eq!(router.rewrite(&egress).unwrap().route_as, "");
        assert!(switch.http_sent().is_empty());
    }

    #[test]
    fn npdi_of_a_trusted_customer_suppresses_the_query() {
        let switch = FakeHost::install();
        switch.http_answer(URL, 200, r#"{"lrn": "12125550100"}"#);
        switch.request_uri("sip:+12025550199;rn=+1-303-555-0100;npdi@switch.example");
        assert_eq!(routed_as(&mut router(), DIALLED), "12125550100", "anybody can write npdi");
        switch.customer_attribute("npdi", "trusted");
        assert_eq!(routed_as(&mut router(), DIALLED), "13035550100");
        switch.request_uri("sip:+12025550199;npdi@switch.example");
        assert_eq!(routed_as(&mut router(), DIALLED), "", "asked before, and not ported");
        assert_eq!(switch.http_sent().len(), 1);
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        assert!(configured::<LrnRouter>("{}").unwrap_err().contains("`url`"));
        assert!(configured::<LrnRouter>(r#"{"ulr": ""}"#).unwrap_err().contains("ulr"));
        assert_eq!(router().self_test(), Ok(1));
    }
}
