//! The trunk presets of SIG-83 and the rules of SIG-78: the plugin's own examples.

use crate::config::Config;
use crate::pipeline::present;
use plugin_sdk::{HeaderMode, IdentityQuestion, PrivacyMode};

struct Example {
    name: &'static str,
    asserted: HeaderMode,
    privacy: PrivacyMode,
    private: bool,
    target_trusted: bool,
    user: &'static str,
    headers: &'static [&'static str],
}

const PAI: &str = "P-Asserted-Identity: <sip:+4930123@sip.example>";

fn examples() -> [Example; 8] {
    let example = |name, asserted, privacy, private, target_trusted, user, headers| Example {
        name,
        asserted,
        privacy,
        private,
        target_trusted,
        user,
        headers,
    };
    use HeaderMode::{Caller, None as Absent};
    use PrivacyMode::{Id, None as Never, Pass};
    [
        example("SIG-83 standard", Caller, Pass, false, true, "4930123", &[PAI]),
        example(
            "SIG-83 standard, private",
            Caller,
            Pass,
            true,
            true,
            "anonymous",
            &[PAI, "Privacy: id"],
        ),
        example(
            "SIG-78 private towards an untrusted vendor",
            Caller,
            Pass,
            true,
            false,
            "anonymous",
            &["Privacy: id"],
        ),
        example("SIG-83 emergency", Caller, Never, false, true, "4930123", &[PAI]),
        example("SIG-83 emergency, private", Caller, Never, true, true, "anonymous", &[PAI]),
        example("SIG-83 always hidden", Caller, Id, false, true, "4930123", &[PAI, "Privacy: id"]),
        example(
            "SIG-83 always hidden, private",
            Caller,
            Id,
            true,
            true,
            "anonymous",
            &[PAI, "Privacy: id"],
        ),
        example("no identity headers", Absent, Never, false, true, "4930123", &[]),
    ]
}

/// Runs the examples; returns the number that passed.
///
/// # Errors
/// The first that failed.
pub(crate) fn check() -> Result<u32, String> {
    let mut passed = 0;
    for example in examples() {
        let question = IdentityQuestion {
            caller_out: "4930123".to_owned(),
            identity_out: "+4930123".to_owned(),
            host: "sip.example".to_owned(),
            privacy: if example.private { "id".to_owned() } else { String::new() },
            private: example.private,
            target_trusted: example.target_trusted,
            asserted_mode: example.asserted,
            privacy_mode: example.privacy,
            ..IdentityQuestion::default()
        };
        let presented = present(&Config::default(), &question);
        let headers: Vec<String> = presented
            .headers
            .iter()
            .map(|header| format!("{}: {}", header.name, header.value))
            .collect();
        if presented.user != example.user || headers != example.headers {
            return Err(format!(
                "{}: expected From user {} with {:?}, got {} with {headers:?}",
                example.name, example.user, example.headers, presented.user
            ));
        }
        passed += 1;
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_presets_of_sig_83_show_what_they_promise() {
        assert_eq!(super::check(), Ok(8));
    }
}
