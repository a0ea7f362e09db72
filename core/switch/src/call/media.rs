//! Media of the call: the ports of its legs, who hears whom, and the descriptions that lead
//! audio there.

use super::{Attempt, Call, Cx};
use crate::facts::{Listener, VendorTrunk};
use crate::io::CallKey;
use crate::media::{LegCounters, MediaLeg, MediaSide, RemoteMedia};
use crate::sdp::{self, Unusable, Way};
use ledger::MediaRecord;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

/// The number of the caller's leg; the leg of an attempt has the attempt's, which begin at 1.
pub(super) const CALLER: u16 = 0;

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
    pub(super) fn new(call: CallKey, leg: u16) -> LegMedia {
        LegMedia { leg: MediaLeg { call, leg }, local: None, record: MediaRecord::default() }
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
            self.tell_relay(cx, MediaSide::Caller, remote);
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
        cx.media.join(self.caller_media.leg, attempt.media.leg);
        Some([caller, vendor])
    }

    /// SDP of the vendor as the caller gets it, and the relay is told about the vendor.
    pub(super) fn answer_for_caller(&mut self, cx: &mut Cx<'_>, body: &[u8]) -> Option<Vec<u8>> {
        self.pass_sdp(cx, MediaSide::Vendor, body).ok()
    }

    /// SDP from one side as the other gets it, and the relay is told about its sender.
    pub(super) fn pass_sdp(
        &mut self,
        cx: &mut Cx<'_>,
        from: MediaSide,
        body: &[u8],
    ) -> Result<Vec<u8>, Unusable> {
        let (rewritten, remote) = self.rewrite_sdp(from, body)?;
        if let Some(remote) = remote {
            self.tell_relay(cx, from, remote);
        }
        Ok(rewritten)
    }

    /// SDP from one side as the other gets it, and where its sender receives; nowhere if its
    /// media does not pass through the switch.
    pub(super) fn rewrite_sdp(
        &mut self,
        from: MediaSide,
        body: &[u8],
    ) -> Result<(Vec<u8>, Option<sdp::Remote>), Unusable> {
        let way = if self.direct {
            let leg = self.leg(from.other()).ok_or(Unusable::NoAudio)?;
            Way::Direct(self.own_address(leg.flow.listener))
        } else {
            let [own, local] = [from, from.other()].map(|side| self.local_media(side));
            let (own, local) = own.zip(local).ok_or(Unusable::NoAudio)?;
            Way::Relayed { own, local }
        };
        let origin = match from {
            MediaSide::Vendor => &mut self.caller.origin,
            MediaSide::Caller => &mut self.vendor.as_mut().ok_or(Unusable::NoAudio)?.origin,
        };
        sdp::rewrite(body, way, origin)
    }

    /// Our address towards a side.
    fn local_media(&self, side: MediaSide) -> Option<SocketAddr> {
        match side {
            MediaSide::Caller => self.caller_media.local,
            MediaSide::Vendor => self.current.as_ref()?.media.local,
        }
    }

    pub(super) fn tell_relay(&mut self, cx: &mut Cx<'_>, side: MediaSide, remote: sdp::Remote) {
        let (media, strict, signalling) = match (side, &mut self.current) {
            (MediaSide::Caller, _) => {
                let signalling = self.caller.flow.remote.ip();
                (&mut self.caller_media, self.customer.strict_media, signalling)
            }
            (MediaSide::Vendor, Some(attempt)) => {
                let flow = self.vendor.as_ref().map(|leg| leg.flow.remote);
                let signalling = flow.or(attempt.target_address()).unwrap_or(remote.rtp).ip();
                let strict = attempt.vendor.strict_media;
                (&mut attempt.media, strict, signalling)
            }
            (MediaSide::Vendor, None) => return,
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
        };
        cx.media.update(media.leg, remote);
    }

    /// Frees the ports of an attempt that is over; what was heard there is in its record.
    pub(super) fn close_vendor_media(&mut self, cx: &mut Cx<'_>, attempt: &mut Attempt) {
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
        if let Some(mut attempt) = self.current.take() {
            self.close_vendor_media(cx, &mut attempt);
            self.current = Some(attempt);
        }
    }

    /// Reads the counters of both sides into the record.
    pub(super) fn read_media(&mut self, cx: &mut Cx<'_>) {
        let vendor = self.current.as_mut().and_then(|attempt| attempt.media.read(cx));
        self.last_media = [self.caller_media.read(cx), vendor];
    }
}
