//! Configuration folders.

use super::folder::Folder;

/// The smallest configuration: two accounts, a trunk each.
pub(crate) const SMALL: &str = r#"
[[account]]
name = "acme"
currency = "EUR"
opening_balance = "100"

[[account]]
name = "carrier"
kind = "vendor"
currency = "EUR"

[[customer_trunk]]
name = "office"
account = "acme"
addresses = ["192.0.2.10"]

[[vendor_trunk]]
name = "carrier-a"
account = "carrier"
targets = ["192.0.2.20"]
prefixes = ["44", { prefix = "49", priority = 10, extend = false }]
"#;

/// Writes the files of a configuration folder.
pub(crate) fn configuration(files: &[(&str, &str)]) -> Folder {
    let folder = Folder::new("configuration");
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("a configuration file");
    }
    folder
}
