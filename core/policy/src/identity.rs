use crate::CallFacts;
use crate::Text;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What to do with an identity header (SIG-72 to SIG-74, SIG-77).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderMode {
    /// Leave it out.
    #[default]
    None,
    /// As received.
    Pass,
    /// Built from `identity_out`.
    Caller,
    /// The trunk's fixed value.
    Fixed,
}

/// Privacy towards the vendor (SIG-75).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrivacyMode {
    /// Never.
    None,
    /// As received.
    #[default]
    Pass,
    /// Always `Privacy: id`.
    Id,
}

/// Display name towards the vendor (SIG-71).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisplayMode {
    /// As received.
    #[default]
    Pass,
    /// None.
    Remove,
    /// `caller_out`.
    Number,
    /// The trunk's fixed display.
    Fixed,
}

/// Identity settings of a vendor trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkIdentity {
    /// SIG-72, default caller.
    pub asserted: HeaderMode,
    /// SIG-73, default none.
    pub preferred: HeaderMode,
    /// SIG-74, default none.
    pub remote_party: HeaderMode,
    /// SIG-77, default none.
    pub diversion: HeaderMode,
    /// SIG-75, default pass.
    pub privacy: PrivacyMode,
    /// SIG-71, default pass.
    pub display: DisplayMode,
    /// For modes `fixed`: a name-addr or URI.
    pub fixed_identity: Arc<str>,
    /// For display mode `fixed`.
    pub fixed_display: Arc<str>,
}

impl Default for TrunkIdentity {
    fn default() -> Self {
        TrunkIdentity {
            asserted: HeaderMode::Caller,
            preferred: HeaderMode::None,
            remote_party: HeaderMode::None,
            diversion: HeaderMode::None,
            privacy: PrivacyMode::Pass,
            display: DisplayMode::Pass,
            fixed_identity: Arc::from(""),
            fixed_display: Arc::from(""),
        }
    }
}

/// Largest size of a display name, in questions and in answers, bytes.
pub const DISPLAY_BYTES: usize = 256;

/// Asked once per attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityQuestion {
    /// The call.
    pub call: CallFacts,
    /// The vendor trunk.
    pub trunk: u32,
    /// Number for From; empty: none.
    pub caller_out: Text,
    /// Number for PAI, PPI, RPID; empty: left out.
    pub identity_out: Text,
    /// Display name as received, cut to [`DISPLAY_BYTES`]; empty: none.
    pub display: Text,
    /// Host part for From and identity headers.
    pub host: Text,
    /// Privacy as received, empty if absent.
    pub privacy: Text,
    /// Privacy was requested and is supported (SIG-76).
    pub private: bool,
    /// SIG-78 of the customer trunk.
    pub source_trusted: bool,
    /// SIG-78 of the vendor trunk.
    pub target_trusted: bool,
    /// The vendor trunk's modes.
    pub modes: TrunkIdentity,
}

/// Answer to [`IdentityQuestion`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityAnswer {
    /// Display name of From; empty: none.
    pub display: Text,
    /// User of From.
    pub user: Text,
    /// Host of From.
    pub host: Text,
    /// Headers added to the INVITE, in order: name, value.
    pub headers: Vec<(String, String)>,
}
