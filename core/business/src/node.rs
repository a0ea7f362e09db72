//! The names of the node that business objects may refer to.

use super::check::listed;
use super::folder::{Origin, Origins};
use super::{Business, ConfigErrors, Target, Transport, VendorTrunk};
use std::net::SocketAddr;

/// The names in the node file. Trunks that name no listener or media address use the first one.
#[derive(Clone, Debug, Default)]
pub struct NodeNames {
    /// Realm of digest hashes for trunks that set none (SIG-51).
    pub realm: String,
    /// Listeners.
    pub listeners: Vec<NodeListener>,
    /// Names of the media addresses.
    pub media_addresses: Vec<String>,
    /// Free seconds of deck rows that set none (BILL-14), 0 to 3600.
    pub free_seconds: u32,
}

/// A listener of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeListener {
    /// Unique name.
    pub name: String,
    /// The bound address.
    pub address: SocketAddr,
    /// Its transport.
    pub transport: Transport,
}

impl NodeNames {
    /// Refuses trunks that name what the node does not have, or that loop back to the node.
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
            let known = self.listeners.iter().map(|listener| listener.name.as_str());
            named(TABLE, "listener", trunk.listener.as_deref(), known, origin, errors);
            for target in &trunk.targets {
                if let Some(problem) = self.unreachable(trunk, target) {
                    errors.push(origin.error(TABLE, "targets", format!("\"{target}\""), problem));
                }
            }
        }
    }

    /// Why calls from the trunk's listener cannot reach this target.
    fn unreachable(&self, trunk: &VendorTrunk, target: &Target) -> Option<String> {
        let address = target.address();
        let own = self.listeners.iter().find(|listener| Some(listener.address) == address);
        if let Some(NodeListener { name, .. }) = own {
            return Some(format!(
                "this is the switch's own listener `{name}`; expected the vendor's address, or a \
                 call would come back to us"
            ));
        }
        let named = |listener: &&NodeListener| match &trunk.listener {
            Some(name) => listener.name == *name,
            None => true,
        };
        // A missing listener is reported elsewhere.
        let NodeListener { name, address: local, transport } = self.listeners.iter().find(named)?;
        if address.is_some_and(|address| address.is_ipv6() != local.is_ipv6()) {
            let [has, wants] = if local.is_ipv6() { ["IPv6", "IPv4"] } else { ["IPv4", "IPv6"] };
            return Some(format!(
                "the listener `{name}` is bound to an {has} address; expected a `listener` with \
                 an {wants} address for this target"
            ));
        }
        let wanted = target.transport.filter(|wanted| wanted != transport)?;
        let twin = self
            .listeners
            .iter()
            .any(|listener| listener.transport == wanted && listener.address.ip() == local.ip());
        let wanted = wanted.name();
        (!twin).then(|| {
            format!(
                "the node has no {wanted} listener at {}, the address of the listener `{name}`; \
                 expected one with transport = \"{wanted}\" there",
                local.ip()
            )
        })
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
