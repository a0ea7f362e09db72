//! Which caller identity does a vendor see?

use crate::bindings::host::strowger::policy::types;
use crate::bindings::identity::exports::strowger::policy::identity as wire;
use crate::{Call, Plugin, Rejection, TrunkId};

/// Asked once per attempt. Identity headers as received are at [`crate::host::call`].
pub trait Identity: Plugin {
    /// From and the identity headers of the INVITE.
    ///
    /// # Errors
    /// A rejection ends the attempt; the next trunk is tried.
    fn present(&mut self, question: &IdentityQuestion) -> Result<PresentedIdentity, Rejection>;
}

/// What to do with an identity header (SIG-72 to SIG-74, SIG-77).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderMode {
    /// Leave it out.
    #[default]
    None,
    /// As received.
    Pass,
    /// Built from the caller.
    Caller,
    /// The trunk's fixed value.
    Fixed,
}

/// Privacy towards the vendor (SIG-75).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrivacyMode {
    /// No Privacy header.
    None,
    /// As received.
    #[default]
    Pass,
    /// Always `Privacy: id`.
    Id,
}

/// Display name towards the vendor (SIG-71).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DisplayMode {
    /// As received.
    #[default]
    Pass,
    /// None.
    Remove,
    /// The caller's number.
    Number,
    /// The trunk's fixed display name.
    Fixed,
}

/// A caller to be presented to a vendor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityQuestion {
    /// The call.
    pub call: Call,
    /// The vendor trunk.
    pub trunk: TrunkId,
    /// Number for From; empty: none.
    pub caller_out: String,
    /// Number for PAI, PPI and RPID; empty: those headers are left out.
    pub identity_out: String,
    /// Display name as received, unquoted; empty: none.
    pub display: String,
    /// Host part for From and for identity headers.
    pub host: String,
    /// Privacy as received, empty if absent.
    pub privacy: String,
    /// The caller requested privacy and the customer trunk supports it (SIG-76).
    pub private: bool,
    /// The customer trunk is in the trust domain (SIG-78).
    pub source_trusted: bool,
    /// The vendor trunk is in the trust domain (SIG-78).
    pub target_trusted: bool,
    /// P-Asserted-Identity.
    pub asserted_mode: HeaderMode,
    /// P-Preferred-Identity.
    pub preferred_mode: HeaderMode,
    /// Remote-Party-ID.
    pub remote_party_mode: HeaderMode,
    /// Diversion.
    pub diversion_mode: HeaderMode,
    /// Privacy.
    pub privacy_mode: PrivacyMode,
    /// Display name of From.
    pub display_mode: DisplayMode,
    /// Value for the header modes called `Fixed`.
    pub fixed_identity: String,
    /// Value for [`DisplayMode::Fixed`].
    pub fixed_display: String,
}

/// A header to be added to the INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Such as `P-Asserted-Identity`.
    pub name: String,
    /// Without line ends.
    pub value: String,
}

impl Header {
    /// A header with a name and a value.
    #[must_use]
    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Header { name: name.to_owned(), value: value.into() }
    }
}

/// Answer to an [`IdentityQuestion`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PresentedIdentity {
    /// Display name of From, unquoted; empty: none. The switch quotes it.
    pub display: String,
    /// User part of From, escaped for a URI (`#` is `%23`); empty: none.
    pub user: String,
    /// Host part of From: a name or an address, IPv6 in brackets; not empty.
    pub host: String,
    /// Headers added to the INVITE, in order; none that the switch writes itself, such as `Via`,
    /// `Contact` or `Content-Type` (SIG-80).
    pub headers: Vec<Header>,
}

impl From<wire::HeaderMode> for HeaderMode {
    fn from(mode: wire::HeaderMode) -> Self {
        match mode {
            wire::HeaderMode::None => HeaderMode::None,
            wire::HeaderMode::Pass => HeaderMode::Pass,
            wire::HeaderMode::Caller => HeaderMode::Caller,
            wire::HeaderMode::Fixed => HeaderMode::Fixed,
        }
    }
}

impl From<wire::Question> for IdentityQuestion {
    fn from(question: wire::Question) -> Self {
        IdentityQuestion {
            call: question.call.into(),
            trunk: TrunkId(question.trunk),
            caller_out: question.caller_out,
            identity_out: question.identity_out,
            display: question.display,
            host: question.host,
            privacy: question.privacy,
            private: question.private,
            source_trusted: question.source_trusted,
            target_trusted: question.target_trusted,
            asserted_mode: question.asserted_mode.into(),
            preferred_mode: question.preferred_mode.into(),
            remote_party_mode: question.remote_party_mode.into(),
            diversion_mode: question.diversion_mode.into(),
            privacy_mode: match question.privacy_mode {
                wire::PrivacyMode::None => PrivacyMode::None,
                wire::PrivacyMode::Pass => PrivacyMode::Pass,
                wire::PrivacyMode::Id => PrivacyMode::Id,
            },
            display_mode: match question.display_mode {
                wire::DisplayMode::Pass => DisplayMode::Pass,
                wire::DisplayMode::Remove => DisplayMode::Remove,
                wire::DisplayMode::Number => DisplayMode::Number,
                wire::DisplayMode::Fixed => DisplayMode::Fixed,
            },
            fixed_identity: question.fixed_identity,
            fixed_display: question.fixed_display,
        }
    }
}

impl From<PresentedIdentity> for wire::Answer {
    fn from(presented: PresentedIdentity) -> Self {
        wire::Answer {
            display: presented.display,
            user: presented.user,
            host: presented.host,
            headers: presented
                .headers
                .into_iter()
                .map(|header| types::Header { name: header.name, value: header.value })
                .collect(),
        }
    }
}
