//! The call machine in virtual time: single calls as stories, thousands of them in a
//! seeded simulation.

mod calls;
mod simulation;
mod support;
