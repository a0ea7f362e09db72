use std::sync::Arc;
use wasmtime::component::{ComponentType, Lift, Lower};

/// `host-accounts.owner`.
#[derive(Clone, Copy, Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Owner {
    #[component(name = "account")]
    Account(u32),
    #[component(name = "customer")]
    Customer(u32),
    #[component(name = "vendor")]
    Vendor(u32),
}

impl From<Owner> for policy::Owner {
    fn from(from: Owner) -> policy::Owner {
        match from {
            Owner::Account(id) => policy::Owner::Account(id),
            Owner::Customer(id) => policy::Owner::Customer(id),
            Owner::Vendor(id) => policy::Owner::Vendor(id),
        }
    }
}

/// `host-accounts.standing`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Standing {
    #[component(name = "currency")]
    pub(crate) currency: Arc<str>,
    #[component(name = "balance")]
    pub(crate) balance: i64,
    #[component(name = "reserved")]
    pub(crate) reserved: i64,
    #[component(name = "available")]
    pub(crate) available: Option<i64>,
}

impl From<policy::Standing> for Standing {
    fn from(from: policy::Standing) -> Standing {
        Standing {
            currency: from.currency,
            balance: from.balance,
            reserved: from.reserved,
            available: from.available,
        }
    }
}

/// `host-accounts.price`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Price {
    #[component(name = "prefix")]
    pub(crate) prefix: String,
    #[component(name = "destination")]
    pub(crate) destination: Arc<str>,
    #[component(name = "price-first")]
    pub(crate) price_first: i64,
    #[component(name = "price-next")]
    pub(crate) price_next: i64,
    #[component(name = "connect-fee")]
    pub(crate) connect_fee: i64,
    #[component(name = "first-increment-s")]
    pub(crate) first_increment_s: u32,
    #[component(name = "next-increment-s")]
    pub(crate) next_increment_s: u32,
    #[component(name = "free-seconds")]
    pub(crate) free_seconds: u32,
    #[component(name = "minimum-charge")]
    pub(crate) minimum_charge: i64,
}

impl From<policy::Price> for Price {
    fn from(policy::Price { prefix, destination, row }: policy::Price) -> Price {
        Price {
            prefix: prefix.into(),
            destination,
            price_first: row.price_first,
            price_next: row.price_next,
            connect_fee: row.connect_fee,
            first_increment_s: row.first_increment_s,
            next_increment_s: row.next_increment_s,
            free_seconds: row.free_seconds,
            minimum_charge: row.minimum_charge,
        }
    }
}
