//! Reason phrases of status codes, from the names in `rsip`. No signature shows a type of `rsip`.

use std::sync::LazyLock;

/// The standard reason phrase of a status code, from `rsip`'s names: `486` gives `Busy Here`.
/// `Unknown` for a code without a name.
pub fn reason_phrase(status: u16) -> &'static str {
    let index = usize::from(status).checked_sub(100);
    index.and_then(|index| PHRASES.get(index)).map_or("Unknown", String::as_str)
}

static PHRASES: LazyLock<Vec<String>> = LazyLock::new(|| (100..700).map(phrase).collect());

fn phrase(status: u16) -> String {
    let code = rsip::StatusCode::from(status);
    if let rsip::StatusCode::Other(..) = code {
        return "Unknown".to_owned();
    }
    // `486 BusyHere`
    let shown = code.to_string();
    let name = shown.split_once(' ').map_or("", |(_, name)| name);
    match name {
        "OK" => "OK".to_owned(),
        "CallTransactionDoesNotExist" => "Call/Transaction Does Not Exist".to_owned(),
        "RequestUriTooLong" => "Request-URI Too Long".to_owned(),
        "UnsupportedUriScheme" => "Unsupported URI Scheme".to_owned(),
        "ServerTimeOut" => "Server Time-out".to_owned(),
        _ => spaced(name),
    }
}

/// `BusyHere` to `Busy Here`.
fn spaced(name: &str) -> String {
    let mut phrase = String::with_capacity(name.len() + 4);
    for (index, char) in name.char_indices() {
        if index > 0 && char.is_ascii_uppercase() {
            phrase.push(' ');
        }
        phrase.push(char);
    }
    phrase
}
