//! Converts configured trunks to those of the call machine.

use super::book::RuleHandles;
use super::draft::rate;
use super::names::Names;
use business::{CodePolicy, Failover, Identity, PeerAddress};
use policy::{FailoverSwitches, TrunkIdentity};
use sip::digest::{Algorithm, Ha1s};
use std::sync::Arc;
use store::LoadedTrunk;
use switch::facts::{
    AttemptTimers, Authentication, Credentials, CustomerTrunk, Destinations, DigestUser,
    FailureReply, Network, Reliability, Ringback, RingbackMode, RoutePrefix, VendorTrunk,
};

/// The `from_host` of trunks that get their own address (SIG-70).
const PEER: &str = "peer";

pub(super) fn customer(
    loaded: &LoadedTrunk<business::CustomerTrunk>,
    names: &mut Names<'_>,
    rules: RuleHandles,
) -> CustomerTrunk {
    let trunk = &loaded.trunk;
    let owner = format!("customer trunk `{}`", trunk.name);
    CustomerTrunk {
        id: loaded.id,
        name: trunk.name.as_str().into(),
        account: loaded.account_id,
        locked: trunk.locked,
        authentication: match trunk.authentication {
            business::Authentication::Address => Authentication::Address,
            business::Authentication::Digest => Authentication::Digest,
            business::Authentication::Both => Authentication::AddressAndDigest,
        },
        networks: trunk.addresses.iter().map(network).collect(),
        digest: digest(trunk),
        tech_prefix: trunk.tech_prefix.as_str().into(),
        strip_tech_prefix: trunk.strip_tech_prefix,
        caller_rules: rules.caller,
        callee_rules: rules.callee,
        reject_unmatched: trunk.reject_unmatched,
        support_privacy: trunk.support_privacy,
        trusted: trunk.trusted,
        channels: trunk.channels,
        rate: rate(trunk.cps, trunk.burst),
        max_duration: trunk.max_duration,
        max_attempts: trunk.max_attempts,
        setup_budget: trunk.setup_budget,
        until_connect: trunk.until_connect,
        hedge: trunk.hedge,
        parallel: trunk.parallel,
        reliability: reliability(trunk.reliable_provisionals),
        failure_reply: match trunk.failure_reply {
            business::FailureReply::Best => FailureReply::Best,
            business::FailureReply::Last => FailureReply::Last,
            business::FailureReply::Fixed(code) => FailureReply::Fixed(code),
        },
        relay: trunk.relay,
        media_address: names.media_address(&owner, trunk.media_address.as_deref()),
        strict_media: trunk.strict_media,
        transcode: trunk.transcode == business::Transcode::Auto,
    }
}

fn reliability(word: business::Reliability) -> Reliability {
    match word {
        business::Reliability::Off => Reliability::Off,
        business::Reliability::Supported => Reliability::Supported,
        business::Reliability::Required => Reliability::Required,
    }
}

fn network(peer: &PeerAddress) -> Network {
    Network { address: peer.address, prefix: peer.prefix, port: peer.port }
}

fn digest(trunk: &business::CustomerTrunk) -> Option<DigestUser> {
    let hash = |secret: &Option<business::Secret>| secret.as_ref().map(|secret| secret.0.clone());
    Some(DigestUser {
        user: trunk.user.as_deref()?.into(),
        realm: trunk.realm.as_deref().unwrap_or_default().into(),
        ha1s: Ha1s { md5: hash(&trunk.ha1_md5), sha256: hash(&trunk.ha1_sha256) },
        algorithms: trunk.digest_algorithms.as_deref().map(algorithms),
    })
}

fn algorithms(names: &[business::DigestAlgorithm]) -> Arc<[Algorithm]> {
    let algorithm = |name: &business::DigestAlgorithm| match name {
        business::DigestAlgorithm::Md5 => Algorithm::Md5,
        business::DigestAlgorithm::Sha256 => Algorithm::Sha256,
    };
    names.iter().map(algorithm).collect()
}

pub(super) fn vendor(
    loaded: &LoadedTrunk<business::VendorTrunk>,
    names: &mut Names<'_>,
    rules: RuleHandles,
) -> VendorTrunk {
    let trunk = &loaded.trunk;
    let owner = format!("vendor trunk `{}`", trunk.name);
    let listener = names.listener(&owner, trunk.listener.as_deref());
    let exits = names.exits(listener);
    let targets =
        trunk.targets.iter().filter_map(|target| names.destination(&owner, target, exits));
    let targets = Destinations::new(targets.collect());
    let from_host = match trunk.from_host.as_deref() {
        Some(PEER) => String::new(),
        Some(host) => host.to_owned(),
        None => names.domain(listener),
    };
    VendorTrunk {
        id: loaded.id,
        name: trunk.name.as_str().into(),
        account: loaded.account_id,
        locked: trunk.locked,
        targets,
        prefixes: trunk.prefixes.iter().map(prefix).collect(),
        listener,
        large_over_tcp: trunk.large_over_tcp,
        priority: trunk.priority,
        weight: trunk.weight,
        last_resort: trunk.last_resort,
        channels: trunk.channels,
        rate: rate(trunk.cps, trunk.burst),
        max_duration: trunk.max_duration,
        timers: AttemptTimers {
            response: trunk.timers.response,
            trying: trunk.timers.trying,
            progress: trunk.timers.progress,
            progress_sdp: trunk.timers.progress_sdp,
            ringing: trunk.timers.ringing,
        },
        schedule: Arc::clone(trunk.resend.schedule()),
        reliability: reliability(trunk.reliable_provisionals),
        caller_rules: rules.caller,
        callee_rules: rules.callee,
        identity_rules: rules.identity,
        reject_unmatched: trunk.reject_unmatched,
        tech_prefix: trunk.tech_prefix.as_str().into(),
        identity: identity(&trunk.identity),
        from_host: from_host.into(),
        trusted: trunk.trusted,
        failover: failover(&trunk.failover),
        relay: trunk.relay,
        media_address: names.media_address(&owner, trunk.media_address.as_deref()),
        strict_media: trunk.strict_media,
        transcode: trunk.transcode == business::Transcode::Auto,
        ringback: Ringback {
            mode: match trunk.ringback {
                business::Ringback::Off => RingbackMode::Off,
                business::Ringback::IfNoEarlyMedia => RingbackMode::IfNoEarlyMedia,
                business::Ringback::Always => RingbackMode::Always,
            },
            sound: names.sound(&owner, &trunk.ringback_sound),
        },
        credentials: credentials(trunk),
    }
}

fn prefix(listed: &business::VendorPrefix) -> RoutePrefix {
    let (priority, extend) = (listed.priority, listed.extend);
    RoutePrefix { prefix: listed.prefix.as_str().into(), priority, extend }
}

fn credentials(trunk: &business::VendorTrunk) -> Option<Credentials> {
    let password = trunk.password.as_ref().map(|secret| secret.0.as_str());
    Some(Credentials {
        user: trunk.user.as_deref()?.into(),
        password: password.unwrap_or_default().into(),
        algorithms: trunk
            .digest_algorithms
            .as_deref()
            .map_or_else(|| Arc::from(Algorithm::ALL), algorithms),
    })
}

fn identity(identity: &Identity) -> TrunkIdentity {
    TrunkIdentity {
        asserted: identity.asserted,
        preferred: identity.preferred,
        remote_party: identity.remote_party,
        diversion: identity.diversion,
        privacy: identity.privacy,
        display: identity.display,
        fixed_identity: identity.fixed_identity.as_str().into(),
        fixed_display: identity.fixed_display.as_str().into(),
    }
}

fn failover(failover: &Failover) -> FailoverSwitches {
    FailoverSwitches {
        stop_after_busy: failover.stop_after_busy,
        stop_after_timeout: failover.stop_after_timeout,
        until_connect: failover.until_connect,
        stop_after_media: failover.stop_after_media,
        code_policy: failover
            .code_policy
            .iter()
            .map(|(code, policy)| (code.0, *policy == CodePolicy::Stop))
            .collect(),
    }
}
