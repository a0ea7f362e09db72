//! Questions about a wholesale call: rewritten numbers, ten vendors, an asserted identity.

use super::RULES;
use policy::{
    CallFacts, Candidate, DeckRow, IdentityQuestion, NumberQuestion, Question, RateQuestion,
    RateSubject, Rounding, RouteQuestion, ScreenQuestion, Side, Stage, TrunkIdentity,
};

pub(crate) struct Wholesale {
    pub(crate) call: CallFacts,
    pub(crate) caller: String,
    pub(crate) callee: String,
    /// Approximate number of calls that its vendors carry.
    pub(crate) load: u32,
    pub(crate) duration_ms: u64,
}

impl Wholesale {
    pub(crate) fn screening(&self) -> Question {
        Question::Screen(ScreenQuestion {
            call: self.call,
            caller: self.caller.clone().into(),
            callee: self.callee.clone().into(),
            source: "192.0.2.17".into(),
        })
    }

    /// At ingress the dialled number is rewritten; at egress all three numbers are, with
    /// `own_rules`.
    pub(crate) fn numbering(&self, stage: Stage, callee: &str, own_rules: bool) -> Question {
        let own = if own_rules { RULES } else { 0 };
        Question::Number(NumberQuestion {
            call: self.call,
            stage,
            trunk: 12,
            caller: self.caller.clone().into(),
            callee: callee.into(),
            identity: if stage == Stage::Egress {
                self.caller.clone().into()
            } else {
                policy::Text::default()
            },
            caller_rules: own,
            callee_rules: if stage == Stage::Ingress { RULES } else { own },
            identity_rules: if stage == Stage::Egress { own } else { 0 },
            tech_prefix: policy::Text::default(),
            reject_unmatched: false,
        })
    }

    pub(crate) fn rating(&self, side: Side, is_final: bool) -> Question {
        let CallFacts { account, trunk, received_ms, .. } = self.call;
        Question::Rate(RateQuestion {
            call: self.call,
            subject: RateSubject { side, is_final, account, trunk, at_ms: received_ms },
            row: DeckRow {
                price_first: 120_000_000,
                price_next: 120_000_000,
                connect_fee: 0,
                first_increment_s: 60,
                next_increment_s: 1,
                free_seconds: 0,
                minimum_charge: 0,
            },
            rounding: Rounding::default(),
            duration_ms: self.duration_ms,
        })
    }

    pub(crate) fn routing(&self) -> Question {
        let candidate = |trunk: u32| Candidate {
            trunk,
            prefix_length: if trunk < 4 { 4 } else { 2 },
            prefix_priority: 0,
            extend: true,
            priority: trunk % 3,
            weight: 10,
            last_resort: false,
            active: (self.load % 97) * trunk,
            channels: 500,
            calls_today: 1_000 + u64::from(self.load),
            buy_price: 100_000_000 + i64::from(trunk),
        };
        Question::Route(RouteQuestion {
            call: self.call,
            caller: self.caller.clone().into(),
            callee: self.callee.clone().into(),
            sell_price: 120_000_000,
            candidates: (1..=10).map(candidate).collect(),
        })
    }

    pub(crate) fn identity(&self) -> Question {
        Question::Identity(IdentityQuestion {
            call: self.call,
            trunk: 5,
            caller_out: self.caller.clone().into(),
            identity_out: self.caller.clone().into(),
            display: "Alice".into(),
            host: "198.51.100.4".into(),
            privacy: policy::Text::default(),
            private: false,
            source_trusted: true,
            target_trusted: true,
            modes: TrunkIdentity::default(),
        })
    }
}
