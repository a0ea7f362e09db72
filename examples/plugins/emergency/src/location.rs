//! The headers of an emergency call: where the caller is, and that it is urgent.

use plugin_sdk::Header;
use plugin_sdk::host::CallFacts;

/// Longest header value that a plugin may return, bytes.
const VALUE_BYTES: usize = 2_048;

/// `Geolocation` as received (RFC 6442), else the location of the customer trunk's site; and
/// `Priority: emergency`.
pub(crate) fn headers(call: &CallFacts) -> Vec<Header> {
    // A location in the body (`cid:`) does not reach the vendor.
    let usable = |value: &String| {
        value.len() <= VALUE_BYTES
            && !value.contains("<cid:")
            && !value.chars().any(char::is_control)
    };
    let received = call.header("Geolocation");
    let mut places: Vec<String> = received.into_iter().filter(usable).take(8).collect();
    if places.is_empty() {
        places.extend(call.customer_attribute("location").map(|uri| format!("<{uri}>")));
    }
    let mut headers: Vec<Header> =
        places.into_iter().map(|place| Header::new("Geolocation", place)).collect();
    headers.push(Header::new("Priority", "emergency"));
    headers
}
