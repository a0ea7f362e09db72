//! Refuses settings without effect: whoever writes one expects an effect.

use super::folder::{Origin, Origins};
use super::words::CallRate;
use super::{
    AccountKind, Authentication, Business, ConfigErrors, CustomerTrunk, DisplayMode, HeaderMode,
    RunningCalls, VendorTrunk,
};
use ledger::Money;

/// Refuses every setting without effect.
pub(super) fn check(business: &Business, origins: &Origins, errors: &mut ConfigErrors) {
    for (n, account) in business.accounts.iter().enumerate() {
        let mut idle = Idle::new("account", origins.get(&origins.accounts, n), errors);
        burst(account.burst, account.cps, &mut idle);
        let paid = account.kind == AccountKind::Vendor;
        let why = "it limits calls of customers, and this account is a vendor's";
        for (field, given) in [
            ("channels", account.channels > 0),
            ("cps", account.cps != CallRate::default()),
            ("block_at", account.block_at != Money::ZERO),
            ("daily_cap", account.daily_cap.is_some()),
            ("monthly_cap", account.monthly_cap.is_some()),
            ("running_calls", account.running_calls != RunningCalls::default()),
        ] {
            idle.if_so(paid && given, field, "", why);
        }
    }
    for (n, trunk) in business.customer_trunks.iter().enumerate() {
        let origin = origins.get(&origins.customer_trunks, n);
        customer(trunk, &mut Idle::new("customer_trunk", origin, errors));
    }
    for (n, trunk) in business.vendor_trunks.iter().enumerate() {
        let origin = origins.get(&origins.vendor_trunks, n);
        vendor(trunk, &mut Idle::new("vendor_trunk", origin, errors));
    }
}

fn burst(burst: u32, cps: CallRate, idle: &mut Idle<'_>) {
    let alone = burst > 0 && cps == CallRate::default();
    idle.if_so(alone, "burst", &burst.to_string(), "there is no `cps` that it belongs to");
}

fn customer(trunk: &CustomerTrunk, idle: &mut Idle<'_>) {
    burst(trunk.burst, trunk.cps, idle);
    let written = idle.origin.has("strip_tech_prefix");
    let value = trunk.strip_tech_prefix.to_string();
    idle.if_so(
        written && trunk.tech_prefix.is_empty(),
        "strip_tech_prefix",
        &value,
        "there is no `tech_prefix` to take off (NUM-07)",
    );
    unmatched(trunk.reject_unmatched, trunk.callee_rules.as_deref(), idle);
    // A trunk that authenticates by address still answers a plugin's challenge with its
    // credentials, but they are useless without a user name.
    let nameless = trunk.authentication == Authentication::Address && trunk.user.is_none();
    for (field, given) in [
        ("password", trunk.password.is_some()),
        ("realm", trunk.realm.is_some()),
        ("ha1_md5", trunk.ha1_md5.is_some()),
        ("ha1_sha256", trunk.ha1_sha256.is_some()),
    ] {
        idle.if_so(nameless && given, field, "", "there is no `user` that it belongs to");
    }
}

fn vendor(trunk: &VendorTrunk, idle: &mut Idle<'_>) {
    burst(trunk.burst, trunk.cps, idle);
    unmatched(trunk.reject_unmatched, trunk.callee_rules.as_deref(), idle);
    let identity = &trunk.identity;
    let modes = [identity.asserted, identity.preferred, identity.remote_party, identity.diversion];
    idle.if_so(
        !identity.fixed_identity.is_empty() && !modes.contains(&HeaderMode::Fixed),
        "identity",
        "fixed_identity",
        "no identity header is set to \"fixed\"",
    );
    let fixed = identity.display == DisplayMode::Fixed;
    idle.if_so(
        !identity.fixed_display.is_empty() && !fixed,
        "identity",
        "fixed_display",
        "`display` is not \"fixed\"",
    );
}

fn unmatched(reject: bool, rules: Option<&str>, idle: &mut Idle<'_>) {
    idle.if_so(
        reject && rules.is_none(),
        "reject_unmatched",
        "true",
        "there are no `callee_rules` that a number could match (NUM-19)",
    );
}

/// Where the settings of one object were written.
struct Idle<'a> {
    table: &'static str,
    origin: &'a Origin,
    errors: &'a mut ConfigErrors,
}

impl<'a> Idle<'a> {
    fn new(table: &'static str, origin: &'a Origin, errors: &'a mut ConfigErrors) -> Self {
        Idle { table, origin, errors }
    }

    fn if_so(&mut self, so: bool, field: &str, value: &str, why: &str) {
        if so {
            let problem = format!("it does nothing: {why}");
            self.errors.push(self.origin.error(self.table, field, value, problem));
        }
    }
}
