//! The types that differ in version 0.2 of the tests; all others are those of 0.1.

use super::question::Call;
use wasmtime::component::{ComponentType, Lower};

/// `screening.question`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct ScreenQuestion<'a> {
    #[component(name = "forwarded")]
    forwarded: bool,
    #[component(name = "call")]
    call: Call,
    #[component(name = "caller")]
    caller: &'a str,
    #[component(name = "callee")]
    callee: &'a str,
    #[component(name = "source")]
    source: &'a str,
}

impl<'a> From<&'a policy::ScreenQuestion> for ScreenQuestion<'a> {
    fn from(from: &'a policy::ScreenQuestion) -> ScreenQuestion<'a> {
        ScreenQuestion {
            // No call has this information yet: the value that 0.1 implied.
            forwarded: false,
            call: from.call.into(),
            caller: &from.caller,
            callee: &from.callee,
            source: &from.source,
        }
    }
}
