use crate::error::LoadError;
use crate::guest::code::Code;
use crate::guest::exports::{Functions, Screen};
use crate::guest::fault::fault;
use crate::guest::sandbox::{self, Sandbox};
use crate::guest::verify::{self, Said};
use crate::outside::lane::{at_once, waited};
use crate::plugin::Plugin;
use crate::services::ticker::Deadline;
use crate::wire;
use policy::{Answer, Context, Fault, Question};
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Lift, Lower, TypedFunc};

/// Calls the function that answers a question, by `run`. The synchronous call and the call on a
/// fibre differ only in `.await`.
macro_rules! put {
    ($instance:ident, $question:ident, $run:ident $(, $wait:tt)?) => {{
        let store = &mut $instance.store;
        let functions = &$instance.functions;
        match $question {
            Question::Screen(question) => {
                let function = functions.screen.ok_or(Fault::Absent)?;
                let (verdict,) = match function {
                    Screen::V0_1(function) => $run(store, function, (question.into(),))$(.$wait)??,
                    #[cfg(test)]
                    Screen::V0_2(function) => $run(store, function, (question.into(),))$(.$wait)??,
                };
                verify::verdict(verdict).map(Said::Answer)
            }
            Question::Number(question) => {
                let function = functions.rewrite.ok_or(Fault::Absent)?;
                verify::numbers($run(store, function, (question.into(),))$(.$wait)??.0).map(Said::Answer)
            }
            Question::Rate(question) => {
                let function = functions.rate.ok_or(Fault::Absent)?;
                let subject = wire::Subject::from(&question.subject);
                let row = wire::DeckRow::from(&question.row);
                let rounding = wire::Rounding::from(&question.rounding);
                let asked = (subject, row, rounding, question.duration_ms);
                verify::charge($run(store, function, asked)$(.$wait)??.0)
            }
            Question::Route(question) => {
                let function = functions.select.ok_or(Fault::Absent)?;
                $instance.candidates.clear();
                $instance.candidates.extend(question.candidates.iter().map(wire::Candidate::from));
                let asked = wire::RouteQuestion {
                    call: question.call.into(),
                    caller: &question.caller,
                    callee: &question.callee,
                    sell_price: question.sell_price,
                    candidates: &$instance.candidates,
                };
                let (answer,) = $run(store, function, (asked,))$(.$wait)??;
                verify::routes(&question.candidates, answer).map(Said::Answer)
            }
            Question::Advance(question) => {
                let function = functions.after_failure.ok_or(Fault::Absent)?;
                let call = wire::Call::from(question.call);
                verify::decision($run(store, function, (call, question.into()))$(.$wait)??.0)
            }
            Question::Identity(question) => {
                let function = functions.present.ok_or(Fault::Absent)?;
                verify::identity($run(store, function, (question.into(),))$(.$wait)??.0).map(Said::Answer)
            }
            Question::Supervise(question) => {
                let function = functions.supervise.ok_or(Fault::Absent)?;
                verify::supervision($run(store, function, (question.into(),))$(.$wait)??.0).map(Said::Answer)
            }
            Question::Event(notice) => {
                let function = functions.notify.ok_or(Fault::Absent)?;
                $run(store, function, (notice.into(),))$(.$wait)?.map(|()| Said::Answer(Answer::Noted))
            }
        }
    }};
}

/// One running copy of a plugin version, used by one shard.
pub(crate) struct Instance {
    store: Store<Sandbox>,
    functions: Functions,
    /// Its imports may wait, so the engine requires calls on a fibre.
    on_fibre: bool,
    /// Kept between questions to reuse its capacity.
    candidates: Vec<wire::Candidate>,
}

impl Instance {
    /// Makes a copy and looks up its functions; it is not configured yet.
    pub(crate) fn new(
        code: &Code,
        plugin: &Arc<Plugin>,
        deadline: Deadline<'_>,
    ) -> Result<Instance, LoadError> {
        let mut store = Sandbox::store(code.pre.engine(), plugin);
        sandbox::begin(&mut store, deadline);
        let on_fibre = code.on_fibre;
        let instance = if on_fibre {
            at_once(code.pre.instantiate_async(&mut store))
                .unwrap_or_else(|| Err(wasmtime::Error::msg(waited())))
        } else {
            code.pre.instantiate(&mut store)
        };
        let instance = instance.map_err(|cause| LoadError::Failed {
            plugin: plugin.settings.name.clone(),
            stage: "instantiation",
            fault: fault(&cause, &store.data().last_words),
        })?;
        let functions = code.exports.functions(&instance, &mut store)?;
        Ok(Instance { store, functions, on_fibre, candidates: Vec::new() })
    }

    /// Starts the deadline of the next call.
    pub(crate) fn begin(&mut self, deadline: Deadline<'_>) {
        sandbox::begin(&mut self.store, deadline);
    }

    /// Current size of its linear memories together, bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes
    }

    pub(crate) fn describe(&mut self) -> Result<wire::Description, Fault> {
        let function = self.functions.describe;
        self.run_at_once(function, ()).map(|(description,)| description)
    }

    pub(crate) fn configure(&mut self, config: &str) -> Result<Result<(), String>, Fault> {
        let function = self.functions.configure;
        self.run_at_once(function, (config,)).map(|(result,)| result)
    }

    pub(crate) fn self_test(&mut self) -> Result<Result<u32, String>, Fault> {
        let function = self.functions.self_test;
        self.run_at_once(function, ()).map(|(result,)| result)
    }

    /// The problems of a rule set.
    pub(crate) fn check_rules(&mut self, text: &str) -> Result<Vec<wire::RuleProblem>, Fault> {
        let function = self.functions.check_rules.ok_or(Fault::Absent)?;
        self.run_at_once(function, (text,)).map(|(problems,)| problems)
    }

    /// Asks with the lookups of the call's own snapshot.
    pub(crate) fn ask(&mut self, context: Context<'_>, question: &Question) -> Result<Said, Fault> {
        self.store.data_mut().open(context, question);
        let said = self.put(question);
        // Otherwise an idle instance would keep a snapshot alive after its calls.
        self.store.data_mut().close(said.is_ok());
        said
    }

    /// [`Instance::ask`] on a fibre: the thread is free while the guest waits. If the future is
    /// dropped before it ends, the instance cannot be asked again.
    pub(crate) async fn ask_on_fibre(
        &mut self,
        context: Context<'_>,
        question: &Question,
        deadline: Deadline<'_>,
    ) -> Result<Said, Fault> {
        self.store.data_mut().open(context, question);
        sandbox::begin_on_fibre(&mut self.store, deadline);
        let said = self.put_on_fibre(question).await;
        self.store.data_mut().close(said.is_ok());
        said
    }

    fn put(&mut self, question: &Question) -> Result<Said, Fault> {
        put!(self, question, run)
    }

    async fn put_on_fibre(&mut self, question: &Question) -> Result<Said, Fault> {
        put!(self, question, run_on_fibre, await)
    }

    /// Functions of the life cycle never wait.
    fn run_at_once<P, R>(&mut self, function: TypedFunc<P, R>, given: P) -> Result<R, Fault>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        if self.on_fibre {
            at_once(run_on_fibre(&mut self.store, function, given)).unwrap_or_else(|| Err(waited()))
        } else {
            run(&mut self.store, function, given)
        }
    }
}

fn run<P, R>(store: &mut Store<Sandbox>, function: TypedFunc<P, R>, question: P) -> Result<R, Fault>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    function.call(&mut *store, question).map_err(|error| fault(&error, &store.data().last_words))
}

async fn run_on_fibre<P, R>(
    store: &mut Store<Sandbox>,
    function: TypedFunc<P, R>,
    question: P,
) -> Result<R, Fault>
where
    P: ComponentNamedList + Lower + Send + Sync,
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    let answer = function.call_async(&mut *store, question).await;
    answer.map_err(|error| fault(&error, &store.data().last_words))
}
