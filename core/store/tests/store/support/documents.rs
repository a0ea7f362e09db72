//! Documents of calls, as the call machine writes them.

use ledger::{
    AttemptRecord, CallDocument, CallId, CallRecord, ChargeRecord, EndedBy, MediaRecord, Money,
    Posting, PostingKind, PriceRounding, PriceRow, RecordState, TrailEntry,
};

/// A call of 61.2 s answered by the second vendor, charged to account 1 and paid to 2.
pub(crate) fn call(number: u64) -> Box<CallDocument> {
    let invite_ms = 1_795_242_000_000 + number;
    let id: CallId = u128::from(invite_ms) << 80 | 0x7 << 76 | 0b10 << 62 | u128::from(number);
    let charge = |deck: &str, price: i128, amount: i128| ChargeRecord {
        deck: deck.into(),
        prefix: "447".into(),
        destination: "United Kingdom mobile".into(),
        price: Money(price),
        currency: "EUR".into(),
        billed_s: 62,
        amount: Money(amount),
        row: PriceRow {
            price_first: Money(price),
            price_next: Money(price),
            first_increment_s: 1,
            next_increment_s: 1,
            ..PriceRow::default()
        },
        rounding: PriceRounding::default(),
    };
    let attempt = |number: u16, code: u16| AttemptRecord {
        flags: Vec::new(),
        number,
        trunk: u32::from(number) + 10,
        trunk_name: format!("vendor-{number}").into(),
        vendor_account: 2,
        target: "192.0.2.20:5060".into(),
        skipped: false,
        transport: "udp".into(),
        local: "198.51.100.1:5060".into(),
        sip_call_id: "5f0c3d1e9a774b1c@198.51.100.1".into(),
        our_tag: "1b2c3d4e5f607182".into(),
        vendor_tag: "a6a1c5f60faecf035a1ae5b6e96e979a".into(),
        caller_out: "+49301234567".into(),
        callee_out: "447700900123".into(),
        identity_out: "+49301234567".into(),
        generation: 3,
        sent_ms: invite_ms + 1,
        sends: 1,
        first_response_ms: Some(12),
        ringing_ms: None,
        media_ms: None,
        answer_ms: (code == 200).then_some(invite_ms + 2000),
        end_ms: Some(invite_ms + 63_200),
        pdd_ms: Some(900),
        duration_ms: if code == 200 { 61_200 } else { 0 },
        billable_ms: if code == 200 { 61_200 } else { 0 },
        end_reason: if code == 200 { "normal" } else { "vendor_rejected" }.into(),
        ended_by: EndedBy::Caller,
        code,
        cause: 0,
        buy: (code == 200).then(|| charge("carrier-b", 40_000_000, 41_333_300)),
        media: MediaRecord { rtp_in: 3000, rtp_out: 3000, ..MediaRecord::default() },
    };
    let trail = |hook: &str, answer: &str| TrailEntry {
        at_ms: 0,
        attempt: 0,
        hook: hook.into(),
        plugin: format!("{hook} 0.1.0 (1a2b3c4d)").into(),
        answer: answer.into(),
        fault: ledger::Text::default(),
        micros: 3,
    };
    let sell = charge("retail", 49_000_000, 50_633_000);
    Box::new(CallDocument {
        call: CallRecord {
            id,
            state: RecordState::Final,
            node: "node-1".into(),
            listener: "public".into(),
            source: "192.0.2.10:5060".into(),
            transport: "udp".into(),
            local: "198.51.100.1:5060".into(),
            sip_call_id: "1-2345@192.0.2.10".into(),
            caller_tag: "12345SIPpTag001".into(),
            our_tag: "8f7e6d5c4b3a2918".into(),
            user_agent: "some phone 1.0".into(),
            trunk: 1,
            trunk_name: "office".into(),
            account: 1,
            account_name: "acme".into(),
            caller_in: "+49301234567".into(),
            callee_in: "00447700900123".into(),
            caller_route: "+49301234567".into(),
            callee_route: "447700900123".into(),
            tech_prefix_in: ledger::Text::default(),
            private: false,
            marks: Vec::new(),
            generation: 3,
            invite_ms,
            ringing_ms: Some(invite_ms + 900),
            media_ms: Some(invite_ms + 900),
            answer_ms: Some(invite_ms + 2000),
            end_ms: Some(invite_ms + 63_200),
            evidence_ms: invite_ms + 63_200,
            pdd_ms: Some(900),
            duration_ms: 61_200,
            billable_ms: 61_200,
            end_reason: "normal".into(),
            ended_by: EndedBy::Caller,
            code_received: 200,
            code_chosen: 200,
            code_returned: 200,
            cause: 16,
            detail: ledger::Text::default(),
            cost: Money(41_333_300),
            profit: sell.amount - Money(41_333_300),
            sell: Some(sell),
            resellers: Vec::new(),
            balance_after: Some(Money(990_000_000_000)),
            rerate: false,
            media: MediaRecord { rtp_in: 3000, rtp_out: 3000, ..MediaRecord::default() },
            processing_us: Some(90),
            flags: Vec::new(),
        },
        attempts: vec![attempt(1, 503), attempt(2, 200)],
        trail: vec![
            trail("screening", "allow"),
            trail("numbering", "447700900123"),
            trail("rating", "0.0050633, 62 s"),
            trail("routing", "vendor-1, vendor-2"),
            trail("identity", "PAI"),
            trail("routing", "next"),
            trail("identity", "PAI"),
        ],
        postings: vec![
            Posting { account: 1, amount: Money(-50_633_000), kind: PostingKind::CallCharge },
            Posting { account: 2, amount: Money(-41_333_300), kind: PostingKind::VendorCost },
        ],
    })
}

/// The interim copy of the same call, last seen alive 30 s after the answer.
pub(crate) fn call_up(number: u64) -> Box<CallDocument> {
    let mut document = call(number);
    document.call.state = RecordState::Interim;
    document.call.end_ms = None;
    document.call.evidence_ms = document.call.invite_ms + 32_000;
    document.attempts[1].end_ms = None;
    for duration in [&mut document.call.duration_ms, &mut document.attempts[1].duration_ms] {
        *duration = 31_000;
    }
    for billable in [&mut document.call.billable_ms, &mut document.attempts[1].billable_ms] {
        *billable = 30_000;
    }
    document.postings.clear();
    document
}
