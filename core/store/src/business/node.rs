//! What business objects may name of the node that they are for.

use super::check::listed;
use super::folder::{Origin, Origins};
use super::{Business, ConfigErrors};
use std::net::SocketAddr;

/// What the node file has. The first listener and the first media address are those of
/// trunks that name none.
#[derive(Clone, Debug, Default)]
pub struct NodeNames {
    /// Realm of digest hashes for trunks that name none (SIG-51).
    pub realm: String,
    /// Name and bound address of each listener.
    pub listeners: Vec<(String, SocketAddr)>,
    /// Names of the media addresses.
    pub media_addresses: Vec<String>,
    /// Free seconds of deck rows that name none (BILL-14), 0 to 3600.
    pub free_seconds: u32,
}

impl NodeNames {
    /// Trunks that name what the node does not have, or that lead back to it.
    pub(super) fn check(&self, business: &Business, origins: &Origins, errors: &mut ConfigErrors) {
        for (n, trunk) in business.customer_trunks.iter().enumerate() {
            let origin = origins.get(&origins.customer_trunks, n);
            let media = trunk.media_address.as_deref();
            self.media_address("customer_trunk", media, origin, errors);
        }
        for (n, trunk) in business.vendor_trunks.iter().enumerate() {
            const TABLE: &str = "vendor_trunk";
            let origin = origins.get(&origins.vendor_trunks, n);
            self.media_address(TABLE, trunk.media_address.as_deref(), origin, errors);
            let known = self.listeners.iter().map(|(name, _)| name.as_str());
            named(TABLE, "listener", trunk.listener.as_deref(), known, origin, errors);
            for target in &trunk.targets {
                let own = self.listeners.iter().find(|(_, address)| *address == target.0);
                if let Some((name, address)) = own {
                    let problem = format!(
                        "this is the switch's own listener `{name}`; expected the vendor's \
                         address, or a call would come back to us"
                    );
                    errors.push(origin.error(TABLE, "targets", format!("\"{address}\""), problem));
                }
            }
        }
    }

    fn media_address(
        &self,
        table: &str,
        name: Option<&str>,
        origin: &Origin,
        errors: &mut ConfigErrors,
    ) {
        let known = self.media_addresses.iter().map(String::as_str);
        named(table, "media_address", name, known, origin, errors);
    }
}

fn named<'a>(
    table: &str,
    field: &str,
    name: Option<&str>,
    mut known: impl Iterator<Item = &'a str> + Clone,
    origin: &Origin,
    errors: &mut ConfigErrors,
) {
    let there = known.clone();
    if let Some(name) = name.filter(|name| !known.any(|known| known == *name)) {
        let problem = format!("not in the node file; there are {}", listed(there));
        errors.push(origin.error(table, field, format!("{name:?}"), problem));
    }
}
