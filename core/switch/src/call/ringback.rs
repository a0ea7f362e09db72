//! A tone of ours for a caller whose vendor rings in silence (MEDIA-13).

use super::{Attempt, CALLER, Call, Cx};
use crate::facts::RingbackMode;
use crate::sdp;
use sip::sdp::{Audio, Direction, PayloadType, Side};

impl Call {
    /// Whether a 18x of a vendor has the caller hear a tone of ours. Then the caller is answered by
    /// ourselves from here on: what the vendor says later is converted to that answer.
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

    /// What the caller is answered by ourselves, and how it then writes its audio.
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

    /// Has the caller hear the tone of a vendor's trunk: the status and the description that the
    /// caller gets for the vendor's.
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
        // 183 with a description says what the caller hears (RFC 3960 section 3).
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
    /// Whether its caller may hear a tone of ours.
    pub(super) fn rings(&self) -> bool {
        self.vendor.ringback.mode != RingbackMode::Off
    }

    /// Whether its caller hears our tone whatever it sends before the answer.
    pub(super) fn rings_always(&self) -> bool {
        self.is_out() && self.vendor.ringback.mode == RingbackMode::Always
    }
}
