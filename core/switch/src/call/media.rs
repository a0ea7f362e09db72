//! Media of the call: the ports of its legs, the paths between them, and the descriptions that lead
//! audio there.

use super::alone::offer_alone;
use super::{Attempt, CALLER, Call, Cx};
use crate::facts::{Listener, VendorTrunk};
use crate::media::{LegCounters, MediaLeg, RemoteMedia};
use crate::sdp::{self, Unusable, Way};
use ledger::MediaRecord;
use serde::{Deserialize, Serialize};
use sip::sdp::{Agreement, Audio, Direction, PayloadType, SessionDescription, Settled, Side};
use sip::session::Party;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

/// Why there is no offer for a vendor.
pub(super) enum NoOffer {
    /// There are no media ports.
    Ports,
    /// The caller's description cannot be relayed to any vendor.
    Sdp(Unusable),
}

/// The media of one leg.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LegMedia {
    pub(super) leg: MediaLeg,
    /// Our address in its SDP; none: it has no ports.
    pub(super) local: Option<SocketAddr>,
    /// Its media data for the call's record.
    pub(super) record: MediaRecord,
    /// The latest description of it that the relay was given.
    told: Option<Box<sdp::Remote>>,
    /// The latest offer from it, until its negotiation is settled.
    offer: Option<Box<Offered>>,
    /// The codecs of an answer that we gave by ourselves before the other side answered (MEDIA-13).
    pub(super) given: Option<Vec<PayloadType>>,
    /// It hears one of our sounds instead of the other side.
    pub(super) hears_sound: bool,
    /// Counters from previous machines.
    before: Counted,
}

/// Counters of a leg.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Counted {
    rtp_in: u64,
    rtp_out: u64,
    bytes_in: u64,
    rtcp_in: u64,
    dropped: u64,
}

/// An offer and the codecs that we added to it.
#[derive(Debug, Serialize, Deserialize)]
struct Offered {
    description: SessionDescription,
    /// Codecs offered to the other side besides those of the offer (MEDIA-23).
    added: Vec<PayloadType>,
}

impl LegMedia {
    /// A leg without ports.
    pub(super) fn new(leg: MediaLeg) -> LegMedia {
        LegMedia {
            leg,
            local: None,
            record: MediaRecord::default(),
            told: None,
            offer: None,
            given: None,
            hears_sound: false,
            before: Counted::default(),
        }
    }

    /// Opens ports at a media address unless it has some; returns the address for its SDP.
    pub(super) fn open(&mut self, cx: &mut Cx<'_>, address: u16) -> Option<SocketAddr> {
        if self.local.is_none() {
            self.local = cx.media.open(self.leg, address);
            self.record.local = self.local.map(sip::address_text).unwrap_or_default();
        }
        self.local
    }

    /// Frees the ports; returns the last counters if it had any.
    fn close(&mut self, cx: &mut Cx<'_>) -> Option<LegCounters> {
        self.local.take()?;
        let counters = cx.media.close(self.leg)?;
        self.count(&counters);
        Some(counters)
    }

    /// Reads the counters into the record; returns the time of its last packet.
    fn read(&mut self, cx: &mut Cx<'_>) -> Option<Instant> {
        self.local?;
        let counters = cx.media.counters(self.leg)?;
        self.count(&counters);
        counters.last_packet
    }

    /// The latest offer from it, unless its negotiation is settled.
    pub(super) fn offered(&self) -> Option<&SessionDescription> {
        self.offer.as_ref().map(|offered| &offered.description)
    }

    /// Whether it has sent RTP.
    pub(super) fn has_spoken(&self, cx: &mut Cx<'_>) -> bool {
        cx.media.counters(self.leg).is_some_and(|counters| counters.rtp_in > 0)
    }

    fn count(&mut self, counters: &LegCounters) {
        let record = &mut self.record;
        if let Some(latched) = counters.latched {
            record.remote = sip::address_text(latched);
        }
        record.rtp_in = self.before.rtp_in + counters.rtp_in;
        record.rtp_out = self.before.rtp_out + counters.rtp_out;
        record.bytes_in = self.before.bytes_in + counters.bytes_in;
        record.rtcp_in = self.before.rtcp_in + counters.rtcp_in;
        record.dropped = self.before.dropped + counters.dropped;
    }

    /// Saves the counters, because the next relay counts from zero.
    fn keep_counts(&mut self) {
        let MediaRecord { rtp_in, rtp_out, bytes_in, rtcp_in, dropped, .. } = self.record;
        self.before = Counted { rtp_in, rtp_out, bytes_in, rtcp_in, dropped };
    }
}

impl Call {
    /// The caller's offer as rewritten for the vendor; empty if there was none.
    pub(super) fn offer_for_vendor(
        &mut self,
        cx: &mut Cx<'_>,
        attempt: &mut Attempt,
    ) -> Result<Vec<u8>, NoOffer> {
        if self.placed.is_some() {
            return offer_alone(cx, attempt);
        }
        self.direct = self.goes_direct(&attempt.vendor);
        let invite = self.invite.clone();
        let offer = invite.as_deref().and_then(sdp::body_of);
        let way = if self.direct {
            Way::Direct(self.own_address(attempt.listener()))
        } else {
            let [own, local] = self.open_media(cx, attempt).ok_or(NoOffer::Ports)?;
            Way::Relayed { own, local }
        };
        let Some(offer) = offer else { return Ok(Vec::new()) };
        let description = sdp::read(offer).map_err(NoOffer::Sdp)?;
        let added = self.convertible_beside(&description, &attempt.vendor);
        let passed = sdp::pass(&description, way, &mut attempt.origin, &added);
        let (body, remote) = passed.map_err(NoOffer::Sdp)?;
        self.caller_media.offer = Some(Box::new(Offered { description, added }));
        if let Some(remote) = remote {
            self.tell_relay(cx, CALLER, remote);
        }
        Ok(body)
    }

    /// Whether media bypass us, as either trunk may demand (MEDIA-03).
    pub(super) fn goes_direct(&self, vendor: &VendorTrunk) -> bool {
        !self.customer.relay || !vendor.relay
    }

    /// Our address in descriptions of media that bypass us.
    fn own_address(&self, listener: u16) -> IpAddr {
        let listener = self.world.listeners.get(usize::from(listener));
        let advertised = |l: &Listener| l.advertised.parse().map(|at: SocketAddr| at.ip());
        let address = listener.map(|l| advertised(l).unwrap_or(l.local.ip()));
        address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// Our addresses towards the caller and towards the vendor of an attempt; joins the two legs.
    /// The caller's ports are opened with the first attempt and stay (ROUTE-55). Each vendor gets
    /// its own ports, at the media address of its trunk (MEDIA-10). A caller that hears a tone
    /// keeps hearing it until the vendor is heard. None: there are no ports.
    fn open_media(&mut self, cx: &mut Cx<'_>, attempt: &mut Attempt) -> Option<[SocketAddr; 2]> {
        let caller = self.caller_media.open(cx, self.customer.media_address)?;
        let vendor = attempt.media.open(cx, attempt.vendor.media_address)?;
        if !self.caller_media.hears_sound {
            self.joined = attempt.record.number;
            cx.media.join(self.caller_media.leg, attempt.media.leg);
        }
        Some([caller, vendor])
    }

    /// Rewrites SDP from one side for the other, and tells the relay about its sender. SDP from the
    /// caller goes to the vendor that won or that the request is passed to; SDP from a vendor goes
    /// to the caller.
    pub(super) fn pass_sdp(
        &mut self,
        cx: &mut Cx<'_>,
        from: u16,
        body: &[u8],
    ) -> Result<Vec<u8>, Unusable> {
        if self.placed.is_some() {
            self.take_description(cx, from, body)?;
            return Ok(Vec::new());
        }
        let to = match from {
            CALLER => self.talking().ok_or(Unusable::NoAudio)?,
            _ => CALLER,
        };
        let negotiation = self.leg(from).map(|leg| leg.negotiation());
        let is_offer = negotiation.is_some_and(|state| state.open() == Some(Party::Peer));
        let (passed, remote) = if is_offer {
            self.pass_offer(from, to, body)?
        } else {
            let passed = self.pass_answer(cx, from, to, body)?;
            if self.connected().is_some() {
                self.forget_offer(to);
            }
            passed
        };
        if let Some(remote) = remote {
            self.tell_relay(cx, from, remote);
        }
        if from != CALLER {
            self.join(cx, from);
        }
        Ok(passed)
    }

    /// The caller's current attempt: the answered one, or the newest open one.
    fn talking(&self) -> Option<u16> {
        let newest = || self.attempts.iter().map(Box::as_ref).rfind(|a| a.is_out());
        self.winner().or_else(newest).map(|attempt| attempt.record.number)
    }

    /// Joins caller and vendor, unless the caller must hear our tone until the answer.
    pub(super) fn join(&mut self, cx: &mut Cx<'_>, number: u16) {
        let sounds = self.caller_media.hears_sound;
        if self.joined == number && !sounds || self.caller_media.local.is_none() {
            return;
        }
        let Some(attempt) = self.attempt(number).filter(|a| a.media.local.is_some()) else {
            return;
        };
        if sounds && attempt.rings_always() {
            return;
        }
        cx.media.join(self.caller_media.leg, attempt.media.leg);
        self.joined = number;
        self.caller_media.hears_sound = false;
    }

    /// An offer from one side rewritten for the other, and where its sender receives; none if its
    /// media bypass the switch.
    pub(super) fn pass_offer(
        &mut self,
        from: u16,
        to: u16,
        body: &[u8],
    ) -> Result<(Vec<u8>, Option<sdp::Remote>), Unusable> {
        let description = sdp::read(body)?;
        let way = self.way(from, to)?;
        let vendor = self.attempt(if to == CALLER { from } else { to });
        let vendor = vendor.map(|attempt| std::sync::Arc::clone(&attempt.vendor));
        let added = vendor.map(|vendor| self.convertible_beside(&description, &vendor));
        let added = added.unwrap_or_default();
        let origin = self.origin_mut(to).ok_or(Unusable::NoAudio)?;
        let passed = sdp::pass(&description, way, origin, &added)?;
        if let Some(media) = self.media_mut(from) {
            media.offer = Some(Box::new(Offered { description, added }));
            media.given = None;
        }
        Ok(passed)
    }

    /// An answer from one side rewritten for the other, and where its sender receives. If the other
    /// side did not offer its codecs, the answer is one of ours, and audio is converted (MEDIA-22,
    /// MEDIA-23).
    fn pass_answer(
        &mut self,
        cx: &mut Cx<'_>,
        from: u16,
        to: u16,
        body: &[u8],
    ) -> Result<(Vec<u8>, Option<sdp::Remote>), Unusable> {
        let description = sdp::read(body)?;
        let way = self.way(from, to)?;
        if let Way::Relayed { own, local } = way
            && let Some(agreement) = self.settle(to, &description)
        {
            return self.answer_converted(cx, to, (own, local), &description, &agreement);
        }
        let origin = self.origin_mut(to).ok_or(Unusable::NoAudio)?;
        let passed = sdp::pass(&description, way, origin, &[])?;
        self.tell_formats(cx, to, None);
        Ok(passed)
    }

    /// The latest offer of a leg is settled; drop it, because it takes more memory than the rest of
    /// the leg's media data.
    pub(super) fn forget_offer(&mut self, leg: u16) {
        if let Some(media) = self.media_mut(leg) {
            media.offer = None;
        }
    }

    /// The agreement between the offer of a leg and the answer of the other, if they share no codec
    /// or the offer was answered before.
    fn settle(&self, offerer: u16, answer: &SessionDescription) -> Option<Agreement> {
        let media = self.media(offerer)?;
        let Offered { description, added } = media.offer.as_deref()?;
        let (_, offered) = description.first_audio()?;
        let (_, answered) = answer.first_audio()?;
        // Without conversion an answer passes unchanged, even one that does not fit the offer.
        let number = if offerer == CALLER { self.talking() } else { Some(offerer) };
        let vendor = number.and_then(|number| self.attempt(number)).map(|attempt| &attempt.vendor);
        let converts = self.customer.transcode && vendor.is_none_or(|vendor| vendor.transcode);
        let known = sdp::convertible();
        let known = if converts { &known[..] } else { &[] };
        match sip::sdp::settle(offered, added, answered, known, media.given.as_deref()) {
            Settled::Converted(agreement) => Some(agreement),
            Settled::Shared => None,
        }
    }

    fn answer_converted(
        &mut self,
        cx: &mut Cx<'_>,
        to: u16,
        (own, local): (SocketAddr, SocketAddr),
        description: &SessionDescription,
        agreement: &Agreement,
    ) -> Result<(Vec<u8>, Option<sdp::Remote>), Unusable> {
        let mut remote = sdp::remote_of(description, own)?;
        if let Some(codec) = agreement.answerer.wants.first() {
            (remote.codec, remote.clock_hz) = (codec.name.clone(), codec.clock_hz);
        }
        remote.formats = Some(sdp::formats_of(&agreement.answerer));
        let (_, answered) = description.first_audio().ok_or(Unusable::NoAudio)?;
        let held = remote.rtp.ip().is_unspecified();
        let audio = Audio {
            rtp: local,
            formats: &agreement.answer,
            direction: match answered.direction {
                Direction::SendRecv if held => Direction::SendOnly,
                direction => direction,
            },
            ptime_ms: answered.ptime_ms,
        };
        self.tell_formats(cx, to, Some(&agreement.offerer));
        let answer = self.answer_of_ours(to, &audio).ok_or(Unusable::NoAudio)?;
        Ok((answer, Some(remote)))
    }

    /// Our own answer to the latest offer of a leg.
    pub(super) fn answer_of_ours(&mut self, to: u16, audio: &Audio<'_>) -> Option<Vec<u8>> {
        let offered = self.media_mut(to)?.offer.take()?;
        let answer =
            self.origin_mut(to).map(|origin| sdp::answer(&offered.description, audio, origin));
        self.media_mut(to)?.offer = Some(offered);
        answer
    }

    /// Tells the relay the audio formats of a leg if they have changed.
    pub(super) fn tell_formats(&mut self, cx: &mut Cx<'_>, leg: u16, side: Option<&Side>) {
        let formats = side.map(sdp::formats_of);
        let told = self.media(leg).and_then(|media| media.told.as_deref());
        let Some(told) = told.filter(|told| told.formats != formats) else { return };
        let mut remote = told.clone();
        if let Some(codec) = side.and_then(|side| side.wants.first()) {
            (remote.codec, remote.clock_hz) = (codec.name.clone(), codec.clock_hz);
        }
        remote.formats = formats;
        self.tell_relay(cx, leg, remote);
    }

    /// The codecs that may be added to a vendor's description, in either direction (MEDIA-23).
    fn convertible_beside(
        &self,
        description: &SessionDescription,
        vendor: &VendorTrunk,
    ) -> Vec<PayloadType> {
        if !self.customer.transcode || !vendor.transcode || self.goes_direct(vendor) {
            return Vec::new();
        }
        let audio = description.first_audio();
        audio.map(|(_, audio)| audio.convertible_beside(&sdp::convertible())).unwrap_or_default()
    }

    /// The path of the media between two legs.
    fn way(&self, from: u16, to: u16) -> Result<Way, Unusable> {
        if self.direct {
            let listener = self.leg(to).ok_or(Unusable::NoAudio)?.flow().listener;
            return Ok(Way::Direct(self.own_address(listener)));
        }
        let local = |leg| self.media(leg).and_then(|media| media.local);
        let (own, local) = local(from).zip(local(to)).ok_or(Unusable::NoAudio)?;
        Ok(Way::Relayed { own, local })
    }

    fn media(&self, leg: u16) -> Option<&LegMedia> {
        if leg == CALLER { Some(&self.caller_media) } else { Some(&self.attempt(leg)?.media) }
    }

    fn media_mut(&mut self, leg: u16) -> Option<&mut LegMedia> {
        match leg {
            CALLER => Some(&mut self.caller_media),
            _ => Some(&mut self.attempt_mut(leg)?.media),
        }
    }

    fn origin_mut(&mut self, leg: u16) -> Option<&mut sdp::Origin> {
        match leg {
            CALLER => Some(&mut self.caller_origin),
            _ => Some(&mut self.attempt_mut(leg)?.origin),
        }
    }

    pub(super) fn tell_relay(&mut self, cx: &mut Cx<'_>, leg: u16, remote: sdp::Remote) {
        let (media, strict, signalling) = match leg {
            CALLER => {
                let signalling = self.caller.flow().remote.ip();
                (&mut self.caller_media, self.customer.strict_media, signalling)
            }
            _ => {
                let Some(attempt) = self.attempt_mut(leg) else { return };
                let flow = attempt.leg.as_ref().map(|leg| leg.flow().remote);
                let signalling =
                    flow.or(attempt.flow().map(|flow| flow.remote)).unwrap_or(remote.rtp).ip();
                (&mut attempt.media, attempt.vendor.strict_media, signalling)
            }
        };
        media.record.codec.clone_from(&remote.codec);
        media.record.remote = sip::address_text(remote.rtp);
        let of_ours = remote.formats.iter().flat_map(|formats| &formats.sends);
        let of_ours = of_ours.map(|(number, _)| *number);
        let told = RemoteMedia {
            rtp: remote.rtp,
            rtcp: remote.rtcp,
            rtcp_mux: remote.rtcp_mux,
            payload_types: remote.payload_types.iter().copied().chain(of_ours).collect(),
            signalling,
            strict,
            clock_hz: remote.clock_hz,
            sealed: remote.sealed,
            sends: remote.sends,
            receives: remote.receives,
            formats: remote.formats.clone(),
        };
        media.told = Some(Box::new(remote));
        cx.media.update(media.leg, told);
    }

    /// The relay of another machine held the ports: opens them again, and repeats the latest
    /// descriptions to the new relay. A leg whose port cannot be opened stays silent.
    pub(super) fn reopen_media(&mut self, cx: &mut Cx<'_>) {
        let attempts = self
            .attempts
            .iter()
            .map(|attempt| (attempt.record.number, attempt.vendor.media_address));
        let legs: Vec<_> = attempts.chain([(CALLER, self.customer.media_address)]).collect();
        for (leg, address) in legs {
            let Some(media) = self.media_mut(leg) else { continue };
            let Some(local) = media.local else { continue };
            media.keep_counts();
            if !cx.media.reopen(media.leg, address, local) {
                media.local = None;
            } else if let Some(told) = media.told.clone() {
                self.tell_relay(cx, leg, *told);
            }
        }
        self.rejoin(cx);
        match (self.connected(), self.placed) {
            (Some(connected), Some(placed)) => self.speak(cx, connected.vendor, placed),
            (Some(_), None) => self.watch_media(cx),
            (None, _) => {}
        }
    }

    /// Rejoins the caller to the leg or the tone that it heard.
    fn rejoin(&mut self, cx: &mut Cx<'_>) {
        if self.caller_media.local.is_none() {
            return;
        }
        if self.caller_media.hears_sound {
            let rings = |attempt: &&Attempt| attempt.is_out() && attempt.rings();
            let ringing = self.attempts.iter().map(Box::as_ref).find(rings);
            let sound = ringing.map(|attempt| attempt.vendor.ringback.sound.clone());
            let leg = self.caller_media.leg;
            self.caller_media.hears_sound =
                sound.is_some_and(|sound| cx.media.play(leg, &sound, true));
        } else if let Some(attempt) = self.attempt(self.joined)
            && attempt.media.local.is_some()
        {
            cx.media.join(self.caller_media.leg, attempt.media.leg);
        }
    }

    /// Frees the ports of an ended attempt; its counters are in its record.
    pub(super) fn close_attempt_media(&mut self, cx: &mut Cx<'_>, attempt: &mut Attempt) {
        if let Some(counters) = attempt.media.close(cx) {
            self.last_media[1] = counters.last_packet;
            self.note_takeovers(cx, "vendor", &counters);
        }
        attempt.record.media = std::mem::take(&mut attempt.media.record);
    }

    /// Frees all ports of the call.
    pub(super) fn close_media(&mut self, cx: &mut Cx<'_>) {
        if let Some(counters) = self.caller_media.close(cx) {
            self.last_media[0] = counters.last_packet;
            self.note_takeovers(cx, "caller", &counters);
        }
        for mut attempt in std::mem::take(&mut self.attempts) {
            self.close_attempt_media(cx, &mut attempt);
            self.attempts.push(attempt);
        }
    }

    /// Reads the counters of both sides into the record.
    pub(crate) fn read_media(&mut self, cx: &mut Cx<'_>) {
        let vendor = self.winner_mut().and_then(|attempt| attempt.media.read(cx));
        self.last_media = [self.caller_media.read(cx), vendor];
    }
}
