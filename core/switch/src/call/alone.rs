//! Audio of a call without a caller: we make the offer, and answer the vendor's requests inside its
//! dialog ourselves (RFC 3264).

use super::bridge::Offer;
use super::media::NoOffer;
use super::{Attempt, Call, Cx};
use crate::sdp::{self, Remote, Unusable};
use sip::sdp::{Audio, Direction, PayloadType, SessionDescription, Side};
use sip::{Method, TransactionId};

/// Our own offer to the vendor of an attempt.
pub(super) fn offer_alone(cx: &mut Cx<'_>, attempt: &mut Attempt) -> Result<Vec<u8>, NoOffer> {
    attempt.media.open(cx, attempt.vendor.media_address).ok_or(NoOffer::Ports)?;
    offer_of(attempt).ok_or(NoOffer::Ports)
}

/// Our offer to the vendor of an attempt that has ports.
fn offer_of(attempt: &mut Attempt) -> Option<Vec<u8>> {
    let formats = sdp::spoken();
    let rtp = attempt.media.local?;
    let audio = Audio { rtp, formats: &formats, direction: Direction::SendRecv, ptime_ms: None };
    Some(sdp::offer(&audio, &mut attempt.origin))
}

impl Call {
    /// A description from the vendor: the relay learns where the vendor receives, and in which
    /// codec.
    pub(super) fn take_description(
        &mut self,
        cx: &mut Cx<'_>,
        from: u16,
        body: &[u8],
    ) -> Result<(), Unusable> {
        let (remote, _) = self.read_alone(from, &sdp::read(body)?)?;
        self.tell_relay(cx, from, remote);
        Ok(())
    }

    /// Uses the peer's latest description once both sides have agreed on it.
    pub(super) fn take_agreed(&mut self, cx: &mut Cx<'_>, from: u16) {
        let agreed = self.leg(from).and_then(|leg| leg.negotiation().remote());
        let Some(agreed) = agreed.map(<[u8]>::to_vec) else { return };
        if let Err(unusable) = self.take_description(cx, from, &agreed) {
            tracing::debug!(call = %self.shown_id(), why = unusable.text(), "answer in an ACK");
        }
    }

    /// Where the sender of a description receives, and the formats that we send to it: one codec,
    /// and telephone events if it has them.
    fn read_alone(
        &self,
        from: u16,
        description: &SessionDescription,
    ) -> Result<(Remote, Vec<PayloadType>), Unusable> {
        let own = self.attempt(from).and_then(|attempt| attempt.media.local);
        let mut remote = sdp::remote_of(description, own.ok_or(Unusable::NoAudio)?)?;
        let (_, audio) = description.first_audio().ok_or(Unusable::NoAudio)?;
        let formats = audio.answer_alone(&sdp::convertible()).ok_or(Unusable::NoCodec)?;
        if let Some(codec) = formats.first() {
            (remote.codec, remote.clock_hz) = (codec.name.clone(), codec.clock_hz);
        }
        // It may send with our payload numbers as well as with its own (RFC 3264 section 6.1).
        let side = Side { sends: sdp::spoken(), wants: formats.clone() };
        remote.formats = Some(sdp::formats_of(&side));
        Ok((remote, formats))
    }

    /// A request of the vendor that would be passed to the caller if there were one.
    pub(super) fn answer_request(&mut self, cx: &mut Cx<'_>, from: u16, theirs: TransactionId) {
        let Some(request) = self.leg(from).and_then(|leg| leg.request(theirs)) else { return };
        let offered = sdp::body_of(request).filter(|_| *request.method() != Method::Info);
        let invite = *request.method() == Method::Invite;
        let Some(offered) = offered.map(<[u8]>::to_vec) else {
            // The ACK of a re-INVITE without an offer answers ours; INFO only needs a 200.
            let offer = self.attempt_mut(from).filter(|_| invite).and_then(offer_of);
            return self.reply(cx, from, theirs, 200, offer.as_deref(), &[]);
        };
        match self.answer_of_our_own(from, &offered) {
            Ok((answer, remote)) => {
                let held = sdp::is_hold(&offered);
                self.take_offer(cx, from, Offer { remote: Some(remote), held });
                self.reply(cx, from, theirs, 200, Some(&answer), &[]);
            }
            Err(unusable) => {
                let listener = self.leg(from).map_or(0, |leg| leg.flow().listener);
                let warning = unusable.warning(&cx.core.advertised(listener));
                self.reply(cx, from, theirs, 488, None, &[("Warning", &warning)]);
            }
        }
    }

    /// Our answer to the vendor's offer, and where the vendor receives.
    fn answer_of_our_own(
        &mut self,
        from: u16,
        offered: &[u8],
    ) -> Result<(Vec<u8>, Remote), Unusable> {
        let description = sdp::read(offered)?;
        let (remote, formats) = self.read_alone(from, &description)?;
        let (_, stream) = description.first_audio().ok_or(Unusable::NoAudio)?;
        let attempt = self.attempt_mut(from).ok_or(Unusable::NoAudio)?;
        let audio = Audio {
            rtp: attempt.media.local.ok_or(Unusable::NoAudio)?,
            formats: &formats,
            direction: stream.direction.reversed(),
            ptime_ms: None,
        };
        Ok((sdp::answer(&description, &audio, &mut attempt.origin), remote))
    }
}
