//! The languages that the kit compiles.

use clap::ValueEnum;
use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// A language for plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    /// With the plugin SDK, by cargo.
    Rust,
    /// With generated bindings, by clang.
    C,
    /// In SpiderMonkey, by componentize-js.
    Javascript,
    /// In CPython, by componentize-py.
    Python,
}

impl Language {
    /// Its name in `plugin.toml` and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::C => "c",
            Language::Javascript => "javascript",
            Language::Python => "python",
        }
    }

    /// The source file of a project, unless its `plugin.toml` names another; for C all files next
    /// to it belong to the plugin too.
    pub(crate) fn source(self) -> &'static str {
        match self {
            Language::Rust => "src/lib.rs",
            Language::C => "src/plugin.c",
            Language::Javascript => "src/plugin.js",
            Language::Python => "src/app.py",
        }
    }

    /// Processor time for a question, unless `plugin.toml` sets another.
    pub(crate) fn deadline(self) -> Duration {
        match self {
            Language::Rust | Language::C => Duration::from_millis(5),
            Language::Javascript => Duration::from_millis(10),
            Language::Python => Duration::from_millis(50),
        }
    }

    /// Linear memory of an instance, unless `plugin.toml` sets another.
    pub(crate) fn memory(self) -> u64 {
        match self {
            Language::Rust | Language::C => 16 << 20,
            Language::Javascript | Language::Python => 64 << 20,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
