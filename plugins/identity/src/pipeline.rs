//! Step 8 of SIG-82 and the headers around it: what is shown, and what is withheld.

use crate::config::Config;
use crate::headers::{address, escaped, fixed, is_one_line, named_address, plain};
use plugin_sdk::{
    DisplayMode, Header, HeaderMode, IdentityQuestion, PresentedIdentity, PrivacyMode, host,
};

/// Host of a withheld identity (RFC 3323 section 4.1.1.3).
const NOWHERE: &str = "anonymous.invalid";

/// Most values passed on per header: four such headers and Privacy fit into an answer.
const VALUES: usize = 15;

/// The identity that the vendor sees.
///
/// With the privacy flag From is anonymous; identity headers stay towards trusted vendors and are
/// removed towards others (SIG-78). Without a caller number From is anonymous, and headers that
/// would be built from the number are omitted (NUM-17).
pub(crate) fn present(config: &Config, question: &IdentityQuestion) -> PresentedIdentity {
    let mut headers = Vec::with_capacity(4);
    if !question.private || question.target_trusted {
        identity_headers(config, question, &mut headers);
    }
    privacy(question, &mut headers);
    diversion(config, question, &mut headers);

    if question.private || question.caller_out.is_empty() {
        return PresentedIdentity {
            display: "Anonymous".to_owned(),
            user: "anonymous".to_owned(),
            host: NOWHERE.to_owned(),
            headers,
        };
    }
    PresentedIdentity {
        display: display(question),
        user: escaped(&question.caller_out).into_owned(),
        host: question.host.clone(),
        headers,
    }
}

/// SIG-71.
fn display(question: &IdentityQuestion) -> String {
    match question.display_mode {
        DisplayMode::Pass => plain(&question.display),
        DisplayMode::Remove => String::new(),
        DisplayMode::Number => question.caller_out.clone(),
        DisplayMode::Fixed => plain(&question.fixed_display),
    }
}

/// SIG-72, SIG-73, SIG-74.
fn identity_headers(config: &Config, question: &IdentityQuestion, headers: &mut Vec<Header>) {
    let built = !question.identity_out.is_empty();
    let (number, host) = (question.identity_out.as_str(), question.host.as_str());
    for (name, mode) in [
        ("P-Asserted-Identity", question.asserted_mode),
        ("P-Preferred-Identity", question.preferred_mode),
    ] {
        match mode {
            HeaderMode::Caller if built => headers.push(Header::new(name, address(number, host))),
            HeaderMode::Caller => {}
            _ => copied(config, question, name, mode, headers),
        }
    }
    match question.remote_party_mode {
        HeaderMode::Caller if built => {
            let screen = if question.source_trusted { "yes" } else { "no" };
            let privacy = if question.private { "full" } else { "off" };
            let shown = if question.private { String::new() } else { display(question) };
            let party = named_address(&shown, number, host);
            let value = format!("{party};party=calling;screen={screen};privacy={privacy}");
            headers.push(Header::new("Remote-Party-ID", value));
        }
        HeaderMode::Caller => {}
        mode => copied(config, question, "Remote-Party-ID", mode, headers),
    }
}

/// SIG-77. `caller` generates a header for calls that we forwarded; there are none yet, so it
/// writes nothing.
fn diversion(config: &Config, question: &IdentityQuestion, headers: &mut Vec<Header>) {
    let mode = question.diversion_mode;
    copied(config, question, "Diversion", mode, headers);
}

/// The modes `pass` and `fixed`, the same for all headers.
fn copied(
    config: &Config,
    question: &IdentityQuestion,
    name: &str,
    mode: HeaderMode,
    headers: &mut Vec<Header>,
) {
    match mode {
        HeaderMode::None | HeaderMode::Caller => {}
        HeaderMode::Pass if config.pass_trusted_only && !question.source_trusted => {}
        HeaderMode::Pass => {
            let values = host::call().header(name).into_iter().filter(|value| is_one_line(value));
            headers.extend(values.take(VALUES).map(|value| Header::new(name, value)));
        }
        HeaderMode::Fixed if is_one_line(&question.fixed_identity) => {
            headers.push(Header::new(name, fixed(&question.fixed_identity)));
        }
        HeaderMode::Fixed => {}
    }
}

/// SIG-75. `Pass` applies only if the customer trunk supports privacy (SIG-76), which the flag of
/// the call includes. The mode `id` asks the vendor to withhold PAI and leaves From to the flag.
fn privacy(question: &IdentityQuestion, headers: &mut Vec<Header>) {
    match question.privacy_mode {
        PrivacyMode::None => {}
        PrivacyMode::Pass if question.private && is_one_line(&question.privacy) => {
            headers.push(Header::new("Privacy", question.privacy.as_str()));
        }
        PrivacyMode::Pass => {}
        PrivacyMode::Id => headers.push(Header::new("Privacy", "id")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::FakeHost;

    fn caller() -> IdentityQuestion {
        let switch = FakeHost::install();
        for (name, value) in [
            ("P-Asserted-Identity", "<sip:900@pbx.example>"),
            ("P-Asserted-Identity", "<tel:900>"),
            ("Remote-Party-ID", "<sip:900@pbx.example>;party=calling"),
            ("P-Preferred-Identity", "<sip:901@pbx.example>"),
            ("Diversion", "<sip:800@pbx.example>;reason=unconditional"),
        ] {
            switch.header(name, value);
        }
        IdentityQuestion {
            caller_out: "4930123".to_owned(),
            identity_out: "+4930123".to_owned(),
            display: "Ann Lee".to_owned(),
            host: "sip.example".to_owned(),
            privacy: "id;critical".to_owned(),
            target_trusted: true,
            asserted_mode: HeaderMode::Caller,
            ..IdentityQuestion::default()
        }
    }

    fn shown(question: &IdentityQuestion) -> PresentedIdentity {
        present(&Config::default(), question)
    }

    fn values<'a>(presented: &'a PresentedIdentity, name: &str) -> Vec<&'a str> {
        let named = presented.headers.iter().filter(|header| header.name == name);
        named.map(|header| header.value.as_str()).collect()
    }

    #[test]
    fn from_carries_the_outgoing_caller_sig_70() {
        let presented = shown(&caller());
        assert_eq!(presented.display, "Ann Lee");
        assert_eq!(presented.user, "4930123");
        assert_eq!(presented.host, "sip.example");
    }

    #[test]
    fn the_user_part_is_ready_for_the_uri() {
        let presented = shown(&IdentityQuestion { caller_out: "#31#49".to_owned(), ..caller() });
        assert_eq!(presented.user, "%2331%2349");
    }

    #[test]
    fn the_display_name_follows_its_mode_sig_71() {
        let with = |display_mode| {
            let fixed_display = "Sales".to_owned();
            shown(&IdentityQuestion { display_mode, fixed_display, ..caller() }).display
        };
        assert_eq!(with(DisplayMode::Pass), "Ann Lee");
        assert_eq!(with(DisplayMode::Remove), "");
        assert_eq!(with(DisplayMode::Number), "4930123");
        assert_eq!(with(DisplayMode::Fixed), "Sales");
    }

    #[test]
    fn pai_follows_its_mode_sig_72() {
        let with = |asserted_mode| {
            let fixed_identity = "sip:100@sip.example".to_owned();
            let question = IdentityQuestion { asserted_mode, fixed_identity, ..caller() };
            let presented = shown(&question);
            values(&presented, "P-Asserted-Identity").join(", ")
        };
        assert_eq!(with(HeaderMode::None), "");
        assert_eq!(with(HeaderMode::Pass), "<sip:900@pbx.example>, <tel:900>");
        assert_eq!(with(HeaderMode::Caller), "<sip:+4930123@sip.example>");
        assert_eq!(with(HeaderMode::Fixed), "<sip:100@sip.example>");
    }

    #[test]
    fn ppi_and_diversion_follow_their_modes_sig_73_sig_77() {
        let with = |preferred_mode| {
            let fixed_identity = "sip:100@sip.example".to_owned();
            let question = IdentityQuestion { preferred_mode, fixed_identity, ..caller() };
            values(&shown(&question), "P-Preferred-Identity").join(", ")
        };
        assert_eq!(with(HeaderMode::default()), "", "none by default");
        assert_eq!(with(HeaderMode::None), "");
        assert_eq!(with(HeaderMode::Pass), "<sip:901@pbx.example>");
        assert_eq!(with(HeaderMode::Caller), "<sip:+4930123@sip.example>");
        assert_eq!(with(HeaderMode::Fixed), "<sip:100@sip.example>");
        let presented = shown(&IdentityQuestion { diversion_mode: HeaderMode::Pass, ..caller() });
        assert_eq!(values(&presented, "Diversion"), ["<sip:800@pbx.example>;reason=unconditional"]);
        assert!(values(&shown(&caller()), "Diversion").is_empty());
    }

    #[test]
    fn rpid_tells_party_screen_and_privacy_sig_74() {
        let question = IdentityQuestion { remote_party_mode: HeaderMode::Caller, ..caller() };
        assert_eq!(
            values(&shown(&question), "Remote-Party-ID"),
            ["\"Ann Lee\" <sip:+4930123@sip.example>;party=calling;screen=no;privacy=off"]
        );
        let private = IdentityQuestion { private: true, source_trusted: true, ..question.clone() };
        assert_eq!(
            values(&shown(&private), "Remote-Party-ID"),
            ["<sip:+4930123@sip.example>;party=calling;screen=yes;privacy=full"]
        );
        let passed = IdentityQuestion { remote_party_mode: HeaderMode::Pass, ..question };
        assert_eq!(
            values(&shown(&passed), "Remote-Party-ID"),
            ["<sip:900@pbx.example>;party=calling"]
        );
    }

    #[test]
    fn privacy_is_passed_only_when_the_customer_trunk_supports_it_sig_75_sig_76() {
        let with = |private, privacy_mode| {
            let presented = shown(&IdentityQuestion { private, privacy_mode, ..caller() });
            values(&presented, "Privacy").join(", ")
        };
        assert_eq!(with(true, PrivacyMode::Pass), "id;critical");
        assert_eq!(with(false, PrivacyMode::Pass), "");
        assert_eq!(with(false, PrivacyMode::Id), "id");
        assert_eq!(with(true, PrivacyMode::Id), "id");
        assert_eq!(with(true, PrivacyMode::None), "");
    }

    #[test]
    fn a_private_caller_is_anonymous_and_pai_goes_to_trusted_vendors_only_sig_78() {
        let all = IdentityQuestion {
            private: true,
            preferred_mode: HeaderMode::Caller,
            remote_party_mode: HeaderMode::Pass,
            ..caller()
        };
        let trusted = shown(&all);
        assert_eq!(
            (trusted.display.as_str(), trusted.user.as_str(), trusted.host.as_str()),
            ("Anonymous", "anonymous", "anonymous.invalid")
        );
        assert_eq!(values(&trusted, "P-Asserted-Identity"), ["<sip:+4930123@sip.example>"]);
        let untrusted = shown(&IdentityQuestion { target_trusted: false, ..all });
        assert_eq!(untrusted.user, "anonymous");
        let left: Vec<_> = untrusted.headers.iter().map(|header| header.name.as_str()).collect();
        assert_eq!(left, ["Privacy"]);
        assert!(untrusted.headers.iter().all(|header| !header.value.contains("4930123")));
    }

    #[test]
    fn without_privacy_an_untrusted_vendor_gets_pai() {
        let presented = shown(&IdentityQuestion { target_trusted: false, ..caller() });
        assert_eq!(values(&presented, "P-Asserted-Identity").len(), 1);
    }

    #[test]
    fn pass_from_untrusted_sources_can_be_switched_off_sig_78() {
        let question = IdentityQuestion { asserted_mode: HeaderMode::Pass, ..caller() };
        assert_eq!(values(&shown(&question), "P-Asserted-Identity").len(), 2, "explicit choice");
        let strict = Config { pass_trusted_only: true };
        assert!(present(&strict, &question).headers.is_empty());
        let trusted = IdentityQuestion { source_trusted: true, ..question };
        assert_eq!(values(&present(&strict, &trusted), "P-Asserted-Identity").len(), 2);
    }

    #[test]
    fn no_caller_number_is_anonymous_without_pai_num_17() {
        let question = IdentityQuestion {
            caller_out: String::new(),
            identity_out: String::new(),
            remote_party_mode: HeaderMode::Caller,
            ..caller()
        };
        let presented = shown(&question);
        assert_eq!((presented.user.as_str(), presented.host.as_str()), ("anonymous", NOWHERE));
        assert!(presented.headers.is_empty());
    }

    #[test]
    fn an_empty_identity_number_leaves_the_headers_out_num_22() {
        let presented = shown(&IdentityQuestion { identity_out: String::new(), ..caller() });
        assert_eq!(presented.user, "4930123");
        assert!(presented.headers.is_empty());
    }

    /// An answer beyond the limits of a plugin would fail the call.
    #[test]
    fn values_that_are_too_long_or_too_many_are_left_out() {
        let question = IdentityQuestion { asserted_mode: HeaderMode::Pass, ..caller() };
        let switch = FakeHost::install();
        switch.header("P-Asserted-Identity", &format!("<sip:{}@a>", "1".repeat(2048)));
        for number in 0..100 {
            switch.header("P-Asserted-Identity", &format!("<sip:{number}@a>"));
        }
        let presented = shown(&question);
        let passed = values(&presented, "P-Asserted-Identity");
        assert_eq!((passed.len(), passed[0], passed[14]), (15, "<sip:0@a>", "<sip:14@a>"));
    }

    #[test]
    fn header_values_never_carry_a_line_end() {
        let question = IdentityQuestion {
            asserted_mode: HeaderMode::Pass,
            display: "Ann\r\nVia: x".to_owned(),
            ..caller()
        };
        FakeHost::install().header("P-Asserted-Identity", "<sip:1@a>\r\nVia: x");
        let presented = shown(&question);
        assert_eq!(presented.display, "AnnVia: x");
        assert!(presented.headers.is_empty());
    }
}
