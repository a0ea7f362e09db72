//! The files and addresses of the demo.

use crate::config::Config;
use anyhow::{Context, Result, bail};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

const FILES: [(&str, &str); 5] = [
    ("node.toml", include_str!("node.toml")),
    ("business/business.toml", include_str!("business.toml")),
    ("business/sell.csv", include_str!("sell.csv")),
    ("business/buy-a.csv", include_str!("buy-a.csv")),
    ("business/buy-b.csv", include_str!("buy-b.csv")),
];

/// Ports for media; the system gives out ephemeral ones above.
const PORTS: &str = "20000-29999";

/// Who is where.
pub(super) struct Addresses {
    pub(super) switch: SocketAddr,
    pub(super) caller: SocketAddr,
    pub(super) vendor_a: SocketAddr,
    pub(super) vendor_b: SocketAddr,
}

/// A folder with a whole configuration, removed at the end.
pub(super) struct Scene {
    folder: PathBuf,
}

impl Scene {
    pub(super) fn write(plugins: &Path, addresses: &Addresses) -> Result<Scene> {
        let folder = std::env::temp_dir().join(format!("strowger-demo-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("business"))?;
        let scene = Scene { folder };
        for (name, text) in FILES {
            let text = text
                .replace("{switch}", &addresses.switch.to_string())
                .replace("{ports}", PORTS)
                .replace("{plugins}", &plugins.display().to_string())
                .replace("{caller}", &addresses.caller.to_string())
                .replace("{vendor-a}", &addresses.vendor_a.to_string())
                .replace("{vendor-b}", &addresses.vendor_b.to_string());
            let path = scene.folder.join(name);
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
        Ok(scene)
    }

    pub(super) fn config(&self) -> Result<Config> {
        Ok(Config::load(&self.folder.join("node.toml"))?)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::debug!(%error, "the demo's folder stays");
        }
    }
}

/// An address that nobody listens on now.
pub(super) fn free_udp_address() -> std::io::Result<SocketAddr> {
    UdpSocket::bind("127.0.0.1:0")?.local_addr()
}

/// Where `make plugins` puts the plugins: `target/plugins`, beside `target/release`.
pub(super) fn plugin_folder(wanted: Option<PathBuf>) -> Result<PathBuf> {
    let beside =
        std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.parent()?.join("plugins")));
    let named = wanted.is_some();
    let places: Vec<PathBuf> = match wanted {
        Some(folder) => vec![folder],
        None => beside.into_iter().chain([PathBuf::from("target/plugins")]).collect(),
    };
    for place in &places {
        if place.join("routing.wasm").exists() {
            return place.canonicalize().with_context(|| place.display().to_string());
        }
    }
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    let hint = if named { "" } else { "; run `make plugins`, or name their folder with --plugins" };
    bail!("there is no routing.wasm in {}{hint}", places.join(" or "))
}
