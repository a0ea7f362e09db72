//! The exported functions of a component, and their types.

use crate::error::LoadError;
use crate::guest::interface::Interface;
use crate::guest::sandbox::Sandbox;
use crate::wire::{
    Call, Charge, Decision, DeckRow, Description, Event, IdentityAnswer, IdentityQuestion,
    NoCharge, NumberQuestion, Numbers, Outcome, Rejection, Rounding, RouteQuestion, RuleProblem,
    ScreenQuestion, Subject, SupervisionAnswer, SupervisionQuestion, Verdict,
};
use policy::Hook;
use wasmtime::Store;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, TypedFunc,
};

/// Indices of the functions, looked up once per version.
pub(crate) struct Exports {
    pub(crate) interface: Interface,
    describe: ComponentExportIndex,
    configure: ComponentExportIndex,
    self_test: ComponentExportIndex,
    screen: Option<ComponentExportIndex>,
    rewrite: Option<ComponentExportIndex>,
    rate: Option<ComponentExportIndex>,
    select: Option<ComponentExportIndex>,
    after_failure: Option<ComponentExportIndex>,
    present: Option<ComponentExportIndex>,
    supervise: Option<ComponentExportIndex>,
    notify: Option<ComponentExportIndex>,
    check_rules: Option<ComponentExportIndex>,
}

/// The functions of one instance, typed. `'static` stands for the lifetime of a question that is
/// borrowed for one call; the engine accepts any lifetime.
pub(crate) struct Functions {
    pub(crate) describe: TypedFunc<(), (Description,)>,
    pub(crate) configure: TypedFunc<(&'static str,), (Result<(), String>,)>,
    pub(crate) self_test: TypedFunc<(), (Result<u32, String>,)>,
    pub(crate) screen: Option<Screen>,
    pub(crate) rewrite: Optional<(NumberQuestion<'static>,), Result<Numbers, Rejection>>,
    pub(crate) rate: Optional<(Subject, DeckRow, Rounding, u64), Result<Charge, NoCharge>>,
    pub(crate) select: Optional<(RouteQuestion<'static>,), Result<Vec<u32>, Rejection>>,
    pub(crate) after_failure: Optional<(Call, Outcome<'static>), Decision>,
    pub(crate) present: Optional<(IdentityQuestion<'static>,), Result<IdentityAnswer, Rejection>>,
    pub(crate) supervise: Optional<(SupervisionQuestion<'static>,), SupervisionAnswer>,
    pub(crate) notify: Option<TypedFunc<(Event<'static>,), ()>>,
    pub(crate) check_rules: Optional<(&'static str,), Vec<RuleProblem>>,
}

/// `screening.screen` of the component's version.
#[derive(Clone, Copy)]
pub(crate) enum Screen {
    V0_1(TypedFunc<(ScreenQuestion<'static>,), (Verdict,)>),
    #[cfg(test)]
    V0_2(TypedFunc<(crate::wire::next::ScreenQuestion<'static>,), (Verdict,)>),
}

/// A function of a hook that the plugin may not have.
type Optional<Question, Answer> = Option<TypedFunc<Question, (Answer,)>>;

impl Exports {
    /// Requires `lifecycle` and at least one hook; a hook must have all its functions.
    pub(crate) fn find(plugin: &str, component: &Component) -> Result<Exports, LoadError> {
        let missing =
            |interface: String| LoadError::MissingExport { plugin: plugin.to_owned(), interface };
        let version = Interface::of(plugin, component)?;
        let function = |interface: &str, function: &str| {
            let full = version.name(interface);
            let Some((_, instance)) = component.get_export(None, &full) else {
                return Ok(None);
            };
            match component.get_export(Some(&instance), function) {
                Some((_, index)) => Ok(Some(index)),
                None => Err(missing(format!("{full}#{function}"))),
            }
        };
        let needed = |name: &str| {
            function("lifecycle", name)?.ok_or_else(|| missing(version.name("lifecycle")))
        };
        let exports = Exports {
            interface: version,
            describe: needed("describe")?,
            configure: needed("configure")?,
            self_test: needed("self-test")?,
            screen: function("screening", "screen")?,
            rewrite: function("numbering", "rewrite")?,
            rate: function("rating", "rate")?,
            select: function("routing", "select")?,
            after_failure: function("routing", "after-failure")?,
            present: function("identity", "present")?,
            supervise: function("supervision", "supervise")?,
            notify: function("events", "notify")?,
            check_rules: function("rule-sets", "check")?,
        };
        if Hook::ALL.into_iter().all(|hook| !exports.has(hook)) {
            return Err(LoadError::NoHook { plugin: plugin.to_owned() });
        }
        Ok(exports)
    }

    pub(crate) fn has(&self, hook: Hook) -> bool {
        match hook {
            Hook::Screening => self.screen.is_some(),
            Hook::Numbering => self.rewrite.is_some(),
            Hook::Rating => self.rate.is_some(),
            Hook::Routing => self.select.is_some(),
            Hook::Identity => self.present.is_some(),
            Hook::Supervision => self.supervise.is_some(),
            Hook::Events => self.notify.is_some(),
        }
    }

    /// Whether it exports the check of rule sets.
    pub(crate) fn checks_rules(&self) -> bool {
        self.check_rules.is_some()
    }

    fn screen(
        &self,
        instance: &Instance,
        store: &mut Store<Sandbox>,
    ) -> Result<Option<Screen>, LoadError> {
        let (name, index) = ("screening#screen", &self.screen);
        Ok(match self.interface {
            Interface::V0_1 => optional(instance, store, name, index)?.map(Screen::V0_1),
            #[cfg(test)]
            Interface::V0_2 => optional(instance, store, name, index)?.map(Screen::V0_2),
        })
    }

    /// Looks up the functions and compares their types.
    pub(crate) fn functions(
        &self,
        instance: &Instance,
        store: &mut Store<Sandbox>,
    ) -> Result<Functions, LoadError> {
        Ok(Functions {
            describe: typed(instance, store, "lifecycle#describe", &self.describe)?,
            configure: typed(instance, store, "lifecycle#configure", &self.configure)?,
            self_test: typed(instance, store, "lifecycle#self-test", &self.self_test)?,
            screen: self.screen(instance, store)?,
            rewrite: optional(instance, store, "numbering#rewrite", &self.rewrite)?,
            rate: optional(instance, store, "rating#rate", &self.rate)?,
            select: optional(instance, store, "routing#select", &self.select)?,
            after_failure: optional(instance, store, "routing#after-failure", &self.after_failure)?,
            present: optional(instance, store, "identity#present", &self.present)?,
            supervise: optional(instance, store, "supervision#supervise", &self.supervise)?,
            notify: optional(instance, store, "events#notify", &self.notify)?,
            check_rules: optional(instance, store, "rule-sets#check", &self.check_rules)?,
        })
    }
}

fn typed<P, R>(
    instance: &Instance,
    store: &mut Store<Sandbox>,
    function: &str,
    index: &ComponentExportIndex,
) -> Result<TypedFunc<P, R>, LoadError>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    instance.get_typed_func(&mut *store, index).map_err(|cause| LoadError::Interface {
        plugin: store.data().plugin.settings.name.clone(),
        function: function.to_owned(),
        cause: format!("{cause:#}"),
    })
}

fn optional<P, R>(
    instance: &Instance,
    store: &mut Store<Sandbox>,
    function: &str,
    index: &Option<ComponentExportIndex>,
) -> Result<Option<TypedFunc<P, R>>, LoadError>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    index.as_ref().map(|index| typed(instance, store, function, index)).transpose()
}
