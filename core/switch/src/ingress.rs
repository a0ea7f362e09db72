//! Who is calling: from an INVITE outside any dialog to a call (ROUTE-15 steps 1 and 2).

use crate::authentication::Verified;
use crate::call::{Call, NewCall};
use crate::facts::{Authentication, CustomerTrunk, DigestUser};
use crate::io::Now;
use crate::number;
use crate::switch::Core;
use sip::{Flow, Message, Method, TransactionId, UriRef};
use std::hash::BuildHasher;
use std::sync::Arc;

/// In the place of a hash: no password has it, as it is no hash.
const NO_PASSWORD: &str = "-";

impl Core {
    /// Looks at a request outside any dialog: a call, or an answer and no call.
    pub(crate) fn admit(
        &mut self,
        now: Now,
        id: TransactionId,
        flow: Flow,
        request: Message,
    ) -> Option<Call> {
        match request.method() {
            Method::Invite => {}
            // SIG-57
            Method::Options => {
                self.tell_abilities(now, id, &request);
                return None;
            }
            Method::Bye => {
                self.respond_plain(now, id, &request, 481, "", &[]);
                return None;
            }
            _ => {
                self.refuse_method(now, id, &request);
                return None;
            }
        }
        let merge_key = self.merge_key(&request);
        if self.callers.contains(&merge_key) {
            // RFC 3261 section 8.2.2.2: a proxy has forked it, and the other branch was here.
            self.respond_plain(now, id, &request, 482, "", &[]);
            return None;
        }
        let callee_in =
            UriRef::parse(request.uri()).map(|uri| number::of_uri(&uri)).unwrap_or_default();
        let (customer, authenticated) = self.identify(now, id, flow, &request, &callee_in)?;
        let Some(account) = self.world.facts.accounts.get(&customer.account).cloned() else {
            self.respond_plain(now, id, &request, 500, "", &[]);
            return None;
        };
        // SIG-14: before any decision is asked for.
        self.respond_plain(now, id, &request, 100, "Trying", &[]);
        let new = NewCall {
            customer,
            account,
            callee_in,
            authenticated,
            ingress: id,
            flow,
            invite: request,
            merge_key,
        };
        self.callers.insert(merge_key);
        Some(Call::new(self, now, new))
    }

    fn merge_key(&self, invite: &Message) -> u64 {
        let (cseq, _) = invite.cseq();
        self.callers.hasher().hash_one((invite.call_id(), invite.from_tag(), cseq))
    }

    /// The trunk that the INVITE belongs to and whether it proved that by digest; a
    /// refusal or challenge has been sent when there is none.
    fn identify(
        &mut self,
        now: Now,
        id: TransactionId,
        flow: Flow,
        request: &Message,
        callee: &str,
    ) -> Option<(Arc<CustomerTrunk>, bool)> {
        let by_address = self.index.customer(flow.remote, callee).cloned();
        let trunk = match by_address {
            Some(trunk) if trunk.authentication == Authentication::Address => {
                // Credentials are looked at only where a challenge may have asked for them.
                let proven = trunk
                    .digest
                    .as_ref()
                    .is_some_and(|user| self.verify(now, request, user) == Verified::Proven);
                return Some((trunk, proven));
            }
            Some(trunk) => trunk,
            None => {
                let claim = crate::authentication::claim_of(request);
                let trunk = claim.and_then(|claim| self.index.user(claim.username)).cloned();
                match trunk {
                    Some(trunk) => trunk,
                    None if self.index.has_users() => {
                        self.disbelieve(now, id, request);
                        return None;
                    }
                    None => {
                        self.counters.unknown_source += 1;
                        self.respond_plain(now, id, request, 403, "", &[]);
                        return None;
                    }
                }
            }
        };
        let digest = trunk.digest.as_ref()?;
        match self.verify(now, request, digest) {
            Verified::Proven => Some((trunk, true)),
            Verified::Absent => {
                self.challenge(now, id, request, Some(digest), false);
                None
            }
            Verified::Stale => {
                self.challenge(now, id, request, Some(digest), true);
                None
            }
            Verified::Wrong => {
                self.counters.auth_failed += 1;
                self.respond_plain(now, id, request, 403, "", &[]);
                None
            }
        }
    }

    /// Nobody has this name. The sender is told what somebody with a wrong password is, after
    /// the same work, so that it cannot find out which names there are.
    fn disbelieve(&mut self, now: Now, id: TransactionId, request: &Message) {
        let facts = Arc::clone(&self.world.facts);
        let claim = crate::authentication::claim_of(request);
        let users = || facts.customers.values().filter_map(|trunk| trunk.digest.as_ref());
        let in_realm = claim.and_then(|claim| users().find(|user| *user.realm == *claim.realm));
        let nobody = claim.zip(in_realm).map(|(claim, user)| DigestUser {
            user: claim.username.into(),
            realm: Arc::clone(&user.realm),
            ha1_md5: Arc::from(NO_PASSWORD),
            ha1_sha256: Arc::from(NO_PASSWORD),
        });
        match nobody.map(|user| self.verify(now, request, &user)) {
            None | Some(Verified::Absent) => {
                self.challenge(now, id, request, None, false);
            }
            Some(_) => {
                self.counters.auth_failed += 1;
                self.respond_plain(now, id, request, 403, "", &[]);
            }
        }
    }
}
