//! A statement whose conditions vary.

use super::{Statement, Value};

/// Text and parameters of a statement, one after the other.
#[derive(Debug)]
pub(crate) struct Query {
    text: String,
    values: Vec<Value<'static>>,
}

impl Query {
    pub(crate) fn new(text: &str) -> Query {
        Query { text: text.to_owned(), values: Vec::new() }
    }

    /// Adds text of ours; never anything that came from outside.
    pub(crate) fn push(&mut self, text: &str) -> &mut Query {
        self.text.push_str(text);
        self
    }

    /// Adds a parameter.
    pub(crate) fn bind(&mut self, value: impl Into<Value<'static>>) -> &mut Query {
        self.text.push('?');
        self.values.push(value.into());
        self
    }

    /// The statement and its parameters.
    pub(crate) fn finish(self) -> (Statement, Vec<Value<'static>>) {
        (Statement::made(self.text), self.values)
    }
}
