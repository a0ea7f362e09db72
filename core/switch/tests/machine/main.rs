//! The call machine in virtual time: single calls as stories, thousands of them in a
//! seeded simulation.

mod calls;
mod causes;
mod dialogs;
mod door;
mod endings;
mod figures;
mod forks;
mod handover;
mod identity;
mod limits;
mod media;
mod media_acts;
mod offers;
mod parallel;
mod peers;
mod prices;
mod refresh;
mod refusals;
mod refusing;
mod reliable;
mod requests;
mod reservation;
mod routes;
mod simulation;
mod sources;
mod supervision;
mod support;
mod test_call;
