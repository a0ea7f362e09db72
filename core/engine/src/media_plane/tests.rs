//! Calls with real packets over loopback. Each test uses a separate loopback address.

use super::*;
use std::net::UdpSocket;
use std::time::Duration;
use switch::{LegCounters, MediaControl, MediaLeg};

const PATIENCE: Duration = Duration::from_secs(10);

/// Numbers of the caller's and the vendor's leg.
pub(super) const A: u16 = 0;
pub(super) const B: u16 = 1;

/// A packet ending that makes a test's relay panic.
pub(crate) const DEFECT: &[u8] = b"a deliberate fault";

/// A media plane with one address and these ports.
pub(super) struct House {
    pub(super) plane: MediaPlane,
    address: IpAddr,
}

/// A phone or gateway with RTP on an even port and RTCP on the next.
pub(super) struct Party {
    pub(super) rtp: UdpSocket,
    rtcp: UdpSocket,
}

/// 127.x.p.p with x for the test and p.p for the process: concurrent tests use different addresses.
fn loopback(test: u8) -> IpAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    IpAddr::from([127, test, high, low])
}

fn settings(address: IpAddr, ports: RangeInclusive<u16>) -> MediaSettings {
    let name = "test".to_owned();
    MediaSettings {
        addresses: vec![MediaAddress { name, bind: address, advertised: address, ports }],
        threads: 1,
        dscp: 46,
        seed: [7; 32],
        processors: None,
        spare_files: 1_000,
        sounds: Sounds::default(),
    }
}

pub(super) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "still waiting for: {what}");
        std::thread::yield_now();
    }
}

pub(super) fn rtp(sequence: u16, payload: usize) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    let mut packet = vec![0x80, 8, high, low, 0, 0, high, low, 1, 2, 3, 4];
    packet.extend((0..payload).map(|byte| (byte as u8) ^ low));
    packet
}

impl House {
    pub(super) fn on(test: u8, ports: RangeInclusive<u16>) -> House {
        let address = loopback(test);
        House { plane: MediaPlane::start(settings(address, ports)).expect("plane"), address }
    }

    pub(super) fn party(&self) -> Party {
        Party::at(self.address)
    }

    fn in_use_and_resting(&self) -> (usize, usize) {
        let stats = self.plane.stats();
        (stats.ports_in_use, stats.ports_resting)
    }
}

impl Party {
    fn at(address: IpAddr) -> Party {
        let bind = |port| {
            let socket = UdpSocket::bind((address, port))?;
            socket.set_read_timeout(Some(PATIENCE)).map(|()| socket)
        };
        loop {
            let rtp = bind(0).expect("a free port");
            let port = rtp.local_addr().expect("address").port();
            if let Some(next) = port.checked_add(1)
                && let Ok(rtcp) = bind(next)
            {
                return Party { rtp, rtcp };
            }
        }
    }

    pub(super) fn sdp(&self) -> switch::RemoteMedia {
        switch::RemoteMedia {
            rtp: self.rtp.local_addr().expect("address"),
            rtcp: self.rtcp.local_addr().expect("address"),
            rtcp_mux: false,
            payload_types: vec![8, 101],
            signalling: self.rtp.local_addr().expect("address").ip(),
            strict: false,
            clock_hz: 8_000,
            sealed: false,
            sends: true,
            receives: true,
            formats: None,
        }
    }

    pub(super) fn says(&self, to: SocketAddr, packet: &[u8]) {
        assert_eq!(self.rtp.send_to(packet, to).expect("sent"), packet.len());
    }

    pub(super) fn hears(&self) -> Vec<u8> {
        hears(&self.rtp).0
    }
}

pub(super) fn hears(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 4_096];
    let (len, source) = socket.recv_from(&mut buffer).expect("a packet in time");
    (buffer[..len].to_vec(), source)
}

pub(super) fn leg(call: u64, leg: u16) -> MediaLeg {
    MediaLeg { call: CallKey(call), leg }
}

/// Opens both legs of a call and joins them.
pub(super) fn open_both(
    control: &mut PlaneControl,
    call: u64,
    addresses: [u16; 2],
) -> Option<[SocketAddr; 2]> {
    let caller = control.open(leg(call, A), addresses[0])?;
    let vendor = control.open(leg(call, B), addresses[1])?;
    control.join(leg(call, A), leg(call, B));
    Some([caller, vendor])
}

/// The counters of both legs.
fn read(control: &mut PlaneControl, call: u64) -> [LegCounters; 2] {
    [A, B].map(|number| control.counters(leg(call, number)).expect("open"))
}

/// Closes both legs.
fn close_both(control: &mut PlaneControl, call: u64) -> [LegCounters; 2] {
    [A, B].map(|number| control.close(leg(call, number)).expect("open"))
}

/// A call between two parties: control, addresses in both SDPs, parties.
fn call(house: &House) -> (PlaneControl, [SocketAddr; 2], [Party; 2]) {
    let mut control = house.plane.control(|_, _| {});
    let ports = open_both(&mut control, 1, [0, 0]).expect("ports");
    let parties = [house.party(), house.party()];
    control.update(leg(1, A), parties[0].sdp());
    control.update(leg(1, B), parties[1].sdp());
    (control, ports, parties)
}

/// MEDIA-12: every packet arrives, unchanged, in order, from the advertised address.
#[test]
fn two_parties_hear_each_other_byte_for_byte() {
    let house = House::on(11, 22_000..=22_099);
    let (mut control, [to_caller, to_vendor], [caller, vendor]) = call(&house);
    assert!(to_caller.port() % 2 == 0 && to_vendor.port() % 2 == 0 && to_caller != to_vendor);
    for sequence in 0..500 {
        let packet = rtp(sequence, usize::from(sequence) * 4);
        caller.says(to_caller, &packet);
        assert_eq!(hears(&vendor.rtp), (packet.clone(), to_vendor));
        vendor.says(to_vendor, &packet);
        assert_eq!(hears(&caller.rtp), (packet, to_caller));
    }
    let counters = close_both(&mut control, 1);
    for (counted, party) in counters.iter().zip([&caller, &vendor]) {
        assert_eq!((counted.rtp_in, counted.rtp_out, counted.dropped), (500, 500, 0));
        assert_eq!(counted.latched, party.rtp.local_addr().ok());
        assert!(counted.bytes_in > 500 * 12 && counted.last_packet.is_some());
    }
    assert_eq!(control.close(leg(1, A)), None);
    assert_eq!(control.counters(leg(1, A)), None);
}

/// More packets than one socket's share of a turn: none is lost.
#[test]
fn a_burst_arrives_whole() {
    let house = House::on(12, 22_000..=22_099);
    let (_control, [to_caller, _], [caller, vendor]) = call(&house);
    for sequence in 0..100 {
        caller.says(to_caller, &rtp(sequence, 20));
    }
    for sequence in 0..100 {
        assert_eq!(vendor.hears(), rtp(sequence, 20));
    }
}

/// MEDIA-08: RTCP on the next port.
#[test]
fn rtcp_crosses_between_the_odd_ports() {
    let house = House::on(13, 22_000..=22_099);
    let (mut control, [to_caller, to_vendor], [caller, vendor]) = call(&house);
    let next = |rtp: SocketAddr| SocketAddr::new(rtp.ip(), rtp.port() + 1);
    let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    caller.rtcp.send_to(&report, next(to_caller)).expect("sent");
    assert_eq!(hears(&vendor.rtcp), (report.to_vec(), next(to_vendor)));
    vendor.rtcp.send_to(&report, next(to_vendor)).expect("sent");
    assert_eq!(hears(&caller.rtcp), (report.to_vec(), next(to_caller)));
    let counters = read(&mut control, 1);
    assert_eq!(counters.map(|side| (side.rtcp_in, side.rtp_in)), [(1, 0), (1, 0)]);
}

/// MEDIA-11: packets from other sources are dropped and counted.
#[test]
fn an_intruder_is_dropped_and_counted() {
    let house = House::on(14, 22_000..=22_099);
    let (mut control, [to_caller, to_vendor], [caller, vendor]) = call(&house);
    caller.says(to_caller, &rtp(1, 160));
    assert_eq!(vendor.hears(), rtp(1, 160));
    let intruder = house.party();
    for sequence in 0..10 {
        intruder.says(to_caller, &rtp(sequence, 80));
    }
    until("ten drops", || read(&mut control, 1)[0].dropped == 10);
    caller.says(to_caller, &rtp(2, 160));
    assert_eq!(vendor.hears(), rtp(2, 160), "nothing of the intruder before it");
    vendor.says(to_vendor, &rtp(3, 160));
    assert_eq!(caller.hears(), rtp(3, 160), "and the vendor still speaks to the caller");
    until("published totals", || house.plane.stats().packets_in == 13);
    let stats = house.plane.stats();
    assert_eq!((stats.packets_out, stats.dropped), (3, 10));
}

/// MEDIA-11: the SDP names an address from which nothing comes.
#[test]
fn a_caller_behind_a_nat_is_found() {
    let house = House::on(15, 22_000..=22_099);
    let mut control = house.plane.control(|_, _| {});
    let [to_caller, to_vendor] = open_both(&mut control, 1, [0, 0]).expect("ports");
    let [caller, vendor] = [house.party(), house.party()];
    control.update(leg(1, B), vendor.sdp());
    let behind = switch::RemoteMedia { rtp: house.party().sdp().rtp, ..caller.sdp() };
    control.update(leg(1, A), behind);
    for sequence in 0..3 {
        caller.says(to_caller, &rtp(sequence, 160));
        assert_eq!(vendor.hears(), rtp(sequence, 160), "relayed while it is learned");
    }
    vendor.says(to_vendor, &rtp(9, 160));
    assert_eq!(caller.hears(), rtp(9, 160));
    let counters = read(&mut control, 1);
    assert_eq!(counters[0].latched, caller.rtp.local_addr().ok());
}

/// MEDIA-11: new SDP relearns the source; packets from the old one are then dropped.
#[test]
fn a_caller_that_moves_by_new_sdp_is_followed() {
    let house = House::on(29, 22_000..=22_099);
    let (mut control, [to_caller, to_vendor], [caller, vendor]) = call(&house);
    for sequence in 0..5 {
        caller.says(to_caller, &rtp(sequence, 160));
        assert_eq!(vendor.hears(), rtp(sequence, 160));
        vendor.says(to_vendor, &rtp(sequence, 160));
        assert_eq!(caller.hears(), rtp(sequence, 160));
    }
    let moved = house.party();
    control.update(leg(1, A), moved.sdp());
    vendor.says(to_vendor, &rtp(6, 160));
    assert_eq!(hears(&moved.rtp), (rtp(6, 160), to_caller), "spoken to before it was heard");
    moved.says(to_caller, &rtp(7, 160));
    assert_eq!(vendor.hears(), rtp(7, 160));
    caller.says(to_caller, &rtp(8, 160));
    until("the drop", || read(&mut control, 1)[0].dropped == 1);
    moved.says(to_caller, &rtp(9, 160));
    assert_eq!(vendor.hears(), rtp(9, 160));
}

#[test]
fn a_packet_longer_than_the_buffer_is_dropped_not_cut() {
    let house = House::on(16, 22_000..=22_099);
    let (mut control, [to_caller, _], [caller, vendor]) = call(&house);
    caller.says(to_caller, &rtp(1, 2_048));
    caller.says(to_caller, &rtp(2, 2_048 - 12));
    assert_eq!(vendor.hears(), rtp(2, 2_048 - 12));
    assert_eq!(read(&mut control, 1)[0].dropped, 1);
}

/// A party that answers with the relay's own address cannot make it send to itself.
#[test]
fn sdp_that_names_the_relay_itself_gets_nothing() {
    let house = House::on(17, 22_000..=22_099);
    let (mut control, [to_caller, to_vendor], [caller, vendor]) = call(&house);
    let own = switch::RemoteMedia { rtp: to_vendor, ..vendor.sdp() };
    control.update(leg(1, B), own);
    caller.says(to_caller, &rtp(1, 160));
    until("the drop", || read(&mut control, 1)[0].dropped == 1);
    assert_eq!(read(&mut control, 1)[1].rtp_in, 0);
}

/// MEDIA-08: a freed port rests while others are free; MEDIA-09: without a free pair, resting ones
/// are used, and without any there is no relay.
#[test]
fn freed_ports_rest_before_the_next_call_gets_them() {
    let house = House::on(18, 22_000..=22_007);
    let mut control = house.plane.control(|_, _| {});
    let first = open_both(&mut control, 1, [0, 0]).expect("ports");
    close_both(&mut control, 1);
    assert_eq!(house.in_use_and_resting(), (0, 2));
    let second = open_both(&mut control, 2, [0, 0]).expect("ports");
    assert!(first.iter().all(|address| !second.contains(address)), "the first two rest");
    assert_eq!(house.in_use_and_resting(), (2, 2));
    until("closed sockets", || first.iter().all(|address| UdpSocket::bind(address).is_ok()));
    let third = open_both(&mut control, 3, [0, 0]).expect("what rests is taken");
    assert!(first.iter().all(|address| third.contains(address)));
    assert_eq!(open_both(&mut control, 4, [0, 0]), None, "all pairs are taken");
    let stats = house.plane.stats();
    assert_eq!((stats.sessions, stats.addresses[0].refused), (2, 1));
}

/// MEDIA-11: a few packets to a port do not take over a silent side, a long stream does, and the
/// party regains its side with its next packet.
#[test]
fn a_takeover_is_counted_and_does_not_last() {
    let house = House::on(53, 22_000..=22_099);
    let (mut control, [to_caller, to_vendor], [caller, vendor]) = call(&house);
    caller.says(to_caller, &rtp(1, 160));
    assert_eq!(vendor.hears(), rtp(1, 160));
    let intruder = house.party();
    let latched = |control: &mut PlaneControl| {
        let [side, _] = read(control, 1);
        (side.latched, side.takeovers)
    };
    let taken = Instant::now();
    let mut sequence = 0;
    // Only the silence is waited for.
    while latched(&mut control).1 == 0 {
        assert!(taken.elapsed() < PATIENCE, "never taken over");
        intruder.says(to_caller, &rtp(sequence, 80));
        sequence += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(taken.elapsed() > Duration::from_secs(5));
    assert_eq!(latched(&mut control), (intruder.rtp.local_addr().ok(), 1));
    caller.says(to_caller, &rtp(7, 160));
    until("the caller has its side back", || {
        latched(&mut control) == (caller.rtp.local_addr().ok(), 1)
    });
    vendor.says(to_vendor, &rtp(8, 160));
    assert_eq!(caller.hears(), rtp(8, 160));
    until("published totals", || house.plane.stats().takeovers == 1);
}

/// OPS-62: a fault in the relay of one call ends only that call, and is reported.
#[test]
fn a_fault_costs_one_call() {
    let house = House::on(54, 22_000..=22_099);
    let (lost, hears_lost) = std::sync::mpsc::channel();
    let mut control = house.plane.control(move |call, report| {
        assert_eq!(report, Report::Lost);
        lost.send(call).expect("heard");
    });
    let calls = [1, 2].map(|key| {
        let ports = open_both(&mut control, key, [0, 0]).expect("ports");
        let parties = [house.party(), house.party()];
        control.update(leg(key, A), parties[0].sdp());
        control.update(leg(key, B), parties[1].sdp());
        (ports, parties)
    });
    let [([bad, _], [party, _]), ([to_caller, _], [caller, vendor])] = &calls;
    for sequence in 0..5 {
        caller.says(*to_caller, &rtp(sequence, 160));
        assert_eq!(vendor.hears(), rtp(sequence, 160));
    }
    party.says(*bad, &[&rtp(1, 20)[..], DEFECT].concat());
    assert_eq!(hears_lost.recv_timeout(PATIENCE), Ok(CallKey(1)));
    for sequence in 5..10 {
        caller.says(*to_caller, &rtp(sequence, 160));
        assert_eq!(vendor.hears(), rtp(sequence, 160));
    }
    assert_eq!(house.plane.stats().faults, 1);
    close_both(&mut control, 1);
    until("its ports are free", || UdpSocket::bind(bad).is_ok());
    assert_eq!((house.plane.stats().sessions, house.in_use_and_resting()), (1, (2, 2)));
    let again = open_both(&mut control, 3, [0, 0]);
    assert!(again.is_some());
}

/// With one pair left, the leg that gets it is opened, the other leg is refused.
#[test]
fn a_leg_without_a_pair_leaves_the_other_open() {
    let house = House::on(19, 22_000..=22_001);
    let mut control = house.plane.control(|_, _| {});
    assert_eq!(open_both(&mut control, 1, [0, 0]), None);
    assert_eq!((house.plane.stats().sessions, house.in_use_and_resting()), (1, (1, 0)));
    assert!(control.close(leg(1, A)).is_some());
    assert_eq!((house.plane.stats().sessions, house.in_use_and_resting()), (0, (0, 1)));
}

#[test]
fn closing_frees_the_sockets() {
    let house = House::on(20, 22_000..=22_099);
    let (mut control, ports, _parties) = call(&house);
    assert!(ports.iter().all(|port| UdpSocket::bind(port).is_err()), "held during the call");
    close_both(&mut control, 1);
    until("free ports", || ports.iter().all(|port| UdpSocket::bind(port).is_ok()));
}

#[test]
fn a_shard_that_leaves_closes_its_calls() {
    let house = House::on(21, 22_000..=22_099);
    let (control, ports, _parties) = call(&house);
    drop(control);
    until("free ports", || ports.iter().all(|port| UdpSocket::bind(port).is_ok()));
    assert_eq!((house.plane.stats().sessions, house.in_use_and_resting()), (0, (0, 2)));
}

/// MEDIA-08: a port held by another program is skipped.
#[test]
fn busy_ports_are_passed_over() {
    let house = House::on(22, 22_000..=22_007);
    let held: Vec<_> = [22_000, 22_003]
        .map(|port| UdpSocket::bind((house.address, port)).expect("free"))
        .into_iter()
        .collect();
    let mut control = house.plane.control(|_, _| {});
    let mut ports =
        open_both(&mut control, 1, [0, 0]).expect("two pairs are free").map(|a| a.port());
    ports.sort_unstable();
    assert_eq!(ports, [22_004, 22_006]);
    drop(held);
}

/// Keys are unique within a shard only.
#[test]
fn two_shards_may_use_the_same_key() {
    let house = House::on(23, 22_000..=22_099);
    let (mut one, mut other) = (house.plane.control(|_, _| {}), house.plane.control(|_, _| {}));
    let first = open_both(&mut one, 1, [0, 0]).expect("ports");
    let second = open_both(&mut other, 1, [0, 0]).expect("ports");
    assert!(first.iter().all(|address| !second.contains(address)));
    close_both(&mut one, 1);
    assert!(other.counters(leg(1, A)).is_some());
    let again = open_both(&mut other, 1, [0, 0]).expect("ports");
    assert_ne!(again, second, "legs that are opened again get fresh ports");
    assert_eq!(house.in_use_and_resting(), (2, 4));
}

/// MEDIA-10: sockets are bound to the trunk's media address, and its advertised address is in the
/// SDP.
#[test]
fn each_side_uses_the_media_address_of_its_trunk() {
    let (inside, outside) = (loopback(24), loopback(25));
    let public = IpAddr::from([203, 0, 113, 5]);
    let mut settings = settings(inside, 22_000..=22_099);
    settings.addresses.push(MediaAddress {
        name: "outside".into(),
        bind: outside,
        advertised: public,
        ports: 22_000..=22_099,
    });
    let plane = MediaPlane::start(settings).expect("plane");
    let mut control = plane.control(|_, _| {});
    let [caller, vendor] = open_both(&mut control, 1, [0, 1]).expect("ports");
    assert_eq!((caller.ip(), vendor.ip()), (inside, public));
    assert!(UdpSocket::bind((outside, vendor.port())).is_err(), "bound behind the NAT");
    let [caller, _] = open_both(&mut control, 2, [9, 1]).expect("ports");
    assert_eq!(caller.ip(), inside, "an unknown address is the first one");
    let in_use: Vec<_> = plane.stats().addresses.into_iter().map(|a| (a.name, a.in_use)).collect();
    assert_eq!(in_use, [("test".to_owned(), 2), ("outside".to_owned(), 2)]);
}

/// MEDIA-10, MEDIA-12, ROUTE-55: vendors on two networks ring at separate ports; the caller's port
/// stays. Once the second is joined, packets of the first are dropped.
#[test]
fn the_caller_hears_the_vendor_that_it_is_joined_to() {
    const NEXT: u16 = 2;
    let (inside, outside) = (loopback(51), loopback(52));
    let mut settings = settings(inside, 22_000..=22_099);
    let ports = 22_000..=22_099;
    let name = "outside".to_owned();
    settings.addresses.push(MediaAddress { name, bind: outside, advertised: outside, ports });
    let plane = MediaPlane::start(settings).expect("plane");
    let mut control = plane.control(|_, _| {});
    let [to_caller, to_first] = open_both(&mut control, 1, [0, 0]).expect("ports");
    let to_next = control.open(leg(1, NEXT), 1).expect("ports");
    assert_eq!(to_next.ip(), outside);
    let (caller, first, next) = (Party::at(inside), Party::at(inside), Party::at(outside));
    for (number, party) in [(A, &caller), (B, &first), (NEXT, &next)] {
        control.update(leg(1, number), party.sdp());
    }
    // Long enough to lock the first vendor's source and connect a socket.
    for sequence in 0..20 {
        first.says(to_first, &rtp(sequence, 160));
        assert_eq!(caller.hears(), rtp(sequence, 160));
    }

    control.join(leg(1, A), leg(1, NEXT));
    first.says(to_first, &rtp(20, 160));
    until("the drop", || read(&mut control, 1)[1].dropped == 1);
    for sequence in 0..20 {
        caller.says(to_caller, &rtp(sequence, 20));
        assert_eq!(hears(&next.rtp), (rtp(sequence, 20), to_next));
        next.says(to_next, &rtp(sequence, 30));
        let (heard, from) = hears(&caller.rtp);
        assert_eq!((&heard[12..], from), (&rtp(sequence, 30)[12..], to_caller));
        assert_eq!(
            heard[2..4],
            (20 + sequence).to_be_bytes(),
            "one stream with the first vendor's"
        );
    }
    let in_use = |plane: &MediaPlane| -> Vec<usize> {
        plane.stats().addresses.iter().map(|address| address.in_use).collect()
    };
    assert_eq!(in_use(&plane), [2, 1]);
    assert!(control.close(leg(1, B)).is_some());
    assert_eq!(in_use(&plane), [1, 1], "the first vendor's ports are free");
    let vendor = control.close(leg(1, NEXT)).expect("open");
    assert_eq!(vendor.latched, next.rtp.local_addr().ok());
    assert!(control.close(leg(1, A)).is_some());
    assert_eq!((in_use(&plane), plane.stats().sessions), (vec![0, 0], 0));
}

#[test]
fn a_hundred_calls_on_two_relay_threads_and_two_shards() {
    let address = loopback(26);
    let plane =
        MediaPlane::start(MediaSettings { threads: 2, ..settings(address, 22_000..=22_999) })
            .expect("plane");
    let shards: Vec<_> = (0..2)
        .map(|_| {
            let mut control = plane.control(|_, _| {});
            std::thread::spawn(move || {
                let calls: Vec<_> = (0..50)
                    .map(|key| {
                        let ports = open_both(&mut control, key, [0, 0]).expect("ports");
                        let parties = [Party::at(address), Party::at(address)];
                        for (number, party) in [A, B].into_iter().zip(&parties) {
                            control.update(leg(key, number), party.sdp());
                        }
                        (ports, parties)
                    })
                    .collect();
                for sequence in 0..20 {
                    for ([to_caller, to_vendor], [caller, vendor]) in &calls {
                        caller.says(*to_caller, &rtp(sequence, 160));
                        vendor.says(*to_vendor, &rtp(sequence + 1_000, 160));
                    }
                    for (_, [caller, vendor]) in &calls {
                        assert_eq!(vendor.hears(), rtp(sequence, 160));
                        assert_eq!(caller.hears(), rtp(sequence + 1_000, 160));
                    }
                }
                control
            })
        })
        .collect();
    let mut controls: Vec<_> = shards.into_iter().map(|s| s.join().expect("shard")).collect();
    assert_eq!(plane.stats().sessions, 100);
    for control in &mut controls {
        for key in 0..50 {
            for side in close_both(control, key) {
                assert_eq!((side.rtp_in, side.rtp_out, side.dropped), (20, 20, 0));
            }
        }
    }
    until("published totals", || plane.stats().packets_out == 4_000);
    let stats = plane.stats();
    assert_eq!((stats.sessions, stats.dropped), (0, 0));
    assert_eq!((stats.ports_in_use, stats.ports_resting), (0, 200));
}

/// MEDIA-10: one relay bridges both IP versions, here IPv4 to IPv6.
#[test]
fn ipv4_meets_ipv6() {
    let (four, six) = (loopback(27), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]));
    if UdpSocket::bind((six, 0)).is_err() {
        return crate::skip::skipped("no IPv6 on this machine");
    }
    let mut settings = settings(four, 22_000..=22_099);
    settings.addresses.push(MediaAddress {
        name: "six".into(),
        bind: six,
        advertised: six,
        ports: 22_000..=22_999,
    });
    let plane = MediaPlane::start(settings).expect("plane");
    let mut control = plane.control(|_, _| {});
    let [to_caller, to_vendor] = open_both(&mut control, 1, [0, 1]).expect("ports");
    let [caller, vendor] = [Party::at(four), Party::at(six)];
    control.update(leg(1, A), caller.sdp());
    control.update(leg(1, B), vendor.sdp());
    caller.says(to_caller, &rtp(1, 160));
    assert_eq!(hears(&vendor.rtp), (rtp(1, 160), to_vendor));
    vendor.says(to_vendor, &rtp(2, 160));
    assert_eq!(hears(&caller.rtp), (rtp(2, 160), to_caller));
}

#[test]
fn impossible_settings_are_refused_with_the_reason() {
    let address = loopback(28);
    let good = || settings(address, 22_000..=22_099);
    let mut overlapping = good();
    overlapping.addresses.push(MediaAddress {
        name: "twin".into(),
        ports: 22_099..=22_200,
        ..good().addresses.remove(0)
    });
    let mut mixed = good();
    mixed.addresses[0].advertised = IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]);
    let cases = [
        (MediaSettings { addresses: vec![], ..good() }, "at least one"),
        (MediaSettings { threads: 0, ..good() }, "0 relay threads"),
        (MediaSettings { dscp: 184, ..good() }, "DSCP 184"),
        (settings(address, 22_001..=22_002), "`test`: port range 22001-22002"),
        (overlapping, "`test` and `twin` share ports"),
        (mixed, "not the same IP version"),
    ];
    for (settings, expected) in cases {
        let error = MediaPlane::start(settings).expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(expected), "{error}");
    }
}
