//! The store against real files: configuration, database, journal.

mod apply;
mod business;
mod journal;
mod money;
mod recorder;
mod scale;
mod support;
mod upgrade;
