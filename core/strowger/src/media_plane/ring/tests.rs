//! The ring on loopback sockets. Without io_uring they say so and pass.

use super::*;
use rustix::event::{EventfdFlags, eventfd};

fn ring() -> Option<Ring> {
    let waker = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).expect("eventfd"));
    Ring::new(waker).inspect_err(|error| eprintln!("skipped, no io_uring: {error}")).ok()
}

fn socket() -> (Arc<UdpSocket>, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    socket.set_nonblocking(true).expect("set");
    let address = socket.local_addr().expect("address");
    (Arc::new(socket), address)
}

/// The next completion, waited for.
fn next(ring: &mut Ring) -> Completion {
    loop {
        match ring.next() {
            Some(completion) => return completion,
            None => ring.wait(1, None).expect("wait"),
        }
    }
}

#[test]
fn buffers_go_round() {
    let Some(mut ring) = ring() else { return };
    let ((party, party_address), (relay, relay_address)) = (socket(), socket());
    let id = ring.add(relay);
    ring.receive_from(id, 7);
    ring.submit().expect("submit");
    for number in 0..u32::from(BUFFERS) * 3 {
        party.send_to(&number.to_ne_bytes(), relay_address).expect("sent");
        let Completion::Received { key: 7, packet, more: true } = next(&mut ring) else {
            panic!("packet {number} is not received");
        };
        let (buffer, source) = packet.expect("received").expect("content");
        assert_eq!((ring.bytes(&buffer), source), (&number.to_ne_bytes()[..], Some(party_address)));
        ring.send(buffer, id, source);
        let Completion::Sent(buffer, Ok(())) = next(&mut ring) else {
            panic!("packet {number} is not sent");
        };
        ring.give_back(buffer);
        let mut heard = [0; 8];
        assert_eq!(party.recv(&mut heard).expect("heard"), 4);
        assert_eq!(heard[..4], number.to_ne_bytes());
    }
}

/// Packets wait in the socket; the operation says that it ended.
#[test]
fn without_buffers_receiving_ends_and_nothing_is_lost() {
    let Some(mut ring) = ring() else { return };
    let ((party, _), (relay, relay_address)) = (socket(), socket());
    let id = ring.add(relay.clone());
    ring.receive_from(id, 1);
    let mut held = Vec::new();
    while held.len() < BUFFERS.into() {
        party.send_to(b"packet", relay_address).expect("sent");
        let Completion::Received { packet: Ok(Some((buffer, _))), .. } = next(&mut ring) else {
            panic!("packet {} is not received", held.len());
        };
        held.push(buffer);
    }
    party.send_to(b"one more", relay_address).expect("sent");
    let Completion::Received { packet: Err(error), more: false, .. } = next(&mut ring) else {
        panic!("received without a buffer");
    };
    assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
    held.into_iter().for_each(|buffer| ring.give_back(buffer));
    ring.receive_from(id, 2);
    let Completion::Received { key: 2, packet: Ok(Some((buffer, _))), .. } = next(&mut ring) else {
        panic!("the last packet is lost");
    };
    assert_eq!(ring.bytes(&buffer), b"one more");
}

#[test]
fn a_removed_socket_is_kept_until_the_kernel_took_what_names_it() {
    let Some(mut ring) = ring() else { return };
    let (relay, address) = socket();
    let id = ring.add(relay.clone());
    ring.receive(id, 3);
    ring.cancel(3);
    ring.remove(id);
    assert_eq!(Arc::strong_count(&relay), 2, "named in the queue");
    ring.submit().expect("submit");
    assert_eq!(Arc::strong_count(&relay), 1);
    drop(relay);
    let Completion::Received { key: 3, packet: Err(_), more: false } = next(&mut ring) else {
        panic!("not cancelled");
    };
    assert!(UdpSocket::bind(address).is_ok(), "the port is free");
}

#[test]
fn a_ring_that_ends_has_nothing_in_flight() {
    let Some(mut ring) = ring() else { return };
    let (relay, address) = socket();
    let id = ring.add(relay);
    ring.receive_from(id, 1);
    ring.submit().expect("submit");
    assert!(ring.drain());
    drop(ring);
    assert!(UdpSocket::bind(address).is_ok(), "the port is free");
}
