//! The JSON types of the admin API, shared with the command line. Money is a decimal text, ids are
//! UUIDs, times are UTC milliseconds unless the name says otherwise.
#![forbid(unsafe_code)]

mod client;
mod error;
mod lockouts;
mod objects;
mod one_way;
mod plugins;
mod test_calls;
mod trials;

pub use client::{Client, NoAnswer, same_place};
pub use error::ApiError;
pub use lockouts::{LockoutLine, UnlockDone};
pub use objects::{HistoryLine, ObjectChanged, ObjectPage, ObjectView, RowPage, RowsRequest};
pub use plugins::{
    BuildFigures, FaultLine, PluginLine, PluginList, SendsLine, SwapDone, SwapRequest,
    TakenBackLine,
};
pub use test_calls::{LONGEST_TEST_CALL_S, TestCallPlaced, TestCallRequest};
pub use trials::{CanaryLine, DifferenceLine, SelectBy, ShadowLine, TrialParameters};

use ledger::{AttemptRecord, CallDocument, CallId, ChargeRecord, EndedBy, MediaRecord, TrailEntry};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Body of any error response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// An error code for programs, such as `not_found`.
    pub error: String,
    /// A sentence for people.
    pub detail: String,
    /// The field or parameter concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// `GET /health` with the token. Without it, only `status`: `up` or `down`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`; `degraded` while an alarm above a warning stands or a signalling thread does not
    /// respond; `down` while calls should go elsewhere because their records are not safe;
    /// `draining`.
    pub status: String,
    /// Node name.
    pub node: String,
    /// Version of the program.
    pub version: String,
    /// Plugin generation of new calls.
    pub generation: u64,
    /// Calls in progress, answered or not.
    pub calls: usize,
    /// Seconds since start.
    pub uptime_s: u64,
    /// UTC ms of the start.
    #[serde(default)]
    pub started_ms: u64,
    /// Kinds of the standing alarms, the worst first.
    #[serde(default)]
    pub alarms: Vec<String>,
}

/// `POST /v1/upgrade`: the next program has passed its checks and takes over now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeBegun {
    /// Version of the current program.
    pub from: String,
    /// Version of the next program.
    pub to: String,
}

/// A standing alarm, `GET /v1/alarms`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmLine {
    /// Its kind, such as `ports_low`; docs/operations.md lists all.
    pub alarm: String,
    /// The object concerned, such as a media address.
    pub object: String,
    /// `critical`, `major` or `warning`.
    pub severity: String,
    /// When it began.
    pub since_ms: u64,
    /// How often it happened since then.
    pub count: u64,
    /// What is wrong.
    pub detail: String,
    /// The effect on calls and money.
    pub effect: String,
    /// What to do.
    pub action: String,
}

/// A running call, `GET /v1/calls` and `GET /v1/calls/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallLine {
    /// Call id.
    pub id: String,
    /// Customer trunk; `test` for a test call, which has none.
    pub customer: String,
    /// Paying account; `test` for a test call.
    pub account: String,
    /// Vendor trunk of the current attempt; empty before the first.
    pub vendor: String,
    /// Caller number.
    pub caller: String,
    /// Callee number.
    pub callee: String,
    /// `deciding`, `calling`, `ringing`, `answered`, `ending`.
    pub state: String,
    /// When the INVITE arrived.
    pub invite_ms: u64,
    /// When it was answered.
    pub answer_ms: Option<u64>,
    /// Vendor INVITEs so far.
    pub attempts: u16,
    /// Plugin generation of the call.
    pub generation: u64,
}

/// A number table for new calls, `GET /v1/tables` and `POST /v1/tables/{name}/reload`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLine {
    /// Name, as used by plugins.
    pub name: String,
    /// `prefix` or `exact`.
    pub kind: String,
    /// Entries.
    pub rows: u64,
    /// Memory, bytes.
    pub bytes: u64,
    /// When the file was read or the rows last changed.
    pub loaded_ms: u64,
    /// The file; empty if the rows are in the database.
    pub file: String,
    /// Why the last change of the file was rejected; empty if it was not.
    pub error: String,
}

/// Body of `POST /v1/reload`; empty to read the configured folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReloadRequest {
    /// Folder on the node's disk.
    pub folder: Option<String>,
    /// Only reports what would change.
    pub dry_run: bool,
    /// The folder takes over the objects that it names and the API owns.
    #[serde(default)]
    pub overwrite: bool,
}

/// The changes of a reload, made or planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadDone {
    /// Whether nothing was applied.
    pub dry_run: bool,
    /// Number of objects, with number lists whose rows differ.
    pub objects: usize,
    /// One line per difference, and notices.
    pub changes: Vec<String>,
}

/// An account, `GET /v1/accounts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLine {
    /// Numeric id.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Current balance.
    pub balance: String,
    /// Credit in addition to the balance.
    pub credit: String,
    /// Amount reserved for running calls.
    #[serde(default)]
    pub reserved: String,
    /// Its reseller; empty if none.
    #[serde(default)]
    pub parent: String,
    /// Deck that prices its calls; empty if none.
    pub deck: String,
    /// Currency of the deck.
    pub currency: String,
    /// Takes no calls.
    pub locked: bool,
}

/// The state of the books, `GET /v1/ledger/proof`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerProof {
    /// Number of accounts.
    pub accounts: u64,
    /// Number of postings.
    pub postings: u64,
    /// Sum of all account balances.
    pub owed: String,
    /// The balance of each book, the contra side of postings.
    pub books: std::collections::BTreeMap<String, String>,
    /// Contradictions, one per line; empty if the books are consistent.
    pub faults: Vec<String>,
}

/// Body of `POST /v1/accounts/{name}/payments`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentRequest {
    /// Added to the balance, in the account's currency; negative for a refund.
    pub amount: String,
    /// A note, at most 255 characters.
    #[serde(default)]
    pub note: String,
    /// Idempotency key of 1 to 64 visible ASCII characters, unique among all payments: a payment
    /// requested again with its key is booked once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The result of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentDone {
    /// Account.
    pub account: String,
    /// Amount.
    pub amount: String,
    /// Balance afterwards.
    pub balance: String,
    /// `false` if it was booked before with the same key.
    pub booked: bool,
}

/// Body of `POST /v1/rerate`: selects among the calls without rating at their end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RerateRequest {
    /// INVITE at this UTC ms or later.
    pub since_ms: Option<u64>,
    /// INVITE before this UTC ms.
    pub until_ms: Option<u64>,
    /// Cursor: `before` of the previous response.
    pub before: Option<String>,
    /// Only reports what would be booked.
    pub dry_run: bool,
}

/// The result of re-rating, made or planned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RerateDone {
    /// Whether nothing was booked.
    pub dry_run: bool,
    /// Calls re-rated, or with `dry_run` to be re-rated.
    pub rated: u64,
    /// Calls that still could not be rated, with the cause.
    pub failed: Vec<RerateFailure>,
    /// Amount booked on each account, by name.
    pub booked: std::collections::BTreeMap<String, String>,
    /// Cursor for the next request; `None` at the end.
    pub before: Option<String>,
}

/// A call that could not be re-rated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RerateFailure {
    /// The call.
    pub id: String,
    /// The cause.
    pub why: String,
}

/// A call record in a list, `GET /v1/records`, or with attempts and trail, `GET /v1/records/{id}`.
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
    /// Its transport, such as `udp`; empty in older records, as is `local`.
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
    /// Ingress tech prefix stripped (NUM-07); empty if none.
    pub tech_prefix_in: String,
    /// Whether the caller requested privacy.
    pub private: bool,
    /// Marks of the screening plugin.
    pub marks: Vec<String>,
    /// Plugin generation of the whole call.
    pub generation: u64,
    /// INVITE.
    pub invite_ms: u64,
    /// First ringing response sent to the caller.
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
    /// Whether it is still to be re-rated.
    pub rerate: bool,
    /// When open charges were re-rated and booked.
    #[serde(default)]
    pub rated_again_ms: Option<u64>,
    /// Processing time until the first vendor INVITE, microseconds.
    pub processing_us: Option<u32>,
    /// Flags for unusual events, such as `test`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Side without received RTP, although the call was answered for at least 20 s and its media
    /// relayed (MEDIA-18): `caller`, `callee` or `both`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_way: Option<String>,
    /// Caller's media.
    pub media: MediaRecord,
    /// Attempts, in order.
    pub attempts: Vec<AttemptView>,
    /// Decision trail; empty in a list.
    #[serde(default)]
    pub trail: Vec<TrailEntry>,
}

/// A reseller's charge for a call of an account below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResellerView {
    /// Name of the reseller's account.
    pub account: String,
    /// The charge at its own prices.
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
    /// Price per minute.
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
    /// Its number within the call.
    pub number: u16,
    /// Vendor trunk.
    pub vendor: String,
    /// Target address.
    pub target: String,
    /// Whether it was skipped without an INVITE.
    pub skipped: bool,
    /// Transport of this leg.
    #[serde(default)]
    pub transport: String,
    /// Address of the sending listener.
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
    /// Caller number sent.
    pub caller_out: String,
    /// Callee number sent.
    pub callee_out: String,
    /// Identity sent.
    pub identity_out: String,
    /// Plugin generation.
    pub generation: u64,
    /// When the INVITE was sent.
    pub sent_ms: u64,
    /// How often the INVITE was sent; 0 in older records.
    #[serde(default)]
    pub sends: u16,
    /// Milliseconds to the first response.
    #[serde(default)]
    pub first_response_ms: Option<u32>,
    /// First ringing.
    pub ringing_ms: Option<u64>,
    /// First SDP.
    #[serde(default)]
    pub media_ms: Option<u64>,
    /// Milliseconds to the first 18x with ringing or SDP, or to the answer (CDR-54).
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
    /// Flags for unusual events, such as `late_answer`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Q.850 cause, 0 if none.
    pub cause: u8,
    /// Buy charge.
    pub buy: Option<ChargeView>,
    /// Vendor's media.
    pub media: MediaRecord,
}

/// Header of a list of records without the newest calls, because the database does not have them
/// yet.
pub const INCOMPLETE: &str = "strowger-incomplete";

/// Formats a call id as a UUID.
#[must_use]
pub fn call_id_text(id: CallId) -> String {
    uuid::Uuid::from_u128(id).to_string()
}

/// Parses a call id, with or without hyphens.
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
