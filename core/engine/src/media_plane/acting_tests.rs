//! A relay thread acting by itself: conversion, playback, silence reports.

use super::tests::{A, B, House, hears, leg, open_both, until};
use super::{PlaneControl, Report};
use codec::Law;
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use switch::{
    AudioFormat, AudioFormats, CallKey, MediaControl, MediaEvent, RemoteMedia, SilenceLimits,
};

/// A control with its reports.
fn control(house: &House) -> (PlaneControl, Receiver<(CallKey, Report)>) {
    let (reports, heard) = channel();
    let control = house.plane.control(move |call, report| {
        // The test may have stopped listening.
        let _ = reports.send((call, report));
    });
    (control, heard)
}

fn speaks(party: RemoteMedia, number: u8, format: AudioFormat) -> RemoteMedia {
    let list = vec![(number, format)];
    let formats = AudioFormats { sends: list.clone(), wants: list };
    RemoteMedia { payload_types: vec![number], formats: Some(formats), ..party }
}

/// MEDIA-23: A-law in, µ-law out.
#[test]
fn speech_is_converted_on_its_way() {
    let house = House::on(60, 22_000..=22_099);
    let (mut control, _reports) = control(&house);
    let [to_caller, _] = open_both(&mut control, 1, [0, 0]).expect("ports");
    let [caller, vendor] = [house.party(), house.party()];
    control.update(leg(1, A), speaks(caller.sdp(), 8, AudioFormat::Pcma));
    control.update(leg(1, B), speaks(vendor.sdp(), 0, AudioFormat::Pcmu));
    let payload: Vec<u8> = (0..160).collect();
    let head = [0x80, 8, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4];
    caller.says(to_caller, &[&head[..], &payload].concat());
    let heard = vendor.hears();
    assert_eq!(heard[..2], [0x80, 0]);
    assert_eq!(heard[2..12], head[2..], "in the caller's numbers");
    let converted: Vec<u8> =
        payload.iter().map(|code| Law::Mu.encode(Law::A.decode(*code))).collect();
    assert_eq!(heard[12..], converted);
}

/// MEDIA-13: a tone reaches the caller every 20 ms without incoming packets, until the legs are
/// joined; nothing keeps running when the leg is closed.
#[test]
fn a_tone_is_played_until_the_legs_are_joined() {
    let house = House::on(61, 22_000..=22_099);
    let (mut control, _reports) = control(&house);
    let [_, to_vendor] = open_both(&mut control, 1, [0, 0]).expect("ports");
    let [caller, vendor] = [house.party(), house.party()];
    control.update(leg(1, A), speaks(caller.sdp(), 8, AudioFormat::Pcma));
    control.update(leg(1, B), vendor.sdp());
    assert!(!control.play(leg(1, A), "nowhere", true) && !control.play(leg(2, A), "de", true));
    let begun = Instant::now();
    assert!(control.play(leg(1, A), "de", true));
    let packets: Vec<Vec<u8>> = (0..25).map(|_| caller.hears()).collect();
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(450) && took < Duration::from_secs(2), "{took:?}");
    for (number, packet) in packets.iter().enumerate() {
        let expected = u16::from_be_bytes([packets[0][2], packets[0][3]]);
        let expected = expected.wrapping_add(u16::try_from(number).expect("few"));
        assert_eq!((packet.len(), &packet[2..4]), (172, &expected.to_be_bytes()[..]));
    }
    control.join(leg(1, A), leg(1, B));
    until("the tone's end", || {
        vendor.says(to_vendor, &super::tests::rtp(1, 3));
        hears(&caller.rtp).0.len() == 15
    });
    assert!(control.play(leg(1, A), "de", true));
    caller.hears();
    let heard = control.close(leg(1, A)).expect("open").rtp_out;
    assert!(heard >= 26, "{heard}");
    control.close(leg(1, B));
    until("free ports", || UdpSocket::bind(to_vendor).is_ok());
    assert_eq!(house.plane.stats().sessions, 0);
}

/// MEDIA-16, MEDIA-17: silence is reported although no packet wakes the thread.
#[test]
fn silence_is_reported() {
    let house = House::on(62, 22_000..=22_099);
    let (mut control, reports) = control(&house);
    let [to_caller, _] = open_both(&mut control, 7, [0, 0]).expect("ports");
    let [caller, vendor] = [house.party(), house.party()];
    control.update(leg(7, A), caller.sdp());
    control.update(leg(7, B), vendor.sdp());
    let [soon, later] = [200, 400].map(Duration::from_millis);
    let limits = SilenceLimits {
        no_media: later,
        both_silent: Duration::ZERO,
        one_silent: soon,
        ..SilenceLimits::default()
    };
    control.watch(CallKey(7), limits);
    let begun = Instant::now();
    let silent = loop {
        caller.says(to_caller, &super::tests::rtp(1, 160));
        if let Ok(report) = reports.recv_timeout(Duration::from_millis(20)) {
            break report;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "never told");
    };
    assert_eq!(silent, (CallKey(7), Report::Event(MediaEvent::SideSilent(B))));
    assert!(begun.elapsed() >= soon);

    open_both(&mut control, 8, [0, 0]).expect("ports");
    control.update(leg(8, A), caller.sdp());
    control.update(leg(8, B), vendor.sdp());
    control.watch(CallKey(8), limits);
    let told = || reports.recv_timeout(Duration::from_secs(10)).expect("told");
    let mut next = told();
    while next.0 != CallKey(8) {
        next = told();
    }
    assert_eq!(next.1, Report::Event(MediaEvent::NoMedia));
}
