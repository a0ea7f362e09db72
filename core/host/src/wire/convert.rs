//! From the call's types to the interface's types, borrowing every string.

use super::question::{
    Call, Candidate, DeckRow, DisplayMode, Event, EventKind, Failure, HeaderMode, IdentityQuestion,
    NumberQuestion, Outcome, PrivacyMode, Purpose, Rounding, RoundingMode, ScreenQuestion, Stage,
    StopAfterMedia, Subject, SupervisionQuestion,
};

impl From<policy::CallFacts> for Call {
    fn from(call: policy::CallFacts) -> Call {
        Call {
            id_high: (call.id >> 64) as u64,
            id_low: call.id as u64,
            received_ms: call.received_ms,
            trunk: call.trunk,
            account: call.account,
        }
    }
}

impl<'a> From<&'a policy::ScreenQuestion> for ScreenQuestion<'a> {
    fn from(from: &'a policy::ScreenQuestion) -> ScreenQuestion<'a> {
        ScreenQuestion {
            call: from.call.into(),
            caller: &from.caller,
            callee: &from.callee,
            source: &from.source,
        }
    }
}

impl<'a> From<&'a policy::NumberQuestion> for NumberQuestion<'a> {
    fn from(from: &'a policy::NumberQuestion) -> NumberQuestion<'a> {
        NumberQuestion {
            call: from.call.into(),
            stage: from.stage.into(),
            trunk: from.trunk,
            caller: &from.caller,
            callee: &from.callee,
            identity: &from.identity,
            caller_rules: from.caller_rules,
            callee_rules: from.callee_rules,
            identity_rules: from.identity_rules,
            tech_prefix: &from.tech_prefix,
            reject_unmatched: from.reject_unmatched,
        }
    }
}

impl From<&policy::RateSubject> for Subject {
    fn from(from: &policy::RateSubject) -> Subject {
        let purpose = match (from.side, from.is_final) {
            (policy::Side::Sell, false) => Purpose::SellEstimate,
            (policy::Side::Sell, true) => Purpose::SellFinal,
            (policy::Side::Buy, false) => Purpose::BuyEstimate,
            (policy::Side::Buy, true) => Purpose::BuyFinal,
        };
        Subject { purpose, account: from.account, trunk: from.trunk, at_ms: from.at_ms }
    }
}

impl From<&policy::DeckRow> for DeckRow {
    fn from(from: &policy::DeckRow) -> DeckRow {
        DeckRow {
            price_first: from.price_first,
            price_next: from.price_next,
            connect_fee: from.connect_fee,
            first_increment_s: from.first_increment_s,
            next_increment_s: from.next_increment_s,
            free_seconds: from.free_seconds,
            minimum_charge: from.minimum_charge,
        }
    }
}

impl From<&policy::Rounding> for Rounding {
    fn from(from: &policy::Rounding) -> Rounding {
        Rounding {
            unit_ms: from.unit_ms,
            mode: from.mode.into(),
            decimals: from.decimals,
            fee_unit: from.fee_unit,
        }
    }
}

impl From<&policy::Candidate> for Candidate {
    fn from(from: &policy::Candidate) -> Candidate {
        Candidate {
            trunk: from.trunk,
            prefix_length: from.prefix_length,
            prefix_priority: from.prefix_priority,
            extend: from.extend,
            priority: from.priority,
            weight: from.weight,
            last_resort: from.last_resort,
            active: from.active,
            channels: from.channels,
            calls_today: from.calls_today,
            buy_price: from.buy_price,
        }
    }
}

impl<'a> From<&'a policy::AdvanceQuestion> for Outcome<'a> {
    fn from(from: &'a policy::AdvanceQuestion) -> Outcome<'a> {
        Outcome {
            trunk: from.trunk,
            failure: from.failure.into(),
            code: from.code,
            cause: from.cause,
            alerted: from.alerted,
            media_opened: from.media_opened,
            rtp_received: from.rtp_received,
            stop_after_busy: from.switches.stop_after_busy,
            stop_after_timeout: from.switches.stop_after_timeout,
            until_connect: from.switches.until_connect,
            stop_after_media: from.switches.stop_after_media.into(),
            code_policy: &from.switches.code_policy,
            attempts: from.attempts,
            remaining: from.remaining,
        }
    }
}

impl<'a> From<&'a policy::IdentityQuestion> for IdentityQuestion<'a> {
    fn from(from: &'a policy::IdentityQuestion) -> IdentityQuestion<'a> {
        IdentityQuestion {
            call: from.call.into(),
            trunk: from.trunk,
            caller_out: &from.caller_out,
            identity_out: &from.identity_out,
            display: &from.display,
            host: &from.host,
            privacy: &from.privacy,
            private: from.private,
            source_trusted: from.source_trusted,
            target_trusted: from.target_trusted,
            asserted_mode: from.modes.asserted.into(),
            preferred_mode: from.modes.preferred.into(),
            remote_party_mode: from.modes.remote_party.into(),
            diversion_mode: from.modes.diversion.into(),
            privacy_mode: from.modes.privacy.into(),
            display_mode: from.modes.display.into(),
            fixed_identity: &from.modes.fixed_identity,
            fixed_display: &from.modes.fixed_display,
        }
    }
}

impl<'a> From<&'a policy::SupervisionQuestion> for SupervisionQuestion<'a> {
    fn from(from: &'a policy::SupervisionQuestion) -> SupervisionQuestion<'a> {
        SupervisionQuestion {
            call: from.call.into(),
            asking: from.asking,
            answered_s: from.answered_s,
            interval_s: from.interval_s,
            trunk: from.trunk,
            caller: &from.caller,
            callee: &from.callee,
            sell_price: from.sell_price,
            marks: from.marks.iter().map(policy::Text::as_str).collect(),
        }
    }
}

impl<'a> From<&'a policy::EventNotice> for Event<'a> {
    fn from(from: &'a policy::EventNotice) -> Event<'a> {
        Event {
            call: from.call.into(),
            kind: from.kind.into(),
            at_ms: from.at_ms,
            trunk: from.trunk,
            code: from.code,
            duration_ms: from.duration_ms,
            callee: &from.callee,
            caller: &from.caller,
        }
    }
}

impl From<policy::Stage> for Stage {
    fn from(from: policy::Stage) -> Stage {
        match from {
            policy::Stage::Ingress => Stage::Ingress,
            policy::Stage::Egress => Stage::Egress,
        }
    }
}

impl From<policy::RoundingMode> for RoundingMode {
    fn from(from: policy::RoundingMode) -> RoundingMode {
        match from {
            policy::RoundingMode::Up => RoundingMode::Up,
            policy::RoundingMode::Nearest => RoundingMode::Nearest,
            policy::RoundingMode::Down => RoundingMode::Down,
        }
    }
}

impl From<policy::AttemptFailure> for Failure {
    fn from(from: policy::AttemptFailure) -> Failure {
        match from {
            policy::AttemptFailure::Response => Failure::Response,
            policy::AttemptFailure::NoResponse => Failure::NoResponse,
            policy::AttemptFailure::ProgressTimeout => Failure::ProgressTimeout,
            policy::AttemptFailure::RingTimeout => Failure::RingTimeout,
            policy::AttemptFailure::ConnectFailed => Failure::ConnectFailed,
            policy::AttemptFailure::NotSent => Failure::NotSent,
        }
    }
}

impl From<policy::StopAfterMedia> for StopAfterMedia {
    fn from(from: policy::StopAfterMedia) -> StopAfterMedia {
        match from {
            policy::StopAfterMedia::Sdp => StopAfterMedia::Sdp,
            policy::StopAfterMedia::Rtp => StopAfterMedia::Rtp,
            policy::StopAfterMedia::Off => StopAfterMedia::Off,
        }
    }
}

impl From<policy::HeaderMode> for HeaderMode {
    fn from(from: policy::HeaderMode) -> HeaderMode {
        match from {
            policy::HeaderMode::None => HeaderMode::None,
            policy::HeaderMode::Pass => HeaderMode::Pass,
            policy::HeaderMode::Caller => HeaderMode::Caller,
            policy::HeaderMode::Fixed => HeaderMode::Fixed,
        }
    }
}

impl From<policy::PrivacyMode> for PrivacyMode {
    fn from(from: policy::PrivacyMode) -> PrivacyMode {
        match from {
            policy::PrivacyMode::None => PrivacyMode::None,
            policy::PrivacyMode::Pass => PrivacyMode::Pass,
            policy::PrivacyMode::Id => PrivacyMode::Id,
        }
    }
}

impl From<policy::DisplayMode> for DisplayMode {
    fn from(from: policy::DisplayMode) -> DisplayMode {
        match from {
            policy::DisplayMode::Pass => DisplayMode::Pass,
            policy::DisplayMode::Remove => DisplayMode::Remove,
            policy::DisplayMode::Number => DisplayMode::Number,
            policy::DisplayMode::Fixed => DisplayMode::Fixed,
        }
    }
}

impl From<policy::EventKind> for EventKind {
    fn from(from: policy::EventKind) -> EventKind {
        match from {
            policy::EventKind::Incoming => EventKind::Incoming,
            policy::EventKind::Routed => EventKind::Routed,
            policy::EventKind::Attempt => EventKind::Attempt,
            policy::EventKind::Ringing => EventKind::Ringing,
            policy::EventKind::Answered => EventKind::Answered,
            policy::EventKind::Held => EventKind::Held,
            policy::EventKind::Resumed => EventKind::Resumed,
            policy::EventKind::Failed => EventKind::Failed,
            policy::EventKind::Ended => EventKind::Ended,
        }
    }
}
