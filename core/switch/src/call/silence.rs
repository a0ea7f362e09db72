//! The relay's events about an answered call: silence and its consequences (MEDIA-16 to MEDIA-20).

use super::answering::lasted_ms;
use super::{CALLER, Call, Cx, End};
use crate::media::MediaEvent;
use crate::reason::{Causes, name};
use compact_str::format_compact;
use ledger::{EndedBy, Text, TrailEntry};
use std::sync::Arc;

/// Flag in the record of a call with one silent side.
const ONE_WAY: &str = "one_way";

impl Call {
    /// Starts watching for silence at the answer, if media pass through us.
    pub(super) fn watch_media(&self, cx: &mut Cx<'_>) {
        if !self.direct {
            cx.media.watch(self.key, self.world.settings.silence);
        }
    }

    /// Handles an event of the relay.
    pub(crate) fn on_media_event(&mut self, cx: &mut Cx<'_>, event: MediaEvent) {
        if self.connected().is_none() {
            return;
        }
        let limits = self.world.settings.silence;
        match event {
            MediaEvent::NoMedia => {
                let limit = limits.no_media;
                self.end_silent(cx, format_compact!("no RTP within {limit:?} of the answer"));
            }
            MediaEvent::BothSilent => {
                let limit = limits.both_silent;
                self.end_silent(
                    cx,
                    format_compact!("neither side has sent anything for {limit:?}"),
                );
            }
            MediaEvent::HeldTooLong => {
                let detail = format_compact!("on hold for longer than {:?}", limits.hold);
                self.end_dead(cx, detail);
            }
            MediaEvent::SideSilent(leg) => {
                self.flag_one_way(leg);
                self.note_media(cx, leg, "one-way: is silent");
            }
            MediaEvent::SideHeard(leg) => self.note_media(cx, leg, "is heard again"),
            MediaEvent::ProbeDue(leg) => {
                if let Some(leg) = self.leg_mut(leg) {
                    leg.look_for_life(&mut cx.wire());
                }
            }
            MediaEvent::PlayEnded(_) => {}
        }
    }

    /// A silent side has answered neither OPTIONS nor a re-INVITE (MEDIA-18). The call is billed up
    /// to the last packet of that side, even if the other side still sends (BILL-13).
    pub(super) fn on_no_life(&mut self, cx: &mut Cx<'_>, leg: u16) {
        let Some(connected) = self.connected() else { return };
        self.read_media(cx);
        let (side, at) = if leg == CALLER { ("caller", 0) } else { ("vendor", 1) };
        let last = self.last_media[at].unwrap_or(connected.since).max(connected.since);
        self.times.billable_ms = Some(lasted_ms(connected.since, last));
        self.end_dead(cx, format_compact!("the {side} is silent and answers nothing"));
    }

    /// Ends a call that died in silence. It is billed up to its last packet (BILL-13).
    fn end_silent(&mut self, cx: &mut Cx<'_>, detail: Text) {
        let Some(connected) = self.connected() else { return };
        self.read_media(cx);
        let last = self.last_media.into_iter().flatten().max();
        // Without any packet nothing is billed.
        let billable = last.map(|last| lasted_ms(connected.since, last.max(connected.since)));
        self.times.billable_ms = Some(billable.unwrap_or(0));
        self.end_dead(cx, detail);
    }

    fn end_dead(&mut self, cx: &mut Cx<'_>, detail: Text) {
        let end = End::answered(name::MEDIA_TIMEOUT, EndedBy::Switch).with(detail);
        self.end_connected_with(cx, end, None, Causes::ours(41));
    }

    /// Flags the record as one-way and names the silent leg, whatever happens later (MEDIA-18).
    fn flag_one_way(&mut self, leg: u16) {
        let flag = |flags: &mut Vec<Text>| {
            if !flags.iter().any(|known| known == ONE_WAY) {
                flags.push(ONE_WAY.into());
            }
        };
        flag(&mut self.flags);
        if let Some(attempt) = self.attempt_mut(leg) {
            flag(&mut attempt.record.flags);
        }
    }

    /// Notes a change in a leg's audio on the trail (MEDIA-18).
    fn note_media(&mut self, cx: &mut Cx<'_>, leg: u16, what: &str) {
        let side = if leg == CALLER { "caller" } else { "vendor" };
        let at_ms = cx.now.instant.saturating_duration_since(self.began).as_millis();
        self.trail.push(TrailEntry {
            at_ms: u32::try_from(at_ms).unwrap_or(u32::MAX),
            attempt: leg,
            hook: Arc::from("media"),
            plugin: cx.core.names.plugin(None),
            answer: format_compact!("{side} {what}"),
            fault: Text::default(),
            micros: 0,
        });
    }
}
