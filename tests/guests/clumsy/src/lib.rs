//! A router as an author writes it, with a mistake that only some numbers meet.
#![forbid(unsafe_code)]

use plugin_sdk::{
    NoConfig, Plugin, Rejection, RouteQuestion, Routing, TrunkId, export_plugin, host,
};

/// The first vendor first; callees that end in 13 panic, those that end in 14 loop, those that end
/// in 15 panic with an escape sequence.
#[derive(Debug)]
pub struct Clumsy;

impl Plugin for Clumsy {
    const NAME: &'static str = "routing";
    const SUMMARY: &'static str = "Trips over some numbers.";
    type Config = NoConfig;
    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Clumsy)
    }
}

impl Routing for Clumsy {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        host::log!(Info, "{} candidates", question.candidates.len());
        if question.callee.ends_with("13") {
            return Ok(vec![unlucky(question)]);
        }
        if question.callee.ends_with("14") {
            spin();
        }
        assert!(!question.callee.ends_with("15"), "cursor \u{1b}[2J moved\nforged line");
        Ok(question.candidates.iter().map(|candidate| candidate.trunk).collect())
    }
}

/// Fails, because there are fewer vendors.
#[inline(never)]
fn unlucky(question: &RouteQuestion) -> TrunkId {
    question.candidates.get(13).expect("a thirteenth vendor").trunk
}

#[inline(never)]
fn spin() {
    loop {
        std::hint::black_box(());
    }
}

export_plugin!(Clumsy: routing);
