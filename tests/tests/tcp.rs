//! SIP over TCP: callers and vendors on connections, in any combination with UDP (SIG-02, SIG-03,
//! SIG-13, SIG-23, SIG-24).

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use strowger_tests::hole::Hole;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::Setup;
use strowger_tests::wait;

/// A switch with a TCP listener at the port of its UDP listener. `vendor_a` are lines of vendor-a.
fn stage(vendor_a: &str) -> Stage {
    stage_with(vendor_a, "")
}

/// The same with more lines of the TCP listener.
fn stage_with(vendor_a: &str, listener: &str) -> Stage {
    let mut setup = Setup::new();
    setup.plugin_lines.push_str(&format!(
        "\n[[listeners]]\nname = \"tcp\"\naddress = \"{}\"\ntransport = \"tcp\"\n{listener}\n",
        setup.net.switch()
    ));
    setup.vendor_a = vendor_a.to_owned();
    Stage::with(&setup)
}

/// Arguments that make sipp use TCP.
const TCP: &[&str] = &["-t", "t1"];

fn open(stage: &Stage) -> f64 {
    stage.switch.metric("strowger_connections", &[])
}

#[test]
fn a_caller_on_tcp_reaches_a_vendor_on_udp() {
    let stage = stage("");
    let folder = stage.switch.folder().path().to_owned();
    let mut vendor = stage.vendor_a().answers();
    stage.caller().script("caller_calls").arguments(TCP).start(&folder).succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    stage
        .switch
        .record()
        .shows("/end_reason", "caller_hangup")
        .shows("/transport", "tcp")
        .shows("/attempts/0/transport", "udp");
    assert_eq!(stage.switch.metric("strowger_calls_active", &[]), 0.0);
}

/// SIG-03: two calls, one connection.
#[test]
fn a_caller_on_udp_reaches_a_vendor_on_tcp_over_one_connection() {
    let stage = stage("listener = \"tcp\"");
    let folder = stage.switch.folder().path().to_owned();
    let mut vendor =
        stage.vendor_a().script("vendor_answers").calls(2, 2).arguments(TCP).start(&folder);
    stage.caller().calls().succeeds(CALL_LIMIT);
    assert_eq!(open(&stage), 1.0);
    stage.caller().calls().succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    for record in stage.switch.settled_records(2) {
        assert_eq!(record["end_reason"], "caller_hangup", "{record}");
        assert_eq!(record["attempts"][0]["transport"], "tcp", "{record}");
        assert_eq!(record["attempts"][0]["sends"], 1, "{record}");
    }
    wait::until("the end of the connection", CALL_LIMIT, || (open(&stage) == 0.0).then_some(()));
}

/// SIG-24: a vendor that refuses connections is skipped at once, one that does not respond after
/// three seconds.
#[test]
fn a_vendor_that_takes_no_connection_is_followed_by_the_next_one() {
    for black_hole in [false, true] {
        let stage = stage("listener = \"tcp\"");
        let hole = black_hole.then(|| Hole::at(stage.net.vendor_a()));
        let mut vendor = stage.vendor_b().answers();
        let begun = Instant::now();
        stage.caller().calls().succeeds(CALL_LIMIT);
        let most = if black_hole { 6 } else { 2 };
        assert!(begun.elapsed() < Duration::from_secs(most), "{:?}", begun.elapsed());
        vendor.succeeds(CALL_LIMIT);
        let record = stage.switch.record();
        record.shows("/attempts/0/end_reason", "connect_failed").shows("/attempts/1/code", 200);
        drop(hole);
    }
}

/// A caller's connection.
fn connect(stage: &Stage, from: IpAddr) -> TcpStream {
    let domain = socket2::Domain::for_address(stage.switch.address());
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(from, 0).into()).expect("an address of ours");
    socket.connect(&stage.switch.address().into()).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a time is set");
    stream.set_nodelay(true).expect("no delay");
    stream
}

fn options(n: u32, local: SocketAddr, body: &str) -> String {
    format!(
        "OPTIONS sip:switch SIP/2.0\r\nVia: SIP/2.0/TCP {local};branch=z9hG4bKtcp{n};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@{local}>;tag={n}\r\nTo: <sip:switch>\r\n\
         Call-ID: tcp{n}@{local}\r\nCSeq: 1 OPTIONS\r\nContact: <sip:a@{local};transport=tcp>\r\n\
         Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Reads until there are `wanted` 2xx status lines; returns everything read.
fn hear(stream: &mut TcpStream, wanted: usize) -> String {
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&heard).into_owned();
        if text.matches("SIP/2.0 2").count() >= wanted {
            return text;
        }
        match stream.read(&mut buffer) {
            Ok(0) => panic!("closed after {text}"),
            Ok(bytes) => heard.extend_from_slice(&buffer[..bytes]),
            Err(error) => panic!("{error} after {text}"),
        }
    }
}

/// Whether the peer closes within the time limit.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(bytes) => bytes == 0,
        Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset),
    }
}

/// RFC 3261 section 18.3, RFC 5626 section 3.5.1, SIG-13: two messages in one segment, one byte by
/// byte, a ping in between, a message too large for a datagram.
#[test]
fn messages_are_found_wherever_the_segments_end() {
    let stage = stage("");
    let mut caller = connect(&stage, stage.net.caller());
    let local = caller.local_addr().expect("an address");
    let two = options(1, local, "") + "\r\n\r\n" + &options(2, local, "body");
    caller.write_all(two.as_bytes()).expect("sent");
    let heard = hear(&mut caller, 2);
    assert!(heard.contains("Call-ID: tcp1@") && heard.contains("Call-ID: tcp2@"), "{heard}");
    for byte in options(3, local, "slow").as_bytes() {
        caller.write_all(&[*byte]).expect("sent");
    }
    hear(&mut caller, 1);
    let large = options(4, local, &"x".repeat(40_000));
    caller.write_all(large.as_bytes()).expect("sent");
    hear(&mut caller, 1);
    caller.write_all(b"\r\n\r\n").expect("sent");
    let mut pong = [0; 2];
    caller.read_exact(&mut pong).expect("a pong");
    assert_eq!(&pong, b"\r\n");
    drop(caller);
    wait::until("the end of the connection", CALL_LIMIT, || (open(&stage) == 0.0).then_some(()));
}

/// A stream without messages is closed: no Content-Length, garbage, a message that never ends, one
/// byte per second; strangers get no connection at all.
#[test]
fn connections_that_carry_no_messages_are_closed() {
    let stage = stage("");
    let known = || connect(&stage, stage.net.caller());
    for nonsense in
        ["OPTIONS sip:a SIP/2.0\r\nX: 1\r\n\r\n", "l: 1\r\nl: 2\r\n\r\n", &"x".repeat(70_000)]
    {
        let mut caller = known();
        // It may be closed before everything is sent.
        let _ = caller.write_all(nonsense.as_bytes());
        assert!(is_closed(&mut caller), "{}", &nonsense[..20.min(nonsense.len())]);
    }
    let mut slow = known();
    let local = slow.local_addr().expect("an address");
    let message = options(9, local, "");
    let begun = Instant::now();
    for byte in message.as_bytes() {
        if slow.write_all(&[*byte]).is_err() || begun.elapsed() > Duration::from_secs(20) {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    // It requests pongs and never reads one.
    let mut deaf = known();
    let begun = Instant::now();
    deaf.set_write_timeout(Some(Duration::from_secs(1))).expect("a time is set");
    while begun.elapsed() < Duration::from_secs(20) {
        match deaf.write(&b"\r\n\r\n".repeat(10_000)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break,
            Ok(_) => {}
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "what waits for it has no bound");
    assert!(is_closed(&mut connect(&stage, stage.net.stranger())));
    wait::until("no connections", CALL_LIMIT, || (open(&stage) == 0.0).then_some(()));
    assert!(stage.switch.metric("strowger_connections_refused_total", &[]) >= 1.0);
}

/// A vendor dies in the middle of a message: the call goes to the next one.
#[test]
fn a_connection_that_ends_in_a_message_ends_its_attempt() {
    let stage = stage("listener = \"tcp\"");
    let dying =
        TcpListener::bind(SocketAddr::new(stage.net.vendor_a(), 5060)).expect("a free port");
    let dies = std::thread::spawn(move || {
        let (mut stream, _) = dying.accept().expect("a connection");
        let mut heard = [0; 64];
        let _ = stream.read(&mut heard).expect("an INVITE");
        stream.write_all(b"SIP/2.0 180 Ringing\r\nVia: ").expect("sent");
    });
    let mut vendor = stage.vendor_b().answers();
    stage.caller().calls().succeeds(CALL_LIMIT);
    dies.join().expect("no panic");
    vendor.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/attempts/0/end_reason", "connect_failed");
}

/// RFC 5923: our requests to a caller use its own connection; then the caller closes it first.
#[test]
fn a_caller_is_hung_up_on_over_its_own_connection() {
    let stage = stage("");
    let folder = stage.switch.folder().path().to_owned();
    let mut vendor = stage.vendor_a().answers_and_hangs_up();
    let mut caller = stage.caller().script("caller_waits_for_bye").arguments(TCP).start(&folder);
    wait::until("the connection", CALL_LIMIT, || (open(&stage) == 1.0).then_some(()));
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/end_reason", "callee_hangup").shows("/transport", "tcp");
    wait::until("the end of the connection", CALL_LIMIT, || (open(&stage) == 0.0).then_some(()));
}

/// SIG-03: a connection closed by the switch ends with FIN, or with RST if the listener says so.
#[test]
fn a_connection_that_we_close_ends_with_fin_or_with_reset() {
    for reset in [false, true] {
        let stage = stage_with("", &format!("close_with_reset = {reset}"));
        let mut caller = connect(&stage, stage.net.caller());
        caller.write_all(b"OPTIONS sip:a SIP/2.0\r\nX: 1\r\n\r\n").expect("sent");
        match caller.read(&mut [0; 64]) {
            Ok(0) => assert!(!reset, "it ends with FIN"),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                assert!(reset, "it ends with RST");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Targets set the transport: UDP first, then TCP in the same trunk (SIG-65).
#[test]
fn one_trunk_has_targets_of_both_transports() {
    let mut setup = Setup::new();
    setup.plugin_lines.push_str(&format!(
        "\n[[listeners]]\nname = \"tcp\"\naddress = \"{}\"\ntransport = \"tcp\"\n",
        setup.net.switch()
    ));
    let (first, second) = (setup.net.host(31), setup.net.host(32));
    setup.vendor_a = format!("targets = [\"{first}\", \"sip:{second};transport=tcp\"]");
    let stage = Stage::with(&setup);
    let folder = stage.switch.folder().path().to_owned();
    let vendor = strowger_tests::sipp::Script::new("vendor_answers", second);
    let mut vendor = vendor.arguments(TCP).start(&folder);
    stage.caller().calls().succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    stage
        .switch
        .record()
        .shows("/attempts/0/transport", "udp")
        .shows("/attempts/0/end_reason", "connect_failed")
        .shows("/attempts/1/transport", "tcp")
        .shows("/attempts/1/code", 200);
}
