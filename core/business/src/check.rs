//! Checks across fields and objects: references, duplicates, ambiguity, ranges.

use super::folder::{Origin, Origins};
use super::{
    Account, AccountKind, Authentication, Business, ConfigErrors, CustomerTrunk, DigestAlgorithm,
    HeaderMode, Secret, Target, VendorTrunk, ambiguity, idle,
};
use ledger::{DEEPEST_TREE, Money};
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Shortest password accepted (SEC-05).
const SHORTEST_PASSWORD: usize = 12;
/// Latest start of a call's last attempt (ROUTE-54).
const SETUP_BUDGET: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(300);
/// Upper bound of the limits of a call's duration (SIG-35): a longer one is a slip of the pen.
const LONGEST_CALL: Duration = Duration::from_secs(720 * 3_600);
/// Upper bound of the limit of attempts (ROUTE-53).
const MOST_ATTEMPTS: u32 = 100;

/// Most attempts that may start at once (ROUTE-58).
const MOST_PARALLEL: u32 = 10;

/// How long an attempt may stay silent before the next one starts in parallel (ROUTE-58).
const HEDGE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
/// Longest name of an object.
const LONGEST_NAME: usize = 64;

/// Refuses a name that an object cannot have; returns what is allowed.
///
/// # Errors
///
/// It is blank, `.` or `..` (clients drop them from paths), longer than 64 bytes, or has control
/// characters or characters that reverse the direction of text.
pub fn check_name(name: &str) -> Result<(), String> {
    let misleads = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let blank = name.trim().is_empty() || matches!(name, "." | "..");
    if blank || name.len() > LONGEST_NAME || name.chars().any(misleads) {
        return Err(format!(
            "expected 1 to {LONGEST_NAME} characters other than `.` and `..`, none of control"
        ));
    }
    Ok(())
}

pub(super) fn check(business: &Business, origins: &Origins, errors: &mut ConfigErrors) {
    names(business, origins, errors);
    let known = Known::new(business);
    for (n, account) in business.accounts.iter().enumerate() {
        let origin = origins.get(&origins.accounts, n);
        known.account_fields(account, origin, errors);
    }
    for (n, trunk) in business.customer_trunks.iter().enumerate() {
        let origin = origins.get(&origins.customer_trunks, n);
        known.customer(trunk, origin, errors);
    }
    for (n, trunk) in business.vendor_trunks.iter().enumerate() {
        let origin = origins.get(&origins.vendor_trunks, n);
        known.vendor(trunk, origin, errors);
    }
    for (n, set) in business.rule_sets.iter().enumerate() {
        if set.text.trim().is_empty() {
            let origin = origins.get(&origins.rule_sets, n);
            let problem = "the set has no rules: expected `text` or `rules`";
            errors.push(origin.error("rule_set", "text", "", problem));
        }
    }
    one_currency(business, origins, errors);
    ambiguity::check(business, origins, errors);
    idle::check(business, origins, errors);
}

/// Charges, costs and profit are compared and summed without exchange rates: all accounts share one
/// currency (BILL-74).
fn one_currency(business: &Business, origins: &Origins, errors: &mut ConfigErrors) {
    let Some(first) = business.accounts.first() else { return };
    let place = origins.get(&origins.accounts, 0).place();
    for (n, account) in business.accounts.iter().enumerate().skip(1) {
        if account.currency == first.currency {
            continue;
        }
        let problem = format!(
            "account {:?} at {place} has {}; amounts of two currencies are not compared as long \
             as there are no exchange rates (BILL-74)",
            first.name,
            first.currency.as_str()
        );
        let value = format!("{:?}", account.currency.as_str());
        errors.push(origins.get(&origins.accounts, n).error("account", "currency", value, problem));
    }
}

/// Names are valid and unique within a kind; account ids that are given are unique.
fn names(business: &Business, origins: &Origins, errors: &mut ConfigErrors) {
    let mut check = |table, names: Vec<&str>, kind: &[Origin]| {
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (n, name) in names.into_iter().enumerate() {
            let origin = origins.get(kind, n);
            if let Err(problem) = check_name(name) {
                errors.push(origin.error(table, "name", format!("{name:?}"), problem));
            } else if let Some(before) = first.insert(name, n) {
                let place = origins.get(kind, before).place();
                let problem = format!("the name is already used at {place}; names are unique");
                errors.push(origin.error(table, "name", format!("{name:?}"), problem));
            }
        }
    };
    let Business { accounts, customer_trunks, vendor_trunks, decks, rule_sets, number_lists } =
        business;
    check("account", accounts.iter().map(|a| &*a.name).collect(), &origins.accounts);
    let trunks = customer_trunks.iter().map(|t| &*t.name).collect();
    check("customer_trunk", trunks, &origins.customer_trunks);
    let trunks = vendor_trunks.iter().map(|t| &*t.name).collect();
    check("vendor_trunk", trunks, &origins.vendor_trunks);
    check("deck", decks.iter().map(|d| &*d.name).collect(), &origins.decks);
    check("rule_set", rule_sets.iter().map(|s| &*s.name).collect(), &origins.rule_sets);
    check(
        "number_list",
        number_lists.iter().map(|l| &*l.list.name).collect(),
        &origins.number_lists,
    );

    let mut ids = HashSet::new();
    for (n, account) in accounts.iter().enumerate() {
        let origin = origins.get(&origins.accounts, n);
        match account.id {
            Some(0) => errors.push(origin.error("account", "id", "0", "expected an id above 0")),
            Some(id) if !ids.insert(id) => {
                let problem = "the id is used by another account; ids are unique";
                errors.push(origin.error("account", "id", id.to_string(), problem));
            }
            _ => {}
        }
    }
}

/// The objects that may be referred to.
struct Known<'a> {
    accounts: HashMap<&'a str, &'a Account>,
    /// Currency by deck name.
    decks: HashMap<&'a str, &'a str>,
    rule_sets: HashSet<&'a str>,
    /// The names listed in errors, joined when the first error needs them.
    listed: Listed,
}

#[derive(Default)]
struct Listed {
    customers: OnceCell<String>,
    vendors: OnceCell<String>,
    decks: OnceCell<String>,
    rule_sets: OnceCell<String>,
}

impl<'a> Known<'a> {
    fn new(business: &'a Business) -> Self {
        let decks = business.decks.iter();
        Known {
            accounts: business.accounts.iter().map(|a| (a.name.as_str(), a)).collect(),
            decks: decks.map(|deck| (deck.name.as_str(), deck.currency.as_str())).collect(),
            rule_sets: business.rule_sets.iter().map(|set| set.name.as_str()).collect(),
            listed: Listed::default(),
        }
    }

    fn account_fields(&self, account: &Account, origin: &Origin, errors: &mut ConfigErrors) {
        call_limit("account", account.max_duration, origin, errors);
        let mut refuse = |field, value: String, problem: String| {
            errors.push(origin.error("account", field, value, problem));
        };
        if let Some(deck) = &account.deck {
            match self.decks.get(deck.as_str()) {
                None => {
                    let known =
                        self.listed.decks.get_or_init(|| listed(self.decks.keys().copied()));
                    refuse("deck", format!("{deck:?}"), format!("no such deck; there are {known}"));
                }
                Some(currency) if *currency != account.currency.as_str() => {
                    let problem = format!(
                        "the deck is in {currency}, the account in {}; they must be the same",
                        account.currency.as_str()
                    );
                    refuse("deck", format!("{deck:?}"), problem);
                }
                Some(_) => {}
            }
        }
        if let Some(problem) = self.above(account) {
            refuse("parent", format!("{:?}", account.parent.as_deref().unwrap_or("")), problem);
        }
        let amounts = [
            ("opening_balance", Some(account.opening_balance)),
            ("credit_limit", account.credit_limit),
            ("block_at", Some(account.block_at)),
            ("daily_cap", account.daily_cap),
            ("monthly_cap", account.monthly_cap),
        ];
        for (field, amount) in &amounts[2..] {
            if let Some(amount) = amount.filter(|amount| *amount < Money::ZERO) {
                refuse(field, format!("\"{amount}\""), "expected at least 0".to_owned());
            }
        }
        for (field, amount) in amounts {
            if let Some(amount) = amount.filter(|amount| !amount.is_within(Money::LARGEST_AMOUNT)) {
                let problem = format!("expected at most {}", Money::LARGEST_AMOUNT);
                refuse(field, format!("\"{amount}\""), problem);
            }
        }
        let rounding = account.rounding;
        if !(1..=60_000).contains(&rounding.unit_ms) {
            let value = format!("unit_ms = {}", rounding.unit_ms);
            refuse("rounding", value, "expected 1 to 60000 ms (BILL-11)".to_owned());
        }
        if rounding.decimals > 10 {
            let value = format!("decimals = {}", rounding.decimals);
            refuse("rounding", value, "expected 0 to 10 decimals (BILL-17)".to_owned());
        }
        if rounding.fee_unit < Money::ZERO || rounding.fee_unit > Money(1000 * Money::ONE.0) {
            let value = format!("fee_unit = {}", rounding.fee_unit);
            refuse("rounding", value, "expected 0 to 1000 (BILL-18)".to_owned());
        }
    }

    /// The error in the reseller chain above an account (BILL-60).
    fn above(&self, account: &Account) -> Option<String> {
        let mut path = vec![account.name.as_str()];
        let mut parent = account.parent.as_deref();
        while let Some(name) = parent {
            let Some(above) = self.accounts.get(name) else {
                // Reported where it is written.
                return (path.len() == 1).then(|| {
                    let customers = &self.listed.customers;
                    let known =
                        customers.get_or_init(|| listed(self.names_of(AccountKind::Customer)));
                    format!("no such account; there are {known}")
                });
            };
            if path.contains(&name) {
                return Some(format!("accounts go round: {} -> {name}", path.join(" -> ")));
            }
            if path.len() == 1
                && (above.kind, account.kind) != (AccountKind::Customer, AccountKind::Customer)
            {
                return Some("a reseller and the accounts below it are customers".to_owned());
            }
            if path.len() == 1 && above.deck.is_none() {
                return Some(
                    "the reseller has no deck, by which it would pay (BILL-62)".to_owned(),
                );
            }
            path.push(name);
            if path.len() > 1 + DEEPEST_TREE {
                return Some(format!("more than {DEEPEST_TREE} accounts above it (BILL-60)"));
            }
            parent = above.parent.as_deref();
        }
        None
    }

    fn customer(&self, trunk: &CustomerTrunk, origin: &Origin, errors: &mut ConfigErrors) {
        const TABLE: &str = "customer_trunk";
        self.account(TABLE, &trunk.account, AccountKind::Customer, origin, errors);
        self.rules(TABLE, "caller_rules", trunk.caller_rules.as_deref(), origin, errors);
        self.rules(TABLE, "callee_rules", trunk.callee_rules.as_deref(), origin, errors);
        tech_prefix(TABLE, &trunk.tech_prefix, origin, errors);
        if trunk.authentication != Authentication::Digest && trunk.addresses.is_empty() {
            let problem = "expected at least one address, because authentication is by address";
            errors.push(origin.error(TABLE, "addresses", "", problem));
        }
        call_limit(TABLE, trunk.max_duration, origin, errors);
        if !SETUP_BUDGET.contains(&trunk.setup_budget) {
            let value = format!("{:?}", super::words::duration_text(trunk.setup_budget));
            let problem = "expected 5s to 300s (ROUTE-54)";
            errors.push(origin.error(TABLE, "setup_budget", value, problem));
        }
        if !(1..=MOST_PARALLEL).contains(&trunk.parallel) {
            let problem = format!("allowed are 1 to {MOST_PARALLEL} (ROUTE-58)");
            errors.push(origin.error(TABLE, "parallel", trunk.parallel.to_string(), problem));
        }
        if !trunk.hedge.is_zero() && !HEDGE.contains(&trunk.hedge) {
            let value = format!("{:?}", super::words::duration_text(trunk.hedge));
            let problem = "allowed are 0s and 100ms to 60s (ROUTE-58)";
            errors.push(origin.error(TABLE, "hedge", value, problem));
        }
        if trunk.max_attempts > MOST_ATTEMPTS {
            let problem = format!("expected 0 (no limit) to {MOST_ATTEMPTS} (ROUTE-53)");
            let value = trunk.max_attempts.to_string();
            errors.push(origin.error(TABLE, "max_attempts", value, problem));
        }
        let algorithms = trunk.digest_algorithms.as_deref();
        digest_algorithms(TABLE, algorithms, trunk.user.as_deref(), origin, errors);
        if trunk.authentication == Authentication::Address {
            return;
        }
        if trunk.user.as_deref().is_none_or(str::is_empty) {
            let problem = "expected a user name, because authentication is by digest";
            errors.push(origin.error(TABLE, "user", "", problem));
        }
        match (&trunk.password, &trunk.ha1_md5, &trunk.ha1_sha256) {
            (Some(Secret(password)), None, None) => {
                if password.chars().count() < SHORTEST_PASSWORD {
                    let problem =
                        format!("expected at least {SHORTEST_PASSWORD} characters (SEC-05)");
                    errors.push(origin.error(TABLE, "password", "", problem));
                } else if trunk.user.as_ref() == Some(password) {
                    let problem = "expected a password other than the user name (SEC-05)";
                    errors.push(origin.error(TABLE, "password", "", problem));
                }
            }
            (None, md5, Some(sha256)) if md5.is_some() || !takes_md5(trunk) => {
                let md5 = md5.as_ref().map(|md5| ("ha1_md5", md5, 32));
                for (field, Secret(hash), length) in
                    md5.into_iter().chain([("ha1_sha256", sha256, 64)])
                {
                    let hexadecimal =
                        |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
                    if hash.len() != length || !hash.bytes().all(hexadecimal) {
                        let problem = format!("expected {length} lower-case hexadecimal digits");
                        errors.push(origin.error(TABLE, field, "", problem));
                    }
                }
                if trunk.realm.is_none() {
                    let problem = "expected the realm that the hashes were made for (SIG-51)";
                    errors.push(origin.error(TABLE, "realm", "", problem));
                }
            }
            _ => {
                let problem = "expected either `password`, or both `ha1_md5` and `ha1_sha256`; \
                               the latter is enough with digest_algorithms = [\"SHA-256\"]";
                errors.push(origin.error(TABLE, "password", "", problem));
            }
        }
    }

    fn vendor(&self, trunk: &VendorTrunk, origin: &Origin, errors: &mut ConfigErrors) {
        const TABLE: &str = "vendor_trunk";
        self.account(TABLE, &trunk.account, AccountKind::Vendor, origin, errors);
        self.rules(TABLE, "caller_rules", trunk.caller_rules.as_deref(), origin, errors);
        self.rules(TABLE, "callee_rules", trunk.callee_rules.as_deref(), origin, errors);
        self.rules(TABLE, "identity_rules", trunk.identity_rules.as_deref(), origin, errors);
        tech_prefix(TABLE, &trunk.tech_prefix, origin, errors);
        let algorithms = trunk.digest_algorithms.as_deref();
        digest_algorithms(TABLE, algorithms, trunk.user.as_deref(), origin, errors);
        call_limit(TABLE, trunk.max_duration, origin, errors);
        let mut refuse = |field, value: String, problem: &str| {
            errors.push(origin.error(TABLE, field, value, problem));
        };
        if trunk.targets.is_empty() {
            refuse("targets", "[]".to_owned(), "expected at least one address or host name");
        }
        for target in &trunk.targets {
            let alike =
                |other: &&Target| other.priority == target.priority && other.weight.is_none();
            if target.weight.is_some() && trunk.targets.iter().any(|other| alike(&other)) {
                let problem = "expected a weight for each target of its priority, or for none \
                               (SIG-65)";
                refuse("targets", format!("\"{target}\""), problem);
            }
        }
        if trunk.prefixes.is_empty() {
            let problem = "expected at least one prefix; \"\" takes every number";
            refuse("prefixes", "[]".to_owned(), problem);
        }
        let mut prefixes = HashSet::new();
        for entry in &trunk.prefixes {
            if !prefixes.insert(&entry.prefix) {
                let value = format!("{:?}", entry.prefix);
                refuse("prefixes", value, "the prefix is listed twice; once is enough");
            }
        }
        let timers = [
            ("response", trunk.timers.response, 300),
            ("trying", trunk.timers.trying, 300),
            ("progress", trunk.timers.progress, 600),
            ("progress_sdp", trunk.timers.progress_sdp, 600),
            ("ringing", trunk.timers.ringing, 600),
        ];
        for (name, timer, longest) in timers {
            if timer < Duration::from_secs(1) || timer > Duration::from_secs(longest) {
                let value = format!("{name} = {:?}", super::words::duration_text(timer));
                let problem = format!("expected 1s to {longest}s (SIG-15 to SIG-19)");
                refuse("timers", value, &problem);
            }
        }
        let modes = [
            trunk.identity.asserted,
            trunk.identity.preferred,
            trunk.identity.remote_party,
            trunk.identity.diversion,
        ];
        if modes.contains(&HeaderMode::Fixed) && trunk.identity.fixed_identity.is_empty() {
            let problem = "expected `fixed_identity`, because a header is set to \"fixed\"";
            refuse("identity", String::new(), problem);
        }
        if trunk.user.is_some() != trunk.password.is_some() {
            let field = if trunk.user.is_some() { "password" } else { "user" };
            refuse(field, String::new(), "expected user and password, or neither");
        }
    }

    fn account(
        &self,
        table: &str,
        name: &str,
        kind: AccountKind,
        origin: &Origin,
        errors: &mut ConfigErrors,
    ) {
        let value = format!("{name:?}");
        let wanted = if kind == AccountKind::Customer { "customer" } else { "vendor" };
        match self.accounts.get(name) {
            Some(account) if account.kind == kind => {}
            Some(_) => {
                let problem = format!("expected an account with kind = \"{wanted}\"");
                errors.push(origin.error(table, "account", value, problem));
            }
            None => {
                let names = match kind {
                    AccountKind::Customer => &self.listed.customers,
                    AccountKind::Vendor => &self.listed.vendors,
                };
                let known = names.get_or_init(|| listed(self.names_of(kind)));
                let problem = format!("no such account; {wanted} accounts are {known}");
                errors.push(origin.error(table, "account", value, problem));
            }
        }
    }

    fn names_of(&self, kind: AccountKind) -> impl Iterator<Item = &str> {
        let of_kind = self.accounts.values().filter(move |account| account.kind == kind);
        of_kind.map(|account| account.name.as_str())
    }

    fn rules(
        &self,
        table: &str,
        field: &str,
        name: Option<&str>,
        origin: &Origin,
        errors: &mut ConfigErrors,
    ) {
        if let Some(name) = name.filter(|name| !self.rule_sets.contains(name)) {
            let known =
                self.listed.rule_sets.get_or_init(|| listed(self.rule_sets.iter().copied()));
            let problem = format!("no such rule set; there are {known}");
            errors.push(origin.error(table, field, format!("{name:?}"), problem));
        }
    }
}

fn takes_md5(trunk: &CustomerTrunk) -> bool {
    trunk.digest_algorithms.as_ref().is_none_or(|all| all.contains(&DigestAlgorithm::Md5))
}

/// A list of hashes is not empty, has no duplicates, and needs a user (SIG-54).
fn digest_algorithms(
    table: &str,
    algorithms: Option<&[DigestAlgorithm]>,
    user: Option<&str>,
    origin: &Origin,
    errors: &mut ConfigErrors,
) {
    let problem = match algorithms {
        None => return,
        Some(_) if user.is_none() => "the trunk has no `user`: there is nothing to hash",
        Some([] | [DigestAlgorithm::Md5, DigestAlgorithm::Md5, ..])
        | Some([DigestAlgorithm::Sha256, DigestAlgorithm::Sha256, ..] | [_, _, _, ..]) => {
            "expected one or both of \"MD5\" and \"SHA-256\", the preferred one first (SIG-54)"
        }
        Some(_) => return,
    };
    let name = |algorithm: &DigestAlgorithm| match algorithm {
        DigestAlgorithm::Md5 => "\"MD5\"",
        DigestAlgorithm::Sha256 => "\"SHA-256\"",
    };
    let names: Vec<&str> = algorithms.unwrap_or_default().iter().map(name).collect();
    errors.push(origin.error(
        table,
        "digest_algorithms",
        format!("[{}]", names.join(", ")),
        problem,
    ));
}

/// The limit of a call's duration is a sensible one; zero is none.
fn call_limit(table: &str, limit: Duration, origin: &Origin, errors: &mut ConfigErrors) {
    if limit > LONGEST_CALL {
        let value = format!("{:?}", super::words::duration_text(limit));
        let longest = super::words::duration_text(LONGEST_CALL);
        let problem = format!("expected at most {longest}, or 0s for no limit (SIG-35)");
        errors.push(origin.error(table, "max_duration", value, problem));
    }
}

fn tech_prefix(table: &str, prefix: &str, origin: &Origin, errors: &mut ConfigErrors) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+*#".contains(&byte);
    if prefix.len() > 20 || !prefix.bytes().all(plain) {
        let problem = "expected 0 to 20 characters of 0-9 A-Z a-z + * #";
        errors.push(origin.error(table, "tech_prefix", format!("{prefix:?}"), problem));
    }
}

/// Up to ten names in alphabetical order.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    match names.len() {
        0 => "none".to_owned(),
        1..=10 => names.join(", "),
        more => format!("{} and {} more", names[..10].join(", "), more - 10),
    }
}
