//! Business objects: everything an operator configures besides the node. They have one shape in
//! TOML and CSV files, in the database and in the admin API.
#![forbid(unsafe_code)]

mod account;
mod ambiguity;
mod check;
mod customer;
mod error;
mod folder;
mod idle;
mod instant;
mod lists;
mod node;
mod numbers;
mod secrets;
mod sheets;
mod target;
mod vendor;
mod warnings;
mod words;

pub use account::{Account, AccountKind, Currency, Rounding, RunningCalls};
pub use check::check_name;
pub use customer::{Authentication, CustomerTrunk, FailureReply, Reliability, Transcode};
pub use error::{ConfigError, ConfigErrors};
pub use instant::{instant_text, parse_instant};
pub use lists::{Deck, FilledList, ListKind, NumberList, RuleSet};
pub use node::{NodeListener, NodeNames};
pub use numbers::{FileStamp, check_number_row};
pub use policy::{DisplayMode, HeaderMode, PrivacyMode, StopAfterMedia};
pub use sheets::deck_row;
pub use target::{Target, TargetHost, Transport};
pub use vendor::{
    CodePolicy, Failover, Identity, Resend, ResponseCode, Ringback, Timers, VendorPrefix,
    VendorTrunk,
};
pub use words::{CallRate, DigestAlgorithm, PeerAddress, Secret, duration_text, parse_duration};

use std::path::Path;

/// The business objects of one configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Business {
    /// Customers and vendors.
    pub accounts: Vec<Account>,
    /// Sources of calls.
    pub customer_trunks: Vec<CustomerTrunk>,
    /// Destinations of calls.
    pub vendor_trunks: Vec<VendorTrunk>,
    /// Rate decks.
    pub decks: Vec<Deck>,
    /// Number rewrite rules.
    pub rule_sets: Vec<RuleSet>,
    /// Numbers for plugins to look up.
    pub number_lists: Vec<FilledList>,
}

impl Business {
    /// Reads every `*.toml` file of a folder, in order of file names, and the CSV files that they
    /// name. A file may hold any of the tables `[[account]]`, `[[customer_trunk]]`,
    /// `[[vendor_trunk]]`, `[[deck]]`, `[[rule_set]]` and `[[number_list]]`.
    ///
    /// Passwords of customer trunks are replaced by hashes for the trunk's realm, or for `realm`
    /// (the node's domain) if the trunk sets none (SIG-51).
    ///
    /// # Errors
    ///
    /// All errors, each with file, line, field, value and what is allowed.
    pub fn from_folder(folder: impl AsRef<Path>, realm: &str) -> Result<Business, ConfigErrors> {
        folder::read(folder.as_ref(), realm, None)
    }

    /// As [`Business::from_folder`]; also checks that the node has every listener and media address
    /// that a trunk names, and that no target is one of the node's own listeners.
    ///
    /// # Errors
    ///
    /// All errors, each with file, line, field, value and what is allowed.
    pub fn for_node(folder: impl AsRef<Path>, node: &NodeNames) -> Result<Business, ConfigErrors> {
        folder::read(folder.as_ref(), &node.realm, Some(node))
    }

    /// The checks of [`Business::for_node`] for objects that did not come from files, such as those
    /// of the admin API. Passwords are replaced by hashes, as there.
    ///
    /// # Errors
    ///
    /// All errors, with `source` in place of the file.
    pub fn checked(mut self, source: &str, node: &NodeNames) -> Result<Business, ConfigErrors> {
        let origins = folder::Origins::of_source(source);
        let mut errors = ConfigErrors::default();
        check::check(&self, &origins, &mut errors);
        node.check(&self, &origins, &mut errors);
        errors.into_result()?;
        secrets::seal(&mut self, &node.realm);
        Ok(self)
    }
}
