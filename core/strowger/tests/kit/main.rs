//! The plugin kit, driven through the program as its users do. If a compiler is missing, the tests
//! of its language are skipped with a message; in CI (`CI=true`) they fail.

mod languages;
mod projects;
mod reasons;
mod support;
