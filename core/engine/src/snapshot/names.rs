//! Resolves names of the node file in business objects to the indices used by calls.

use super::twin;
use business::{Target, TargetHost, Transport};
use config::Config;
use sip::{Flow, Link};
use std::sync::Arc;
use switch::facts::{Destination, Exits, Name, Place};

/// Priority of targets without one.
const USUAL_PRIORITY: u32 = 100;

/// The node file, and the names that it lacks.
pub(super) struct Names<'a> {
    pub(super) config: &'a Config,
    pub(super) problems: Vec<String>,
}

impl Names<'_> {
    /// Index of a listener; the first if none is named.
    pub(super) fn listener(&mut self, owner: &str, name: Option<&str>) -> u16 {
        let known = self.config.listeners.iter().map(|listener| listener.name.as_str());
        let known: Vec<&str> = known.collect();
        self.index(owner, "listener", name, &known)
    }

    /// Index of a media address; the first if none is named.
    pub(super) fn media_address(&mut self, owner: &str, name: Option<&str>) -> u16 {
        let known = self.config.media.addresses.iter().map(|address| address.name.as_str());
        let known: Vec<&str> = known.collect();
        self.index(owner, "media_address", name, &known)
    }

    /// Checks the name of a sound in the node file, or a country code.
    pub(super) fn sound(&mut self, owner: &str, name: &str) -> Arc<str> {
        if let Some(problem) = crate::review::unknown_sound(self.config, name) {
            self.problems.push(format!("{owner}: {problem}"));
        }
        Arc::from(name)
    }

    fn index(&mut self, owner: &str, field: &str, name: Option<&str>, known: &[&str]) -> u16 {
        let Some(name) = name else { return 0 };
        match known.iter().position(|known| *known == name) {
            Some(index) => u16::try_from(index).unwrap_or(0),
            None => {
                self.problems.push(format!(
                    "{owner}: {field} `{name}` is not in the node file; there are: {}",
                    known.join(", ")
                ));
                0
            }
        }
    }

    /// The domain of a listener.
    pub(super) fn domain(&self, listener: u16) -> String {
        let listener = self.config.listeners.get(usize::from(listener));
        listener.map(config::ListenerConfig::domain).unwrap_or_default()
    }

    /// The listeners from which a trunk with this listener can send.
    pub(super) fn exits(&self, listener: u16) -> Exits {
        let own = self.config.listeners.get(usize::from(listener));
        let usual = own.map(crate::transport::sockets::link).unwrap_or_default();
        let twin = own.and_then(|own| twin(self.config, own));
        let (datagram, stream) = match usual {
            Link::Datagram => (Some(listener), twin),
            Link::Stream => (twin, Some(listener)),
        };
        let ipv6 = own.is_some_and(|own| own.address.is_ipv6());
        Exits { datagram, stream, usual, ipv6 }
    }

    /// The destination of a target. One of our own listeners is an error: calls would loop until
    /// Max-Forwards stops them. `None` if the node has no listener with its transport.
    pub(super) fn destination(
        &mut self,
        owner: &str,
        target: &Target,
        exits: Exits,
    ) -> Option<Destination> {
        let address = target.address();
        if self.config.listeners.iter().any(|listener| Some(listener.address) == address) {
            self.problems.push(format!("{owner}: target {target} is this switch's own listener"));
        }
        let link = target.transport.map(|transport| match transport {
            Transport::Udp => Link::Datagram,
            Transport::Tcp => Link::Stream,
        });
        let Some(listener) = exits.listener(link.unwrap_or(exits.usual)) else {
            let problem = "the node has no listener of its transport at the trunk's address";
            self.problems.push(format!("{owner}: target {target}: {problem}"));
            return None;
        };
        let place = match (address, &target.host) {
            (Some(remote), _) => {
                Place::Address(Flow { listener, remote, link: link.unwrap_or(exits.usual) })
            }
            (None, TargetHost::Name(name)) => {
                let host = name.as_str().into();
                Place::Name(Arc::new(Name { host, port: target.port, link, exits }))
            }
            (None, TargetHost::Address(_)) => return None,
        };
        // Targets without a priority keep their order, as if they had the default one.
        let priority = target.priority.unwrap_or(USUAL_PRIORITY);
        Some(Destination { priority, weight: target.weight, place })
    }
}
