//! Which numbers are used?

use crate::bindings::numbering::exports::strowger::policy::numbering as wire;
use crate::bindings::rule_sets::exports::strowger::policy::rule_sets as wire_rules;
use crate::{Call, Plugin, Rejection, TrunkId};

/// Asked once when a call arrives and once per attempt (NUM-01).
pub trait Numbering: Plugin {
    /// Rewrites caller and callee.
    ///
    /// # Errors
    /// At ingress a rejection ends the call; at egress it ends the attempt.
    fn rewrite(&mut self, question: &NumberQuestion) -> Result<Numbers, Rejection>;
}

/// Implemented by plugins that read rule sets: reports the problems of a rule set before it is
/// saved, so that no call uses a broken one (NUM-23).
pub trait RuleSets: Plugin {
    /// The problems of a text; none if it is a valid rule set.
    fn check_rules(&self, text: &str) -> Vec<RuleProblem>;
}

/// One problem of a rule set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// Line of the text, from 1; 0 means the text as a whole.
    pub line: u32,
    /// What is wrong there and what would be right.
    pub reason: String,
}

impl From<RuleProblem> for wire_rules::Problem {
    fn from(RuleProblem { line, reason }: RuleProblem) -> Self {
        wire_rules::Problem { line, reason }
    }
}

/// The point in a call at which numbers change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Customer trunk: before lists, rating and routing use the numbers.
    #[default]
    Ingress,
    /// Vendor trunk: once per attempt.
    Egress,
}

/// Handle of a rule set by its content: equal handles mean equal texts. [`crate::host::text`]
/// returns the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleSetId(
    /// 0 means no rules.
    pub u64,
);

impl RuleSetId {
    /// No rules.
    pub const NONE: RuleSetId = RuleSetId(0);
}

/// Numbers to rewrite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberQuestion {
    /// The call.
    pub call: Call,
    /// Ingress or egress.
    pub stage: Stage,
    /// Customer trunk at ingress, vendor trunk at egress.
    pub trunk: TrunkId,
    /// Empty: none.
    pub caller: String,
    /// The number dialled.
    pub callee: String,
    /// Identity number chosen by the previous plugin; empty for the first plugin.
    pub identity: String,
    /// Rules for the caller (NUM-05, NUM-09).
    pub caller_rules: RuleSetId,
    /// Rules for the callee (NUM-04, NUM-08).
    pub callee_rules: RuleSetId,
    /// Egress only: rules from the outgoing caller to the identity number (NUM-22).
    pub identity_rules: RuleSetId,
    /// Egress only: literal put before the callee after its rewrite (NUM-10).
    pub tech_prefix: String,
    /// Reject if rules exist and none matches the callee (NUM-19).
    pub reject_unmatched: bool,
}

/// Answer to a [`NumberQuestion`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Empty: no caller number.
    pub caller: String,
    /// Never empty.
    pub callee: String,
    /// Number for PAI, PPI and RPID; empty: those headers are left out. Ignored at ingress.
    pub identity: String,
    /// Ingress: number that chooses the route instead of the callee, such as an LRN
    /// (ROUTE-62); empty: the callee.
    pub route_as: String,
    /// Ingress: number that chooses the rate instead of the callee; empty: the callee.
    pub rate_as: String,
    /// Egress: parameters of the called number in the Request-URI without the first `;`,
    /// such as `rn=+12025550100;npdi` (RFC 4694).
    pub uri_parameters: String,
}

impl From<wire::Question> for NumberQuestion {
    fn from(question: wire::Question) -> Self {
        NumberQuestion {
            call: question.call.into(),
            stage: match question.stage {
                wire::Stage::Ingress => Stage::Ingress,
                wire::Stage::Egress => Stage::Egress,
            },
            trunk: TrunkId(question.trunk),
            caller: question.caller,
            callee: question.callee,
            identity: question.identity,
            caller_rules: RuleSetId(question.caller_rules),
            callee_rules: RuleSetId(question.callee_rules),
            identity_rules: RuleSetId(question.identity_rules),
            tech_prefix: question.tech_prefix,
            reject_unmatched: question.reject_unmatched,
        }
    }
}

impl From<Numbers> for wire::Numbers {
    fn from(numbers: Numbers) -> Self {
        wire::Numbers {
            caller: numbers.caller,
            callee: numbers.callee,
            identity: numbers.identity,
            route_as: numbers.route_as,
            rate_as: numbers.rate_as,
            uri_parameters: numbers.uri_parameters,
        }
    }
}
