use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// One of the seven decision points of a call; each is an interface of the WIT package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// May this call proceed?
    Screening,
    /// Which numbers are used?
    Numbering,
    /// What does it cost?
    Rating,
    /// Which vendor trunks, and what happens after a failure?
    Routing,
    /// Which caller identity does a vendor see?
    Identity,
    /// May this call, which is up, continue?
    Supervision,
    /// Notified, not asked.
    Events,
}

impl Hook {
    /// Every hook, in the order in which a call reaches them.
    pub const ALL: [Hook; 7] = [
        Hook::Screening,
        Hook::Numbering,
        Hook::Rating,
        Hook::Routing,
        Hook::Identity,
        Hook::Supervision,
        Hook::Events,
    ];

    /// The interface's name in WIT, metrics and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Hook::Screening => "screening",
            Hook::Numbering => "numbering",
            Hook::Rating => "rating",
            Hook::Routing => "routing",
            Hook::Identity => "identity",
            Hook::Supervision => "supervision",
            Hook::Events => "events",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The plugin and build that answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginStamp {
    /// Plugin name, such as `routing`.
    pub name: Arc<str>,
    /// The version that it declares.
    pub version: Arc<str>,
    /// First 8 hex digits of the SHA-256 of its bytes: distinguishes builds of one version.
    pub digest: Arc<str>,
}

impl fmt::Display for PluginStamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.name, self.version, self.digest)
    }
}
