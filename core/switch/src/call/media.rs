//! Media of the call: the ports of its legs, who hears whom, and the descriptions that lead
//! audio there.

use super::{Attempt, CALLER, Call, Cx};
use crate::facts::{Listener, VendorTrunk};
use crate::media::{LegCounters, MediaLeg, RemoteMedia};
use crate::sdp::{self, Unusable, Way};
use ledger::MediaRecord;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

/// Why a vendor cannot be offered anything.
pub(super) enum NoOffer {
    /// There are no media ports.
    Ports,
    /// The caller's description cannot be relayed, whoever the vendor is.
    Sdp(Unusable),
}

/// The media of one leg.
#[derive(Debug)]
pub(super) struct LegMedia {
    leg: MediaLeg,
    /// What its SDP says of us; none: it has no ports.
    local: Option<SocketAddr>,
    /// What becomes of it in the call's record.
    pub(super) record: MediaRecord,
}

impl LegMedia {
    /// A leg without ports.
    pub(super) fn new(leg: MediaLeg) -> LegMedia {
        LegMedia { leg, local: None, record: MediaRecord::default() }
    }

    /// Takes ports at a media address unless it has some; what is to be written into its SDP.
    fn open(&mut self, cx: &mut Cx<'_>, address: u16) -> Option<SocketAddr> {
        if self.local.is_none() {
            self.local = cx.media.open(self.leg, address);
            self.record.local = self.local.map(sip::address_text).unwrap_or_default();
        }
        self.local
    }

    /// Frees the ports; the last counters, if it had any.
    fn close(&mut self, cx: &mut Cx<'_>) -> Option<LegCounters> {
        self.local.take()?;
        let counters = cx.media.close(self.leg)?;
        self.count(&counters);
        Some(counters)
    }

    /// Reads the counters into the record; when the leg was heard last.
    fn read(&mut self, cx: &mut Cx<'_>) -> Option<Instant> {
        self.local?;
        let counters = cx.media.counters(self.leg)?;
        self.count(&counters);
        counters.last_packet
    }

    /// Whether RTP has come from it.
    pub(super) fn has_spoken(&self, cx: &mut Cx<'_>) -> bool {
        cx.media.counters(self.leg).is_some_and(|counters| counters.rtp_in > 0)
    }

    fn count(&mut self, counters: &LegCounters) {
        let record = &mut self.record;
        if let Some(latched) = counters.latched {
            record.remote = sip::address_text(latched);
        }
        record.rtp_in = counters.rtp_in;
        record.rtp_out = counters.rtp_out;
        record.bytes_in = counters.bytes_in;
        record.rtcp_in = counters.rtcp_in;
        record.dropped = counters.dropped;
    }
}

impl Call {
    /// The caller's offer as the vendor gets it; empty when there was none.
    pub(super) fn offer_for_vendor(
        &mut self,
        cx: &mut Cx<'_>,
        attempt: &mut Attempt,
    ) -> Result<Vec<u8>, NoOffer> {
        self.direct = self.goes_direct(&attempt.vendor);
        let invite = self.invite.clone();
        let offer = invite.as_deref().and_then(sdp::body_of);
        let way = if self.direct {
            Way::Direct(self.own_address(attempt.vendor.listener))
        } else {
            let [own, local] = self.open_media(cx, attempt).ok_or(NoOffer::Ports)?;
            Way::Relayed { own, local }
        };
        let Some(offer) = offer else { return Ok(Vec::new()) };
        let rewritten = sdp::rewrite(offer, way, &mut attempt.origin);
        let (body, remote) = rewritten.map_err(NoOffer::Sdp)?;
        if let Some(remote) = remote {
            self.tell_relay(cx, CALLER, remote);
        }
        Ok(body)
    }

    /// Whether media go past us: either trunk may say so (MEDIA-03).
    pub(super) fn goes_direct(&self, vendor: &VendorTrunk) -> bool {
        !self.customer.relay || !vendor.relay
    }

    /// Our address in descriptions of media that go past us.
    fn own_address(&self, listener: u16) -> IpAddr {
        let listener = self.world.listeners.get(usize::from(listener));
        let advertised = |l: &Listener| l.advertised.parse().map(|at: SocketAddr| at.ip());
        let address = listener.map(|l| advertised(l).unwrap_or(l.local.ip()));
        address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// Our addresses towards the caller and towards the vendor of an attempt, which hear each
    /// other from here on. The caller's ports are opened with the first attempt and stay
    /// (ROUTE-55); each vendor gets ports of its own, at the media address of its trunk
    /// (MEDIA-10). None: there are no ports.
    fn open_media(&mut self, cx: &mut Cx<'_>, attempt: &mut Attempt) -> Option<[SocketAddr; 2]> {
        let caller = self.caller_media.open(cx, self.customer.media_address)?;
        let vendor = attempt.media.open(cx, attempt.vendor.media_address)?;
        self.joined = attempt.record.number;
        cx.media.join(self.caller_media.leg, attempt.media.leg);
        Some([caller, vendor])
    }

    /// SDP from one side as the other gets it, and the relay is told about its sender: from the
    /// caller it goes to the vendor that won or to whom it is passed on, from a vendor to the
    /// caller.
    pub(super) fn pass_sdp(
        &mut self,
        cx: &mut Cx<'_>,
        from: u16,
        body: &[u8],
    ) -> Result<Vec<u8>, Unusable> {
        let to = match from {
            CALLER => self.talking().ok_or(Unusable::NoAudio)?,
            _ => CALLER,
        };
        let (rewritten, remote) = self.rewrite_sdp(from, to, body)?;
        if let Some(remote) = remote {
            self.tell_relay(cx, from, remote);
        }
        if from != CALLER {
            self.join(cx, from);
        }
        Ok(rewritten)
    }

    /// The attempt that the caller talks with: the one that was answered, or the newest.
    fn talking(&self) -> Option<u16> {
        let newest = || self.attempts.iter().map(Box::as_ref).rfind(|a| a.is_out());
        self.winner().or_else(newest).map(|attempt| attempt.record.number)
    }

    /// Caller and vendor hear each other.
    fn join(&mut self, cx: &mut Cx<'_>, attempt: u16) {
        if self.joined == attempt || self.caller_media.local.is_none() {
            return;
        }
        let opened = self.attempt(attempt).filter(|attempt| attempt.media.local.is_some());
        if let Some(leg) = opened.map(|attempt| attempt.media.leg) {
            cx.media.join(self.caller_media.leg, leg);
            self.joined = attempt;
        }
    }

    /// SDP from one side as the other gets it, and where its sender receives; nowhere if its
    /// media does not pass through the switch.
    pub(super) fn rewrite_sdp(
        &mut self,
        from: u16,
        to: u16,
        body: &[u8],
    ) -> Result<(Vec<u8>, Option<sdp::Remote>), Unusable> {
        let way = if self.direct {
            let listener = self.leg(to).ok_or(Unusable::NoAudio)?.flow().listener;
            Way::Direct(self.own_address(listener))
        } else {
            let (own, local) =
                self.local_media(from).zip(self.local_media(to)).ok_or(Unusable::NoAudio)?;
            Way::Relayed { own, local }
        };
        let origin = match to {
            CALLER => &mut self.caller_origin,
            _ => &mut self.attempt_mut(to).ok_or(Unusable::NoAudio)?.origin,
        };
        sdp::rewrite(body, way, origin)
    }

    /// Our address towards a leg.
    fn local_media(&self, leg: u16) -> Option<SocketAddr> {
        if leg == CALLER { self.caller_media.local } else { self.attempt(leg)?.media.local }
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
                let signalling = flow.or(attempt.target_address()).unwrap_or(remote.rtp).ip();
                (&mut attempt.media, attempt.vendor.strict_media, signalling)
            }
        };
        media.record.codec = remote.codec;
        media.record.remote = sip::address_text(remote.rtp);
        let remote = RemoteMedia {
            rtp: remote.rtp,
            rtcp: remote.rtcp,
            rtcp_mux: remote.rtcp_mux,
            payload_types: remote.payload_types,
            signalling,
            strict,
            clock_hz: 8000,
            sealed: false,
            sends: true,
            receives: true,
            formats: None,
        };
        cx.media.update(media.leg, remote);
    }

    /// Frees the ports of an attempt that is over; what was heard there is in its record.
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
    pub(super) fn read_media(&mut self, cx: &mut Cx<'_>) {
        let vendor = self.winner_mut().and_then(|attempt| attempt.media.read(cx));
        self.last_media = [self.caller_media.read(cx), vendor];
    }
}
