//! What is sent with a statement.

use std::borrow::Cow;
use std::sync::Arc;

/// A parameter of a statement or a column of a new row. An absent one keeps its type, because
/// PostgreSQL wants to know it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Integer(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Bytes(Cow<'a, [u8]>),
    Bool(bool),
}

macro_rules! from {
    ($($from:ty => |$value:ident| $made:expr),* $(,)?) => {
        $(impl<'a> From<$from> for Value<'a> {
            fn from($value: $from) -> Self {
                $made
            }
        })*
    };
}

from! {
    i64 => |value| Value::Integer(Some(value)),
    u16 => |value| Value::Integer(Some(value.into())),
    u32 => |value| Value::Integer(Some(value.into())),
    Option<i64> => |value| Value::Integer(value),
    bool => |value| Value::Bool(value),
    &'a str => |value| Value::Text(Some(Cow::Borrowed(value))),
    &'a String => |value| Value::Text(Some(Cow::Borrowed(value))),
    &'a Arc<str> => |value| Value::Text(Some(Cow::Borrowed(value))),
    &'a Option<String> => |value| Value::Text(value.as_deref().map(Cow::Borrowed)),
    String => |value| Value::Text(Some(Cow::Owned(value))),
    &'a [u8] => |value| Value::Bytes(Cow::Borrowed(value)),
    Vec<u8> => |value| Value::Bytes(Cow::Owned(value)),
}

/// The parameters of a statement, each whatever a [`Value`] is made of.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::db::Value::from($value)),*]
    };
}

pub(crate) use values;
