//! The saved form of transactions and legs, so that another machine can continue with them: moments
//! as nanoseconds from a base, messages as received.
//!
//! The base is saved separately; serde cannot pass it to the parts, so it is set per thread with
//! [`relative_to`].

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static BASE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs `act`, which writes or reads, with this base: the same moment on both machines.
pub fn relative_to<R>(base: Instant, act: impl FnOnce() -> R) -> R {
    let before = BASE.replace(Some(base));
    let result = act();
    BASE.set(before);
    result
}

/// A moment as nanoseconds from the base, negative before it. `None` if there is no base, or if the
/// two are more than 292 years apart.
#[must_use]
pub fn offset(moment: Instant) -> Option<i64> {
    let base = BASE.get()?;
    match moment.checked_duration_since(base) {
        Some(after) => i64::try_from(after.as_nanos()).ok(),
        None => i64::try_from(base.duration_since(moment).as_nanos()).ok().map(|before| -before),
    }
}

/// The inverse of [`offset`]. `None` if there is no base, or if the clock cannot represent the
/// moment.
#[must_use]
pub fn at_offset(nanos: i64) -> Option<Instant> {
    let (base, distance) = (BASE.get()?, Duration::from_nanos(nanos.unsigned_abs()));
    if nanos < 0 { base.checked_sub(distance) } else { base.checked_add(distance) }
}

/// `#[serde(with)]` of an [`Instant`].
pub mod moment {
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Instant;

    /// # Errors
    /// There is no base.
    pub fn serialize<S: Serializer>(moment: &Instant, to: S) -> Result<S::Ok, S::Error> {
        let nanos = super::offset(*moment).ok_or_else(|| S::Error::custom("a moment, no base"))?;
        to.serialize_i64(nanos)
    }

    /// # Errors
    /// There is no base.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Instant, D::Error> {
        let nanos = i64::deserialize(from)?;
        super::at_offset(nanos).ok_or_else(|| D::Error::custom("a moment out of reach"))
    }
}

/// `#[serde(with)]` of an optional [`Instant`].
pub mod moment_if_any {
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::time::Instant;

    /// # Errors
    /// There is no base.
    pub fn serialize<S: Serializer>(moment: &Option<Instant>, to: S) -> Result<S::Ok, S::Error> {
        let nanos = moment.map(|moment| super::offset(moment).ok_or("a moment, no base"));
        nanos.transpose().map_err(S::Error::custom)?.serialize(to)
    }

    /// # Errors
    /// There is no base.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Instant>, D::Error> {
        let nanos = Option::<i64>::deserialize(from)?;
        let moment = nanos.map(|nanos| super::at_offset(nanos).ok_or("a moment out of reach"));
        moment.transpose().map_err(D::Error::custom)
    }
}
