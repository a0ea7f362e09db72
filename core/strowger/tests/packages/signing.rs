//! Keys, signatures and trust.

use crate::support::{fails, folder, key, plugin_in, succeeds, tamper, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_signed_file_is_believed_by_the_right_key_and_by_no_other() {
    let folder = folder("signed");
    let (secret, public, id) = key(&folder, "mine");
    let (_, stranger, strange_id) = key(&folder, "other");
    let file = plugin_in(&folder, "margin-guard");
    let unsigned = fs::read(&file).unwrap();

    let complaint = fails(&["verify", text(&file), "--key", &public]);
    let wanted = format!("is not signed, and wanted is a signature of key {id}; sign it by");
    assert!(complaint.contains(&wanted), "{complaint}");

    let said = succeeds(&["sign", text(&file), "--key", text(&secret)]);
    assert_eq!(said, format!("{} is signed by key {id}\n", file.display()));
    assert!(fs::read(&file).unwrap().starts_with(&unsigned), "the signature is behind the rest");
    let beside = format!("{}.pub", secret.display());
    for known in [public.as_str(), &beside] {
        let said = succeeds(&["verify", text(&file), "--key", &stranger, known]);
        assert!(said.contains(&format!("is signed by key {id}")), "{said}");
    }
    let complaint = fails(&["verify", text(&file), "--key", &stranger]);
    let wanted = format!("is signed by key {id}, and wanted is a signature of key {strange_id};");
    assert!(complaint.contains(&wanted), "{complaint}");

    tamper(&file);
    let complaint = fails(&["verify", text(&file), "--key", &public]);
    assert!(complaint.contains(&format!("was changed after key {id} signed it")), "{complaint}");
}

#[test]
fn a_secret_key_is_for_its_owner_and_is_never_shown() {
    let folder = folder("keys");
    let (secret, public, _) = key(&folder, "mine");
    let mode = |file| fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&secret), 0o600);
    assert!(fails(&["keygen", text(&secret)]).contains("cannot be made"), "it is not replaced");

    let file = plugin_in(&folder, "margin-guard");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
    let complaint = fails(&["sign", text(&file), "--key", text(&secret)]);
    assert!(complaint.contains("can be read by others (mode 640); chmod 600"), "{complaint}");

    // Not even in place of a public key.
    let words = fs::read_to_string(&secret).unwrap();
    let digits = words.trim().rsplit(':').next().unwrap().to_owned();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let complaint = fails(&["verify", text(&file), "--key", text(&secret)]);
    assert!(complaint.contains("not a public key"), "{complaint}");
    assert!(!complaint.contains(&digits) && !public.contains(&digits));
}
