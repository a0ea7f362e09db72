use super::question::Failure;
use std::sync::Arc;
use wasmtime::component::{ComponentType, Lift, Lower};

/// `host-log.level`.
#[derive(Clone, Copy, Debug, ComponentType, Lift)]
#[expect(dead_code, reason = "made only by lifting what a guest passes")]
#[component(enum)]
#[repr(u8)]
pub(crate) enum LogLevel {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

/// `host-tables.hit`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct TableHit {
    #[component(name = "length")]
    pub(crate) length: u32,
    #[component(name = "value")]
    pub(crate) value: Arc<str>,
}

/// `host-call.numbers`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct CallNumbers {
    #[component(name = "caller-in")]
    pub(crate) caller_in: String,
    #[component(name = "callee-in")]
    pub(crate) callee_in: String,
    #[component(name = "caller")]
    pub(crate) caller: String,
    #[component(name = "callee")]
    pub(crate) callee: String,
    #[component(name = "route-as")]
    pub(crate) route_as: String,
    #[component(name = "tech-prefix-in")]
    pub(crate) tech_prefix_in: String,
}

impl From<policy::CallNumbers> for CallNumbers {
    fn from(from: policy::CallNumbers) -> CallNumbers {
        CallNumbers {
            caller_in: from.caller_in.into(),
            callee_in: from.callee_in.into(),
            caller: from.caller.into(),
            callee: from.callee.into(),
            route_as: from.route_as.into(),
            tech_prefix_in: from.tech_prefix_in.into(),
        }
    }
}

/// `host-call.attempt`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct PastAttempt {
    #[component(name = "trunk")]
    pub(crate) trunk: u32,
    #[component(name = "failure")]
    pub(crate) failure: Failure,
    #[component(name = "code")]
    pub(crate) code: u16,
    #[component(name = "cause")]
    pub(crate) cause: u8,
    #[component(name = "duration-ms")]
    pub(crate) duration_ms: u32,
}

impl From<policy::PastAttempt> for PastAttempt {
    fn from(from: policy::PastAttempt) -> PastAttempt {
        PastAttempt {
            trunk: from.trunk,
            failure: from.failure.into(),
            code: from.code,
            cause: from.cause,
            duration_ms: from.duration_ms,
        }
    }
}

/// `host-trunks.statistics`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Statistics {
    #[component(name = "active")]
    pub(crate) active: u32,
    #[component(name = "attempts")]
    pub(crate) attempts: u32,
    #[component(name = "answered")]
    pub(crate) answered: u32,
    #[component(name = "asr-permille")]
    pub(crate) asr_permille: u16,
    #[component(name = "ner-permille")]
    pub(crate) ner_permille: u16,
    #[component(name = "acd-ms")]
    pub(crate) acd_ms: u32,
    #[component(name = "pdd-ms")]
    pub(crate) pdd_ms: u32,
}

impl From<policy::TrunkStatistics> for Statistics {
    fn from(from: policy::TrunkStatistics) -> Statistics {
        Statistics {
            active: from.active,
            attempts: from.attempts,
            answered: from.answered,
            asr_permille: from.asr_permille,
            ner_permille: from.ner_permille,
            acd_ms: from.acd_ms,
            pdd_ms: from.pdd_ms,
        }
    }
}
