//! Challenges, answers, replays (SIG-50..54, RFC 7616, RFC 8760).
// Test helpers may unwrap like the tests themselves.
#![allow(clippy::unwrap_used)]

use rand::SeedableRng;
use rand::rngs::StdRng;
use std::net::{IpAddr, Ipv4Addr};
use strowger_sip::digest::{
    Algorithm, Answer, Authority, Challenge, ChallengeError, Check, Credentials, Denial, Ha1s,
    NONCE_LIFE_MS, ReplayGuard,
};
use strowger_sip::{Message, Method};

const NOW: u64 = 1_795_000_000_000;
const REALM: &str = "sip.example.net";
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const BOTH: &[Algorithm] = &[Algorithm::Sha256, Algorithm::Md5];

fn response(status: u16, headers: &[(&str, &str)]) -> Message {
    let mut text = format!(
        "SIP/2.0 {status} Unauthorized\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n\
         From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>;tag=2\r\n\
         Call-ID: c\r\nCSeq: 1 INVITE\r\n"
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    Message::parse((text + "\r\n").as_bytes()).unwrap()
}

/// A listener, a trunk that knows a password, and the exchange between them.
struct Scene {
    authority: Authority,
    guard: ReplayGuard,
    ha1s: Ha1s,
    rng: StdRng,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            authority: Authority::new([7; 32]),
            guard: ReplayGuard::new(8, 0),
            ha1s: Ha1s::of_password("alice", REALM, "secret"),
            rng: StdRng::seed_from_u64(1),
        }
    }

    fn challenged(&mut self, at: u64) -> Challenge {
        let values = self.offers(at);
        let headers = [0, 1].map(|at| ("WWW-Authenticate", values[at].as_str()));
        Challenge::choose(&response(401, &headers), BOTH).unwrap()
    }

    /// The challenges for SHA-256, then for MD5.
    fn offers(&mut self, at: u64) -> Vec<String> {
        self.authority.challenges(PEER, REALM, BOTH, at, false, &mut self.rng)
    }

    fn answers(&mut self, challenge: &Challenge, password: &str, count: u32) -> String {
        let answer = Answer {
            username: "alice",
            password,
            method: "INVITE",
            uri: "sip:1000@sip.example.net",
            count,
        };
        challenge.answer(&answer, &mut self.rng)
    }

    fn verdict(&mut self, authorization: &str, at: u64) -> Result<(), Denial> {
        self.verdict_of(PEER, BOTH, authorization, at)
    }

    fn verdict_of(
        &mut self,
        peer: IpAddr,
        algorithms: &[Algorithm],
        authorization: &str,
        at: u64,
    ) -> Result<(), Denial> {
        let credentials = Credentials::parse(authorization).unwrap();
        let check = Check {
            method: Method::Invite.as_str(),
            realm: REALM,
            username: "alice",
            ha1s: &self.ha1s,
            algorithms,
        };
        let used = self.authority.verify(peer, &credentials, &check, at)?;
        self.guard.admit(&used, at)
    }
}

#[test]
fn sig_54_a_right_password_passes_with_the_better_hash() {
    let mut scene = Scene::new();
    let challenge = scene.challenged(NOW);
    let authorization = scene.answers(&challenge, "secret", 1);
    assert!(authorization.contains("algorithm=SHA-256"), "{authorization}");
    assert_eq!(challenge.header_name(), "Authorization");
    assert_eq!(scene.verdict(&authorization, NOW + 20), Ok(()));
}

#[test]
fn sig_54_a_peer_with_md5_only_passes_too() {
    let mut scene = Scene::new();
    let md5 = scene.offers(NOW).remove(1);
    let challenge =
        Challenge::choose(&response(407, &[("Proxy-Authenticate", &md5)]), BOTH).unwrap();
    assert_eq!(challenge.header_name(), "Proxy-Authorization");
    let authorization = scene.answers(&challenge, "secret", 1);
    assert!(authorization.contains("algorithm=MD5"), "{authorization}");
    assert_eq!(scene.verdict(&authorization, NOW), Ok(()));
    scene.ha1s.md5 = None;
    let authorization = scene.answers(&challenge, "secret", 2);
    assert_eq!(
        scene.verdict(&authorization, NOW),
        Err(Denial::Wrong),
        "only a SHA-256 hash is stored"
    );
}

#[test]
fn a_wrong_password_user_realm_or_method_is_refused() {
    let mut scene = Scene::new();
    let challenge = scene.challenged(NOW);
    let wrong = scene.answers(&challenge, "guess", 1);
    assert_eq!(scene.verdict(&wrong, NOW), Err(Denial::Wrong));
    let right = scene.answers(&challenge, "secret", 1);
    assert_eq!(scene.verdict(&right.replace("\"alice\"", "\"bob\""), NOW), Err(Denial::Wrong));
    assert_eq!(
        scene.verdict(&right.replace(&format!("realm=\"{REALM}\""), "realm=\"other\""), NOW),
        Err(Denial::Wrong)
    );
    assert_eq!(scene.verdict(&right.replace("SHA-256", "SHA-512-256"), NOW), Err(Denial::Wrong));
    assert_eq!(scene.verdict(&right, NOW), Ok(()), "none of these used up the count");
}

#[test]
fn sig_54_a_nonce_lives_300_s_and_on_every_node_with_the_secret() {
    let mut scene = Scene::new();
    let challenge = scene.challenged(NOW);
    let authorization = scene.answers(&challenge, "secret", 1);
    scene.authority = Authority::new([7; 32]);
    assert_eq!(scene.verdict(&authorization, NOW + NONCE_LIFE_MS), Ok(()));
    let later = scene.answers(&challenge, "secret", 2);
    assert_eq!(scene.verdict(&later, NOW + NONCE_LIFE_MS + 1), Err(Denial::Stale));
    scene.authority = Authority::new([8; 32]);
    assert_eq!(scene.verdict(&later, NOW), Err(Denial::Stale), "a nonce that is not ours");
}

#[test]
fn sig_54_a_nonce_count_is_good_once_in_any_order() {
    let mut scene = Scene::new();
    let challenge = scene.challenged(NOW);
    let answers: Vec<String> = (1..=3).map(|n| scene.answers(&challenge, "secret", n)).collect();
    assert_eq!(scene.verdict(&answers[0], NOW), Ok(()));
    assert_eq!(scene.verdict(&answers[2], NOW), Ok(()));
    assert_eq!(scene.verdict(&answers[1], NOW), Ok(()), "overtaken, not replayed");
    for answer in &answers {
        assert_eq!(scene.verdict(answer, NOW), Err(Denial::Replayed));
    }
    let far = scene.answers(&challenge, "secret", 500);
    assert_eq!(scene.verdict(&far, NOW), Ok(()));
    let behind = scene.answers(&challenge, "secret", 400);
    assert_eq!(scene.verdict(&behind, NOW), Err(Denial::Replayed), "behind the window");
}

#[test]
fn the_replay_guard_stays_bounded_and_forgets_nothing_to_an_attacker() {
    let mut scene = Scene::new();
    let first = scene.challenged(NOW);
    let first_answer = scene.answers(&first, "secret", 1);
    assert_eq!(scene.verdict(&first_answer, NOW), Ok(()));
    for later in 1..=20 {
        let challenge = scene.challenged(NOW + later);
        let authorization = scene.answers(&challenge, "secret", 1);
        assert_eq!(scene.verdict(&authorization, NOW + later), Ok(()));
        assert!(scene.guard.len() <= 8);
    }
    assert_eq!(
        scene.verdict(&first_answer, NOW + 30),
        Err(Denial::Stale),
        "pushed out, not reopened"
    );
}

#[test]
fn a_peer_without_qop_can_use_a_nonce_once() {
    let mut scene = Scene::new();
    let md5 = scene.offers(NOW).remove(1);
    let old_style = md5.replace(", qop=\"auth\"", "").replace(", algorithm=MD5", "");
    let challenge =
        Challenge::choose(&response(401, &[("WWW-Authenticate", &old_style)]), BOTH).unwrap();
    let authorization = scene.answers(&challenge, "secret", 1);
    assert!(!authorization.contains("qop") && !authorization.contains("algorithm"));
    assert_eq!(scene.verdict(&authorization, NOW), Ok(()));
    assert_eq!(scene.verdict(&authorization, NOW), Err(Denial::Replayed));
}

#[test]
fn sig_53_a_vendors_challenges_may_share_a_line_and_carry_what_we_do_not_speak() {
    let line = "Digest realm=\"v\", nonce=\"a,b\", qop=\"auth-int,auth\", algorithm=MD5, opaque=\"x\", \
                Negotiate abc=, Digest realm=\"v\",nonce=\"n2\", qop=\"auth\", algorithm=SHA-256, stale=TRUE";
    let challenge = Challenge::choose(&response(401, &[("WWW-Authenticate", line)]), BOTH).unwrap();
    assert_eq!((challenge.nonce.as_str(), challenge.stale), ("n2", true));

    let md5 = line.split(", Negotiate").next().unwrap();
    let challenge = Challenge::choose(&response(401, &[("WWW-Authenticate", md5)]), BOTH).unwrap();
    assert_eq!(challenge.nonce, "a,b");
    let mut rng = StdRng::seed_from_u64(2);
    let answer = Answer { username: "u", password: "p", method: "BYE", uri: "sip:v", count: 0x1f };
    let value = challenge.answer(&answer, &mut rng);
    assert!(value.contains("opaque=\"x\"") && value.contains("nc=0000001f"), "{value}");
    assert!(value.contains("qop=auth,"), "{value}");

    let unknown = [("WWW-Authenticate", "Digest realm=\"v\", nonce=\"n\", algorithm=AKAv1-MD5")];
    let error = Challenge::choose(&response(401, &unknown), BOTH).unwrap_err();
    assert!(matches!(&error, ChallengeError::Unsupported { offered } if offered.contains("AKA")));
    let error = Challenge::choose(&response(401, &[]), BOTH).unwrap_err();
    assert_eq!(error, ChallengeError::Missing { status: 401 });
}

/// Values that an answer repeats between quotes must be quotable.
#[test]
fn a_challenge_with_a_stray_quote_is_not_answered() {
    for line in [
        "Digest realm=\"v\", nonce=\"a\"b\", qop=\"auth\"",
        "Digest realm=v\", nonce=n, qop=auth",
        "Digest realm=v, nonce=n, opaque=x\\",
    ] {
        let error = Challenge::choose(&response(401, &[("WWW-Authenticate", line)]), BOTH);
        assert!(matches!(error, Err(ChallengeError::Unsupported { .. })), "{line}");
    }
    let line = "Digest realm=\"a \\\" b\", nonce=n";
    assert!(Challenge::choose(&response(401, &[("WWW-Authenticate", line)]), BOTH).is_ok());
}

#[test]
fn rfc_4475_3_3_12_an_unknown_scheme_is_no_digest() {
    assert_eq!(Credentials::parse("NoOneKnowsThisScheme opaque-data=here"), None);
    assert_eq!(Credentials::parse("Digest username=\"a\""), None);
    assert_eq!(Credentials::parse(""), None);
}

/// SIG-54, RFC 7616 5.3: a nonce is valid only for the peer that received it, and credentials with
/// an invented nonce are not checked.
#[test]
fn a_nonce_is_for_the_peer_that_got_it() {
    let mut scene = Scene::new();
    let challenge = scene.challenged(NOW);
    let right = scene.answers(&challenge, "secret", 1);
    let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    assert_eq!(scene.verdict_of(other, BOTH, &right, NOW), Err(Denial::Stale));
    for invented in ["", "0", &"A".repeat(24), &"\u{e9}".repeat(12)] {
        let guess = scene.answers(&challenge, "guess", 1).replace(&challenge.nonce, invented);
        assert_eq!(scene.verdict(&guess, NOW), Err(Denial::Stale), "{invented}");
    }
    assert_eq!(scene.verdict(&right, NOW), Ok(()));
}

/// SIG-54: where SHA-256 is required, MD5 is refused even with the right password; a peer without
/// the password learns nothing about that.
#[test]
fn md5_does_not_do_where_sha_256_is_demanded() {
    const ONLY: &[Algorithm] = &[Algorithm::Sha256];
    let mut scene = Scene::new();
    let offers = scene.offers(NOW);
    let offered = response(401, &[("WWW-Authenticate", &offers[1])]);
    let md5 = Challenge::choose(&offered, BOTH).unwrap();
    let right = scene.answers(&md5, "secret", 1);
    assert_eq!(scene.verdict_of(PEER, ONLY, &right, NOW), Err(Denial::Algorithm));
    let wrong = scene.answers(&md5, "guess", 1);
    assert_eq!(scene.verdict_of(PEER, ONLY, &wrong, NOW), Err(Denial::Wrong));
    // The client side: a challenge that offers only MD5 is not answered.
    let error = Challenge::choose(&offered, ONLY).unwrap_err();
    assert!(matches!(error, ChallengeError::Unsupported { .. }));
    let only = scene.authority.challenges(PEER, REALM, ONLY, NOW, false, &mut scene.rng);
    assert_eq!(only.len(), 1, "MD5 is not offered");
    let offered = response(401, &[("WWW-Authenticate", &only[0])]);
    let sha256 = Challenge::choose(&offered, ONLY).unwrap();
    let right = scene.answers(&sha256, "secret", 1);
    assert_eq!(scene.verdict_of(PEER, ONLY, &right, NOW), Ok(()));
}
