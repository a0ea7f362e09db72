use crate::AttemptFailure;
use crate::Text;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Facts about a call beyond its question; built only for plugins that may ask for them.
#[derive(Clone, Debug, Default)]
pub struct CallDetails {
    /// The INVITE; `None` after it was acknowledged, unless a plugin hears events.
    pub invite: Option<Arc<dyn Invite>>,
    /// Numbers at every stage so far.
    pub numbers: CallNumbers,
    /// Attempts that have ended, oldest first.
    pub attempts: Vec<PastAttempt>,
    /// Where the INVITE came from.
    pub origin: CallOrigin,
}

/// Where an INVITE came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallOrigin {
    /// `address:port` of the sender.
    pub source: Text,
    /// The transport, such as `udp`.
    pub transport: Text,
    /// Name of the listener that received it.
    pub listener: Arc<str>,
}

/// The INVITE as received, without `Authorization` and `Proxy-Authorization` (SEC-51): its content
/// reaches plugins and the decision log.
pub trait Invite: fmt::Debug + Send + Sync {
    /// Its Request-URI.
    fn request_uri(&self) -> &str;
    /// Values of a header, one per line; the name in any case, long form.
    fn header(&self, name: &str) -> Vec<String>;
    /// Every header line in order: long name, value.
    fn headers(&self) -> Vec<(String, String)>;
    /// [`Invite::headers`] without copies.
    fn each_header(&self, visit: &mut dyn FnMut(&str, &str)) {
        self.headers().iter().for_each(|(name, value)| visit(name, value));
    }
}

/// Numbers at every stage so far (NUM-01).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallNumbers {
    /// As received, after clean-up (NUM-02); empty: none.
    pub caller_in: Text,
    /// As received, after clean-up (NUM-02).
    pub callee_in: Text,
    /// After the ingress rewrite; empty before it.
    pub caller: Text,
    /// After the ingress rewrite; empty before it.
    pub callee: Text,
    /// Number that chose the route, if different (ROUTE-62).
    pub route_as: Text,
    /// Tech prefix that was removed (NUM-07).
    pub tech_prefix_in: Text,
}

/// An attempt that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// Vendor trunk.
    pub trunk: u32,
    /// How it ended.
    pub failure: AttemptFailure,
    /// 300 to 699; 0 when no response was received.
    pub code: u16,
    /// Q.850 cause; 0 when absent.
    pub cause: u8,
    /// From its INVITE to its end.
    pub duration_ms: u32,
}

/// The owner of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// An account, by id.
    Account(u32),
    /// A customer trunk, by id.
    Customer(u32),
    /// A vendor trunk, by id.
    Vendor(u32),
}

/// Live figures of a vendor trunk over the complete minutes of the last ten (ROUTE-31 to ROUTE-34),
/// except `active`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkStatistics {
    /// Calls up or being set up now.
    pub active: u32,
    /// Attempts whose outcome became known.
    pub attempts: u32,
    /// Answered attempts.
    pub answered: u32,
    /// Answered share in thousandths, shrunk towards a half while attempts are few.
    pub asr_permille: u16,
    /// Share that reached a user, in thousandths (CDR-53).
    pub ner_permille: u16,
    /// Mean answered duration of calls that ended.
    pub acd_ms: u32,
    /// Mean post-dial delay of attempts that were answered or alerted.
    pub pdd_ms: u32,
}
