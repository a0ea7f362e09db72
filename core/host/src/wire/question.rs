use wasmtime::component::{ComponentType, Lower};

/// `types.call`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Call {
    #[component(name = "id-high")]
    pub(crate) id_high: u64,
    #[component(name = "id-low")]
    pub(crate) id_low: u64,
    #[component(name = "received-ms")]
    pub(crate) received_ms: u64,
    #[component(name = "trunk")]
    pub(crate) trunk: u32,
    #[component(name = "account")]
    pub(crate) account: u32,
}

/// `screening.question`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct ScreenQuestion<'a> {
    #[component(name = "call")]
    pub(crate) call: Call,
    #[component(name = "caller")]
    pub(crate) caller: &'a str,
    #[component(name = "callee")]
    pub(crate) callee: &'a str,
    #[component(name = "source")]
    pub(crate) source: &'a str,
}

/// `numbering.stage`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Stage {
    #[component(name = "ingress")]
    Ingress,
    #[component(name = "egress")]
    Egress,
}

/// `numbering.question`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct NumberQuestion<'a> {
    #[component(name = "call")]
    pub(crate) call: Call,
    #[component(name = "stage")]
    pub(crate) stage: Stage,
    #[component(name = "trunk")]
    pub(crate) trunk: u32,
    #[component(name = "caller")]
    pub(crate) caller: &'a str,
    #[component(name = "callee")]
    pub(crate) callee: &'a str,
    #[component(name = "identity")]
    pub(crate) identity: &'a str,
    #[component(name = "caller-rules")]
    pub(crate) caller_rules: u64,
    #[component(name = "callee-rules")]
    pub(crate) callee_rules: u64,
    #[component(name = "identity-rules")]
    pub(crate) identity_rules: u64,
    #[component(name = "tech-prefix")]
    pub(crate) tech_prefix: &'a str,
    #[component(name = "reject-unmatched")]
    pub(crate) reject_unmatched: bool,
}

/// `rating.purpose`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Purpose {
    #[component(name = "sell-estimate")]
    SellEstimate,
    #[component(name = "sell-final")]
    SellFinal,
    #[component(name = "buy-estimate")]
    BuyEstimate,
    #[component(name = "buy-final")]
    BuyFinal,
}

/// `rating.subject`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Subject {
    #[component(name = "purpose")]
    pub(crate) purpose: Purpose,
    #[component(name = "account")]
    pub(crate) account: u32,
    #[component(name = "trunk")]
    pub(crate) trunk: u32,
    #[component(name = "at-ms")]
    pub(crate) at_ms: u64,
}

/// `rating.deck-row`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct DeckRow {
    #[component(name = "price-first")]
    pub(crate) price_first: i64,
    #[component(name = "price-next")]
    pub(crate) price_next: i64,
    #[component(name = "connect-fee")]
    pub(crate) connect_fee: i64,
    #[component(name = "first-increment-s")]
    pub(crate) first_increment_s: u32,
    #[component(name = "next-increment-s")]
    pub(crate) next_increment_s: u32,
    #[component(name = "free-seconds")]
    pub(crate) free_seconds: u32,
    #[component(name = "minimum-charge")]
    pub(crate) minimum_charge: i64,
}

/// `rating.rounding-mode`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum RoundingMode {
    #[component(name = "up")]
    Up,
    #[component(name = "nearest")]
    Nearest,
    #[component(name = "down")]
    Down,
}

/// `rating.rounding`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Rounding {
    #[component(name = "unit-ms")]
    pub(crate) unit_ms: u32,
    #[component(name = "mode")]
    pub(crate) mode: RoundingMode,
    #[component(name = "decimals")]
    pub(crate) decimals: u8,
    #[component(name = "fee-unit")]
    pub(crate) fee_unit: i64,
}

/// `routing.candidate`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Candidate {
    #[component(name = "trunk")]
    pub(crate) trunk: u32,
    #[component(name = "prefix-length")]
    pub(crate) prefix_length: u8,
    #[component(name = "prefix-priority")]
    pub(crate) prefix_priority: u32,
    #[component(name = "extend")]
    pub(crate) extend: bool,
    #[component(name = "priority")]
    pub(crate) priority: u32,
    #[component(name = "weight")]
    pub(crate) weight: u32,
    #[component(name = "last-resort")]
    pub(crate) last_resort: bool,
    #[component(name = "active")]
    pub(crate) active: u32,
    #[component(name = "channels")]
    pub(crate) channels: u32,
    #[component(name = "calls-today")]
    pub(crate) calls_today: u64,
    #[component(name = "buy-price")]
    pub(crate) buy_price: i64,
}

/// `routing.question`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct RouteQuestion<'a> {
    #[component(name = "call")]
    pub(crate) call: Call,
    #[component(name = "caller")]
    pub(crate) caller: &'a str,
    #[component(name = "callee")]
    pub(crate) callee: &'a str,
    #[component(name = "sell-price")]
    pub(crate) sell_price: i64,
    #[component(name = "candidates")]
    pub(crate) candidates: &'a [Candidate],
}

/// `types.failure`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Failure {
    #[component(name = "response")]
    Response,
    #[component(name = "no-response")]
    NoResponse,
    #[component(name = "progress-timeout")]
    ProgressTimeout,
    #[component(name = "ring-timeout")]
    RingTimeout,
    #[component(name = "connect-failed")]
    ConnectFailed,
    #[component(name = "not-sent")]
    NotSent,
}

/// `routing.stop-after-media`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum StopAfterMedia {
    #[component(name = "sdp")]
    Sdp,
    #[component(name = "rtp")]
    Rtp,
    #[component(name = "off")]
    Off,
}

/// `routing.outcome`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Outcome<'a> {
    #[component(name = "trunk")]
    pub(crate) trunk: u32,
    #[component(name = "failure")]
    pub(crate) failure: Failure,
    #[component(name = "code")]
    pub(crate) code: u16,
    #[component(name = "cause")]
    pub(crate) cause: u8,
    #[component(name = "alerted")]
    pub(crate) alerted: bool,
    #[component(name = "media-opened")]
    pub(crate) media_opened: bool,
    #[component(name = "rtp-received")]
    pub(crate) rtp_received: bool,
    #[component(name = "stop-after-busy")]
    pub(crate) stop_after_busy: bool,
    #[component(name = "stop-after-timeout")]
    pub(crate) stop_after_timeout: bool,
    #[component(name = "until-connect")]
    pub(crate) until_connect: bool,
    #[component(name = "stop-after-media")]
    pub(crate) stop_after_media: StopAfterMedia,
    #[component(name = "code-policy")]
    pub(crate) code_policy: &'a [(u16, bool)],
    #[component(name = "attempts")]
    pub(crate) attempts: u32,
    #[component(name = "remaining")]
    pub(crate) remaining: u32,
}

/// `identity.header-mode`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum HeaderMode {
    #[component(name = "none")]
    None,
    #[component(name = "pass")]
    Pass,
    #[component(name = "caller")]
    Caller,
    #[component(name = "fixed")]
    Fixed,
}

/// `identity.privacy-mode`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum PrivacyMode {
    #[component(name = "none")]
    None,
    #[component(name = "pass")]
    Pass,
    #[component(name = "id")]
    Id,
}

/// `identity.display-mode`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum DisplayMode {
    #[component(name = "pass")]
    Pass,
    #[component(name = "remove")]
    Remove,
    #[component(name = "number")]
    Number,
    #[component(name = "fixed")]
    Fixed,
}

/// `identity.question`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct IdentityQuestion<'a> {
    #[component(name = "call")]
    pub(crate) call: Call,
    #[component(name = "trunk")]
    pub(crate) trunk: u32,
    #[component(name = "caller-out")]
    pub(crate) caller_out: &'a str,
    #[component(name = "identity-out")]
    pub(crate) identity_out: &'a str,
    #[component(name = "display")]
    pub(crate) display: &'a str,
    #[component(name = "host")]
    pub(crate) host: &'a str,
    #[component(name = "privacy")]
    pub(crate) privacy: &'a str,
    #[component(name = "private")]
    pub(crate) private: bool,
    #[component(name = "source-trusted")]
    pub(crate) source_trusted: bool,
    #[component(name = "target-trusted")]
    pub(crate) target_trusted: bool,
    #[component(name = "asserted-mode")]
    pub(crate) asserted_mode: HeaderMode,
    #[component(name = "preferred-mode")]
    pub(crate) preferred_mode: HeaderMode,
    #[component(name = "remote-party-mode")]
    pub(crate) remote_party_mode: HeaderMode,
    #[component(name = "diversion-mode")]
    pub(crate) diversion_mode: HeaderMode,
    #[component(name = "privacy-mode")]
    pub(crate) privacy_mode: PrivacyMode,
    #[component(name = "display-mode")]
    pub(crate) display_mode: DisplayMode,
    #[component(name = "fixed-identity")]
    pub(crate) fixed_identity: &'a str,
    #[component(name = "fixed-display")]
    pub(crate) fixed_display: &'a str,
}

/// `supervision.question`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct SupervisionQuestion<'a> {
    #[component(name = "call")]
    pub(crate) call: Call,
    #[component(name = "asking")]
    pub(crate) asking: u32,
    #[component(name = "answered-s")]
    pub(crate) answered_s: u32,
    #[component(name = "interval-s")]
    pub(crate) interval_s: u32,
    #[component(name = "trunk")]
    pub(crate) trunk: u32,
    #[component(name = "caller")]
    pub(crate) caller: &'a str,
    #[component(name = "callee")]
    pub(crate) callee: &'a str,
    #[component(name = "sell-price")]
    pub(crate) sell_price: i64,
    #[component(name = "marks")]
    pub(crate) marks: Vec<&'a str>,
}

/// `events.kind`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum EventKind {
    #[component(name = "incoming")]
    Incoming,
    #[component(name = "routed")]
    Routed,
    #[component(name = "attempt")]
    Attempt,
    #[component(name = "ringing")]
    Ringing,
    #[component(name = "answered")]
    Answered,
    #[component(name = "held")]
    Held,
    #[component(name = "resumed")]
    Resumed,
    #[component(name = "failed")]
    Failed,
    #[component(name = "ended")]
    Ended,
}

/// `events.event`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Event<'a> {
    #[component(name = "call")]
    pub(crate) call: Call,
    #[component(name = "kind")]
    pub(crate) kind: EventKind,
    #[component(name = "at-ms")]
    pub(crate) at_ms: u64,
    #[component(name = "trunk")]
    pub(crate) trunk: u32,
    #[component(name = "code")]
    pub(crate) code: u16,
    #[component(name = "duration-ms")]
    pub(crate) duration_ms: u64,
    #[component(name = "callee")]
    pub(crate) callee: &'a str,
    #[component(name = "caller")]
    pub(crate) caller: &'a str,
}
