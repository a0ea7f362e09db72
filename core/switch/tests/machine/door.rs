//! Who may call: strangers, digest users, password guessers (SIG-50 to SIG-54, SEC-01, SEC-20,
//! SEC-22).

use crate::support::agent::{CallerPlan, VendorPlan};
use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, customer, known_to_vendors, operator, put_customers, vendor,
};
use crate::support::{Stage, call, hangs_up_after, sent, stage_of};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sip::Message;
use sip::digest::{Algorithm, Answer, Challenge, Ha1s};
use std::sync::Arc;
use std::time::Duration;
use strowger_switch::facts::{Authentication, CustomerTrunk, DigestUser, Facts};

/// An address that no trunk names.
const ELSEWHERE: &str = "10.9.0.9:5060";
const PASSWORD: &str = "correct horse battery";

/// A customer that authenticates by digest from any address.
fn digest_customer(id: u32, user: &str, tech_prefix: &str) -> CustomerTrunk {
    CustomerTrunk {
        networks: Vec::new(),
        authentication: Authentication::Digest,
        digest: Some(DigestUser {
            user: user.into(),
            realm: "switch.example".into(),
            ha1s: Ha1s::of_password(user, "switch.example", PASSWORD),
            algorithms: None,
        }),
        tech_prefix: tech_prefix.into(),
        ..customer(id, &format!("trunk-{id}"), CALLER)
    }
}

fn digest_operator() -> Facts {
    operator(digest_customer(1, "acme", ""), vec![vendor(11, "vendor-a", &[VENDOR_A], 1)])
}

fn stage(facts: Facts) -> Stage {
    stage_of(facts, VendorPlan::answers(), VendorPlan::answers())
}

fn invite_with(header: &str) -> String {
    numbered("44", 1, header)
}

/// The INVITE number `n` of a stranger to `callee`.
fn numbered(callee: &str, n: u32, header: &str) -> String {
    format!(
        "INVITE sip:{callee}@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {ELSEWHERE};rport;branch=z9hG4bK{n}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:1@x>;tag=1\r\nTo: <sip:{callee}@10.0.0.1>\r\nCall-ID: odd{n}\r\n\
         CSeq: {n} INVITE\r\nContact: <sip:1@{ELSEWHERE}>\r\n{header}Content-Length: 0\r\n\r\n"
    )
}

/// The switch's responses to a stranger's message within 10 ms.
fn answers(stage: &mut Stage, from: &str, message: &str) -> Vec<String> {
    stage.wire.clear();
    stage.inject(from, message.as_bytes());
    stage.run(Duration::from_millis(10));
    sent(stage, from, "SIP/2.0 ")
}

/// An Authorization line for a call to `callee`, in answer to the challenge in `refusal`.
fn proof(refusal: &str, user: &str, password: &str, callee: &str, by: &[Algorithm]) -> String {
    let refusal = Message::parse(refusal.as_bytes()).expect("a response");
    let challenge = Challenge::choose(&refusal, by).expect("a challenge");
    let uri = format!("sip:{callee}@10.0.0.1");
    let answer = Answer { username: user, password, method: "INVITE", uri: &uri, count: 1 };
    let value = challenge.answer(&answer, &mut StdRng::seed_from_u64(3));
    format!("Authorization: {value}\r\n")
}

/// Calls, answers the challenge, and returns the status of the next response, if there is one.
fn log_in(stage: &mut Stage, from: &str, password: &str, callee: &str, n: u32) -> Option<u16> {
    let refusal = answers(stage, from, &numbered(callee, n, "")).pop()?;
    assert!(refusal.starts_with("SIP/2.0 401 "), "{refusal}");
    let line = proof(&refusal, "acme", password, callee, &Algorithm::ALL);
    let answer = answers(stage, from, &numbered(callee, n + 1, &line)).into_iter().next()?;
    Some(Message::parse(answer.as_bytes()).expect("a response").status())
}

/// SIG-54, SEC-01: right credentials for another number are refused, but are not a guess.
#[test]
fn credentials_of_another_number_are_refused_and_not_counted_as_guesses() {
    let mut stage = stage(digest_operator());
    // They count neither as wrong passwords nor as a flood.
    for n in 1..=40 {
        let refusal = answers(&mut stage, ELSEWHERE, &numbered("44", 2 * n, "")).pop();
        let refusal = refusal.expect("a challenge, not the silence of a lockout");
        let line = proof(&refusal, "acme", PASSWORD, "33", &Algorithm::ALL);
        let answer = answers(&mut stage, ELSEWHERE, &numbered("44", 2 * n + 1, &line));
        assert!(answer[0].starts_with("SIP/2.0 403 "), "{answer:?}");
    }
    assert_eq!(log_in(&mut stage, ELSEWHERE, PASSWORD, "44", 90), Some(100));
}

/// ROUTE-11, RFC 3261 section 17.1.3: a digest customer's responses come from its own address,
/// which no trunk names.
#[test]
fn a_digest_customer_answers_our_bye() {
    let plan = VendorPlan { hangup: Some(Duration::from_secs(5)), ..VendorPlan::answers() };
    let mut stage = stage_of(digest_operator(), plan, VendorPlan::answers());
    stage.agent(CALLER).credentials = Some(("acme", PASSWORD));
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(sent(&stage, CALLER, "BYE ").len(), 1, "its 200 was heard");
    assert_eq!(stage.finals[0].call.end_reason, "callee_hangup");
}

/// SIG-92, SIG-13, SEC-20: where users may call from anywhere, a stranger's INVITE gets one 401,
/// and everything else gets no answer. At a listener that admits no users the INVITE gets none
/// either.
#[test]
fn strangers_get_one_401_where_users_may_come_from_anywhere_and_else_silence() {
    let mut stage = stage(digest_operator());
    let invite = invite_with("");
    for bytes in [
        invite.replace("Max-Forwards: 70", "Max-Forwards: 0"),
        invite.replace("Max-Forwards: 70\r\n", "Max-Forwards: 70\r\nRequire: rubbish\r\n"),
        invite.replace("INVITE", "CANCEL"),
        invite.replace("INVITE", "OPTIONS"),
        invite.replace("<sip:44@10.0.0.1>", "<sip:44@10.0.0.1>;tag=made-up"),
        invite.replace("INVITE", "BYE"),
        "no SIP at all\r\n\r\n".to_owned(),
    ] {
        stage.inject(ELSEWHERE, bytes.as_bytes());
    }
    stage.run(Duration::from_secs(1));
    let wire: Vec<_> = stage.wire.iter().map(|w| String::from_utf8_lossy(&w.2)).collect();
    assert!(wire.is_empty(), "{wire:?}");
    assert_eq!(answers(&mut stage, ELSEWHERE, &invite).len(), 1, "a user may be there");

    let mut facts = digest_operator();
    facts.listeners[0].digest_from_anywhere = false;
    let mut closed = self::stage(facts);
    assert!(answers(&mut closed, ELSEWHERE, &invite).is_empty());
    assert_eq!(closed.switch.counters().unknown_source, 1);
}

/// RFC 3261 section 26.3.2.4: a stranger is answered once, without state. A forged address gains
/// little: the bytes out per byte in are bounded.
#[test]
fn a_stranger_is_answered_once_small_and_forgotten() {
    let mut stage = stage(digest_operator());
    let invite = invite_with("");
    stage.inject(ELSEWHERE, invite.as_bytes());
    stage.run(Duration::from_millis(10));
    assert_eq!(stage.switch.transactions(), 0);
    assert_eq!(stage.switch.poll_timeout(), None, "nothing is waited for");
    stage.run(Duration::from_secs(40));
    let refusals = sent(&stage, ELSEWHERE, "");
    assert_eq!(refusals.len(), 1, "never sent again: {refusals:?}");
    assert!(refusals[0].len() <= invite.len() * 2, "{} / {}", refusals[0].len(), invite.len());
    // The same To tag for the same INVITE (RFC 3261 section 8.2.7).
    let tag =
        |text: &str| Message::parse(text.as_bytes()).expect("one").to_tag().map(str::to_owned);
    let again = answers(&mut stage, ELSEWHERE, &invite);
    assert_eq!(tag(&again[0]), tag(&refusals[0]));

    // The smallest possible INVITE: at most three bytes for each of its own, or no answer.
    let tiny = "INVITE sip:4@h SIP/2.0\r\nv:SIP/2.0/UDP h;branch=z9hG4bK7\r\nf:<sip:a@h>;tag=1\r\n\
                t:<sip:4@h>\r\ni:1\r\nCSeq:1 INVITE\r\n\r\n";
    let out: usize = answers(&mut stage, ELSEWHERE, tiny).iter().map(String::len).sum();
    assert!(out <= 3 * tiny.len(), "{out} bytes for {}", tiny.len());
}

/// SEC-22: a source that sends many INVITEs is answered within its budget and then locked out; no
/// other source is, and no state accumulates.
#[test]
fn a_flood_of_one_source_is_answered_twenty_times() {
    let mut stage = stage(digest_operator());
    for n in 1..=5000 {
        stage.inject(ELSEWHERE, numbered("44", n, "").as_bytes());
    }
    stage.run(Duration::from_secs(1));
    assert!(sent(&stage, ELSEWHERE, "SIP/2.0 401").len() <= 20);
    assert_eq!(stage.switch.transactions(), 0);
    let lockouts = stage.strangers.lockouts(stage.now);
    assert_eq!((lockouts.len(), lockouts[0].cause), (1, "flood"), "{lockouts:?}");
    assert_eq!(log_in(&mut stage, "10.9.0.10:5060", PASSWORD, "4420123", 1), Some(100));
    // Hardly any packet from there is handled, but a user who did not send the flood gets in.
    let mut heard = |n| !answers(&mut stage, ELSEWHERE, &numbered("44", n, "")).is_empty();
    assert_eq!((6000..6100).filter(|n| heard(*n)).count(), 2);
    stage.run(Duration::from_secs(2));
    assert_eq!(log_in(&mut stage, ELSEWHERE, PASSWORD, "44", 7000), Some(100));
    assert_eq!(stage.strangers.lockouts(stage.now), []);
}

/// SEC-01: a source that guesses a user's passwords is locked out for that user, and then gets no
/// answer, even with the right password. The lockout is listed. The user itself can log in from
/// elsewhere, and after a while from there.
#[test]
fn who_guesses_passwords_is_locked_out() {
    let mut stage = stage(digest_operator());
    for n in 0..6 {
        assert_eq!(log_in(&mut stage, ELSEWHERE, "guess", "4420123", 2 * n + 1), Some(403));
        stage.run(Duration::from_secs(1));
    }
    assert_eq!(log_in(&mut stage, ELSEWHERE, PASSWORD, "4420123", 101), None);
    assert_eq!(stage.switch.counters().auth_failed, 6);
    let lockouts = stage.strangers.lockouts(stage.now);
    assert_eq!(lockouts.len(), 1, "{lockouts:?}");
    assert_eq!(lockouts[0].user.as_deref(), Some("acme"));
    assert_eq!(lockouts[0].source.to_string(), "10.9.0.9");
    assert_eq!(log_in(&mut stage, "10.9.0.10:5060", PASSWORD, "4420123", 201), Some(100));
    stage.run(Duration::from_secs(180));
    assert_eq!(log_in(&mut stage, ELSEWHERE, PASSWORD, "4420123", 301), Some(100));
    assert_eq!(stage.strangers.lockouts(stage.now), []);
}

/// SEC-01: additional credentials for another realm do not hide whose password is guessed.
#[test]
fn a_second_realm_hides_no_guesses() {
    let mut acme = digest_customer(1, "acme", "");
    acme.authentication = Authentication::AddressAndDigest;
    acme.networks = customer(1, "acme", CALLER).networks;
    let facts = operator(acme, vec![vendor(11, "vendor-a", &[VENDOR_A], 1)]);
    let mut stage = stage(facts);
    let mut looked_at = 0;
    for n in 0..20 {
        let first = numbered("4420123", 2 * n + 1, "").replace(ELSEWHERE, CALLER);
        let refusal = answers(&mut stage, CALLER, &first).remove(0);
        let guess = proof(&refusal, "acme", "a guess", "4420123", &Algorithm::ALL);
        let lines = format!(
            "Authorization: Digest username=\"other{n}\", realm=\"other.example\", nonce=\"1\", \
             uri=\"sip:1@x\", response=\"0\"\r\n{guess}"
        );
        let second = numbered("4420123", 2 * n + 2, &lines).replace(ELSEWHERE, CALLER);
        looked_at += usize::from(!answers(&mut stage, CALLER, &second).is_empty());
    }
    assert_eq!(looked_at, 6);
    let lockouts = stage.strangers.lockouts(stage.now);
    assert_eq!(lockouts.len(), 1, "{lockouts:?}");
    assert_eq!(lockouts[0].user.as_deref(), Some("acme"));
}

/// SEC-01: credentials with a made-up nonce are not a guess, so nobody can lock out another user by
/// forging its address.
#[test]
fn nobody_is_locked_out_by_what_others_send_in_its_name() {
    let mut stage = stage(digest_operator());
    let refusal = answers(&mut stage, "10.9.0.66:5060", &invite_with("")).remove(0);
    for n in 0..8 {
        // A nonce given to somebody else, and a nonce given to nobody.
        let seen = proof(&refusal, "acme", "guess", "44", &Algorithm::ALL);
        let made_up = seen.replace("nonce=\"", "nonce=\"x");
        for (at, line) in [seen, made_up].into_iter().enumerate() {
            let n = 2 * n + u32::try_from(at).expect("few") + 1;
            let heard = answers(&mut stage, ELSEWHERE, &numbered("44", n, &line));
            assert!(heard[0].starts_with("SIP/2.0 401 ") && heard[0].contains("stale=true"));
        }
    }
    assert_eq!(stage.strangers.lockouts(stage.now), []);
    assert_eq!(stage.switch.counters().auth_failed, 0);
}

/// SIG-50: guessing names reveals nothing: existing and unknown names get the same answers, in
/// existing and in unknown realms.
#[test]
fn user_names_cannot_be_found_out() {
    for realm in ["switch.example", "elsewhere.example"] {
        let mut heard = Vec::new();
        for user in ["acme", "nobody"] {
            let mut stage = stage(digest_operator());
            let refusal = answers(&mut stage, ELSEWHERE, &invite_with("")).remove(0);
            let line = proof(&refusal, user, "a guess", "44", &Algorithm::ALL);
            let line = line.replace("realm=\"switch.example\"", &format!("realm=\"{realm}\""));
            let answer = answers(&mut stage, ELSEWHERE, &numbered("44", 2, &line)).remove(0);
            heard.push(answer.split("nonce=").next().map(str::to_owned));
        }
        assert_eq!(heard[0], heard[1]);
        let first = heard[0].as_deref().expect("an answer");
        let status = if realm == "switch.example" { "SIP/2.0 403 " } else { "SIP/2.0 401 " };
        assert!(first.starts_with(status), "{first}");
    }
}

/// SIG-54, RFC 7616 section 3.4.6: overheard credentials are useless for another number.
#[test]
fn credentials_are_for_the_number_that_was_called() {
    let mut stage = stage(digest_operator());
    let refusal = answers(&mut stage, ELSEWHERE, &invite_with("")).remove(0);
    let line = proof(&refusal, "acme", PASSWORD, "4420", &Algorithm::ALL);
    let other = answers(&mut stage, ELSEWHERE, &numbered("44", 2, &line));
    assert!(other[0].starts_with("SIP/2.0 403 "), "{other:?}");
    let own = answers(&mut stage, ELSEWHERE, &numbered("4420", 3, &line));
    assert!(own[0].starts_with("SIP/2.0 100 "), "what it was made for: {own:?}");
}

/// ROUTE-13: of two trunks with one user, the tech prefix of the called number decides who pays. A
/// number with neither prefix belongs to no trunk, and leaves a record.
#[test]
fn the_tech_prefix_tells_trunks_of_one_user_apart() {
    let mut facts = digest_operator();
    let trunks = [(1, "77"), (2, "88"), (3, "8899")];
    put_customers(&mut facts, trunks.map(|(id, prefix)| digest_customer(id, "acme", prefix)));
    let mut stage = stage(facts);
    for (n, (callee, trunk)) in
        [("774420123", 1), ("884420123", 2), ("88994420123", 3)].into_iter().enumerate()
    {
        let n = u32::try_from(n).expect("few") * 10 + 1;
        assert_eq!(log_in(&mut stage, ELSEWHERE, PASSWORD, callee, n), Some(100), "{callee}");
        let views: Vec<String> = stage.switch.calls().map(|call| call.trunk.to_string()).collect();
        assert!(views.contains(&format!("trunk-{trunk}")), "{callee}: {views:?}");
    }
    assert_eq!(log_in(&mut stage, ELSEWHERE, PASSWORD, "4420123", 101), Some(403));
    let record = &stage.finals[0].call;
    assert_eq!((record.end_reason.as_str(), record.code_returned), ("source_unknown", 403));
    assert_eq!(stage.strangers.lockouts(stage.now), [], "the password was right");
}

/// SIG-54, RFC 8760: old clients take the first challenge, which is MD5 unless the listener or the
/// trunk says otherwise. Where SHA-256 is required, no other hash is accepted.
#[test]
fn the_hashes_are_offered_in_the_order_that_is_set() {
    let offers = |text: &str| -> Vec<String> {
        let of_line = |line: &str| line.split_once("algorithm=").map(|(_, rest)| rest.to_owned());
        let name = |rest: String| rest.split(',').next().unwrap_or("").to_owned();
        text.lines().filter_map(of_line).map(name).collect()
    };
    let mut facts = digest_operator();
    assert_eq!(
        offers(&answers(&mut stage(facts), ELSEWHERE, &invite_with(""))[0]),
        ["MD5", "SHA-256"]
    );
    facts = digest_operator();
    facts.listeners[0].digest_algorithms = Arc::from([Algorithm::Sha256, Algorithm::Md5]);
    assert_eq!(
        offers(&answers(&mut stage(facts), ELSEWHERE, &invite_with(""))[0]),
        ["SHA-256", "MD5"]
    );

    facts = digest_operator();
    let mut strict = digest_customer(1, "acme", "");
    let only: Arc<[Algorithm]> = Arc::from([Algorithm::Sha256]);
    strict.digest.as_mut().expect("a user").algorithms = Some(only);
    put_customers(&mut facts, [strict]);
    let mut stage = stage(facts);
    let refusal = answers(&mut stage, ELSEWHERE, &invite_with("")).remove(0);
    let md5 = proof(&refusal, "acme", PASSWORD, "44", &[Algorithm::Md5]);
    let again = answers(&mut stage, ELSEWHERE, &numbered("44", 2, &md5)).remove(0);
    assert!(again.starts_with("SIP/2.0 401 "), "{again}");
    assert_eq!(offers(&again), ["SHA-256"]);
    let sha256 = proof(&again, "acme", PASSWORD, "44", &Algorithm::ALL);
    let let_in = answers(&mut stage, ELSEWHERE, &numbered("44", 3, &sha256)).remove(0);
    assert!(let_in.starts_with("SIP/2.0 100 "), "{let_in}");
}

/// SIG-53, SIG-54: a vendor that may only be answered with SHA-256 but asks for MD5 gets no
/// password hash: somebody may have removed its better challenge.
#[test]
fn a_vendors_weaker_challenge_is_not_answered_where_sha_256_is_demanded() {
    for (algorithm, attempts) in [("MD5", 1), ("SHA-256", 2)] {
        let mut first = vendor(11, "vendor-a", &[VENDOR_A], 1);
        let mut credentials = known_to_vendors();
        credentials.algorithms = Arc::from([Algorithm::Sha256]);
        first.credentials = Some(credentials);
        let second = vendor(12, "vendor-b", &[VENDOR_B], 2);
        let mut stage = stage(operator(customer(1, "acme", CALLER), vec![first, second]));
        let value = match algorithm {
            "MD5" => "Digest realm=\"carrier\", nonce=\"abc\", algorithm=MD5, qop=\"auth\"",
            _ => "Digest realm=\"carrier\", nonce=\"abc\", algorithm=SHA-256, qop=\"auth\"",
        };
        let challenge =
            VendorPlan { header: Some(("WWW-Authenticate", value)), ..VendorPlan::refuses(401) };
        stage.agent(VENDOR_A).plans = vec![challenge, VendorPlan::answers()];
        call(&mut stage, hangs_up_after(1));
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        assert_eq!(sent(&stage, VENDOR_A, "INVITE ").len(), attempts, "{algorithm}");
        let record = &stage.finals[0];
        let failed = record.attempts[0].end_reason == "vendor_auth_failed";
        assert_eq!(failed, algorithm == "MD5", "{:?}", record.attempts);
    }
}

/// Arbitrary credentials of a stranger: an answer within the budgets or none, no call, no state.
#[test]
fn odd_credentials_do_no_harm() {
    let mut rng = StdRng::seed_from_u64(18);
    let mut stage = stage(digest_operator());
    let refusal = answers(&mut stage, "10.9.1.1:5060", &invite_with("")).remove(0);
    let good = proof(&refusal, "acme", "guess", "44", &Algorithm::ALL);
    for n in 0..4000_u32 {
        let mut line = good.trim_end().as_bytes().to_vec();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..line.len());
            match rng.random_range(0..3) {
                0 => line[at] = rng.random(),
                1 => line.truncate(at.max(16)),
                _ => line.extend_from_within(at..),
            }
        }
        line.retain(|byte| !matches!(byte, b'\r' | b'\n'));
        let text = numbered("44", n + 1, "");
        let (head, tail) = text.split_at(text.find("Content-Length").expect("it is there"));
        let message = [head.as_bytes(), &line, b"\r\n", tail.as_bytes()].concat();
        let from = format!("10.9.{}.{}:5060", 2 + n / 250, 1 + n % 250);
        stage.inject(&from, &message);
        if n % 500 == 0 {
            stage.run(Duration::from_secs(1));
        }
    }
    stage.run(Duration::from_secs(40));
    assert_eq!((stage.switch.call_count(), stage.switch.transactions()), (0, 0));
    assert_eq!(stage.switch.counters().calls, 0);
    assert!(stage.finals.is_empty());
}
