//! Calls with real packets over loopback, on each engine. Every test has a loopback address of
//! its own.

use super::*;
use std::net::{IpAddr, UdpSocket};

mod house;

use house::{House, Party, call, hears, loopback, on_each_engine, rtp, settings, until};

on_each_engine! {
    two_parties_hear_each_other_byte_for_byte,
    a_burst_arrives_whole,
    rtcp_crosses_between_the_odd_ports,
    an_intruder_is_dropped_and_counted,
    a_caller_behind_a_nat_is_found,
    a_caller_that_moves_by_new_sdp_is_followed,
    a_packet_longer_than_the_buffer_is_dropped_not_cut,
    sdp_that_names_the_relay_itself_gets_nothing,
    freed_ports_rest_before_the_next_call_gets_them,
    half_a_relay_leaves_nothing_behind,
    closing_frees_the_sockets,
    a_shard_that_leaves_closes_its_calls,
    busy_ports_are_passed_over,
    two_shards_may_use_the_same_key,
    each_side_uses_the_media_address_of_its_trunk,
    a_hundred_calls_on_two_relay_threads_and_two_shards,
    ipv4_meets_ipv6,
    a_flood_on_one_socket_does_not_hold_up_another_call,
    a_burst_on_many_sockets_arrives_whole,
    a_party_that_refused_packets_hears_the_next,
    a_call_hears_nothing_of_the_one_before,
    empty_packets_are_dropped_and_counted,
}

/// MEDIA-12: every packet arrives, unchanged, in order, from the advertised address.
fn two_parties_hear_each_other_byte_for_byte(engine: MediaEngine) {
    let house = House::on(engine, 11, 22_000..=22_099);
    let (mut control, [to_caller, to_vendor], [caller, vendor]) = call(&house);
    assert!(to_caller.port() % 2 == 0 && to_vendor.port() % 2 == 0 && to_caller != to_vendor);
    for sequence in 0..500 {
        let packet = rtp(sequence, usize::from(sequence) * 4);
        caller.says(to_caller, &packet);
        assert_eq!(hears(&vendor.rtp), (packet.clone(), to_vendor));
        vendor.says(to_vendor, &packet);
        assert_eq!(hears(&caller.rtp), (packet, to_caller));
    }
    let counters = control.close(CallKey(1)).expect("open");
    for (counted, party) in counters.iter().zip([&caller, &vendor]) {
        assert_eq!((counted.rtp_in, counted.rtp_out, counted.dropped), (500, 500, 0));
        assert_eq!(counted.latched, party.rtp.local_addr().ok());
        assert!(counted.bytes_in > 500 * 12 && counted.last_packet_ms > 1_700_000_000_000);
    }
    assert_eq!(control.close(CallKey(1)), None);
    assert_eq!(control.counters(CallKey(1)), None);
}

/// More packets than one socket's share of a turn: nothing is left behind.
fn a_burst_arrives_whole(engine: MediaEngine) {
    let house = House::on(engine, 12, 22_000..=22_099);
    let (_control, [to_caller, _], [caller, vendor]) = call(&house);
    for sequence in 0..100 {
        caller.says(to_caller, &rtp(sequence, 20));
    }
    for sequence in 0..100 {
        assert_eq!(vendor.hears(), rtp(sequence, 20));
    }
}

/// MEDIA-08: RTCP on the next port.
fn rtcp_crosses_between_the_odd_ports(engine: MediaEngine) {
    let house = House::on(engine, 13, 22_000..=22_099);
    let (mut control, [to_caller, to_vendor], [caller, vendor]) = call(&house);
    let next = |rtp: SocketAddr| SocketAddr::new(rtp.ip(), rtp.port() + 1);
    let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    caller.rtcp.send_to(&report, next(to_caller)).expect("sent");
    assert_eq!(hears(&vendor.rtcp), (report.to_vec(), next(to_vendor)));
    vendor.rtcp.send_to(&report, next(to_vendor)).expect("sent");
    assert_eq!(hears(&caller.rtcp), (report.to_vec(), next(to_caller)));
    let counters = control.counters(CallKey(1)).expect("open");
    assert_eq!(counters.map(|side| (side.rtcp_in, side.rtp_in)), [(1, 0), (1, 0)]);
}

/// MEDIA-11: other sources dropped and counted.
fn an_intruder_is_dropped_and_counted(engine: MediaEngine) {
    let house = House::on(engine, 14, 22_000..=22_099);
    let (mut control, [to_caller, to_vendor], [caller, vendor]) = call(&house);
    caller.says(to_caller, &rtp(1, 160));
    assert_eq!(vendor.hears(), rtp(1, 160));
    let intruder = house.party();
    for sequence in 0..10 {
        intruder.says(to_caller, &rtp(sequence, 80));
    }
    until("ten drops", || control.counters(CallKey(1)).expect("open")[0].dropped == 10);
    caller.says(to_caller, &rtp(2, 160));
    assert_eq!(vendor.hears(), rtp(2, 160), "nothing of the intruder before it");
    vendor.says(to_vendor, &rtp(3, 160));
    assert_eq!(caller.hears(), rtp(3, 160), "and the vendor still speaks to the caller");
    until("published totals", || {
        let stats = house.plane.stats();
        (stats.packets_in, stats.packets_out, stats.dropped) == (13, 3, 10)
    });
}

/// MEDIA-11: SDP that names an address from which nothing comes.
fn a_caller_behind_a_nat_is_found(engine: MediaEngine) {
    let house = House::on(engine, 15, 22_000..=22_099);
    let (mut control, [to_caller, to_vendor], [caller, vendor]) = call(&house);
    let behind = switch::RemoteMedia { rtp: house.party().sdp().rtp, ..caller.sdp() };
    control.update(CallKey(1), MediaSide::Caller, behind);
    for sequence in 0..3 {
        caller.says(to_caller, &rtp(sequence, 160));
        assert_eq!(vendor.hears(), rtp(sequence, 160), "relayed while it is learned");
    }
    vendor.says(to_vendor, &rtp(9, 160));
    assert_eq!(caller.hears(), rtp(9, 160));
    let counters = control.counters(CallKey(1)).expect("open");
    assert_eq!(counters[0].latched, caller.rtp.local_addr().ok());
}

/// MEDIA-11: re-learn after new SDP; the old place is then a stranger.
fn a_caller_that_moves_by_new_sdp_is_followed(engine: MediaEngine) {
    let house = House::on(engine, 29, 22_000..=22_099);
    let (mut control, [to_caller, to_vendor], [caller, vendor]) = call(&house);
    for sequence in 0..5 {
        caller.says(to_caller, &rtp(sequence, 160));
        assert_eq!(vendor.hears(), rtp(sequence, 160));
        vendor.says(to_vendor, &rtp(sequence, 160));
        assert_eq!(caller.hears(), rtp(sequence, 160));
    }
    let moved = house.party();
    control.update(CallKey(1), MediaSide::Caller, moved.sdp());
    vendor.says(to_vendor, &rtp(6, 160));
    assert_eq!(hears(&moved.rtp), (rtp(6, 160), to_caller), "spoken to before it was heard");
    moved.says(to_caller, &rtp(7, 160));
    assert_eq!(vendor.hears(), rtp(7, 160));
    caller.says(to_caller, &rtp(8, 160));
    until("the drop", || control.counters(CallKey(1)).expect("open")[0].dropped == 1);
    moved.says(to_caller, &rtp(9, 160));
    assert_eq!(vendor.hears(), rtp(9, 160));
}

fn a_packet_longer_than_the_buffer_is_dropped_not_cut(engine: MediaEngine) {
    let house = House::on(engine, 16, 22_000..=22_099);
    let (mut control, [to_caller, _], [caller, vendor]) = call(&house);
    caller.says(to_caller, &rtp(1, 2_048));
    caller.says(to_caller, &rtp(2, 2_048 - 12));
    assert_eq!(vendor.hears(), rtp(2, 2_048 - 12));
    assert_eq!(control.counters(CallKey(1)).expect("open")[0].dropped, 1);
}

/// A party that answers with the relay's own address cannot make it talk to itself.
fn sdp_that_names_the_relay_itself_gets_nothing(engine: MediaEngine) {
    let house = House::on(engine, 17, 22_000..=22_099);
    let (mut control, [to_caller, to_vendor], [caller, vendor]) = call(&house);
    let own = switch::RemoteMedia { rtp: to_vendor, ..vendor.sdp() };
    control.update(CallKey(1), MediaSide::Vendor, own);
    caller.says(to_caller, &rtp(1, 160));
    until("the drop", || control.counters(CallKey(1)).expect("open")[0].dropped == 1);
    assert_eq!(control.counters(CallKey(1)).expect("open")[1].rtp_in, 0);
}

/// MEDIA-08: a freed port rests; MEDIA-09: without a free pair there is no relay.
fn freed_ports_rest_before_the_next_call_gets_them(engine: MediaEngine) {
    let house = House::on(engine, 18, 22_000..=22_003);
    let mut control = house.plane.control();
    assert!(control.open(CallKey(1), 0, 0).is_some());
    assert_eq!(control.open(CallKey(2), 0, 0), None, "both pairs are taken");
    assert_eq!(house.in_use_and_resting(), (2, 0));
    control.close(CallKey(1));
    assert_eq!(house.in_use_and_resting(), (0, 2));
    assert_eq!(control.open(CallKey(3), 0, 0), None, "both pairs rest");
    assert_eq!(house.plane.stats().sessions, 0);
}

/// One pair left: the side that got it gives it back.
fn half_a_relay_leaves_nothing_behind(engine: MediaEngine) {
    let house = House::on(engine, 19, 22_000..=22_001);
    let mut control = house.plane.control();
    assert_eq!(control.open(CallKey(1), 0, 0), None);
    assert_eq!(house.in_use_and_resting(), (0, 1));
}

fn closing_frees_the_sockets(engine: MediaEngine) {
    let house = House::on(engine, 20, 22_000..=22_099);
    let (mut control, ports, _parties) = call(&house);
    assert!(ports.iter().all(|port| UdpSocket::bind(port).is_err()), "held during the call");
    control.close(CallKey(1));
    until("free ports", || ports.iter().all(|port| UdpSocket::bind(port).is_ok()));
}

fn a_shard_that_leaves_closes_its_calls(engine: MediaEngine) {
    let house = House::on(engine, 21, 22_000..=22_099);
    let (control, ports, _parties) = call(&house);
    drop(control);
    until("free ports", || ports.iter().all(|port| UdpSocket::bind(port).is_ok()));
    assert_eq!((house.plane.stats().sessions, house.in_use_and_resting()), (0, (0, 2)));
}

/// MEDIA-08: a port that another program holds is passed over.
fn busy_ports_are_passed_over(engine: MediaEngine) {
    let house = House::on(engine, 22, 22_000..=22_007);
    let held: Vec<_> = [22_000, 22_003]
        .map(|port| UdpSocket::bind((house.address, port)).expect("free"))
        .into_iter()
        .collect();
    let mut control = house.plane.control();
    let mut ports = control.open(CallKey(1), 0, 0).expect("two pairs are free").map(|a| a.port());
    ports.sort_unstable();
    assert_eq!(ports, [22_004, 22_006]);
    drop(held);
}

/// Keys are unique per shard only.
fn two_shards_may_use_the_same_key(engine: MediaEngine) {
    let house = House::on(engine, 23, 22_000..=22_099);
    let (mut one, mut other) = (house.plane.control(), house.plane.control());
    let first = one.open(CallKey(1), 0, 0).expect("ports");
    let second = other.open(CallKey(1), 0, 0).expect("ports");
    assert!(first.iter().all(|address| !second.contains(address)));
    one.close(CallKey(1));
    assert!(other.counters(CallKey(1)).is_some());
    let again = other.open(CallKey(1), 0, 0).expect("ports");
    assert_ne!(again, second, "a reopened key gets fresh ports");
    assert_eq!(house.in_use_and_resting(), (2, 4));
}

/// MEDIA-10: sockets bound to the trunk's media address, its advertised address in SDP.
fn each_side_uses_the_media_address_of_its_trunk(engine: MediaEngine) {
    let (inside, outside) = (loopback(engine, 24), loopback(engine, 25));
    let public = IpAddr::from([203, 0, 113, 5]);
    let mut settings = settings(engine, inside, 22_000..=22_099);
    settings.addresses.push(MediaAddress {
        name: "outside".into(),
        bind: outside,
        advertised: public,
        ports: 22_000..=22_099,
    });
    let plane = MediaPlane::start(settings).expect("plane");
    let mut control = plane.control();
    let [caller, vendor] = control.open(CallKey(1), 0, 1).expect("ports");
    assert_eq!((caller.ip(), vendor.ip()), (inside, public));
    assert!(UdpSocket::bind((outside, vendor.port())).is_err(), "bound behind the NAT");
    let [caller, _] = control.open(CallKey(2), 9, 1).expect("ports");
    assert_eq!(caller.ip(), inside, "an unknown address is the first one");
    let in_use: Vec<_> = plane.stats().addresses.into_iter().map(|a| (a.name, a.in_use)).collect();
    assert_eq!(in_use, [("test".to_owned(), 2), ("outside".to_owned(), 2)]);
}

fn a_hundred_calls_on_two_relay_threads_and_two_shards(engine: MediaEngine) {
    let address = loopback(engine, 26);
    let plane = MediaPlane::start(MediaSettings {
        threads: 2,
        ..settings(engine, address, 22_000..=22_999)
    })
    .expect("plane");
    let shards: Vec<_> = (0..2)
        .map(|_| {
            let mut control = plane.control();
            std::thread::spawn(move || {
                let calls: Vec<_> = (0..50)
                    .map(|key| {
                        let ports = control.open(CallKey(key), 0, 0).expect("ports");
                        let parties = [Party::at(address), Party::at(address)];
                        for (side, party) in
                            [MediaSide::Caller, MediaSide::Vendor].into_iter().zip(&parties)
                        {
                            control.update(CallKey(key), side, party.sdp());
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
            for side in control.close(CallKey(key)).expect("open") {
                assert_eq!((side.rtp_in, side.rtp_out, side.dropped), (20, 20, 0));
            }
        }
    }
    until("published totals", || plane.stats().packets_out == 4_000);
    let stats = plane.stats();
    assert_eq!((stats.sessions, stats.dropped), (0, 0));
    assert_eq!((stats.ports_in_use, stats.ports_resting), (0, 200));
}

/// MEDIA-10: one relay carries both IP versions, here IPv4 towards IPv6.
fn ipv4_meets_ipv6(engine: MediaEngine) {
    let (four, six) = (loopback(engine, 27), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]));
    if UdpSocket::bind((six, 0)).is_err() {
        return;
    }
    let mut settings = settings(engine, four, 22_000..=22_099);
    settings.addresses.push(MediaAddress {
        name: "six".into(),
        bind: six,
        advertised: six,
        ports: 22_000..=22_999,
    });
    let plane = MediaPlane::start(settings).expect("plane");
    let mut control = plane.control();
    let [to_caller, to_vendor] = control.open(CallKey(1), 0, 1).expect("ports");
    let [caller, vendor] = [Party::at(four), Party::at(six)];
    control.update(CallKey(1), MediaSide::Caller, caller.sdp());
    control.update(CallKey(1), MediaSide::Vendor, vendor.sdp());
    caller.says(to_caller, &rtp(1, 160));
    assert_eq!(hears(&vendor.rtp), (rtp(1, 160), to_vendor));
    vendor.says(to_vendor, &rtp(2, 160));
    assert_eq!(hears(&caller.rtp), (rtp(2, 160), to_caller));
}

/// A flood at one call's port costs another call nothing.
fn a_flood_on_one_socket_does_not_hold_up_another_call(engine: MediaEngine) {
    let house = House::on(engine, 31, 22_000..=22_099);
    let (mut control, [to_caller, _], _parties) = call(&house);
    let [quiet, _] = control.open(CallKey(2), 0, 0).expect("ports");
    let [caller, vendor] = [house.party(), house.party()];
    control.update(CallKey(2), MediaSide::Caller, caller.sdp());
    control.update(CallKey(2), MediaSide::Vendor, vendor.sdp());
    let intruder = house.party();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                // Loopback may be out of room for a moment.
                let _ = intruder.rtp.send_to(&rtp(1, 160), to_caller);
            }
        });
        for sequence in 0..200 {
            caller.says(quiet, &rtp(sequence, 160));
            assert_eq!(vendor.hears(), rtp(sequence, 160));
        }
        done.store(true, Relaxed);
    });
}

/// More packets at once than the engine has buffers: all arrive, call by call in order.
fn a_burst_on_many_sockets_arrives_whole(engine: MediaEngine) {
    let house = House::on(engine, 32, 22_000..=22_199);
    let mut control = house.plane.control();
    let calls: Vec<_> = (0..40)
        .map(|key| {
            let [to_caller, _] = control.open(CallKey(key), 0, 0).expect("ports");
            let parties = [house.party(), house.party()];
            control.update(CallKey(key), MediaSide::Caller, parties[0].sdp());
            control.update(CallKey(key), MediaSide::Vendor, parties[1].sdp());
            (to_caller, parties)
        })
        .collect();
    for sequence in 0..60 {
        for (to_caller, [caller, _]) in &calls {
            caller.says(*to_caller, &rtp(sequence, 160));
        }
    }
    for (_, [_, vendor]) in &calls {
        for sequence in 0..60 {
            assert_eq!(vendor.hears(), rtp(sequence, 160));
        }
    }
}

/// A party whose port is closed refuses packets; once it is open again it misses none.
fn a_party_that_refused_packets_hears_the_next(engine: MediaEngine) {
    let house = House::on(engine, 33, 22_000..=22_099);
    let (_control, [to_caller, to_vendor], [caller, vendor]) = call(&house);
    vendor.says(to_vendor, &rtp(1, 160));
    assert_eq!(caller.hears(), rtp(1, 160), "the vendor's source is locked");
    let (gone, rtcp) = (vendor.sdp(), vendor.rtcp);
    drop(vendor.rtp);
    for sequence in 0..5 {
        caller.says(to_caller, &rtp(sequence, 160));
    }
    until("refusals", || house.plane.stats().packets_in == 6);
    let back = Party { rtp: UdpSocket::bind(gone.rtp).expect("free"), rtcp };
    back.rtp.set_read_timeout(Some(house::PATIENCE)).expect("set");
    for sequence in 10..20 {
        caller.says(to_caller, &rtp(sequence, 160));
    }
    let mut heard = back.hears();
    // What was sent before the port was open again may have come just after.
    while heard[3] < 10 {
        heard = back.hears();
    }
    for sequence in 10..20 {
        assert_eq!(heard, rtp(sequence, 160));
        if sequence < 19 {
            heard = back.hears();
        }
    }
}

/// What was on its way in a call that ended is not taken for the next call in its place.
fn a_call_hears_nothing_of_the_one_before(engine: MediaEngine) {
    let house = House::on(engine, 34, 22_000..=22_999);
    let mut control = house.plane.control();
    for key in 0..50 {
        let [to_caller, _] = control.open(CallKey(key), 0, 0).expect("ports");
        let [caller, vendor] = [house.party(), house.party()];
        control.update(CallKey(key), MediaSide::Caller, caller.sdp());
        control.update(CallKey(key), MediaSide::Vendor, vendor.sdp());
        for _ in 0..20 {
            caller.says(to_caller, &rtp(key as u16, 160));
        }
        assert_eq!(vendor.hears(), rtp(key as u16, 160));
        control.close(CallKey(key));
        let [_, to_vendor] = control.open(CallKey(key + 100), 0, 0).expect("ports");
        let [caller, vendor] = [house.party(), house.party()];
        control.update(CallKey(key + 100), MediaSide::Caller, caller.sdp());
        control.update(CallKey(key + 100), MediaSide::Vendor, vendor.sdp());
        vendor.says(to_vendor, &rtp(7_777, 160));
        assert_eq!(caller.hears(), rtp(7_777, 160));
        let counted = control.close(CallKey(key + 100)).expect("open");
        let heard = counted.map(|side| (side.rtp_in, side.rtp_out, side.dropped));
        assert_eq!(heard, [(0, 1, 0), (1, 0, 0)]);
    }
}

/// An empty datagram is a packet that goes nowhere, not the end of a socket.
fn empty_packets_are_dropped_and_counted(engine: MediaEngine) {
    let house = House::on(engine, 35, 22_000..=22_099);
    let (mut control, [to_caller, _], [caller, vendor]) = call(&house);
    for sequence in 0..10 {
        caller.says(to_caller, &[]);
        caller.says(to_caller, &rtp(sequence, 160));
        assert_eq!(vendor.hears(), rtp(sequence, 160));
    }
    let counters = control.counters(CallKey(1)).expect("open");
    assert_eq!((counters[0].rtp_in, counters[0].dropped), (10, 10));
}
