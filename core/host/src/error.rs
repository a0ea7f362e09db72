use crate::settings::Grant;
use policy::{Fault, Hook};
use std::path::PathBuf;
use thiserror::Error;

/// Why a plugin was not loaded. Each message names the problem and, if there is one, the remedy;
/// the live version stays live.
#[derive(Debug, Error)]
pub enum LoadError {
    /// A chain names a plugin twice.
    #[error("the chain of `{hook}` names plugin `{plugin}` twice")]
    ChainedTwice {
        /// The plugin.
        plugin: String,
        /// The hook.
        hook: Hook,
    },
    /// The operation has no object: no canary, no shadow, no previous build.
    #[error("plugin `{plugin}` has no {what}")]
    Nothing {
        /// The plugin.
        plugin: String,
        /// The missing object.
        what: &'static str,
    },
    /// A setting is out of its range.
    #[error("plugin `{plugin}`: {field} is {value}, allowed is {allowed}")]
    Setting {
        /// The configured name.
        plugin: String,
        /// The setting.
        field: &'static str,
        /// The value that was set.
        value: String,
        /// The allowed values.
        allowed: &'static str,
    },
    /// Two entries of the configuration have one name.
    #[error("plugin `{0}` is configured twice; a name is unique on a node")]
    Twice(String),
    /// The engine refused its configuration.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's message.
        source: std::io::Error,
    },
    /// The file ends in the middle of a section; most likely it is still being copied.
    #[error(
        "{origin} is incomplete: {bytes} bytes end inside a section; \
         if it is still being written, load it again when that is done"
    )]
    HalfWritten {
        /// File or upload.
        origin: String,
        /// Its length.
        bytes: usize,
    },
    /// The file is not signed, and the node requires a signature.
    #[error(
        "{origin} is not signed, and wanted is a signature of {wanted}; sign it by \
         `strowger plugin sign FILE --key KEY`, or take a signed build"
    )]
    Unsigned {
        /// File or upload.
        origin: String,
        /// Ids of the keys that are trusted.
        wanted: String,
    },
    /// It is signed by a key that the node does not trust.
    #[error(
        "{origin} is signed by key {key}, and wanted is a signature of {wanted}; take a build \
         that is signed by a trusted key, or trust this one: add its public key to `keys` of \
         `[plugins] signing`"
    )]
    Stranger {
        /// File or upload.
        origin: String,
        /// Id of the key that signed it.
        key: String,
        /// Ids of the keys that are trusted.
        wanted: String,
    },
    /// Its signature does not fit its bytes.
    #[error(
        "{origin} was changed after key {key} signed it: {cause}; do not load it, take the \
         original again or have it signed anew"
    )]
    Forged {
        /// File or upload.
        origin: String,
        /// Id of the key that the signature names.
        key: String,
        /// The part that does not fit.
        cause: &'static str,
    },
    /// Not WebAssembly at all.
    #[error("{origin} is not WebAssembly: it does not begin with `\\0asm`")]
    NotWasm {
        /// File or upload.
        origin: String,
    },
    /// A core module without a usable component type.
    #[error(
        "plugin `{plugin}` cannot be made a component: {cause}; build it with the plugin SDK \
         for wasm32-unknown-unknown, or pass a finished component"
    )]
    Componentize {
        /// The configured name.
        plugin: String,
        /// The encoder's message.
        cause: String,
    },
    /// It imports an interface that the host offers but the operator did not grant.
    #[error(
        "plugin `{plugin}` imports `{import}`, which it was not granted; \
         add \"{grant}\" to its `grants` to allow it"
    )]
    MissingGrant {
        /// The configured name.
        plugin: String,
        /// The interface.
        import: String,
        /// The grant that would allow it.
        grant: Grant,
    },
    /// It imports WASI.
    #[error(
        "plugin `{plugin}` imports `{import}`: there is no WASI for plugins; \
         build it for wasm32-unknown-unknown"
    )]
    Wasi {
        /// The configured name.
        plugin: String,
        /// The interface.
        import: String,
    },
    /// It imports an interface that the host does not have.
    #[error(
        "plugin `{plugin}` imports `{import}`, which this host does not offer; no grant allows \
         it. Offered are strowger:policy/host-{{log,config,call,tables,counters,trunks,clock,random,metrics,http}}@0.1.0"
    )]
    UnknownImport {
        /// The configured name.
        plugin: String,
        /// The interface.
        import: String,
    },
    /// The engine refuses the code.
    #[error("plugin `{plugin}` does not compile: {cause}")]
    Compile {
        /// The configured name.
        plugin: String,
        /// The compiler's message.
        cause: String,
    },
    /// A required export is missing.
    #[error("plugin `{plugin}` does not export `{interface}`")]
    MissingExport {
        /// The configured name.
        plugin: String,
        /// The interface.
        interface: String,
    },
    /// The type of an export differs from the interface.
    #[error(
        "plugin `{plugin}` exports `{function}` with another type than strowger:policy@0.1.0: {cause}"
    )]
    Interface {
        /// The configured name.
        plugin: String,
        /// The function.
        function: String,
        /// The difference.
        cause: String,
    },
    /// It was built against another version of the interface.
    #[error(
        "plugin `{plugin}` is built for version {wanted} of the policy interface; this host \
         answers version {answered}: build it against wit/v0.1, or run a switch that answers \
         {wanted}"
    )]
    WrongVersion {
        /// The configured name.
        plugin: String,
        /// The version that it declares.
        wanted: String,
        /// The versions that this host supports.
        answered: String,
    },
    /// It exports no hook.
    #[error(
        "plugin `{plugin}` exports none of the hooks screening, numbering, rating, routing, \
         identity, supervision, events; there is nothing to ask it"
    )]
    NoHook {
        /// The configured name.
        plugin: String,
    },
    /// `hooks` names a hook that it does not export.
    #[error("plugin `{plugin}` is configured for the hook `{hook}`, but does not export it")]
    HookNotExported {
        /// The configured name.
        plugin: String,
        /// The hook.
        hook: Hook,
    },
    /// A new version no longer exports a hook of the live version.
    #[error(
        "plugin `{plugin}`: version {version} no longer exports the hook `{hook}`, \
         which the live version answers; calls would have no answer"
    )]
    HookLost {
        /// The configured name.
        plugin: String,
        /// The new version.
        version: String,
        /// The hook.
        hook: Hook,
    },
    /// It trapped, ran past its deadline or ran out of memory before it was live.
    #[error("plugin `{plugin}` fails in {stage}: {fault}")]
    Failed {
        /// The configured name.
        plugin: String,
        /// `instantiation`, `describe`, `configure` or `self-test`.
        stage: &'static str,
        /// The fault.
        fault: Fault,
    },
    /// Its name differs from the configuration.
    #[error("plugin `{configured}` calls itself `{described}`; name and file must belong together")]
    WrongName {
        /// The configured name.
        configured: String,
        /// The name from `describe`.
        described: String,
    },
    /// Its version is not valid.
    #[error(
        "plugin `{plugin}` calls its version {described:?}; allowed is a digit, then up to 63 of \
         A-Z, a-z, 0-9, `.`, `-` and `+`, such as `1.2.0`"
    )]
    BadVersion {
        /// The configured name.
        plugin: String,
        /// The version from `describe`, cut to 1,024 bytes.
        described: String,
    },
    /// The schema of its configuration is not valid.
    #[error("plugin `{plugin}` ships a configuration schema that is not valid: {cause}")]
    SchemaNotValid {
        /// The configured name.
        plugin: String,
        /// The problem in it.
        cause: String,
    },
    /// Its configuration does not fit the schema that it ships.
    #[error("plugin `{plugin}`: its configuration does not fit its schema: {problems}")]
    ConfigDoesNotFit {
        /// The configured name.
        plugin: String,
        /// JSON pointer, value and allowed values of each problem.
        problems: String,
    },
    /// It does not accept its configuration.
    #[error("plugin `{plugin}` refuses its configuration: {cause}")]
    ConfigRefused {
        /// The configured name.
        plugin: String,
        /// Its own message.
        cause: String,
    },
    /// One of its own examples fails.
    #[error("plugin `{plugin}` fails its self-test: {cause}")]
    SelfTest {
        /// The configured name.
        plugin: String,
        /// Its own message.
        cause: String,
    },
    /// No plugin of that name or file is configured.
    #[error("no plugin `{name}` is configured; there are: {known}")]
    UnknownPlugin {
        /// The name or file of the request.
        name: String,
        /// The configured names.
        known: String,
    },
}
