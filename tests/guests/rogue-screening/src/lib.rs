//! A screening plugin that misbehaves in the way that the callee is called: `loop`,
//! `trap`, `recurse`, `eat`, `flood`. Any other callee is allowed.
#![forbid(unsafe_code)]

use plugin_sdk::{NoConfig, Plugin, ScreenQuestion, Screening, Verdict, export_plugin};
use std::hint::black_box;

/// Keeps what it ate.
#[derive(Debug, Default)]
pub struct Rogue {
    hoard: Vec<Vec<u8>>,
}

impl Plugin for Rogue {
    const NAME: &'static str = "screening";
    const SUMMARY: &'static str = "Misbehaves on demand.";
    type Config = NoConfig;
    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Rogue::default())
    }
}

impl Screening for Rogue {
    fn screen(&mut self, question: &ScreenQuestion) -> Verdict {
        match question.callee.as_str() {
            "loop" => loop {
                black_box(());
            },
            "trap" => panic!("told to"),
            "recurse" => {
                black_box(recurse(1));
            }
            "eat" => loop {
                self.hoard.push(vec![1; 1 << 20]);
            },
            "flood" => return Verdict::Mark(vec!["x".repeat(10 << 10); 1000]),
            _ => {}
        }
        Verdict::Allow
    }
}

fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return depth;
    }
    let frame = black_box([depth; 16]);
    frame[3] + recurse(black_box(depth + 1)) + frame[5]
}

export_plugin!(Rogue: screening);
