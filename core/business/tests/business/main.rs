//! What an operator writes.

mod folder;
mod stored;
mod support;
