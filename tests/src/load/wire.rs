//! Minimal SIP for a load generator: finds header lines by name, decodes nothing.

/// The trimmed value of a header; compact forms count. `name` is the long form.
pub(super) fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    headers(message, name).next()
}

/// The values of all lines of a header, in order.
pub(super) fn headers<'a>(message: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let compact = match name {
        "Via" => "v",
        "From" => "f",
        "To" => "t",
        "Call-ID" => "i",
        "Contact" => "m",
        _ => name,
    };
    message.split("\r\n").skip(1).take_while(|line| !line.is_empty()).filter_map(move |line| {
        let (key, value) = line.split_once(':')?;
        let key = key.trim_end();
        (key.eq_ignore_ascii_case(name) || key.eq_ignore_ascii_case(compact)).then(|| value.trim())
    })
}

/// Status code of a response; `None` for a request.
pub(super) fn status(message: &str) -> Option<u16> {
    message.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

/// Method and Request-URI of a request.
pub(super) fn request(message: &str) -> Option<(&str, &str)> {
    let line = message.split("\r\n").next()?;
    let mut words = line.split(' ');
    Some((words.next()?, words.next()?))
}

/// The text between `<` and `>`, else the value without parameters.
pub(super) fn uri(name_addr: &str) -> &str {
    match name_addr.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest),
        None => name_addr.split(';').next().unwrap_or(name_addr).trim(),
    }
}

/// The call number in the last eight digits of the called user.
pub(super) fn call_of_uri(uri: &str) -> Option<usize> {
    let user = uri.split_once(':')?.1.split(['@', ';']).next()?;
    user.get(user.len().checked_sub(8)?..)?.parse().ok()
}

/// The call number at the start of the generator's Call-IDs.
pub(super) fn call_of_id(call_id: &str) -> Option<usize> {
    call_id.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "SIP/2.0 200 OK\r\nv: SIP/2.0/UDP 127.0.0.1\r\nRecord-Route: <sip:a;lr>\r\n\
                          i: 17-1@x\r\nrecord-route: <sip:b;lr>\r\nm: \"x\" <sip:y@z>;q=1\r\n\r\nVia: no";

    #[test]
    fn headers_are_found_in_both_forms_and_only_above_the_body() {
        assert_eq!(header(ANSWER, "Via"), Some("SIP/2.0/UDP 127.0.0.1"));
        assert_eq!(headers(ANSWER, "Via").count(), 1);
        assert_eq!(
            headers(ANSWER, "Record-Route").collect::<Vec<_>>(),
            ["<sip:a;lr>", "<sip:b;lr>"]
        );
        assert_eq!(header(ANSWER, "Contact").map(uri), Some("sip:y@z"));
        assert_eq!(status(ANSWER), Some(200));
    }

    #[test]
    fn the_call_number_survives_a_new_call_id() {
        assert_eq!(call_of_uri("sip:442000000017@10.0.0.1:5060"), Some(17));
        assert_eq!(call_of_uri("sip:17@h"), None);
        assert_eq!(header(ANSWER, "Call-ID").and_then(call_of_id), Some(17));
    }
}
