//! `plugin new`: a project that builds and passes its test.

use super::language::Language;
use super::manifest::{self, check_name};
use super::{NewArgs, interface};
use anyhow::{Context, Result, bail};
use policy::Hook;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The SDK of the source tree that this program was built from.
const BUILT_BESIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugin-sdk");

/// The values for the double braces of a template.
struct Words<'a> {
    name: &'a str,
    hook: Hook,
    lang: Language,
    sdk: &'a str,
}

impl Words<'_> {
    fn fill(&self, template: &str) -> String {
        template
            .replace("{{name}}", self.name)
            .replace("{{hook}}", self.hook.name())
            .replace("{{lang}}", self.lang.name())
            .replace("{{source}}", self.lang.source())
            .replace("{{summary}}", summary(self.hook))
            .replace("{{grants}}", grants(self.hook))
            .replace("{{sdk}}", self.sdk)
    }
}

/// Creates the folder and prints the next step.
pub(super) fn make(args: &NewArgs, out: &mut impl Write) -> Result<()> {
    check_name(&args.name)?;
    let folder = args.path.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty; name another folder with --path", folder.display());
    }
    let sdk = match args.lang {
        Language::Rust => Some(sdk(args.sdk.as_deref())?),
        _ => None,
    };
    let words = Words {
        name: &args.name,
        hook: args.hook,
        lang: args.lang,
        sdk: sdk.as_ref().and_then(|sdk| sdk.to_str()).unwrap_or_default(),
    };
    let put = |name: &str, text: &str| {
        let file = folder.join(name);
        let write = || {
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&file, text)
        };
        write().with_context(|| format!("{} cannot be written", file.display()))
    };
    put(manifest::FILE, &words.fill(include_str!("templates/plugin.toml.in")))?;
    put("README.md", &words.fill(include_str!("templates/README.md.in")))?;
    put(".gitignore", include_str!("templates/gitignore"))?;
    put(interface::OWN_COPY, interface::POLICY)?;
    put("vectors.json", vectors(args.hook))?;
    put(args.lang.source(), &words.fill(&source(args.lang, args.hook)))?;
    if let Some(sdk) = &sdk {
        put("Cargo.toml", &words.fill(include_str!("templates/rust/Cargo.toml.in")))?;
        // The versions that the SDK was tested with; most likely they are on this machine.
        if let Ok(lock) = std::fs::read_to_string(sdk.join("../Cargo.lock")) {
            put("Cargo.lock", &lock)?;
        }
    }
    writeln!(
        out,
        "{} is a {} plugin for the hook {}; the line to change is in {}.\n\
         Next: cd {}; strowger plugin test",
        args.name,
        args.lang,
        args.hook,
        folder.join(args.lang.source()).display(),
        folder.display()
    )?;
    Ok(())
}

fn sdk(given: Option<&Path>) -> Result<PathBuf> {
    let folder = given.unwrap_or(Path::new(BUILT_BESIDE));
    let advice = || {
        format!(
            "the plugin SDK is not in {}: name the folder plugin-sdk of Strowger's source tree \
             with --sdk DIR; it is on no registry",
            folder.display()
        )
    };
    let folder = folder.canonicalize().with_context(advice)?;
    if !folder.join("Cargo.toml").is_file() || folder.to_str().is_none() {
        bail!(advice());
    }
    Ok(folder)
}

/// The grants that the templates need.
fn grants(hook: Hook) -> &'static str {
    if hook == Hook::Events { "[\"log\"]" } else { "[]" }
}

fn summary(hook: Hook) -> &'static str {
    match hook {
        Hook::Screening => "Refuses callers and numbers that are not wanted.",
        Hook::Numbering => "Takes the international prefix off.",
        Hook::Rating => "By the second, with a connect fee.",
        Hook::Routing => "Cheapest vendor first.",
        Hook::Identity => "The caller's number in From and P-Asserted-Identity.",
        Hook::Supervision => "Ends calls that last for an hour.",
        Hook::Events => "Logs calls that were answered.",
    }
}

/// A source file is the decision, followed by the plugin's description of itself; in Rust the SDK
/// provides the latter.
fn source(lang: Language, hook: Hook) -> String {
    macro_rules! templates {
        ($folder:literal, $extension:literal) => {
            match hook {
                Hook::Screening => {
                    include_str!(concat!("templates/", $folder, "/screening", $extension))
                }
                Hook::Numbering => {
                    include_str!(concat!("templates/", $folder, "/numbering", $extension))
                }
                Hook::Rating => include_str!(concat!("templates/", $folder, "/rating", $extension)),
                Hook::Routing => {
                    include_str!(concat!("templates/", $folder, "/routing", $extension))
                }
                Hook::Identity => {
                    include_str!(concat!("templates/", $folder, "/identity", $extension))
                }
                Hook::Supervision => {
                    include_str!(concat!("templates/", $folder, "/supervision", $extension))
                }
                Hook::Events => include_str!(concat!("templates/", $folder, "/events", $extension)),
            }
        };
    }
    let (decision, lifecycle) = match lang {
        Language::Rust => (templates!("rust", ".rs"), ""),
        Language::C => (templates!("c", ".c"), include_str!("templates/c/lifecycle.c")),
        Language::Javascript => {
            (templates!("javascript", ".js"), include_str!("templates/javascript/lifecycle.js"))
        }
        Language::Python => {
            (templates!("python", ".py"), include_str!("templates/python/lifecycle.py"))
        }
    };
    format!("{decision}{lifecycle}")
}

/// The vectors, the same for every language.
fn vectors(hook: Hook) -> &'static str {
    match hook {
        Hook::Screening => include_str!("templates/vectors/screening.json"),
        Hook::Numbering => include_str!("templates/vectors/numbering.json"),
        Hook::Rating => include_str!("templates/vectors/rating.json"),
        Hook::Routing => include_str!("templates/vectors/routing.json"),
        Hook::Identity => include_str!("templates/vectors/identity.json"),
        Hook::Supervision => include_str!("templates/vectors/supervision.json"),
        Hook::Events => include_str!("templates/vectors/events.json"),
    }
}
