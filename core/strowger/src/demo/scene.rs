//! Files and addresses of the demo.

use anyhow::{Context, Result, bail};
use config::Config;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

const FILES: [(&str, &str); 5] = [
    ("config/strowger.toml", include_str!("node.toml")),
    ("config/business/business.toml", include_str!("business.toml")),
    ("config/business/sell.csv", include_str!("sell.csv")),
    ("config/business/buy-a.csv", include_str!("buy-a.csv")),
    ("config/business/buy-b.csv", include_str!("buy-b.csv")),
];

/// Media ports, below the system's ephemeral ones.
const PORTS: &str = "20000-29999";

/// SIP addresses of the demo.
pub(super) struct Addresses {
    pub(super) switch: SocketAddr,
    pub(super) caller: SocketAddr,
    pub(super) vendor_a: SocketAddr,
    pub(super) vendor_b: SocketAddr,
}

/// SIP addresses of the second act.
pub(super) struct Guests {
    pub(super) hotline: SocketAddr,
    pub(super) vendor_c: SocketAddr,
    pub(super) vendor_d: SocketAddr,
}

/// A folder with a complete configuration.
pub(super) struct Scene {
    folder: PathBuf,
    /// Whether the folder is removed at the end of the demo.
    removed: bool,
}

impl Scene {
    /// In a temporary folder, for the calls of one demo.
    pub(super) fn write(plugins: &Path, addresses: &Addresses, guests: &Guests) -> Result<Scene> {
        let folder = std::env::temp_dir().join(format!("strowger-demo-{}", std::process::id()));
        let scene = Scene { folder, removed: true };
        scene.fill(plugins, addresses, "127.0.0.1:0".parse()?, "10")?;
        scene.invite(addresses, guests)?;
        Ok(scene)
    }

    /// Adds the second act: a TCP listener, a hotline that calls several vendors at once, and
    /// vendors that need more features.
    fn invite(&self, addresses: &Addresses, guests: &Guests) -> Result<()> {
        let business = include_str!("guests.toml")
            .replace("{hotline}", &guests.hotline.to_string())
            .replace("{vendor-c}", &guests.vendor_c.to_string())
            .replace("{vendor-d}", &guests.vendor_d.to_string());
        std::fs::write(self.folder.join("config/business/guests.toml"), business)?;
        let listener = format!(
            "\n[[listeners]]\nname = \"tcp\"\naddress = \"{}\"\ndomain = \"demo.test\"\n\
             transport = \"tcp\"\n",
            addresses.switch
        );
        let node = std::fs::read_to_string(self.node_file())?;
        std::fs::write(self.node_file(), node + &listener)?;
        Ok(())
    }

    /// In a permanent folder, with money for days and an admin API that the command line finds by
    /// the node file.
    pub(super) fn write_to_stay(
        folder: PathBuf,
        plugins: &Path,
        addresses: &Addresses,
    ) -> Result<Scene> {
        let scene = Scene { folder, removed: false };
        let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        scene.fill(plugins, addresses, admin, "1000000")?;
        Ok(scene)
    }

    fn fill(
        &self,
        plugins: &Path,
        addresses: &Addresses,
        admin: SocketAddr,
        balance: &str,
    ) -> Result<()> {
        let business = self.folder.join("config/business");
        std::fs::create_dir_all(&business).with_context(|| business.display().to_string())?;
        for (name, text) in FILES {
            let text = text
                .replace("{switch}", &addresses.switch.to_string())
                .replace("{admin}", &admin.to_string())
                .replace("{balance}", balance)
                .replace("{ports}", PORTS)
                .replace("{plugins}", &plugins.display().to_string())
                .replace("{caller}", &addresses.caller.to_string())
                .replace("{vendor-a}", &addresses.vendor_a.to_string())
                .replace("{vendor-b}", &addresses.vendor_b.to_string());
            let path = self.folder.join(name);
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    pub(super) fn config(&self) -> Result<Config> {
        Ok(Config::load(&self.node_file())?)
    }

    pub(super) fn node_file(&self) -> PathBuf {
        self.folder.join("config/strowger.toml")
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !self.removed {
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::debug!(%error, "the demo's folder stays");
        }
    }
}

/// An address that is free for both UDP and TCP.
pub(super) fn free_address() -> std::io::Result<SocketAddr> {
    let mut free = Err(std::io::ErrorKind::AddrInUse.into());
    for _ in 0..16 {
        let address = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        free = TcpListener::bind(address).map(|_| address);
        if free.is_ok() {
            break;
        }
    }
    free
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
