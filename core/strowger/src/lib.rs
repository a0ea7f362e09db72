//! The program: a node with its admin API, the command line and the demo.
#![forbid(unsafe_code)]

mod agents;
pub mod cli;
mod demo;
mod run;
mod running;
mod show;
mod signals;
