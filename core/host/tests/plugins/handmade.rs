//! Guests that no compiler would produce, instruction by instruction: every hook does the same bad
//! thing, below the level of any language.

use crate::common::{Tables, eventually, every_hook, file, settings};
use host::{Asked, Grant, Host, HttpSettings, PluginSettings};
use policy::{Fault, Question};
use std::sync::Arc;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection,
    Function, FunctionSection, GlobalSection, GlobalType, HeapType, ImportSection, InstructionSink,
    MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Resolve, WorldItem};

/// Address of a result whose fields are all zero.
const ZEROS: i32 = 2048;
/// Address of the result of `host-config.text`.
const FOUND: i32 = 3072;
/// Address of the description: four strings, of which the first two matter.
const DESCRIPTION: i32 = 1024;
/// Address of the memory for everything that the host lowers; a test asks one question at a time.
const ROOM: i32 = 4096;

/// Imported functions come first.
const NOW: u32 = 0;
const TEXT: u32 = 1;

/// Set while a host function writes a string into this memory.
const INSIDE: u32 = 0;

/// Fills a function that may call `text` and `now-ms` and has a table that may grow.
type Deed = fn(&mut InstructionSink<'_>);

fn core_type(of: &WasmType) -> ValType {
    match of {
        WasmType::I64 | WasmType::PointerOrI64 => ValType::I64,
        WasmType::F32 => ValType::F32,
        WasmType::F64 => ValType::F64,
        WasmType::I32 | WasmType::Pointer | WasmType::Length => ValType::I32,
    }
}

/// A plugin with every hook, whose hooks all perform `deed` and then answer zeros. `http` is a
/// function of `host-http` that it imports too.
fn plugin(deed: Deed, http: Option<&str>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let text = include_str!("../../../../wit/v0.1/policy.wit");
    let package = resolve.push_str("policy.wit", text).expect("the interface is WIT");
    let world = resolve.select_world(&[package], Some("plugin")).expect("it has the world");

    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I64]);
    types.ty().function([ValType::I64, ValType::I32], []);
    if http.is_some() {
        // A request of nine flat values, and where the result goes.
        types.ty().function([ValType::I32; 10], []);
    }
    let realloc_index = types.len();
    types.ty().function([ValType::I32; 4], [ValType::I32]);
    let mut imports = ImportSection::new();
    imports.import("strowger:policy/host-clock@0.1.0", "now-ms", EntityType::Function(0));
    imports.import("strowger:policy/host-config@0.1.0", "text", EntityType::Function(1));
    if let Some(function) = http {
        imports.import("strowger:policy/host-http@0.1.0", function, EntityType::Function(2));
    }
    let (mut functions, mut exports, mut code) =
        (FunctionSection::new(), ExportSection::new(), CodeSection::new());

    // The host calls it for each string that it passes.
    functions.function(realloc_index);
    exports.export("cabi_realloc", ExportKind::Func, realloc_index);
    let mut realloc = Function::new([]);
    let mut body = realloc.instructions();
    body.global_get(INSIDE).if_(BlockType::Empty).call(NOW).drop().end();
    body.i32_const(ROOM).end();
    code.function(&realloc);

    for item in resolve.worlds[world].exports.values() {
        let WorldItem::Interface { id, .. } = item else { panic!("only interfaces are exported") };
        let interface = resolve.id_of(*id).expect("it has a name");
        let is_hook = !interface.contains("/lifecycle@");
        for (name, function) in &resolve.interfaces[*id].functions {
            let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
            let results: Vec<ValType> = signature.results.iter().map(core_type).collect();
            let index = types.len();
            types.ty().function(signature.params.iter().map(core_type), results.clone());
            functions.function(types.len() - 1);
            exports.export(&format!("{interface}#{name}"), ExportKind::Func, index);
            let mut made = Function::new([]);
            let mut body = made.instructions();
            if is_hook {
                deed(&mut body);
            }
            if !results.is_empty() {
                body.i32_const(if name == "describe" { DESCRIPTION } else { ZEROS });
            }
            body.end();
            code.function(&made);
        }
    }

    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        minimum: 1,
        maximum: None,
        table64: false,
        shared: false,
    });
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    exports.export("memory", ExportKind::Memory, 0);
    let mut globals = GlobalSection::new();
    let inside = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
    globals.global(inside, &ConstExpr::i32_const(0));
    let (name, version) = ("handmade", "1.0.0");
    let mut data = DataSection::new();
    let strings = DESCRIPTION + 64;
    let lengths = [strings, name.len() as i32, strings + name.len() as i32, version.len() as i32];
    let description: Vec<u8> = lengths.into_iter().flat_map(i32::to_le_bytes).collect();
    data.active(0, &ConstExpr::i32_const(DESCRIPTION), description);
    data.active(0, &ConstExpr::i32_const(strings), format!("{name}{version}").into_bytes());

    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&tables);
    module.section(&memories).section(&globals).section(&exports).section(&code).section(&data);
    let mut bytes = module.finish();
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8)
        .expect("it is a module");
    bytes
}

fn host(test: &str, deed: Deed) -> Host {
    let plugin = PluginSettings {
        grants: [Grant::Clock, Grant::Config].into(),
        ..PluginSettings::new("handmade", file(test, &plugin(deed, None)))
    };
    Host::new(settings(plugin, 1)).expect("loading does nothing bad")
}

/// The host passes a string, and is called during that.
fn reenter(body: &mut InstructionSink<'_>) {
    body.i32_const(1).global_set(INSIDE);
    body.i64_const(7).i32_const(FOUND).call(TEXT);
}

/// Grows a table by ten elements until it cannot grow further; traps if it got less than a thousand
/// or more than a hundred thousand.
fn grow_a_table(body: &mut InstructionSink<'_>) {
    body.loop_(BlockType::Empty);
    body.ref_null(HeapType::FUNC).i32_const(10).table_grow(0);
    body.i32_const(-1).i32_ne().br_if(0).end();
    body.table_size(0).i32_const(1_000).i32_lt_u();
    body.table_size(0).i32_const(100_000).i32_gt_u();
    body.i32_or().if_(BlockType::Empty).unreachable().end();
}

#[test]
fn a_host_call_inside_a_host_call_is_a_trap_in_every_hook() {
    let host = host("reenter", reenter);
    let (mut shard, pin) = (host.shard(), host.pin(Arc::new(Tables)));
    for question in every_hook("", 100) {
        let reply = shard.ask(&pin, &question);
        match reply.outcome {
            Err(Fault::Trap(words)) => assert!(words.contains("cannot leave"), "{words}"),
            other => panic!("{question:?}: {other:?}"),
        }
    }
}

#[test]
fn a_table_stops_growing_in_every_hook() {
    let host = host("table", grow_a_table);
    let (mut shard, pin) = (host.shard(), host.pin(Arc::new(Tables)));
    for question in every_hook("", 100) {
        let outcome = shard.ask(&pin, &question).outcome;
        // Zeros are a valid answer to most questions, and an unusable one to the others.
        assert!(matches!(outcome, Ok(_) | Err(Fault::Nonsense(_))), "{question:?}: {outcome:?}");
    }
    eventually("those with no usable answer are reaped", || host.instances() == 1);
}

/// Only a plugin that imports `fetch` can wait, so only its questions leave the thread that asks.
#[test]
fn a_plugin_that_only_leaves_requests_to_the_switch_runs_on_no_fibre() {
    for (http, waits) in [("send", false), ("fetch", true)] {
        let plugin = PluginSettings {
            grants: [Grant::Clock, Grant::Config, Grant::Http].into(),
            http: Some(HttpSettings::new(["unused.example"])),
            ..PluginSettings::new("handmade", file(http, &plugin(|_| {}, Some(http))))
        };
        let host = Host::new(settings(plugin, 1)).unwrap_or_else(|error| panic!("{error}"));
        let (mut shard, pin) = (host.shard(), host.pin(Arc::new(Tables)));
        for question in every_hook("", 100) {
            if !matches!(question, Question::Event(_)) {
                let later = matches!(shard.begin(&pin, &question), Asked::Later(_));
                assert_eq!(later, waits, "{http}: {question:?}");
            }
        }
    }
}
