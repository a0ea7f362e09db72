//! The call machine in virtual time: single calls as stories, thousands of them in a
//! seeded simulation.

mod calls;
mod causes;
mod dialogs;
mod endings;
mod media;
mod prices;
mod simulation;
mod support;
