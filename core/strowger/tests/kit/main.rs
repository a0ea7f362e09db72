//! The plugin kit, driven as its users do: by the program. Where a compiler is missing,
//! the tests of its language say so and are left out; in CI (`CI=true`) they fail.

mod languages;
mod projects;
mod support;
