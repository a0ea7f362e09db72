//! What the admin interface and the command line say to each other, as JSON. Money is a
//! decimal text, ids are UUIDs, times are UTC milliseconds unless a name says otherwise.

#![forbid(unsafe_code)]

mod client;
mod error;
mod lockouts;
mod objects;
mod one_way;
mod test_calls;
mod trials;

pub use client::{Client, NoAnswer, same_place};
pub use error::ApiError;
pub use lockouts::{LockoutLine, UnlockDone};
pub use objects::{HistoryLine, ObjectChanged, ObjectPage, ObjectView, RowPage, RowsRequest};
pub use test_calls::{LONGEST_TEST_CALL_S, TestCallPlaced, TestCallRequest};
pub use trials::{CanaryLine, DifferenceLine, SelectBy, ShadowLine, TrialParameters};

use ledger::{AttemptRecord, CallDocument, CallId, ChargeRecord, EndedBy, MediaRecord, TrailEntry};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Any refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// A word for programs, such as `not_found`.
    pub error: String,
    /// A sentence for people.
    pub detail: String,
    /// The field or parameter concerned, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// `GET /health` with the token. Without it, `status` alone says `up` or `down`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`; `degraded` while an alarm that is more than a warning stands or a signalling thread
    /// does not answer; `down` while calls should go elsewhere because their records are not
    /// safe; `draining`.
    pub status: String,
    /// Node name.
    pub node: String,
    /// Version of the program.
    pub version: String,
    /// Plugin generation that new calls get.
    pub generation: u64,
    /// Calls up or being set up.
    pub calls: usize,
    /// Seconds since start.
    pub uptime_s: u64,
    /// UTC ms of the start.
    #[serde(default)]
    pub started_ms: u64,
    /// Kinds of the alarms that stand, the worst first.
    #[serde(default)]
    pub alarms: Vec<String>,
}

/// `POST /v1/upgrade`: the next program looked at everything and takes over now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeBegun {
    /// Version of the program that leaves.
    pub from: String,
    /// Version of the next one.
    pub to: String,
}

/// An alarm that stands, `GET /v1/alarms`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmLine {
    /// Its kind, such as `ports_low`; docs/operations.md has all.
    pub alarm: String,
    /// What it is about, such as a media address.
    pub object: String,
    /// `critical`, `major` or `warning`.
    pub severity: String,
    /// When it began.
    pub since_ms: u64,
    /// How often it happened since then.
    pub count: u64,
    /// What is wrong.
    pub detail: String,
    /// What that does to calls and money.
    pub effect: String,
    /// What to do.
    pub action: String,
}

/// A running call, `GET /v1/calls` and `GET /v1/calls/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallLine {
    /// Call id.
    pub id: String,
    /// Customer trunk; `test` is no trunk but a call that the switch has placed by itself.
    pub customer: String,
    /// Paying account; `test` likewise.
    pub account: String,
    /// Vendor trunk of the attempt under way; empty before the first.
    pub vendor: String,
    /// Number of the caller.
    pub caller: String,
    /// Number that is called.
    pub callee: String,
    /// `deciding`, `calling`, `ringing`, `answered`, `ending`.
    pub state: String,
    /// When the INVITE arrived.
    pub invite_ms: u64,
    /// When it was answered.
    pub answer_ms: Option<u64>,
    /// Vendor INVITEs so far.
    pub attempts: u16,
    /// Plugin generation that decides it.
    pub generation: u64,
}

/// A plugin that is live, `GET /v1/plugins`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginLine {
    /// Name.
    pub name: String,
    /// Version that it declares.
    pub version: String,
    /// First digits of the SHA-256 of its bytes.
    pub digest: String,
    /// Id of the key that signed it; empty if it is unsigned.
    #[serde(default)]
    pub signer: String,
    /// The node trusts that key, and the signature fits.
    #[serde(default)]
    pub trusted: bool,
    /// Hooks that it answers.
    pub hooks: Vec<String>,
    /// Generation in which it went live.
    pub since_generation: u64,
    /// Builds of it that running calls still ask, the live one last.
    pub builds: Vec<String>,
    /// Its own sentence.
    pub summary: String,
    /// JSON Schema of its configuration; null if it ships none.
    #[serde(default)]
    pub config_schema: Option<serde_json::Value>,
    /// Where its bytes came from; empty for an upload.
    pub file: String,
    /// Questions answered since start, by all builds of it: figures survive swaps.
    pub answered: u64,
    /// Questions not answered since start, by all builds of it.
    pub faults: u64,
    /// Half of the questions took at most this long, nanoseconds.
    pub p50_nanos: u64,
    /// 99 of 100 questions took at most this long, nanoseconds.
    pub p99_nanos: u64,
    /// The build that a rollback brings back; empty if there is none.
    pub previous: String,
    /// The build that decides a part of the calls.
    pub canary: Option<CanaryLine>,
    /// The build that is asked and compared.
    pub shadow: Option<ShadowLine>,
}

/// `GET /v1/plugins`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginList {
    /// Generation that new calls get.
    pub generation: u64,
    /// Live plugins.
    pub plugins: Vec<PluginLine>,
}

/// Body of `POST /v1/plugins/{name}/swap` when it is not the WASM itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapRequest {
    /// A `.wasm` file on the node's own disk.
    pub path: String,
}

/// What a swap did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapDone {
    /// Plugin.
    pub name: String,
    /// What answered before.
    pub before: String,
    /// What answers new calls now.
    pub after: String,
    /// Generation before.
    pub generation_before: u64,
    /// Generation of new calls.
    pub generation: u64,
    /// Examples of its own that passed before it went live.
    pub self_tests: u32,
    /// Compilation, milliseconds.
    pub compile_ms: u64,
}

/// A number table of new calls, `GET /v1/tables` and `POST /v1/tables/{name}/reload`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLine {
    /// Name, as plugins ask for it.
    pub name: String,
    /// `prefix` or `exact`.
    pub kind: String,
    /// Entries.
    pub rows: u64,
    /// Memory.
    pub bytes: u64,
    /// When the file was read, or the rows were changed last.
    pub loaded_ms: u64,
    /// The file; empty: the database keeps the rows.
    pub file: String,
    /// Why the file was not taken when it changed last; empty if it was.
    pub error: String,
}

/// Body of `POST /v1/reload`; an empty body reads the configured folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReloadRequest {
    /// Folder on the node's own disk.
    pub folder: Option<String>,
    /// Only say what would change.
    pub dry_run: bool,
    /// Objects of the API that the folder names become the folder's.
    #[serde(default)]
    pub overwrite: bool,
}

/// What a reload changed or would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadDone {
    /// Nothing was applied.
    pub dry_run: bool,
    /// One line for each difference.
    pub changes: Vec<String>,
}

/// An account, `GET /v1/accounts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLine {
    /// Numeric id.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Balance now.
    pub balance: String,
    /// Credit beyond it.
    pub credit: String,
    /// What running calls hold back.
    #[serde(default)]
    pub reserved: String,
    /// The reseller that it belongs to; empty if none.
    #[serde(default)]
    pub parent: String,
    /// Deck that prices its calls; empty if none.
    pub deck: String,
    /// Currency of the deck.
    pub currency: String,
    /// Takes no calls.
    pub locked: bool,
}

/// What the books say, `GET /v1/ledger/proof`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerProof {
    /// Accounts.
    pub accounts: u64,
    /// Postings.
    pub postings: u64,
    /// The sum of all balances of accounts.
    pub owed: String,
    /// The balance of each book: the other side of postings.
    pub books: std::collections::BTreeMap<String, String>,
    /// Contradictions, a line each; none is a proof.
    pub faults: Vec<String>,
}

/// Body of `POST /v1/accounts/{name}/payments`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentRequest {
    /// Added to the balance, in the account's currency; below zero takes back.
    pub amount: String,
    /// What is to be kept with it, at most 255 characters.
    #[serde(default)]
    pub note: String,
    /// A word that no other payment has, 1 to 64 visible ASCII characters: asked for again
    /// under it, the payment is booked once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What became of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentDone {
    /// Account.
    pub account: String,
    /// Amount.
    pub amount: String,
    /// Balance now.
    pub balance: String,
    /// False when it had been booked before, under the same key.
    pub booked: bool,
}

/// Body of `POST /v1/rerate`: which of the calls that were not rated at their end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RerateRequest {
    /// INVITE at this UTC ms or later.
    pub since_ms: Option<u64>,
    /// INVITE before this UTC ms.
    pub until_ms: Option<u64>,
    /// Cursor: what the answer before gave back.
    pub before: Option<String>,
    /// Only say what would be booked.
    pub dry_run: bool,
}

/// What rating some calls again has done or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RerateDone {
    /// Nothing was booked.
    pub dry_run: bool,
    /// Calls that were rated; with `dry_run`, that would be.
    pub rated: u64,
    /// Calls that could still not be rated, with the cause.
    pub failed: Vec<RerateFailure>,
    /// What is booked to each account, by name.
    pub booked: std::collections::BTreeMap<String, String>,
    /// There may be more: ask again with it as `before`.
    pub before: Option<String>,
}

/// A call that could not be rated again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RerateFailure {
    /// The call.
    pub id: String,
    /// Why.
    pub why: String,
}

/// One call record in a list, `GET /v1/records`; with attempts and trail,
/// `GET /v1/records/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordView {
    /// Call id.
    pub id: String,
    /// Node.
    pub node: String,
    /// Listener of the INVITE.
    pub listener: String,
    /// Source of the INVITE.
    pub source: String,
    /// Its transport, such as `udp`; empty in records of before it was kept, as `local` is.
    #[serde(default)]
    pub transport: String,
    /// Address of the listener.
    #[serde(default)]
    pub local: String,
    /// Call-ID of the caller's leg.
    pub sip_call_id: String,
    /// The caller's tag (CDR-05).
    #[serde(default)]
    pub caller_tag: String,
    /// Our tag towards the caller.
    #[serde(default)]
    pub our_tag: String,
    /// User-Agent of the caller.
    #[serde(default)]
    pub user_agent: String,
    /// Customer trunk.
    pub customer: String,
    /// Paying account.
    pub account: String,
    /// Caller as received.
    pub caller_in: String,
    /// Callee as received.
    pub callee_in: String,
    /// Caller after the ingress rewrite.
    pub caller_route: String,
    /// Callee after the ingress rewrite.
    pub callee_route: String,
    /// Ingress tech prefix that was taken off (NUM-07), empty if none was.
    pub tech_prefix_in: String,
    /// The caller asked for privacy.
    pub private: bool,
    /// Words of the screening plugin.
    pub marks: Vec<String>,
    /// Plugin generation of the whole call.
    pub generation: u64,
    /// INVITE.
    pub invite_ms: u64,
    /// First ringing sent to the caller.
    pub ringing_ms: Option<u64>,
    /// First SDP sent to the caller.
    #[serde(default)]
    pub media_ms: Option<u64>,
    /// Answer.
    pub answer_ms: Option<u64>,
    /// End.
    pub end_ms: Option<u64>,
    /// Post-dial delay.
    pub pdd_ms: Option<u32>,
    /// Answered milliseconds.
    pub duration_ms: u64,
    /// Billed milliseconds.
    pub billable_ms: u64,
    /// End reason.
    pub end_reason: String,
    /// `caller`, `callee` or `switch`.
    pub ended_by: EndedBy,
    /// Code from the last vendor, 0 if none.
    pub code_received: u16,
    /// Code returned to the caller.
    pub code_returned: u16,
    /// Q.850 cause, 0 if none.
    pub cause: u8,
    /// One line of detail.
    pub detail: String,
    /// Sell charge.
    pub sell: Option<ChargeView>,
    /// Charges of the account's resellers, upwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resellers: Vec<ResellerView>,
    /// Vendor cost.
    pub cost: String,
    /// Sell charge minus cost.
    pub profit: String,
    /// Balance after the posting.
    pub balance_after: Option<String>,
    /// To be rated again.
    pub rerate: bool,
    /// When charges that were left open at the end were rated and booked.
    #[serde(default)]
    pub rated_again_ms: Option<u64>,
    /// Own processing before the first vendor INVITE.
    pub processing_us: Option<u32>,
    /// Words for what is out of the ordinary, such as `test`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Side of which no RTP came though the call was answered for 20 s or longer and its media
    /// relayed (MEDIA-18): `caller`, `callee` or `both`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_way: Option<String>,
    /// Caller's media.
    pub media: MediaRecord,
    /// One for each vendor.
    pub attempts: Vec<AttemptView>,
    /// Decisions; empty in a list.
    #[serde(default)]
    pub trail: Vec<TrailEntry>,
}

/// What a reseller is charged for a call of an account below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResellerView {
    /// Name of the reseller's account.
    pub account: String,
    /// By its own prices.
    pub charge: ChargeView,
}

/// A charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeView {
    /// Deck.
    pub deck: String,
    /// Matching prefix.
    pub prefix: String,
    /// Destination.
    pub destination: String,
    /// Price a minute.
    pub price: String,
    /// Currency.
    pub currency: String,
    /// Seconds billed.
    pub billed_s: u32,
    /// Amount.
    pub amount: String,
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptView {
    /// Order.
    pub number: u16,
    /// Vendor trunk.
    pub vendor: String,
    /// Target address.
    pub target: String,
    /// No INVITE was sent.
    pub skipped: bool,
    /// Transport of this leg.
    #[serde(default)]
    pub transport: String,
    /// Address of the listener that it was sent from.
    #[serde(default)]
    pub local: String,
    /// Call-ID of this leg.
    pub sip_call_id: String,
    /// Our tag on this leg (CDR-05).
    #[serde(default)]
    pub our_tag: String,
    /// The vendor's tag.
    #[serde(default)]
    pub vendor_tag: String,
    /// Caller sent.
    pub caller_out: String,
    /// Callee sent.
    pub callee_out: String,
    /// Identity sent.
    pub identity_out: String,
    /// Plugin generation.
    pub generation: u64,
    /// INVITE sent.
    pub sent_ms: u64,
    /// How often it was sent; 0 in records of before it was kept.
    #[serde(default)]
    pub sends: u16,
    /// Milliseconds to the first response of any kind.
    #[serde(default)]
    pub first_response_ms: Option<u32>,
    /// First ringing.
    pub ringing_ms: Option<u64>,
    /// First SDP.
    #[serde(default)]
    pub media_ms: Option<u64>,
    /// Milliseconds to the first 18x with SDP or ringing, or to the answer (CDR-54).
    #[serde(default)]
    pub pdd_ms: Option<u32>,
    /// Answer.
    pub answer_ms: Option<u64>,
    /// End.
    pub end_ms: Option<u64>,
    /// Answered milliseconds.
    pub duration_ms: u64,
    /// End reason.
    pub end_reason: String,
    /// Final code, 0 if none.
    pub code: u16,
    /// Words for what is out of the ordinary, such as `late_answer`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Q.850 cause, 0 if none.
    pub cause: u8,
    /// Buy charge.
    pub buy: Option<ChargeView>,
    /// Vendor's media.
    pub media: MediaRecord,
}

/// Header of a list of records that lacks the newest calls, because the database does not have
/// them yet.
pub const INCOMPLETE: &str = "strowger-incomplete";

/// A call id as people see it.
#[must_use]
pub fn call_id_text(id: CallId) -> String {
    uuid::Uuid::from_u128(id).to_string()
}

/// A call id as people write it: with or without hyphens.
#[must_use]
pub fn parse_call_id(text: &str) -> Option<CallId> {
    uuid::Uuid::try_parse(text).ok().map(|id| id.as_u128())
}

impl From<&ChargeRecord> for ChargeView {
    fn from(charge: &ChargeRecord) -> Self {
        ChargeView {
            deck: charge.deck.to_string(),
            prefix: charge.prefix.to_string(),
            destination: charge.destination.to_string(),
            price: charge.price.to_string(),
            currency: charge.currency.to_string(),
            billed_s: charge.billed_s,
            amount: charge.amount.to_string(),
        }
    }
}

impl From<&AttemptRecord> for AttemptView {
    fn from(attempt: &AttemptRecord) -> Self {
        AttemptView {
            number: attempt.number,
            vendor: attempt.trunk_name.to_string(),
            target: attempt.target.to_string(),
            skipped: attempt.skipped,
            transport: attempt.transport.to_string(),
            local: attempt.local.to_string(),
            sip_call_id: attempt.sip_call_id.to_string(),
            our_tag: attempt.our_tag.to_string(),
            vendor_tag: attempt.vendor_tag.to_string(),
            caller_out: attempt.caller_out.to_string(),
            callee_out: attempt.callee_out.to_string(),
            identity_out: attempt.identity_out.to_string(),
            generation: attempt.generation,
            sent_ms: attempt.sent_ms,
            sends: attempt.sends,
            first_response_ms: attempt.first_response_ms,
            ringing_ms: attempt.ringing_ms,
            media_ms: attempt.media_ms,
            pdd_ms: attempt.pdd_ms,
            answer_ms: attempt.answer_ms,
            end_ms: attempt.end_ms,
            duration_ms: attempt.duration_ms,
            end_reason: attempt.end_reason.to_string(),
            code: attempt.code,
            flags: attempt.flags.iter().map(ToString::to_string).collect(),
            cause: attempt.cause,
            buy: attempt.buy.as_ref().map(ChargeView::from),
            media: attempt.media.clone(),
        }
    }
}

impl From<&CallDocument> for RecordView {
    fn from(document: &CallDocument) -> Self {
        let call = &document.call;
        let text = |name: &Arc<str>| name.to_string();
        let answered = document.attempts.iter().find(|attempt| attempt.answer_ms.is_some());
        let one_way = answered.and_then(|attempt| {
            one_way::silent_side(call.duration_ms, &call.media, &attempt.media)
        });
        RecordView {
            id: call_id_text(call.id),
            node: text(&call.node),
            listener: text(&call.listener),
            source: call.source.to_string(),
            transport: call.transport.to_string(),
            local: call.local.to_string(),
            sip_call_id: call.sip_call_id.to_string(),
            caller_tag: call.caller_tag.to_string(),
            our_tag: call.our_tag.to_string(),
            user_agent: call.user_agent.to_string(),
            customer: text(&call.trunk_name),
            account: text(&call.account_name),
            caller_in: call.caller_in.to_string(),
            callee_in: call.callee_in.to_string(),
            caller_route: call.caller_route.to_string(),
            callee_route: call.callee_route.to_string(),
            tech_prefix_in: call.tech_prefix_in.to_string(),
            private: call.private,
            marks: call.marks.iter().map(ToString::to_string).collect(),
            generation: call.generation,
            invite_ms: call.invite_ms,
            ringing_ms: call.ringing_ms,
            media_ms: call.media_ms,
            answer_ms: call.answer_ms,
            end_ms: call.end_ms,
            pdd_ms: call.pdd_ms,
            duration_ms: call.duration_ms,
            billable_ms: call.billable_ms,
            end_reason: call.end_reason.to_string(),
            ended_by: call.ended_by,
            code_received: call.code_received,
            code_returned: call.code_returned,
            cause: call.cause,
            detail: call.detail.to_string(),
            sell: call.sell.as_ref().map(ChargeView::from),
            resellers: call.resellers.iter().map(ResellerView::from).collect(),
            cost: call.cost.to_string(),
            profit: call.profit.to_string(),
            balance_after: call.balance_after.map(|balance| balance.to_string()),
            rerate: call.rerate,
            rated_again_ms: None,
            processing_us: call.processing_us,
            flags: call.flags.iter().map(ToString::to_string).collect(),
            one_way: one_way.map(str::to_owned),
            media: call.media.clone(),
            attempts: document.attempts.iter().map(AttemptView::from).collect(),
            trail: document.trail.clone(),
        }
    }
}

impl From<&ledger::ResellerCharge> for ResellerView {
    fn from(reseller: &ledger::ResellerCharge) -> Self {
        let account = reseller.account_name.to_string();
        ResellerView { account, charge: ChargeView::from(&reseller.charge) }
    }
}
