//! URIs.

use crate::MOMENT;
use crate::recipe::{Recipe, cook};
use strowger_sip::UriRef;
use strowger_sip::percent::decode;

const URIS: [&[u8]; 7] = [
    b"sip:+49301234;npdi;rn=+4930@[2001:db8::1]:5060;user=phone;lr?Subject=x&a=b",
    b"sips:alice:secret@example.com:5061;transport=tls",
    b"tel:+1-201-555-0123;phone-context=example.com",
    b"sip:%23%2a9@192.0.2.1",
    b"sip:@h;x",
    b"sip:gw_1.example",
    b"urn:service:sos",
];

/// The URI rebuilt from its parts.
fn rebuilt(uri: &UriRef<'_>) -> String {
    if uri.is_tel() {
        let parameters = Some(uri.params()).filter(|params| !params.is_empty());
        let parameters = parameters.map(|params| format!(";{params}")).unwrap_or_default();
        return format!("{}:{}{parameters}", uri.scheme(), uri.user().unwrap_or_default());
    }
    let password = uri.password().map(|password| format!(":{password}")).unwrap_or_default();
    let user = uri.user().map(|user| format!("{user}{password}@")).unwrap_or_default();
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    let with = |mark: &str, part: &str| match part {
        "" => String::new(),
        part => format!("{mark}{part}"),
    };
    let (parameters, headers) = (with(";", uri.params()), with("?", uri.headers()));
    format!("{}:{user}{}{port}{parameters}{headers}", uri.scheme(), uri.host())
}

/// The parts rebuild a URI with the same parts, no part extends past the text, and decoding hardly
/// lengthens it.
#[test]
fn the_parts_of_a_uri_make_it_up() {
    bolero::check!().with_test_time(MOMENT).with_type::<Recipe>().for_each(|recipe| {
        let bytes = cook(&URIS, recipe);
        let text = String::from_utf8_lossy(&bytes);
        // U+FFFD takes three bytes and replaces one.
        assert!(decode(&text).len() <= 3 * text.len());
        let Ok(uri) = UriRef::parse(&text) else { return };
        assert_eq!(uri.as_str(), text);
        if !uri.is_sip() && !uri.is_tel() {
            assert_eq!(format!("{}:{}", uri.scheme(), uri.opaque()), text);
            return;
        }
        let again = rebuilt(&uri);
        assert!(again.len() <= text.len(), "{again} of {text}");
        let read = UriRef::parse(&again).unwrap_or_else(|error| panic!("{error} of {text}"));
        let parts = |uri: &UriRef<'_>| {
            let parts = [uri.scheme(), uri.host(), uri.params(), uri.headers()];
            (parts.map(str::to_owned), uri.port(), uri.user().map(str::to_owned))
        };
        assert_eq!(parts(&read), parts(&uri), "{text}");
        assert_eq!(read.password(), uri.password(), "{text}");
    });
}
