//! The record model: one [`CallRecord`] per ingress INVITE, one [`AttemptRecord`] per vendor
//! INVITE, the decision trail, and the [`Posting`]s that become durable together with them (CDR-01,
//! CDR-02, CDR-06).

use crate::{Money, Posting, PriceRounding, PriceRow};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Text of a record: stored inline up to 24 bytes, which fits most numbers, addresses and reasons,
/// so that copying one allocates nothing.
pub type Text = CompactString;

/// Time-sortable 128-bit call id (CDR-05).
pub type CallId = u128;

/// Everything that is written about one call, as passed to and from the store, which uses its own
/// format.
#[derive(Clone, Debug, PartialEq)]
pub struct CallDocument {
    /// The call record.
    pub call: CallRecord,
    /// Attempt records in the order of the attempts.
    pub attempts: Vec<AttemptRecord>,
    /// The decision trail in the order of the questions.
    pub trail: Vec<TrailEntry>,
    /// Postings booked with the record; empty in an interim copy.
    pub postings: Vec<Posting>,
}

/// Whether a document is the final one of its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordState {
    /// Written at answer and every 60 s: evidence after a crash, never shown as a record.
    Interim,
    /// Written at the end, once.
    Final,
}

/// The side that ended a call or an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The caller's side.
    Caller,
    /// The vendor's side.
    Callee,
    /// This switch.
    Switch,
}

/// One record per ingress INVITE from a known source (CDR-01).
#[derive(Clone, Debug, PartialEq)]
pub struct CallRecord {
    /// Our id.
    pub id: CallId,
    /// Interim or final.
    pub state: RecordState,
    /// Node name.
    pub node: Arc<str>,
    /// Listener the INVITE came in on.
    pub listener: Arc<str>,
    /// Source `address:port` of the INVITE.
    pub source: Text,
    /// Transport of the caller's leg, such as `udp`; empty in records older than this field.
    pub transport: Text,
    /// `address:port` of the listener; empty in records older than this field.
    pub local: Text,
    /// Call-ID of the caller's leg.
    pub sip_call_id: Text,
    /// Tag of the caller (CDR-05).
    pub caller_tag: Text,
    /// Our tag towards the caller.
    pub our_tag: Text,
    /// User-Agent of the caller, empty if absent.
    pub user_agent: Text,
    /// Customer trunk: id.
    pub trunk: u32,
    /// Its name.
    pub trunk_name: Arc<str>,
    /// Paying account: id.
    pub account: u32,
    /// Its name.
    pub account_name: Arc<str>,
    /// As received, after clean-up.
    pub caller_in: Text,
    /// As received, after clean-up.
    pub callee_in: Text,
    /// After the ingress rewrite.
    pub caller_route: Text,
    /// After the ingress rewrite: used for rating and routing.
    pub callee_route: Text,
    /// Ingress tech prefix that was stripped.
    pub tech_prefix_in: Text,
    /// The caller requested privacy.
    pub private: bool,
    /// Words that screening added to the call.
    pub marks: Vec<Text>,
    /// Plugin generation that decided the whole call.
    pub generation: u64,
    /// UTC milliseconds of the INVITE.
    pub invite_ms: u64,
    /// First 18x sent to the caller.
    pub ringing_ms: Option<u64>,
    /// First SDP sent to the caller.
    pub media_ms: Option<u64>,
    /// Our 200 to the caller.
    pub answer_ms: Option<u64>,
    /// End; `None` in an interim copy.
    pub end_ms: Option<u64>,
    /// Last evidence of life, UTC milliseconds (BILL-13); for recovery after a crash, which bills
    /// by `billable_ms` because this clock may have been set in the meantime.
    pub evidence_ms: u64,
    /// INVITE to first 180/183 with SDP, or 200 (CDR-54).
    pub pdd_ms: Option<u32>,
    /// Monotonic milliseconds from answer to end; in an interim copy, so far.
    pub duration_ms: u64,
    /// Milliseconds billed; differs from `duration_ms` for dead calls (BILL-13). In an interim
    /// copy, monotonic milliseconds from answer to the last evidence of life.
    pub billable_ms: u64,
    /// End reason of SIG-93.
    pub end_reason: Text,
    /// The side that ended it.
    pub ended_by: EndedBy,
    /// Code received from the last vendor, 0 if none (CDR-04).
    pub code_received: u16,
    /// Code chosen by SIG-86.
    pub code_chosen: u16,
    /// Code returned to the caller; 200 when answered.
    pub code_returned: u16,
    /// Q.850 cause received, 0 if none.
    pub cause: u8,
    /// One line of detail, such as the text of the rejecting plugin.
    pub detail: Text,
    /// Sell side of the charge; `None` if not rated.
    pub sell: Option<ChargeRecord>,
    /// The charges of the account's resellers, from the lowest up (BILL-62).
    pub resellers: Vec<ResellerCharge>,
    /// Vendor cost over all attempts.
    pub cost: Money,
    /// Sell charge minus cost (BILL-29).
    pub profit: Money,
    /// Balance after the posting; filled in by the store's caller.
    pub balance_after: Option<Money>,
    /// Rating failed at the end: the call must be rated again.
    pub rerate: bool,
    /// Media counters of the caller's leg.
    pub media: MediaRecord,
    /// Our processing time from INVITE in to first INVITE out, microseconds.
    pub processing_us: Option<u32>,
    /// Words for unusual events, such as `one_way` (MEDIA-18).
    pub flags: Vec<Text>,
}

/// A charge and the source of its price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChargeRecord {
    /// Rate deck name.
    pub deck: Arc<str>,
    /// Matching prefix, `*` for the default row.
    pub prefix: Arc<str>,
    /// Destination name of the row.
    pub destination: Arc<str>,
    /// Price per minute of the initial block.
    pub price: Money,
    /// ISO 4217 currency of the deck.
    pub currency: Arc<str>,
    /// Seconds billed.
    pub billed_s: u32,
    /// The charge.
    pub amount: Money,
    /// The deck row's prices: with `rounding`, everything needed to rate the call again after a
    /// crash, when the call's snapshot is gone (BILL-13).
    pub row: PriceRow,
    /// The payer's rounding.
    pub rounding: PriceRounding,
}

/// The charge of a reseller for a call of an account below it (BILL-62).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResellerCharge {
    /// Account id of the reseller.
    pub account: u32,
    /// Its name.
    pub account_name: Arc<str>,
    /// The charge by its own prices.
    pub charge: ChargeRecord,
}

/// One record per INVITE sent to a vendor, and per choice skipped at its turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// 1, 2, 3 ... in the order of the choices.
    pub number: u16,
    /// Vendor trunk: id.
    pub trunk: u32,
    /// Its name.
    pub trunk_name: Arc<str>,
    /// Vendor account: id.
    pub vendor_account: u32,
    /// Target `address:port`.
    pub target: Text,
    /// No INVITE was sent.
    pub skipped: bool,
    /// Transport of this leg, such as `udp`; empty in records older than this field.
    pub transport: Text,
    /// `address:port` of the listener that it was sent from.
    pub local: Text,
    /// Call-ID of this leg.
    pub sip_call_id: Text,
    /// Our tag on this leg (CDR-05).
    pub our_tag: Text,
    /// Tag of the vendor, from the last response that had one.
    pub vendor_tag: Text,
    /// Caller number sent.
    pub caller_out: Text,
    /// Number sent in the Request-URI.
    pub callee_out: Text,
    /// Number in PAI/PPI/RPID; empty if none.
    pub identity_out: Text,
    /// Plugin generation that decided this attempt: the call's own.
    pub generation: u64,
    /// UTC milliseconds of our INVITE.
    pub sent_ms: u64,
    /// How often it was sent; 0 if never, or in records older than this field.
    pub sends: u16,
    /// Milliseconds from it to the first response of any kind: shows a late 100, which `pdd_ms`
    /// hides.
    pub first_response_ms: Option<u32>,
    /// First 18x.
    pub ringing_ms: Option<u64>,
    /// First SDP of the vendor.
    pub media_ms: Option<u64>,
    /// 200 received.
    pub answer_ms: Option<u64>,
    /// End.
    pub end_ms: Option<u64>,
    /// INVITE to first 180/183 with SDP, or 200 (CDR-54).
    pub pdd_ms: Option<u32>,
    /// Monotonic milliseconds from answer to end; in an interim copy, so far.
    pub duration_ms: u64,
    /// Milliseconds billed by the vendor; in an interim copy, up to the last evidence of life.
    pub billable_ms: u64,
    /// End reason of SIG-93.
    pub end_reason: Text,
    /// The side that ended it.
    pub ended_by: EndedBy,
    /// Final code received, 0 if none.
    pub code: u16,
    /// Q.850 cause received, 0 if none.
    pub cause: u8,
    /// Buy side of the charge; `None` if not answered or not rated.
    pub buy: Option<ChargeRecord>,
    /// Media counters of the vendor's leg.
    pub media: MediaRecord,
    /// Words for unusual events, such as `late_answer` (SIG-103).
    pub flags: Vec<Text>,
}

/// Relay counters of one leg.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaRecord {
    /// RTP packets received from the leg.
    pub rtp_in: u64,
    /// RTP packets sent to the leg.
    pub rtp_out: u64,
    /// RTP payload and header bytes received.
    pub bytes_in: u64,
    /// Packets dropped: wrong source, not RTP.
    pub dropped: u64,
    /// RTCP packets received.
    pub rtcp_in: u64,
    /// Codec name of the first negotiated payload, empty if none.
    pub codec: Text,
    /// Address the leg's media was latched to.
    pub remote: Text,
    /// Address that the leg was told to send to; empty if its media bypass us.
    #[serde(default)]
    pub local: Text,
}

/// One line of the decision trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailEntry {
    /// Milliseconds after the INVITE.
    pub at_ms: u32,
    /// Attempt number, 0 before the first.
    pub attempt: u16,
    /// Hook name.
    pub hook: Arc<str>,
    /// `name version (digest)`, or `core` when a fallback answered.
    pub plugin: Arc<str>,
    /// The answer in brief, such as `allow` or `vendor-b, vendor-a`.
    pub answer: Text,
    /// Why no plugin answered; empty if one did.
    pub fault: Text,
    /// Microseconds the answer took.
    pub micros: u32,
}
