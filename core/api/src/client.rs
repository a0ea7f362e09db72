//! Client of the admin API.

use crate::{
    AccountLine, AlarmLine, CallLine, DifferenceLine, ErrorBody, Health, HistoryLine, INCOMPLETE,
    LedgerProof, LockoutLine, ObjectChanged, ObjectPage, ObjectView, PaymentDone, PaymentRequest,
    PluginLine, PluginList, RecordView, ReloadDone, ReloadRequest, RerateDone, RerateRequest,
    RowPage, SelectBy, SwapDone, TableLine, TestCallPlaced, TestCallRequest, TrialParameters,
    UnlockDone, UpgradeBegun,
};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sip::percent::encode;
use std::time::Duration;
use thiserror::Error;

/// Maximum size of a response: it holds 10,000 records with long decision trails.
const ANSWER_BYTES: u64 = 1 << 30;

/// No complete response; the request may have been carried out nevertheless.
#[derive(Debug, Error)]
#[error("no answer from {base}; is the switch running (`strowger run`)?")]
pub struct NoAnswer {
    base: String,
    source: ureq::Error,
}

/// A running node, reached over HTTP.
#[derive(Debug)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
    /// Reason for the missing token.
    absent: String,
}

impl Client {
    /// `base` is a URL such as `http://127.0.0.1:8080`; `absent` is the reason for a missing token.
    pub fn new(base: &str, token: Option<String>, absent: String) -> Client {
        let settings = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .build();
        Client { agent: settings.into(), base: with_scheme(base), token, absent }
    }

    /// The alarms that stand.
    pub fn alarms(&self) -> Result<Vec<AlarmLine>> {
        self.get("/v1/alarms")
    }

    /// The running calls.
    pub fn calls(&self) -> Result<Vec<CallLine>> {
        self.get("/v1/calls")
    }

    /// The call with this id, if it is in progress.
    pub fn call(&self, id: &str) -> Result<Option<CallLine>> {
        self.find(&format!("/v1/calls/{}", encode(id)))
    }

    /// Has the switch place a call by itself.
    pub fn place_test_call(&self, request: &TestCallRequest) -> Result<TestCallPlaced> {
        let url = self.url("/v1/test-calls");
        self.read(self.authorised(self.agent.post(&url)).send_json(request))
    }

    /// Ends a call.
    pub fn hangup(&self, id: &str) -> Result<()> {
        let url = self.url(&format!("/v1/calls/{}", encode(id)));
        let reply = self.authorised(self.agent.delete(&url)).call();
        self.read::<serde_json::Value>(reply).map(drop)
    }

    /// How the node is; it wants the token.
    pub fn health(&self) -> Result<Health> {
        let reply = self.authorised(self.agent.get(self.url("/health"))).call();
        // Without the token the response has only a status.
        let health = self.read::<serde_json::Value>(reply)?;
        if health.get("node").is_none() {
            let absent = if self.absent.is_empty() { "this one is wrong" } else { &self.absent };
            bail!("{} needs a token: {absent}", self.base);
        }
        Ok(serde_json::from_value(health)?)
    }

    /// Has the next program take over.
    pub fn upgrade(&self) -> Result<UpgradeBegun> {
        let url = self.url("/v1/upgrade");
        self.read(self.authorised(self.agent.post(&url)).send_json(serde_json::json!({})))
    }

    /// Who is locked out.
    pub fn lockouts(&self) -> Result<Vec<LockoutLine>> {
        self.get("/v1/lockouts")
    }

    /// Ends the lockouts of a source.
    pub fn unlock(&self, source: &str) -> Result<UnlockDone> {
        let url = self.url(&format!("/v1/lockouts/{}", encode(source)));
        self.read(self.authorised(self.agent.delete(&url)).call())
    }

    /// A page of records for query `parameters`, and whether the database has all ended calls.
    pub fn records(&self, parameters: &[(&str, String)]) -> Result<(Vec<RecordView>, bool)> {
        let pairs: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let url = self.url(&format!("/v1/records?{}", pairs.join("&")));
        let reply = self.authorised(self.agent.get(url)).call();
        let behind = reply.as_ref().is_ok_and(|reply| reply.headers().contains_key(INCOMPLETE));
        Ok((self.read(reply)?, !behind))
    }

    /// Rates calls again whose rating failed at their end.
    pub fn rerate(&self, request: &RerateRequest) -> Result<RerateDone> {
        let url = self.url("/v1/rerate");
        self.read(self.authorised(self.agent.post(&url)).send_json(request))
    }

    /// What the books say.
    pub fn prove(&self) -> Result<LedgerProof> {
        self.get("/v1/ledger/proof")
    }

    /// The record of a call.
    pub fn record(&self, id: &str) -> Result<RecordView> {
        self.get(&format!("/v1/records/{}", encode(id)))
    }

    /// The record of a call, if it exists yet.
    pub fn record_if_there(&self, id: &str) -> Result<Option<RecordView>> {
        self.find(&format!("/v1/records/{}", encode(id)))
    }

    /// Accounts with their balances.
    pub fn accounts(&self) -> Result<Vec<AccountLine>> {
        self.get("/v1/accounts")
    }

    /// Books a payment.
    pub fn pay(&self, name: &str, payment: &PaymentRequest) -> Result<PaymentDone> {
        let url = self.url(&format!("/v1/accounts/{}/payments", encode(name)));
        self.read(self.authorised(self.agent.post(&url)).send_json(payment))
    }

    /// The live plugins.
    pub fn plugins(&self) -> Result<PluginList> {
        self.get("/v1/plugins")
    }

    /// A live plugin.
    pub fn plugin(&self, name: &str) -> Result<PluginLine> {
        self.get(&format!("/v1/plugins/{}", encode(name)))
    }

    /// Puts another build in the place of a plugin.
    pub fn swap(&self, name: &str, wasm: &[u8]) -> Result<SwapDone> {
        let url = self.url(&format!("/v1/plugins/{}/swap", encode(name)));
        let request = self.authorised(self.agent.post(&url)).content_type("application/wasm");
        self.read(request.send(wasm))
    }

    /// Starts a trial, `canary` or `shadow`.
    pub fn trial(
        &self,
        name: &str,
        trial: &str,
        parameters: &TrialParameters,
        wasm: &[u8],
    ) -> Result<SwapDone> {
        let by = match parameters.by {
            SelectBy::Call => "call",
            SelectBy::Number => "number",
        };
        let mut path = format!("/v1/plugins/{}/{trial}?by={by}", encode(name));
        if let Some(share) = &parameters.share {
            path.push_str(&format!("&share={}", encode(share)));
        }
        path.push_str(&format!("&trunks={}", encode(&parameters.trunks)));
        let request = self.authorised(self.agent.post(self.url(&path)));
        self.read(request.content_type("application/wasm").send(wasm))
    }

    /// Promotes or rolls back: `turn` is `promote` or `rollback`.
    pub fn turn(&self, name: &str, turn: &str) -> Result<SwapDone> {
        let url = self.url(&format!("/v1/plugins/{}/{turn}", encode(name)));
        self.read(
            self.authorised(self.agent.post(&url)).content_type("application/json").send_empty(),
        )
    }

    /// Ends canary and shadow of a plugin.
    pub fn end_trial(&self, name: &str) -> Result<SwapDone> {
        let url = self.url(&format!("/v1/plugins/{}/trial", encode(name)));
        self.read(self.authorised(self.agent.delete(&url)).call())
    }

    /// What the shadow of a plugin would have decided otherwise.
    pub fn differences(&self, name: &str) -> Result<Vec<DifferenceLine>> {
        self.get(&format!("/v1/plugins/{}/differences", encode(name)))
    }

    /// The number tables of new calls.
    pub fn tables(&self) -> Result<Vec<TableLine>> {
        self.get("/v1/tables")
    }

    /// Has the file of a table read again.
    pub fn reload_table(&self, name: &str) -> Result<TableLine> {
        let url = self.url(&format!("/v1/tables/{}/reload", encode(name)));
        self.read(
            self.authorised(self.agent.post(&url)).content_type("application/json").send_empty(),
        )
    }

    /// Has a folder of business files taken.
    pub fn reload(&self, request: &ReloadRequest) -> Result<ReloadDone> {
        self.read(self.authorised(self.agent.post(self.url("/v1/reload"))).send_json(request))
    }

    /// All objects of a path segment such as `vendor-trunks`, fetched page by page.
    pub fn objects(&self, place: &str) -> Result<Vec<ObjectView>> {
        let (mut objects, mut after) = (Vec::new(), None::<String>);
        loop {
            let from = after.map(|name| format!("&after={}", encode(&name))).unwrap_or_default();
            let page: ObjectPage = self.get(&format!("/v1/{place}?limit=1000{from}"))?;
            objects.extend(page.items);
            after = page.after;
            if after.is_none() {
                return Ok(objects);
            }
        }
    }

    /// The object with a name, if it exists.
    pub fn object(&self, place: &str, name: &str) -> Result<Option<ObjectView>> {
        self.find(&format!("/v1/{place}/{}", encode(name)))
    }

    /// Rows of a deck or number list, fetched page by page; `query` filters them.
    pub fn rows(
        &self,
        place: &str,
        name: &str,
        query: &str,
        most: usize,
    ) -> Result<Vec<Map<String, Value>>> {
        let (mut rows, mut after) = (Vec::new(), None::<String>);
        loop {
            let from = after.map(|after| format!("&after={}", encode(&after))).unwrap_or_default();
            let limit = (most - rows.len()).min(1000);
            let path = format!("/v1/{place}/{}/rows?limit={limit}{query}{from}", encode(name));
            let page: RowPage = self.get(&path)?;
            rows.extend(page.items);
            after = page.after;
            if after.is_none() || rows.len() >= most {
                return Ok(rows);
            }
        }
    }

    /// Changes of an object.
    pub fn object_history(&self, place: &str, name: &str) -> Result<Vec<HistoryLine>> {
        self.get(&format!("/v1/{place}/{}/history", encode(name)))
    }

    /// Creates an object.
    pub fn make_object(
        &self,
        place: &str,
        name: &str,
        settings: &Map<String, Value>,
    ) -> Result<ObjectChanged> {
        let url = self.url(&format!("/v1/{place}/{}", encode(name)));
        let request = self.authorised(self.agent.put(&url)).header("If-None-Match", "*");
        self.read(request.send_json(settings))
    }

    /// Changes the fields of the object at `path`, or its rows if the path ends in `rows`.
    pub fn change_object<T: Serialize>(
        &self,
        path: &str,
        revision: u64,
        change: &T,
    ) -> Result<ObjectChanged> {
        let request = self.authorised(self.agent.patch(self.url(path)));
        self.read(request.header("If-Match", format!("\"{revision}\"")).send_json(change))
    }

    /// Removes an object.
    pub fn remove_object(&self, place: &str, name: &str, revision: u64) -> Result<ObjectChanged> {
        let url = self.url(&format!("/v1/{place}/{}", encode(name)));
        let request = self.authorised(self.agent.delete(&url));
        self.read(request.header("If-Match", format!("\"{revision}\"")).call())
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.read(self.authorised(self.agent.get(self.url(path))).call())
    }

    /// The response at a path; `None` if it is not found.
    fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let reply = self.authorised(self.agent.get(self.url(path))).call();
        let absent =
            |reply: &ureq::http::Response<_>| reply.status() == ureq::http::StatusCode::NOT_FOUND;
        if reply.as_ref().is_ok_and(absent) { Ok(None) } else { self.read(reply).map(Some) }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn authorised<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn read<T: DeserializeOwned>(
        &self,
        reply: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T> {
        let lost = |source| NoAnswer { base: self.base.clone(), source };
        let mut reply = reply.map_err(lost)?;
        let status = reply.status();
        let text = reply.body_mut().with_config().limit(ANSWER_BYTES).read_to_string();
        let text = text.map_err(lost)?;
        if status.is_success() {
            return serde_json::from_str(&text)
                .with_context(|| format!("the answer of {} is of another version", self.base));
        }
        if status == ureq::http::StatusCode::UNAUTHORIZED && !self.absent.is_empty() {
            bail!("{} needs a token: {}", self.base, self.absent);
        }
        match serde_json::from_str::<ErrorBody>(&text) {
            Ok(ErrorBody { detail, field: Some(field), .. }) => bail!("{field}: {detail}"),
            Ok(ErrorBody { detail, .. }) => bail!("{detail}"),
            Err(_) => bail!("{} answers {status}: {text}", self.base),
        }
    }
}

fn with_scheme(base: &str) -> String {
    let base = base.trim_end_matches('/');
    if base.contains("://") { base.to_owned() } else { format!("http://{base}") }
}

/// Whether two URLs, with or without a scheme, are the same node.
pub fn same_place(one: &str, other: &str) -> bool {
    with_scheme(one) == with_scheme(other)
}
