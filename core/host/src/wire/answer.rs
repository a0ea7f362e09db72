use wasmtime::component::{ComponentType, Lift, Lower};

/// `lifecycle.description`.
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Description {
    #[component(name = "name")]
    pub(crate) name: String,
    #[component(name = "version")]
    pub(crate) version: String,
    #[component(name = "summary")]
    pub(crate) summary: String,
    #[component(name = "config-schema")]
    pub(crate) config_schema: String,
}

/// `types.rejection`.
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Rejection {
    #[component(name = "code")]
    pub(crate) code: u16,
    #[component(name = "reason")]
    pub(crate) reason: String,
    #[component(name = "detail")]
    pub(crate) detail: String,
}

/// `screening.verdict`.
#[derive(Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Verdict {
    #[component(name = "allow")]
    Allow,
    #[component(name = "reject")]
    Reject(Rejection),
    #[component(name = "challenge")]
    Challenge,
    #[component(name = "mark")]
    Mark(Vec<String>),
}

/// `rule-sets.problem`.
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct RuleProblem {
    #[component(name = "line")]
    pub(crate) line: u32,
    #[component(name = "reason")]
    pub(crate) reason: String,
}

/// `numbering.numbers`.
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Numbers {
    #[component(name = "caller")]
    pub(crate) caller: String,
    #[component(name = "callee")]
    pub(crate) callee: String,
    #[component(name = "identity")]
    pub(crate) identity: String,
    #[component(name = "route-as")]
    pub(crate) route_as: String,
    #[component(name = "rate-as")]
    pub(crate) rate_as: String,
    #[component(name = "uri-parameters")]
    pub(crate) uri_parameters: String,
}

/// `rating.charge`.
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Charge {
    #[component(name = "amount")]
    pub(crate) amount: i64,
    #[component(name = "billed-seconds")]
    pub(crate) billed_seconds: u32,
}

/// `rating.no-charge`.
#[derive(Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum NoCharge {
    #[component(name = "pass")]
    Pass,
    #[component(name = "failed")]
    Failed(String),
}

/// `routing.decision`.
#[derive(Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Decision {
    #[component(name = "next")]
    Next,
    #[component(name = "stop")]
    Stop,
    #[component(name = "stop-with")]
    StopWith(u16),
    #[component(name = "pass")]
    Pass,
}

/// `types.header`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Header {
    #[component(name = "name")]
    pub(crate) name: String,
    #[component(name = "value")]
    pub(crate) value: String,
}

/// `identity.answer`.
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct IdentityAnswer {
    #[component(name = "display")]
    pub(crate) display: String,
    #[component(name = "user")]
    pub(crate) user: String,
    #[component(name = "host")]
    pub(crate) host: String,
    #[component(name = "headers")]
    pub(crate) headers: Vec<Header>,
}

/// `supervision.ending`.
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Ending {
    #[component(name = "reason")]
    pub(crate) reason: String,
    #[component(name = "cause")]
    pub(crate) cause: u8,
    #[component(name = "code")]
    pub(crate) code: u16,
    #[component(name = "detail")]
    pub(crate) detail: String,
}

/// `supervision.course`.
#[derive(Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Course {
    #[component(name = "go-on")]
    GoOn,
    #[component(name = "limit")]
    Limit(u32),
    #[component(name = "end")]
    End(Ending),
}

/// `supervision.answer`.
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct SupervisionAnswer {
    #[component(name = "course")]
    pub(crate) course: Course,
    #[component(name = "marks")]
    pub(crate) marks: Vec<String>,
    #[component(name = "ask-again-s")]
    pub(crate) ask_again_s: u32,
}
