//! The bytes of each format, current and older.

use super::*;
use ledger::{
    AttemptRecord, CallRecord, ChargeRecord, EndedBy, MediaRecord, Money, Posting, PostingKind,
    PriceRounding, PriceRow, ResellerCharge, Text, TrailEntry,
};

/// Format 5. It never changes: a new field needs a new format.
const GOLDEN: &str = "
    05ef9bafcdf8acd1910101066e6f64652d31067075626c69630f3139322e302e322e31303a3530363011312d3233
    3435403139322e302e322e31300e736f6d652070686f6e6520312e3001066f6666696365010461636d6502343904
    303034340234390234340239390101056672617564030101020103010401050601070809066e6f726d616c00c801
    c801c8011008612064657461696c010672657461696c0234340e556e69746564204b696e67646f6d80b9dd2e0345
    55523ed0e4a43080b9dd2e000000000000e807000700020101feffffffffffffffffffffffffffffffffff030101
    020304050450434d41103139322e302e322e31303a3430303030015a01010b0876656e646f722d61020f3139322e
    302e322e32303a35303630000435663063023439023434032b3439030101030105010601070809066e6f726d616c
    01c80110010672657461696c0234340e556e69746564204b696e67646f6d80b9dd2e034555523ed0e4a43080b9dd
    2e000000000000e8070007000000000000000001010106726174696e6704636f7265000774696d656f7574030101
    cfe4a4300003756470113139382e35312e3130302e313a353036300663616c6c657206737769746368123139382e
    35312e3130302e313a32303030300103756470113139382e35312e3130302e313a35303630046f75727306746865
    6972730201fe030104123139382e35312e3130302e313a323030303201047465737401010b6c6174655f616e7377
    657201070561626f76650672657461696c0234340e556e69746564204b696e67646f6d80b9dd2e034555523e80e8
    922680b9dd2e000000000000e807000700";

/// Format 4, without resellers.
const GOLDEN_4: &str = "
    04ef9bafcdf8acd1910101066e6f64652d31067075626c69630f3139322e302e322e31303a3530363011312d3233
    3435403139322e302e322e31300e736f6d652070686f6e6520312e3001066f6666696365010461636d6502343904
    303034340234390234340239390101056672617564030101020103010401050601070809066e6f726d616c00c801
    c801c8011008612064657461696c010672657461696c0234340e556e69746564204b696e67646f6d80b9dd2e0345
    55523ed0e4a43080b9dd2e000000000000e807000700020101feffffffffffffffffffffffffffffffffff030101
    020304050450434d41103139322e302e322e31303a3430303030015a01010b0876656e646f722d61020f3139322e
    302e322e32303a35303630000435663063023439023434032b3439030101030105010601070809066e6f726d616c
    01c80110010672657461696c0234340e556e69746564204b696e67646f6d80b9dd2e034555523ed0e4a43080b9dd
    2e000000000000e8070007000000000000000001010106726174696e6704636f7265000774696d656f7574030101
    cfe4a4300003756470113139382e35312e3130302e313a353036300663616c6c657206737769746368123139382e
    35312e3130302e313a32303030300103756470113139382e35312e3130302e313a35303630046f75727306746865
    6972730201fe030104123139382e35312e3130302e313a323030303201047465737401010b6c6174655f616e7377
    6572";

/// Format 3, without flags.
const GOLDEN_3: &str = "
    03ef9bafcdf8acd1910101066e6f64652d31067075626c69630f3139322e302e322e31303a3530363011312d3233
    3435403139322e302e322e31300e736f6d652070686f6e6520312e3001066f6666696365010461636d6502343904
    303034340234390234340239390101056672617564030101020103010401050601070809066e6f726d616c00c801
    c801c8011008612064657461696c010672657461696c0234340e556e69746564204b696e67646f6d80b9dd2e0345
    55523ed0e4a43080b9dd2e000000000000e807000700020101feffffffffffffffffffffffffffffffffff030101
    020304050450434d41103139322e302e322e31303a3430303030015a01010b0876656e646f722d61020f3139322e
    302e322e32303a35303630000435663063023439023434032b3439030101030105010601070809066e6f726d616c
    01c80110010672657461696c0234340e556e69746564204b696e67646f6d80b9dd2e034555523ed0e4a43080b9dd
    2e000000000000e8070007000000000000000001010106726174696e6704636f7265000774696d656f7574030101
    cfe4a4300003756470113139382e35312e3130302e313a353036300663616c6c657206737769746368123139382e
    35312e3130302e313a32303030300103756470113139382e35312e3130302e313a35303630046f75727306746865
    6972730201fe030104123139382e35312e3130302e313a3230303032";

fn document() -> CallDocument {
    let charge = ChargeRecord {
        deck: "retail".into(),
        prefix: "44".into(),
        destination: "United Kingdom".into(),
        price: Money(49_000_000),
        currency: "EUR".into(),
        billed_s: 62,
        amount: Money(50_633_000),
        row: PriceRow { price_first: Money(49_000_000), ..PriceRow::default() },
        rounding: PriceRounding::default(),
    };
    let attempt = AttemptRecord {
        number: 1,
        trunk: 11,
        trunk_name: "vendor-a".into(),
        vendor_account: 2,
        target: "192.0.2.20:5060".into(),
        skipped: false,
        transport: "udp".into(),
        local: "198.51.100.1:5060".into(),
        sip_call_id: "5f0c".into(),
        our_tag: "ours".into(),
        vendor_tag: "theirs".into(),
        caller_out: "49".into(),
        callee_out: "44".into(),
        identity_out: "+49".into(),
        generation: 3,
        sent_ms: 1,
        sends: 2,
        first_response_ms: Some(510),
        ringing_ms: Some(3),
        media_ms: Some(4),
        answer_ms: Some(5),
        end_ms: Some(6),
        pdd_ms: Some(7),
        duration_ms: 8,
        billable_ms: 9,
        end_reason: "normal".into(),
        ended_by: EndedBy::Callee,
        code: 200,
        cause: 16,
        buy: Some(charge.clone()),
        flags: vec!["late_answer".into()],
        media: MediaRecord { local: "198.51.100.1:20002".into(), ..MediaRecord::default() },
    };
    CallDocument {
        call: CallRecord {
            id: 0x0123_4567_89ab_cdef,
            state: RecordState::Final,
            node: "node-1".into(),
            listener: "public".into(),
            source: "192.0.2.10:5060".into(),
            transport: "udp".into(),
            local: "198.51.100.1:5060".into(),
            sip_call_id: "1-2345@192.0.2.10".into(),
            caller_tag: "caller".into(),
            our_tag: "switch".into(),
            user_agent: "some phone 1.0".into(),
            trunk: 1,
            trunk_name: "office".into(),
            account: 1,
            account_name: "acme".into(),
            caller_in: "49".into(),
            callee_in: "0044".into(),
            caller_route: "49".into(),
            callee_route: "44".into(),
            tech_prefix_in: "99".into(),
            private: true,
            marks: vec!["fraud".into()],
            generation: 3,
            invite_ms: 1,
            ringing_ms: Some(2),
            media_ms: Some(3),
            answer_ms: Some(4),
            end_ms: Some(5),
            evidence_ms: 6,
            pdd_ms: Some(7),
            duration_ms: 8,
            billable_ms: 9,
            end_reason: "normal".into(),
            ended_by: EndedBy::Caller,
            code_received: 200,
            code_chosen: 200,
            code_returned: 200,
            cause: 16,
            detail: "a detail".into(),
            sell: Some(charge.clone()),
            resellers: vec![ResellerCharge {
                account: 7,
                account_name: "above".into(),
                charge: ChargeRecord { amount: Money(40_000_000), ..charge },
            }],
            cost: Money(1),
            profit: Money(-1),
            balance_after: Some(Money(i128::MAX)),
            rerate: true,
            media: MediaRecord {
                rtp_in: 1,
                rtp_out: 2,
                bytes_in: 3,
                dropped: 4,
                rtcp_in: 5,
                codec: "PCMA".into(),
                remote: "192.0.2.10:40000".into(),
                local: "198.51.100.1:20000".into(),
            },
            processing_us: Some(90),
            flags: vec!["test".into()],
        },
        attempts: vec![attempt],
        trail: vec![TrailEntry {
            at_ms: 1,
            attempt: 1,
            hook: "rating".into(),
            plugin: "core".into(),
            answer: Text::default(),
            fault: "timeout".into(),
            micros: 3,
        }],
        postings: vec![Posting {
            account: 1,
            amount: Money(-50_633_000),
            kind: PostingKind::CallCharge,
        }],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_of_the_format_that_is_written_do_not_change() {
    let bytes = encode(&document(), Vec::new()).expect("it is written");
    let golden: String = GOLDEN.split_whitespace().collect();
    assert_eq!(hex(&bytes), golden, "another encoding is another format");
    assert_eq!(decode(&bytes, "it").expect("it is read"), document());
}

/// The bytes of a hexadecimal text.
fn bytes_of(golden: &str) -> Vec<u8> {
    let golden: String = golden.split_whitespace().collect();
    let pairs = golden.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
}

#[test]
fn what_formats_3_and_4_wrote_is_read() {
    let mut before = document();
    before.call.resellers.clear();
    assert_eq!(decode(&bytes_of(GOLDEN_4), "it").expect("it is read"), before);
    before.call.flags.clear();
    before.attempts[0].flags.clear();
    assert_eq!(decode(&bytes_of(GOLDEN_3), "it").expect("it is read"), before);
}

#[test]
fn a_document_is_read_whole_or_not_at_all() {
    let bytes = encode(&document(), Vec::new()).expect("it is written");
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length], "it").is_err(), "{length} bytes of {}", bytes.len());
    }
    let more = [&bytes[..], &[0]].concat();
    let refused = decode(&more, "it").expect_err("a byte more").to_string();
    assert_eq!(refused, "it does not read back: 1 bytes follow its end");
    let later = [&[FORMAT + 1], &bytes[1..]].concat();
    let refused = decode(&later, "it").expect_err("a later one").to_string();
    assert_eq!(refused, format!("it does not read back: format {} is not known", FORMAT + 1));
}
