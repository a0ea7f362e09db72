//! Our ringback tone for a caller whose vendor rings without media (MEDIA-13).

use super::{Attempt, CALLER, Call, Cx};
use crate::facts::RingbackMode;
use crate::sdp;
use sip::sdp::{Audio, Direction, PayloadType, Side};

impl Call {
    /// Whether a vendor's 18x starts our tone for the caller. From then on the caller has our own
    /// answer, and the vendor's later answer is converted to it.
    pub(super) fn begins_ringback(
        &mut self,
        cx: &mut Cx<'_>,
        number: u16,
        status: u16,
        early_media: bool,
    ) -> bool {
        let Some(attempt) = self.attempt(number).filter(|attempt| attempt.is_out()) else {
            return false;
        };
        let wanted = match attempt.vendor.ringback.mode {
            RingbackMode::Off => false,
            RingbackMode::IfNoEarlyMedia => status == 180 && !early_media && !attempt.media_opened,
            RingbackMode::Always => status >= 180,
        };
        if !wanted || self.direct || self.delayed_offer() {
            return false;
        }
        let Some((given, side)) = self.answer_alone() else { return false };
        self.caller_media.given = Some(given);
        self.tell_formats(cx, CALLER, Some(&side));
        true
    }

    /// The codecs of our own answer to the caller, and the caller's audio formats after it.
    fn answer_alone(&self) -> Option<(Vec<PayloadType>, Side)> {
        let known = sdp::convertible();
        let (_, offered) = self.caller_media.offered()?.first_audio()?;
        let given = match &self.caller_media.given {
            Some(given) => given.clone(),
            None => offered.answer_alone(&known)?,
        };
        let side = Side::answered(offered, &given, &known);
        Some((given, side))
    }

    /// Plays the tone of a vendor's trunk to the caller; returns the status and the description
    /// that replace the vendor's.
    pub(super) fn ring(
        &mut self,
        cx: &mut Cx<'_>,
        number: u16,
        status: u16,
        body: Option<Vec<u8>>,
    ) -> (u16, Option<Vec<u8>>) {
        let body = body.or_else(|| self.ringing_answer());
        let tone = self.attempt(number).map(|attempt| attempt.vendor.ringback.sound.clone());
        if let Some(tone) = tone.filter(|_| !self.caller_media.hears_sound) {
            self.caller_media.hears_sound = cx.media.play(self.caller_media.leg, &tone, true);
        }
        // A 183 with a description means that the caller hears media (RFC 3960 section 3).
        let status = if status == 180 && body.is_some() { 183 } else { status };
        (status, body)
    }

    fn ringing_answer(&mut self) -> Option<Vec<u8>> {
        let formats = self.caller_media.given.clone()?;
        let rtp = self.caller_media.local?;
        let direction = Direction::SendRecv;
        let audio = Audio { rtp, formats: &formats, direction, ptime_ms: None };
        self.answer_of_ours(CALLER, &audio)
    }
}

impl Attempt {
    /// Whether its caller may hear our tone.
    pub(super) fn rings(&self) -> bool {
        self.vendor.ringback.mode != RingbackMode::Off
    }

    /// Whether its caller hears our tone until the answer, whatever the vendor sends.
    pub(super) fn rings_always(&self) -> bool {
        self.is_out() && self.vendor.ringback.mode == RingbackMode::Always
    }
}
