use crate::LoadError;
use crate::exports::Functions;
use crate::plugin::Plugin;
use crate::sandbox::{self, Sandbox};
use crate::verify::{self, Said};
use crate::version::Code;
use crate::wire;
use policy::{Answer, Context, Fault, Question};
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Lift, Lower, TypedFunc};

/// One running copy of a plugin version, used by one shard.
pub(crate) struct Instance {
    store: Store<Sandbox>,
    functions: Functions,
    /// Kept between questions for its room.
    candidates: Vec<wire::Candidate>,
}

impl Instance {
    /// Makes a copy and looks its functions up; it is not configured yet.
    pub(crate) fn new(
        code: &Code,
        plugin: &Arc<Plugin>,
        deadline_ms: u32,
    ) -> Result<Instance, LoadError> {
        let failed = |cause: wasmtime::Error| LoadError::Failed {
            plugin: plugin.settings.name.clone(),
            stage: "instantiation",
            fault: sandbox::fault(&cause),
        };
        let mut store = Sandbox::store(code.pre.engine(), plugin);
        sandbox::begin(&mut store, deadline_ms);
        let instance = code.pre.instantiate(&mut store).map_err(failed)?;
        let functions = code.exports.functions(&instance, &mut store)?;
        Ok(Instance { store, functions, candidates: Vec::new() })
    }

    /// Starts the time of what is called next.
    pub(crate) fn begin(&mut self, deadline_ms: u32) {
        sandbox::begin(&mut self.store, deadline_ms);
    }

    pub(crate) fn describe(&mut self) -> Result<wire::Description, Fault> {
        run(&mut self.store, self.functions.describe, ()).map(|(description,)| description)
    }

    pub(crate) fn configure(&mut self, config: &str) -> Result<Result<(), String>, Fault> {
        run(&mut self.store, self.functions.configure, (config,)).map(|(result,)| result)
    }

    pub(crate) fn self_test(&mut self) -> Result<Result<u32, String>, Fault> {
        run(&mut self.store, self.functions.self_test, ()).map(|(result,)| result)
    }

    /// Asks with the lookups of the call's own snapshot.
    pub(crate) fn ask(&mut self, context: Context<'_>, question: &Question) -> Result<Said, Fault> {
        self.store.data_mut().open(context, question.call());
        let said = self.put(question);
        // A snapshot must not outlive its calls because an idle instance holds it.
        self.store.data_mut().close();
        said
    }

    fn put(&mut self, question: &Question) -> Result<Said, Fault> {
        let store = &mut self.store;
        let functions = &self.functions;
        match question {
            Question::Screen(question) => {
                let function = functions.screen.ok_or(Fault::Absent)?;
                verify::verdict(run(store, function, (question.into(),))?.0).map(Said::Answer)
            }
            Question::Number(question) => {
                let function = functions.rewrite.ok_or(Fault::Absent)?;
                verify::numbers(run(store, function, (question.into(),))?.0).map(Said::Answer)
            }
            Question::Rate(question) => {
                let function = functions.rate.ok_or(Fault::Absent)?;
                let subject = wire::Subject::from(&question.subject);
                let row = wire::DeckRow::from(&question.row);
                let rounding = wire::Rounding::from(&question.rounding);
                let asked = (subject, row, rounding, question.duration_ms);
                verify::charge(run(store, function, asked)?.0)
            }
            Question::Route(question) => {
                let function = functions.select.ok_or(Fault::Absent)?;
                self.candidates.clear();
                self.candidates.extend(question.candidates.iter().map(wire::Candidate::from));
                let asked = wire::RouteQuestion {
                    call: question.call.into(),
                    caller: &question.caller,
                    callee: &question.callee,
                    sell_price: question.sell_price,
                    candidates: &self.candidates,
                };
                verify::routes(run(store, function, (asked,))?.0).map(Said::Answer)
            }
            Question::Advance(question) => {
                let function = functions.after_failure.ok_or(Fault::Absent)?;
                let call = wire::Call::from(question.call);
                verify::decision(run(store, function, (call, question.into()))?.0)
            }
            Question::Identity(question) => {
                let function = functions.present.ok_or(Fault::Absent)?;
                verify::identity(run(store, function, (question.into(),))?.0).map(Said::Answer)
            }
            Question::Event(notice) => {
                let function = functions.notify.ok_or(Fault::Absent)?;
                run(store, function, (notice.into(),)).map(|()| Said::Answer(Answer::Noted))
            }
        }
    }
}

fn run<P, R>(store: &mut Store<Sandbox>, function: TypedFunc<P, R>, question: P) -> Result<R, Fault>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    function.call(store, question).map_err(|error| sandbox::fault(&error))
}
