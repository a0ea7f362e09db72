//! The 49 torture messages of RFC 4475: the valid ones are understood, the others refused with the
//! status and reason that name the fault; none panics.
// Test helpers may unwrap like the tests themselves.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use strowger_sip::percent::decode;
use strowger_sip::{Flow, Message, Method, NameAddrRef, UriRef, salvage};

/// The switch's reaction to a message.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Passed to the transaction layer.
    Understood,
    /// A dropped response, with the reason.
    Dropped(String),
    /// A request answered with this status line.
    Answered(String),
}

/// Name, section of RFC 4475, outcome: `ok`, `drop reason`, or the status and phrase sent.
const MESSAGES: &[(&str, &str, &str)] = &[
    ("wsinv", "3.1.1.1", "ok"),
    ("intmeth", "3.1.1.2", "ok"),
    ("esc01", "3.1.1.3", "ok"),
    ("escnull", "3.1.1.4", "ok"),
    ("esc02", "3.1.1.5", "ok"),
    ("lwsdisp", "3.1.1.6", "ok"),
    ("longreq", "3.1.1.7", "ok"),
    ("dblreq", "3.1.1.8", "ok"),
    ("semiuri", "3.1.1.9", "ok"),
    ("transports", "3.1.1.10", "ok"),
    ("mpart01", "3.1.1.11", "ok"),
    ("unreason", "3.1.1.12", "ok"),
    ("noreason", "3.1.1.13", "ok"),
    ("badinv01", "3.1.2.1", "400 bad Via header: not of the form SIP/2.0/transport"),
    ("clerr", "3.1.2.2", "400 Content-Length 9999 is more than the 132 bytes present"),
    ("ncl", "3.1.2.3", "400 bad Content-Length header: is not a number"),
    ("scalar02", "3.1.2.4", "400 bad CSeq header: number is not below 2^31"),
    ("scalarlg", "3.1.2.5", "drop bad CSeq header: number is not below 2^31"),
    ("quotbal", "3.1.2.6", "400 bad To header: quoted string is not closed"),
    ("ltgtruri", "3.1.2.7", "400 bad start line: Request-URI in angle brackets"),
    ("lwsruri", "3.1.2.8", "400 bad start line: white space inside the Request-URI"),
    ("lwsstart", "3.1.2.9", "400 bad start line: more than one space around the Request-URI"),
    ("trws", "3.1.2.10", "400 bad start line: space after the SIP version"),
    ("escruri", "3.1.2.11", "400 bad Request-URI: headers are not allowed in it"),
    ("baddate", "3.1.2.12", "400 bad Date header: not in GMT"),
    ("regbadct", "3.1.2.13", "400 bad Contact header: URI with `,` or `?` needs angle brackets"),
    ("badaspec", "3.1.2.14", "400 bad To header: white space, quote or bracket inside the URI"),
    ("baddn", "3.1.2.15", "400 bad From header: comma in a display name without quotes"),
    ("badvers", "3.1.2.16", "505 SIP/7.0 is not supported"),
    ("mismatch01", "3.1.2.17", "400 CSeq method INVITE does not match request method OPTIONS"),
    ("mismatch02", "3.1.2.18", "400 CSeq method INVITE does not match request method NEWMETHOD"),
    ("bigcode", "3.1.2.19", "drop bad start line: status code is not in 100-699"),
    ("badbranch", "3.2.1", "ok"),
    ("insuf", "3.3.1", "400 missing From header"),
    ("unkscm", "3.3.2", "416 unsupported URI scheme nobodyKnowsThisScheme"),
    ("novelsc", "3.3.3", "416 unsupported URI scheme soap.beep"),
    ("unksm2", "3.3.4", "400 To of a REGISTER is not a SIP URI"),
    ("bext01", "3.3.5", "420 Bad Extension"),
    ("invut", "3.3.6", "415 unsupported media type application/unknownformat"),
    ("regaut01", "3.3.7", "ok"),
    ("multi01", "3.3.8", "400 more than one CSeq header"),
    ("mcl01", "3.3.9", "400 more than one Content-Length header"),
    ("bcast", "3.3.10", "drop response has 2 Via values, not one"),
    ("zeromf", "3.3.11", "ok"),
    ("cparam01", "3.3.12", "ok"),
    ("cparam02", "3.3.13", "ok"),
    ("regescrt", "3.3.14", "ok"),
    ("sdp01", "3.3.15", "406 Accept excludes application/sdp"),
    ("inv2543", "3.4.1", "ok"),
];

fn bytes(name: &str) -> Vec<u8> {
    let path = format!("{}/testdata/rfc4475/{name}.sip", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn message(name: &str) -> Message {
    Message::parse(&bytes(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn source() -> SocketAddr {
    "198.51.100.7:5062".parse().unwrap()
}

/// The switch's reaction to the datagram.
fn outcome(datagram: &[u8]) -> Outcome {
    let status_line = |response: &[u8]| {
        // Our answer must itself be a message, and contain the source of the request.
        let text = String::from_utf8_lossy(response);
        let line = text.lines().next().unwrap_or_default();
        assert!(text.contains(";received=198.51.100.7"), "{text}");
        line.strip_prefix("SIP/2.0 ").unwrap_or(line).to_owned()
    };
    match Message::parse(datagram) {
        Err(error) => match salvage(Flow::datagram(0, source()), datagram) {
            Some(response) => Outcome::Answered(status_line(&response)),
            None => Outcome::Dropped(error.to_string()),
        },
        Ok(mut message) if message.is_request() => match message.validate_request() {
            Ok(()) => Outcome::Understood,
            Err(refusal) => {
                message.set_source(source());
                let response = refusal.response_to(&message).to_tag("t").finish();
                Outcome::Answered(status_line(&response))
            }
        },
        Ok(message) => match message.validate_response() {
            Ok(()) => Outcome::Understood,
            Err(fault) => Outcome::Dropped(fault.to_string()),
        },
    }
}

#[test]
fn rfc_4475_each_of_the_49_messages_has_its_outcome() {
    assert_eq!(MESSAGES.len(), 49);
    let mut wrong = Vec::new();
    for (name, section, expected) in MESSAGES {
        let expected = match expected.split_once(' ') {
            None => Outcome::Understood,
            Some(("drop", reason)) => Outcome::Dropped(reason.to_owned()),
            Some(_) => Outcome::Answered((*expected).to_owned()),
        };
        let found = outcome(&bytes(name));
        if found != expected {
            wrong.push(format!("{name} ({section}): {found:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_folder_holds_these_messages_and_no_others() {
    let folder = format!("{}/testdata/rfc4475", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut names: Vec<String> = MESSAGES.iter().map(|(name, ..)| format!("{name}.sip")).collect();
    files.sort();
    names.sort();
    assert_eq!(files, names);
}

#[test]
fn wsinv_is_read_through_its_folds_and_spaces() {
    let wsinv = message("wsinv");
    assert_eq!(wsinv.method(), &Method::Invite);
    assert_eq!(wsinv.uri(), "sip:vivekg@chair-dnrc.example.com;unknownparam");
    assert_eq!(wsinv.to_tag(), Some("1918181833n"));
    assert_eq!(wsinv.from_tag(), Some("98asjd8"));
    assert_eq!(wsinv.from().display(), "J Rosenberg \\\"");
    assert_eq!(wsinv.from().uri(), "sip:jdrosen@example.com");
    assert_eq!(wsinv.max_forwards(), Some(68));
    assert_eq!(wsinv.cseq(), (9, &Method::Invite));
    assert_eq!(wsinv.header("Subject"), Some(""));
    let vias: Vec<&str> = wsinv.headers("Via").collect();
    assert_eq!(vias.len(), 3);
    let top = wsinv.top_via();
    assert_eq!((top.transport(), top.host()), ("UDP", "192.0.2.2"));
    assert_eq!((top.branch(), top.has_unique_branch()), (Some("390skdjuw"), false));
    let second = strowger_sip::ViaRef::parse(vias[1]).unwrap();
    assert_eq!((second.transport(), second.host()), ("TCP", "spindle.example.com"));
    assert_eq!(second.branch(), Some("z9hG4bK9ikj8"));
    let third = strowger_sip::ViaRef::parse(vias[2]).unwrap();
    assert_eq!((third.host(), third.branch()), ("192.168.255.111", Some("z9hG4bK30239")));
    let contact = wsinv.contact().unwrap();
    assert_eq!(contact.display(), "Quoted string \"\"");
    assert_eq!(contact.param("newparam"), Some("newvalue"));
    assert_eq!(contact.param("secondparam"), Some(""));
    assert_eq!(contact.param("q"), Some("0.33"));
    let fangled = wsinv.header("newfangledheader").unwrap();
    assert!(
        fangled.starts_with("newfangled value") && fangled.ends_with("continued newfangled value")
    );
    assert_eq!(wsinv.header("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    assert_eq!(wsinv.body().len(), 150);
}

#[test]
fn intmeth_keeps_every_odd_character() {
    let intmeth = message("intmeth");
    let method = "!interesting-Method0123456789_*+`.%indeed'~";
    assert_eq!(intmeth.method(), &Method::Other(method.into()));
    let uri = UriRef::parse(intmeth.uri()).unwrap();
    assert_eq!(uri.host(), "example.com");
    assert_eq!(uri.user(), Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(uri.password(), Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!(intmeth.to().display(), "BEL:\u{7} NUL:\0 DEL:\u{7f}");
    assert_eq!(intmeth.from().display(), "token1~` token2'+_ token3*%!.-");
    assert_eq!(intmeth.from_tag(), Some("_token~1'+`*%!-."));
    assert_eq!(intmeth.from().param("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(intmeth.call_id(), "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    assert_eq!(intmeth.header("extensionHeader-!.%*+_`'~"), Some("\u{feff}大停電"));
}

#[test]
fn escapes_are_kept_on_the_wire_and_resolved_on_demand() {
    let esc01 = message("esc01");
    let uri = UriRef::parse(esc01.uri()).unwrap();
    assert_eq!(uri.user(), Some("sips%3Auser%40example.com"));
    assert_eq!(uri.user().map(decode).as_deref(), Some("sips:user@example.com"));
    assert_eq!(uri.host(), "example.net");
    assert_eq!(esc01.to().parse_uri().unwrap().user().map(decode).as_deref(), Some("user"));
    let contact = esc01.contact().unwrap().parse_uri().unwrap();
    assert_eq!(contact.param("n%61me"), Some("v%61lue%25%34%31"));

    let users: Vec<_> = message("escnull")
        .headers("Contact")
        .map(|contact| {
            let contact = NameAddrRef::parse(contact).unwrap();
            contact.parse_uri().unwrap().user().map(decode).unwrap().into_owned()
        })
        .collect();
    assert_eq!(users, ["\0", "\0\0"]);

    let esc02 = message("esc02");
    assert_eq!(esc02.method(), &Method::Other("RE%47IST%45R".into()), "not REGISTER");
    assert_eq!(esc02.to().display(), "%Z%45");
    assert_eq!(esc02.headers("Contact").count(), 2, "C%6Fntact is another header");
    assert_eq!(esc02.top_via().branch(), Some("z9hG4bK209%fzsnel234"));
}

#[test]
fn display_names_long_values_and_second_messages_do_not_confuse() {
    let lwsdisp = message("lwsdisp");
    assert_eq!((lwsdisp.from().display(), lwsdisp.from_tag()), ("caller".into(), Some("323")));

    let longreq = message("longreq");
    assert_eq!(longreq.headers("Via").count(), 34);
    let to = longreq.to().parse_uri().unwrap();
    assert_eq!((to.host(), to.port()), ("example.com", Some(6000)));
    assert!(longreq.call_id().len() > 80);

    let dblreq = message("dblreq");
    assert_eq!(dblreq.method(), &Method::Register);
    assert!(dblreq.body().is_empty());
    assert!(!String::from_utf8_lossy(&dblreq.to_bytes()).contains("INVITE"), "the rest is dropped");
}

#[test]
fn semicolons_in_users_unknown_transports_and_binary_bodies_pass() {
    let semiuri = message("semiuri");
    let uri = UriRef::parse(semiuri.uri()).unwrap();
    assert_eq!(uri.user().map(decode).as_deref(), Some("user;par=u@example.net"));
    assert_eq!((uri.host(), uri.params()), ("example.com", ""));
    assert_eq!(semiuri.headers("Accept").count(), 6);

    let transports = message("transports");
    let names: Vec<&str> = transports
        .headers("Via")
        .map(|via| strowger_sip::ViaRef::parse(via).unwrap().transport())
        .collect();
    assert_eq!(names, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);

    let mpart01 = message("mpart01");
    let announced: usize = mpart01.header("Content-Length").unwrap().parse().unwrap();
    assert_eq!(mpart01.body().len(), announced);
    assert!(mpart01.body().contains(&0) && mpart01.body().ends_with(b"--7a9cbec02ceef655--\r\n"));
}

#[test]
fn reason_phrases_may_be_odd_or_missing() {
    let unreason = message("unreason");
    assert_eq!((unreason.status(), unreason.method()), (200, &Method::Invite));
    assert_eq!(unreason.reason_phrase(), "= 2**3 * 5**2 но сто девяносто девять - простое");
    let noreason = message("noreason");
    assert_eq!((noreason.status(), noreason.reason_phrase()), (100, ""));
}

#[test]
fn parameters_belong_to_the_contact_or_to_its_uri() {
    let outside = message("cparam01");
    let contact = outside.contact().unwrap();
    assert_eq!(contact.uri(), "sip:+19725552222@gw1.example.net");
    assert_eq!(contact.param("unknownparam"), Some(""));
    let inside = message("cparam02");
    let contact = inside.contact().unwrap();
    assert_eq!(contact.param("unknownparam"), None);
    assert_eq!(contact.parse_uri().unwrap().param("unknownparam"), Some(""));
    let escaped = message("regescrt");
    let uri = escaped.contact().unwrap().parse_uri().unwrap();
    assert_eq!(uri.headers(), "Route=%3Csip:sip.example.com%3E");
}

#[test]
fn old_and_careless_peers_are_understood() {
    let badbranch = message("badbranch");
    assert_eq!(badbranch.top_via().branch(), Some("z9hG4bK"));
    assert!(!badbranch.top_via().has_unique_branch(), "RFC 2543 matching applies");
    let inv2543 = message("inv2543");
    assert_eq!((inv2543.from_tag(), inv2543.top_via().branch()), (None, None));
    assert_eq!(inv2543.to().param("user"), Some("phone"));
    assert!(inv2543.body().starts_with(b"v=0"), "without Content-Length the rest is body");
    let regaut01 = message("regaut01");
    let authorization = regaut01.header("Authorization").unwrap();
    assert_eq!(strowger_sip::digest::Credentials::parse(authorization), None);
}

#[test]
fn refusals_carry_the_headers_that_explain_them() {
    let response = |name: &str| {
        let request = message(name);
        let refusal = request.validate_request().unwrap_err();
        Message::parse(&refusal.response_to(&request).to_tag("x").finish()).unwrap()
    };
    let bext01 = response("bext01");
    let unsupported: Vec<&str> = bext01.headers("Unsupported").collect();
    assert_eq!(unsupported, ["nothingSupportsThis", "nothingSupportsThisEither"]);
    assert_eq!(bext01.to_tag(), Some("x"));
    let invut = response("invut");
    assert_eq!(invut.header("Accept"), Some("application/sdp"));

    // A 400 to a request that cannot be parsed copies the headers by which the sender matches it.
    let salvaged =
        Message::parse(&salvage(Flow::datagram(0, source()), &bytes("scalar02")).unwrap());
    assert!(salvaged.is_err(), "it repeats the CSeq that nobody can read");
    let salvaged =
        Message::parse(&salvage(Flow::datagram(0, source()), &bytes("lwsruri")).unwrap()).unwrap();
    assert_eq!((salvaged.status(), salvaged.method()), (400, &Method::Invite));
    assert_eq!(salvaged.to_tag(), Some("3xfe-9921883-z9f"));
    let salvaged = salvage(Flow::datagram(0, source()), &bytes("trws")).unwrap();
    assert_eq!(
        salvaged,
        salvage(Flow::datagram(0, source()), &bytes("trws")).unwrap(),
        "same tag for a repeat"
    );
    assert!(Message::parse(&salvaged).unwrap().to_tag().is_some());
}
