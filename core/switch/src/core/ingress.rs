//! Identifies the caller: from an INVITE outside any dialog to a call (ROUTE-15 steps 1 and 2).
//!
//! A required password is checked at the door, before the INVITE gets a transaction: one answer,
//! and no state is kept (RFC 3261 section 26.3.2.4).

use super::Core;
use super::authentication::{Proof, Verified, claim_of, credentials_for};
use super::refusal::Refused;
use crate::classify::Standing;
use crate::facts::{Account, Authentication, CustomerTrunk, DigestUser};
use crate::io::Now;
use crate::number;
use crate::reason::name;
use crate::strangers::source_of;
use ledger::Text;
use sip::digest::{Credentials, Ha1s};
use sip::session::EXTENSIONS;
use sip::{Flow, Message, MessageBuilder, Method, TransactionId, UriRef};
use std::hash::BuildHasher;
use std::sync::Arc;

/// In the place of a hash: no password matches it, because it is not a hash.
const NO_PASSWORD: &str = "-";

/// Maximum bytes in an answer to a stranger for each byte of its message, so that a forged address
/// gains nothing (RFC 9000 section 8.1 has the same bound).
const AMPLIFICATION: usize = 3;

/// An INVITE at the door, before it has a transaction.
pub(crate) struct Knock<'a> {
    pub(crate) now: Now,
    pub(crate) flow: Flow,
    pub(crate) standing: Standing,
    pub(crate) invite: &'a Message,
    /// Length of its datagram, bytes.
    pub(crate) bytes: usize,
}

/// Result at the door for an INVITE that goes on.
pub(crate) enum Entered {
    /// From this trunk; whether it proved that by digest.
    Customer(Arc<CustomerTrunk>, bool),
    /// From this trunk's address, with invalid credentials, and why.
    Unproven(Arc<CustomerTrunk>, &'static str),
    /// From a known address, but no trunk matches the INVITE.
    Nobody,
}

/// A call that an admitted INVITE starts.
pub(crate) struct NewCall {
    pub(crate) customer: Arc<CustomerTrunk>,
    pub(crate) account: Arc<Account>,
    pub(crate) callee_in: Text,
    pub(crate) authenticated: bool,
    pub(crate) ingress: TransactionId,
    pub(crate) flow: Flow,
    pub(crate) invite: Message,
    /// Its entry in the shard's table of callers.
    pub(crate) merge_key: u64,
}

/// The number that an INVITE calls (NUM-02).
pub(crate) fn callee_of(invite: &Message) -> Text {
    UriRef::parse(invite.uri()).map(|uri| number::of_uri(&uri)).unwrap_or_default()
}

impl Core {
    /// Handles a request outside any dialog: gives the call that it starts, or answers it.
    pub(crate) fn admit(
        &mut self,
        now: Now,
        id: TransactionId,
        flow: Flow,
        request: Message,
    ) -> Option<NewCall> {
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
        let callee_in = callee_of(&request);
        let entered = self.entered.take();
        let entered = entered.unwrap_or_else(|| self.by_address(now, flow, &request, &callee_in));
        let plain = |trunk, code, why, detail| Refused {
            trunk,
            code,
            phrase: "",
            headers: &[],
            why,
            detail,
        };
        let (customer, authenticated) = match entered {
            Entered::Customer(trunk, proven) => (trunk, proven),
            Entered::Unproven(trunk, why) => {
                let refused = plain(Some(trunk), 403, name::AUTH_FAILED, why);
                self.refuse_invite(now, id, flow, &request, &refused);
                return None;
            }
            Entered::Nobody => {
                self.counters.unknown_source += 1;
                let detail = "no customer trunk of the sender calls this number";
                let refused = plain(None, 403, name::SOURCE_UNKNOWN, detail);
                self.refuse_invite(now, id, flow, &request, &refused);
                return None;
            }
        };
        let merge_key = self.merge_key(customer.id, &request);
        if self.callers.contains(&merge_key) {
            // RFC 3261 section 8.2.2.2: a proxy has forked it, and the other branch arrived before.
            let detail = "the same INVITE is here already, by another way";
            let refused = plain(Some(customer), 482, name::LOOP_DETECTED, detail);
            self.refuse_invite(now, id, flow, &request, &refused);
            return None;
        }
        let Some(account) = self.world.facts.accounts.get(&customer.account).cloned() else {
            let detail = "the trunk has no account";
            let refused = plain(Some(customer), 500, name::INTERNAL_ERROR, detail);
            self.refuse_invite(now, id, flow, &request, &refused);
            return None;
        };
        // SIG-14: before any question is asked.
        self.respond_plain(now, id, &request, 100, "Trying", &[]);
        self.callers.insert(merge_key);
        Some(NewCall {
            customer,
            account,
            callee_in,
            authenticated,
            ingress: id,
            flow,
            invite: request,
            merge_key,
        })
    }

    /// Refuses an invalid INVITE of a known source.
    pub(crate) fn refuse_as_it_stands(
        &mut self,
        now: Now,
        id: TransactionId,
        flow: Flow,
        invite: &Message,
        refusal: &sip::Refusal,
    ) {
        let user = claim_of(invite).map(|claim| claim.username.to_owned());
        let callee = callee_of(invite);
        let trunk =
            self.world.facts.sources.customer(flow.remote, &callee, user.as_deref()).cloned();
        let header = refusal.header.clone().map(|(name, value)| (name.to_owned(), value));
        let detail = match &header {
            Some((name, value)) => format!("{}; {name}: {value}", refusal.reason),
            None => refusal.reason.clone(),
        };
        let refused = Refused {
            trunk,
            code: refusal.status,
            phrase: &refusal.reason,
            headers: header.as_slice(),
            why: crate::reason::of_refusal(refusal.status),
            detail: &detail,
        };
        self.refuse_invite(now, id, flow, invite, &refused);
    }

    /// The parts of an INVITE that a forking proxy does not change. The trunk is included, so that
    /// no customer can block another's INVITEs by guessing their identifiers.
    pub(crate) fn merge_key(&self, trunk: u32, invite: &Message) -> u64 {
        let (cseq, _) = invite.cseq();
        self.callers.hasher().hash_one((trunk, invite.call_id(), invite.from_tag(), cseq))
    }

    /// Without a required password the address identifies the trunk.
    fn by_address(&self, now: Now, flow: Flow, invite: &Message, callee: &str) -> Entered {
        match self.world.facts.sources.customer(flow.remote, callee, None).cloned() {
            Some(trunk) => self.of_address(now, flow, invite, trunk),
            None => Entered::Nobody,
        }
    }

    /// Credentials are checked only if a challenge may have asked for them.
    fn of_address(
        &self,
        now: Now,
        flow: Flow,
        request: &Message,
        trunk: Arc<CustomerTrunk>,
    ) -> Entered {
        let proven = trunk.digest.as_ref().is_some_and(|user| {
            self.verify(now, &Proof { request, flow, user }) == Verified::Proven
        });
        Entered::Customer(trunk, proven)
    }

    /// Whether a message goes on to the transactions: a stranger's message only if it belongs to
    /// us, or is an INVITE that was authenticated.
    pub(crate) fn passes(
        &mut self,
        now: Now,
        flow: Flow,
        standing: Standing,
        message: &Message,
        bytes: usize,
    ) -> bool {
        let source = source_of(flow.remote);
        let known = standing == Standing::Known;
        let begins = *message.method() == sip::Method::Invite
            && message.is_request()
            && message.to_tag().is_none();
        if known && (!begins || self.transactions.awaits(message)) {
            return true;
        }
        if !known && self.is_ours(message) {
            // Anybody can send an ACK that matches.
            if *message.method() != sip::Method::Ack {
                self.settings.strangers.belongs(source);
            }
            return true;
        }
        if begins && standing != Standing::OnlyOurs {
            if message.validate_request_for(&EXTENSIONS).is_ok() {
                let knock = Knock { now, flow, standing, invite: message, bytes };
                self.entered = self.at_the_door(&knock);
                return self.entered.is_some();
            }
            if known {
                return true;
            }
        }
        self.settings.strangers.asked(source, now.instant);
        self.counters.unknown_source += 1;
        false
    }

    /// Identifies the sender of an INVITE before it gets a transaction. None: it was answered, or
    /// must not be.
    pub(crate) fn at_the_door(&mut self, knock: &Knock<'_>) -> Option<Entered> {
        let Knock { now, flow, standing, invite, .. } = *knock;
        let callee = callee_of(invite);
        let claim = claim_of(invite);
        let claimed =
            claim.and_then(|claim| self.world.facts.sources.user(&claim, &callee)).cloned();
        let user = claim.map(|claim| claim.username);
        let here = self.world.facts.sources.customer(flow.remote, &callee, user).cloned();
        // A user who may call from anywhere may also call from another trunk's address.
        let demands = |trunk: &Arc<CustomerTrunk>| {
            let own = trunk.digest.as_ref().map(|digest| &*digest.user);
            trunk.authentication == Authentication::AddressAndDigest
                && (own == user || claimed.is_none())
        };
        let trunk = match here {
            Some(trunk) if trunk.authentication == Authentication::Address => {
                return Some(self.of_address(now, flow, invite, trunk));
            }
            Some(trunk) if demands(&trunk) => Some(trunk),
            _ if !self.world.facts.admits_users(flow.listener) => return Some(Entered::Nobody),
            _ => claimed,
        };
        let Some(claim) = claim else {
            let user = trunk.as_ref().and_then(|trunk| trunk.digest.as_ref());
            self.ask_for_password(knock, user, false);
            return None;
        };
        let source = source_of(flow.remote);
        // A request may contain credentials for several realms: take the user name of those that
        // will be verified.
        let wanted = trunk.as_ref().and_then(|trunk| trunk.digest.as_ref());
        let looked_at = wanted.and_then(|user| credentials_for(invite, &user.realm));
        let username = looked_at.map_or(claim.username, |credentials| credentials.username);
        if self.settings.strangers.is_locked(source, username, now.instant) {
            self.counters.held_back += 1;
            return None;
        }
        let user = match trunk.as_ref().and_then(|trunk| trunk.digest.clone()) {
            Some(user) => user,
            None if self.world.facts.sources.has_realm(claim.realm) => nobody(&claim),
            None => {
                self.ask_for_password(knock, None, true);
                return None;
            }
        };
        match (self.verify(now, &Proof { request: invite, flow, user: &user }), trunk) {
            (Verified::Proven, Some(trunk)) => {
                if standing != Standing::Known {
                    self.settings.strangers.proven(source, username, now.instant);
                }
                let calls_so = callee.starts_with(&*trunk.tech_prefix);
                Some(if calls_so { Entered::Customer(trunk, true) } else { Entered::Nobody })
            }
            (Verified::Absent | Verified::Stale, trunk) => {
                let known = trunk.as_ref().and_then(|trunk| trunk.digest.as_ref());
                self.ask_for_password(knock, Some(known.unwrap_or(&user)), true);
                None
            }
            // A sender that knows the password is not guessing.
            (Verified::OfAnotherNumber, Some(trunk)) => {
                if standing != Standing::Known {
                    self.settings.strangers.knows_a_password(source, now.instant);
                }
                self.unproven(knock, Some(trunk), "the credentials are of another number")
            }
            (Verified::Wrong | Verified::Proven | Verified::OfAnotherNumber, trunk) => {
                let known = standing == Standing::Known;
                self.settings.strangers.failed(source, username, known, now.instant);
                self.unproven(knock, trunk, "wrong credentials")
            }
        }
    }

    /// 403, with a record if a trunk names the address.
    fn unproven(
        &mut self,
        knock: &Knock<'_>,
        trunk: Option<Arc<CustomerTrunk>>,
        why: &'static str,
    ) -> Option<Entered> {
        self.counters.auth_failed += 1;
        let here = trunk.filter(|trunk| trunk.authentication != Authentication::Digest);
        if let Some(trunk) = here {
            return Some(Entered::Unproven(trunk, why));
        }
        self.answer_once(knock, MessageBuilder::response_to(knock.invite, 403, "Forbidden"));
        None
    }

    /// One 401, with the settings of the claimed user if that is known.
    fn ask_for_password(&mut self, knock: &Knock<'_>, user: Option<&DigestUser>, stale: bool) {
        let Knock { now, flow, invite, .. } = *knock;
        let facts = Arc::clone(&self.world.facts);
        let listener = facts.listeners.get(usize::from(flow.listener));
        let domain = listener.map_or("", |listener| &*listener.domain);
        let called = UriRef::parse(invite.uri()).map_or("", |uri| uri.host());
        let realm = user.map(|user| &*user.realm);
        let Some(realm) = realm.or_else(|| facts.sources.realm(called, domain)) else { return };
        let algorithms = self.algorithms(flow.listener, user);
        let mut response = MessageBuilder::response_to(invite, 401, "Unauthorized");
        for value in self.challenge_lines(now, flow, realm, &algorithms, stale) {
            response = response.header_of("WWW-Authenticate", &[&value]);
        }
        self.answer_once(knock, response);
    }

    /// Answers without a transaction. Strangers are answered within their budgets, and never with
    /// many more bytes than they sent.
    fn answer_once(&mut self, knock: &Knock<'_>, response: MessageBuilder) {
        let Knock { now, flow, standing, invite, bytes } = *knock;
        let tag = self.transactions.stateless_tag(invite).to_string();
        let response = response.to_tag(&tag).finish();
        if let Standing::Stranger { proven } = standing {
            let (strangers, source) = (&self.settings.strangers, source_of(flow.remote));
            strangers.asked(source, now.instant);
            let small = response.len() <= AMPLIFICATION * bytes;
            let within = match proven {
                true => strangers.may_be_challenged(source, now.instant),
                false => strangers.may_be_answered(now.instant),
            };
            if !small || !within {
                self.counters.held_back += 1;
                return;
            }
        }
        self.transactions.respond_statelessly(flow, invite, response);
    }

    /// Whether a message from an address that no trunk names belongs to one of our dialogs or
    /// transactions. A request that would be refused gets no answer (SIG-13).
    pub(crate) fn is_ours(&self, message: &Message) -> bool {
        let ours =
            |tag| crate::shard::tag_value(tag).is_some_and(|tag| self.tags.contains_key(&tag));
        if self.transactions.awaits(message) {
            return true;
        }
        match (message.is_request(), message.to_tag(), message.method()) {
            (false, ..) | (true, None, _) | (true, _, Method::Cancel) => false,
            (true, Some(_), Method::Ack) => true,
            (true, Some(tag), _) => ours(tag) && message.validate_request_for(&EXTENSIONS).is_ok(),
        }
    }
}

/// A substitute for an unknown name. The sender gets the same answer as for a wrong password, after
/// the same work, so that it cannot find out which names exist.
fn nobody(claim: &Credentials<'_>) -> DigestUser {
    let hash = || Some(NO_PASSWORD.to_owned());
    DigestUser {
        user: claim.username.into(),
        realm: claim.realm.into(),
        ha1s: Ha1s { md5: hash(), sha256: hash() },
        algorithms: None,
    }
}
