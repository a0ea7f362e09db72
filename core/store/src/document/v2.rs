//! Formats 1 and 2, and the parts that later formats share with them.

use ledger::{
    AttemptRecord, CallDocument, CallRecord, ChargeRecord, DurationRounding, EndedBy, MediaRecord,
    Money, PostingKind, PriceRounding, PriceRow, RecordState, Text, TrailEntry,
};
use serde::{Deserialize, Serialize};

/// A document. Texts are borrowed; amounts are in 10^-10 currency units.
#[derive(Serialize, Deserialize)]
pub(super) struct Document<'a> {
    #[serde(borrow)]
    call: Call<'a>,
    #[serde(borrow)]
    attempts: Vec<Attempt<'a>>,
    #[serde(borrow)]
    trail: Vec<Trail<'a>>,
    postings: Vec<Posting>,
}

impl<'a> Document<'a> {
    pub(super) fn of(document: &'a CallDocument) -> Document<'a> {
        Document {
            call: Call::of(&document.call),
            attempts: document.attempts.iter().map(Attempt::of).collect(),
            trail: document.trail.iter().map(Trail::of).collect(),
            postings: document.postings.iter().map(Posting::of).collect(),
        }
    }

    /// Later fields get their defaults.
    pub(super) fn into_ledger(self) -> CallDocument {
        CallDocument {
            call: self.call.into_ledger(),
            attempts: self.attempts.into_iter().map(Attempt::into_ledger).collect(),
            trail: self.trail.into_iter().map(Trail::into_ledger).collect(),
            postings: self.postings.into_iter().map(Posting::into_ledger).collect(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Call<'a> {
    id: u128,
    state: State,
    node: &'a str,
    listener: &'a str,
    source: &'a str,
    sip_call_id: &'a str,
    user_agent: &'a str,
    trunk: u32,
    trunk_name: &'a str,
    account: u32,
    account_name: &'a str,
    caller_in: &'a str,
    callee_in: &'a str,
    caller_route: &'a str,
    callee_route: &'a str,
    tech_prefix_in: &'a str,
    private: bool,
    #[serde(borrow)]
    marks: Vec<&'a str>,
    generation: u64,
    invite_ms: u64,
    ringing_ms: Option<u64>,
    media_ms: Option<u64>,
    answer_ms: Option<u64>,
    end_ms: Option<u64>,
    evidence_ms: u64,
    pdd_ms: Option<u32>,
    duration_ms: u64,
    billable_ms: u64,
    end_reason: &'a str,
    ended_by: By,
    code_received: u16,
    code_chosen: u16,
    code_returned: u16,
    cause: u8,
    detail: &'a str,
    #[serde(borrow)]
    sell: Option<Charge<'a>>,
    cost: i128,
    profit: i128,
    balance_after: Option<i128>,
    rerate: bool,
    #[serde(borrow)]
    media: Media<'a>,
    processing_us: Option<u32>,
}

impl<'a> Call<'a> {
    fn of(record: &'a CallRecord) -> Self {
        Call {
            id: record.id,
            state: State::of(record.state),
            node: &record.node,
            listener: &record.listener,
            source: &record.source,
            sip_call_id: &record.sip_call_id,
            user_agent: &record.user_agent,
            trunk: record.trunk,
            trunk_name: &record.trunk_name,
            account: record.account,
            account_name: &record.account_name,
            caller_in: &record.caller_in,
            callee_in: &record.callee_in,
            caller_route: &record.caller_route,
            callee_route: &record.callee_route,
            tech_prefix_in: &record.tech_prefix_in,
            private: record.private,
            marks: record.marks.iter().map(|text| text.as_str()).collect(),
            generation: record.generation,
            invite_ms: record.invite_ms,
            ringing_ms: record.ringing_ms,
            media_ms: record.media_ms,
            answer_ms: record.answer_ms,
            end_ms: record.end_ms,
            evidence_ms: record.evidence_ms,
            pdd_ms: record.pdd_ms,
            duration_ms: record.duration_ms,
            billable_ms: record.billable_ms,
            end_reason: &record.end_reason,
            ended_by: By::of(record.ended_by),
            code_received: record.code_received,
            code_chosen: record.code_chosen,
            code_returned: record.code_returned,
            cause: record.cause,
            detail: &record.detail,
            sell: record.sell.as_ref().map(Charge::of),
            cost: record.cost.0,
            profit: record.profit.0,
            balance_after: record.balance_after.map(|amount| amount.0),
            rerate: record.rerate,
            media: Media::of(&record.media),
            processing_us: record.processing_us,
        }
    }

    fn into_ledger(self) -> CallRecord {
        CallRecord {
            id: self.id,
            state: self.state.into_ledger(),
            node: self.node.into(),
            listener: self.listener.into(),
            source: self.source.into(),
            sip_call_id: self.sip_call_id.into(),
            user_agent: self.user_agent.into(),
            trunk: self.trunk,
            trunk_name: self.trunk_name.into(),
            account: self.account,
            account_name: self.account_name.into(),
            caller_in: self.caller_in.into(),
            callee_in: self.callee_in.into(),
            caller_route: self.caller_route.into(),
            callee_route: self.callee_route.into(),
            tech_prefix_in: self.tech_prefix_in.into(),
            private: self.private,
            marks: self.marks.into_iter().map(Into::into).collect(),
            generation: self.generation,
            invite_ms: self.invite_ms,
            ringing_ms: self.ringing_ms,
            media_ms: self.media_ms,
            answer_ms: self.answer_ms,
            end_ms: self.end_ms,
            evidence_ms: self.evidence_ms,
            pdd_ms: self.pdd_ms,
            duration_ms: self.duration_ms,
            billable_ms: self.billable_ms,
            end_reason: self.end_reason.into(),
            ended_by: self.ended_by.into_ledger(),
            code_received: self.code_received,
            code_chosen: self.code_chosen,
            code_returned: self.code_returned,
            cause: self.cause,
            detail: self.detail.into(),
            sell: self.sell.map(Charge::into_ledger),
            resellers: Vec::new(),
            cost: Money(self.cost),
            profit: Money(self.profit),
            balance_after: self.balance_after.map(Money),
            rerate: self.rerate,
            media: self.media.into_ledger(),
            processing_us: self.processing_us,
            flags: Vec::new(),
            transport: Text::default(),
            local: Text::default(),
            caller_tag: Text::default(),
            our_tag: Text::default(),
        }
    }
}

/// A charge, in later formats too.
#[derive(Serialize, Deserialize)]
pub(super) struct Charge<'a> {
    deck: &'a str,
    prefix: &'a str,
    destination: &'a str,
    price: i128,
    currency: &'a str,
    billed_s: u32,
    amount: i128,
    row: Row,
    rounding: Rounding,
}

impl<'a> Charge<'a> {
    pub(super) fn of(record: &'a ChargeRecord) -> Self {
        Charge {
            deck: &record.deck,
            prefix: &record.prefix,
            destination: &record.destination,
            price: record.price.0,
            currency: &record.currency,
            billed_s: record.billed_s,
            amount: record.amount.0,
            row: Row::of(&record.row),
            rounding: Rounding::of(&record.rounding),
        }
    }

    pub(super) fn into_ledger(self) -> ChargeRecord {
        ChargeRecord {
            deck: self.deck.into(),
            prefix: self.prefix.into(),
            destination: self.destination.into(),
            price: Money(self.price),
            currency: self.currency.into(),
            billed_s: self.billed_s,
            amount: Money(self.amount),
            row: self.row.into_ledger(),
            rounding: self.rounding.into_ledger(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Attempt<'a> {
    number: u16,
    trunk: u32,
    trunk_name: &'a str,
    vendor_account: u32,
    target: &'a str,
    skipped: bool,
    sip_call_id: &'a str,
    caller_out: &'a str,
    callee_out: &'a str,
    identity_out: &'a str,
    generation: u64,
    sent_ms: u64,
    ringing_ms: Option<u64>,
    answer_ms: Option<u64>,
    end_ms: Option<u64>,
    pdd_ms: Option<u32>,
    duration_ms: u64,
    billable_ms: u64,
    end_reason: &'a str,
    ended_by: By,
    code: u16,
    cause: u8,
    #[serde(borrow)]
    buy: Option<Charge<'a>>,
    #[serde(borrow)]
    media: Media<'a>,
}

impl<'a> Attempt<'a> {
    fn of(record: &'a AttemptRecord) -> Self {
        Attempt {
            number: record.number,
            trunk: record.trunk,
            trunk_name: &record.trunk_name,
            vendor_account: record.vendor_account,
            target: &record.target,
            skipped: record.skipped,
            sip_call_id: &record.sip_call_id,
            caller_out: &record.caller_out,
            callee_out: &record.callee_out,
            identity_out: &record.identity_out,
            generation: record.generation,
            sent_ms: record.sent_ms,
            ringing_ms: record.ringing_ms,
            answer_ms: record.answer_ms,
            end_ms: record.end_ms,
            pdd_ms: record.pdd_ms,
            duration_ms: record.duration_ms,
            billable_ms: record.billable_ms,
            end_reason: &record.end_reason,
            ended_by: By::of(record.ended_by),
            code: record.code,
            cause: record.cause,
            buy: record.buy.as_ref().map(Charge::of),
            media: Media::of(&record.media),
        }
    }

    fn into_ledger(self) -> AttemptRecord {
        AttemptRecord {
            number: self.number,
            flags: Vec::new(),
            trunk: self.trunk,
            trunk_name: self.trunk_name.into(),
            vendor_account: self.vendor_account,
            target: self.target.into(),
            skipped: self.skipped,
            sip_call_id: self.sip_call_id.into(),
            caller_out: self.caller_out.into(),
            callee_out: self.callee_out.into(),
            identity_out: self.identity_out.into(),
            generation: self.generation,
            sent_ms: self.sent_ms,
            ringing_ms: self.ringing_ms,
            answer_ms: self.answer_ms,
            end_ms: self.end_ms,
            pdd_ms: self.pdd_ms,
            duration_ms: self.duration_ms,
            billable_ms: self.billable_ms,
            end_reason: self.end_reason.into(),
            ended_by: self.ended_by.into_ledger(),
            code: self.code,
            cause: self.cause,
            buy: self.buy.map(Charge::into_ledger),
            media: self.media.into_ledger(),
            transport: Text::default(),
            local: Text::default(),
            our_tag: Text::default(),
            vendor_tag: Text::default(),
            sends: 0,
            first_response_ms: None,
            media_ms: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Media<'a> {
    rtp_in: u64,
    rtp_out: u64,
    bytes_in: u64,
    dropped: u64,
    rtcp_in: u64,
    codec: &'a str,
    remote: &'a str,
}

impl<'a> Media<'a> {
    fn of(record: &'a MediaRecord) -> Self {
        Media {
            rtp_in: record.rtp_in,
            rtp_out: record.rtp_out,
            bytes_in: record.bytes_in,
            dropped: record.dropped,
            rtcp_in: record.rtcp_in,
            codec: &record.codec,
            remote: &record.remote,
        }
    }

    fn into_ledger(self) -> MediaRecord {
        MediaRecord {
            rtp_in: self.rtp_in,
            rtp_out: self.rtp_out,
            bytes_in: self.bytes_in,
            dropped: self.dropped,
            rtcp_in: self.rtcp_in,
            codec: self.codec.into(),
            remote: self.remote.into(),
            local: Text::default(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Trail<'a> {
    at_ms: u32,
    attempt: u16,
    hook: &'a str,
    plugin: &'a str,
    answer: &'a str,
    fault: &'a str,
    micros: u32,
}

impl<'a> Trail<'a> {
    fn of(record: &'a TrailEntry) -> Self {
        Trail {
            at_ms: record.at_ms,
            attempt: record.attempt,
            hook: &record.hook,
            plugin: &record.plugin,
            answer: &record.answer,
            fault: &record.fault,
            micros: record.micros,
        }
    }

    fn into_ledger(self) -> TrailEntry {
        TrailEntry {
            at_ms: self.at_ms,
            attempt: self.attempt,
            hook: self.hook.into(),
            plugin: self.plugin.into(),
            answer: self.answer.into(),
            fault: self.fault.into(),
            micros: self.micros,
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Row {
    price_first: i128,
    price_next: i128,
    connect_fee: i128,
    first_increment_s: u32,
    next_increment_s: u32,
    free_seconds: u32,
    minimum_charge: i128,
}

impl Row {
    fn of(record: &PriceRow) -> Self {
        Row {
            price_first: record.price_first.0,
            price_next: record.price_next.0,
            connect_fee: record.connect_fee.0,
            first_increment_s: record.first_increment_s,
            next_increment_s: record.next_increment_s,
            free_seconds: record.free_seconds,
            minimum_charge: record.minimum_charge.0,
        }
    }

    fn into_ledger(self) -> PriceRow {
        PriceRow {
            price_first: Money(self.price_first),
            price_next: Money(self.price_next),
            connect_fee: Money(self.connect_fee),
            first_increment_s: self.first_increment_s,
            next_increment_s: self.next_increment_s,
            free_seconds: self.free_seconds,
            minimum_charge: Money(self.minimum_charge),
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Rounding {
    unit_ms: u32,
    mode: Mode,
    decimals: u8,
    fee_unit: i128,
}

impl Rounding {
    fn of(record: &PriceRounding) -> Self {
        Rounding {
            unit_ms: record.unit_ms,
            mode: Mode::of(record.mode),
            decimals: record.decimals,
            fee_unit: record.fee_unit.0,
        }
    }

    fn into_ledger(self) -> PriceRounding {
        PriceRounding {
            unit_ms: self.unit_ms,
            mode: self.mode.into_ledger(),
            decimals: self.decimals,
            fee_unit: Money(self.fee_unit),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Posting {
    account: u32,
    amount: i128,
    kind: Kind,
}

impl Posting {
    fn of(record: &ledger::Posting) -> Self {
        Posting { account: record.account, amount: record.amount.0, kind: Kind::of(record.kind) }
    }

    fn into_ledger(self) -> ledger::Posting {
        ledger::Posting {
            account: self.account,
            amount: Money(self.amount),
            kind: self.kind.into_ledger(),
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum State {
    Interim,
    Final,
}

impl State {
    fn of(record: RecordState) -> Self {
        match record {
            RecordState::Interim => State::Interim,
            RecordState::Final => State::Final,
        }
    }

    fn into_ledger(self) -> RecordState {
        match self {
            State::Interim => RecordState::Interim,
            State::Final => RecordState::Final,
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum By {
    Caller,
    Callee,
    Switch,
}

impl By {
    fn of(record: EndedBy) -> Self {
        match record {
            EndedBy::Caller => By::Caller,
            EndedBy::Callee => By::Callee,
            EndedBy::Switch => By::Switch,
        }
    }

    fn into_ledger(self) -> EndedBy {
        match self {
            By::Caller => EndedBy::Caller,
            By::Callee => EndedBy::Callee,
            By::Switch => EndedBy::Switch,
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Mode {
    Up,
    Nearest,
    Down,
}

impl Mode {
    fn of(record: DurationRounding) -> Self {
        match record {
            DurationRounding::Up => Mode::Up,
            DurationRounding::Nearest => Mode::Nearest,
            DurationRounding::Down => Mode::Down,
        }
    }

    fn into_ledger(self) -> DurationRounding {
        match self {
            Mode::Up => DurationRounding::Up,
            Mode::Nearest => DurationRounding::Nearest,
            Mode::Down => DurationRounding::Down,
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Kind {
    CallCharge,
    VendorCost,
    Opening,
    Payment,
    Correction,
    // Since format 5.
    Resale,
    ResaleCorrection,
    CostCorrection,
}

impl Kind {
    fn of(record: PostingKind) -> Self {
        match record {
            PostingKind::CallCharge => Kind::CallCharge,
            PostingKind::VendorCost => Kind::VendorCost,
            PostingKind::Opening => Kind::Opening,
            PostingKind::Payment => Kind::Payment,
            PostingKind::Correction => Kind::Correction,
            PostingKind::Resale => Kind::Resale,
            PostingKind::ResaleCorrection => Kind::ResaleCorrection,
            PostingKind::CostCorrection => Kind::CostCorrection,
        }
    }

    fn into_ledger(self) -> PostingKind {
        match self {
            Kind::CallCharge => PostingKind::CallCharge,
            Kind::VendorCost => PostingKind::VendorCost,
            Kind::Opening => PostingKind::Opening,
            Kind::Payment => PostingKind::Payment,
            Kind::Correction => PostingKind::Correction,
            Kind::Resale => PostingKind::Resale,
            Kind::ResaleCorrection => PostingKind::ResaleCorrection,
            Kind::CostCorrection => PostingKind::CostCorrection,
        }
    }
}
