//! Header names: the known ones, their compact forms, and which carry comma lists.

/// How often a header may occur in a message, and whether its value is a comma list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One line, one value; a second line is an error (RFC 3261 7.3.1).
    Single,
    /// Several lines, or one line with top-level commas.
    List,
    /// Several lines; commas are part of the value (credentials, dates).
    Lines,
}

macro_rules! known_headers {
    ($($variant:ident $name:literal $compact:literal $shape:ident;)*) => {
        /// A header name known to the scanner.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Known { $($variant,)* Other }

        const NAMES: &[&str] = &[$($name),*];
        const COMPACT: &[u8] = &[$($compact),*];
        const SHAPES: &[Shape] = &[$(Shape::$shape),*];
        const VARIANTS: &[Known] = &[$(Known::$variant),*];
    };
}

// `b' '` means no compact form.
known_headers! {
    Accept "Accept" b' ' List;
    AcceptContact "Accept-Contact" b'a' List;
    AcceptEncoding "Accept-Encoding" b' ' List;
    AcceptLanguage "Accept-Language" b' ' List;
    AlertInfo "Alert-Info" b' ' List;
    Allow "Allow" b' ' List;
    AllowEvents "Allow-Events" b'u' List;
    Authorization "Authorization" b' ' Lines;
    CallId "Call-ID" b'i' Single;
    CallInfo "Call-Info" b' ' List;
    Contact "Contact" b'm' List;
    ContentDisposition "Content-Disposition" b' ' Single;
    ContentEncoding "Content-Encoding" b'e' List;
    ContentLanguage "Content-Language" b' ' List;
    ContentLength "Content-Length" b'l' Single;
    ContentType "Content-Type" b'c' Single;
    CSeq "CSeq" b' ' Single;
    Date "Date" b' ' Single;
    Diversion "Diversion" b' ' List;
    ErrorInfo "Error-Info" b' ' List;
    Event "Event" b'o' Single;
    Expires "Expires" b' ' Single;
    From "From" b'f' Single;
    HistoryInfo "History-Info" b' ' List;
    Identity "Identity" b'y' List;
    InReplyTo "In-Reply-To" b' ' List;
    MaxForwards "Max-Forwards" b' ' Single;
    MimeVersion "MIME-Version" b' ' Single;
    MinExpires "Min-Expires" b' ' Single;
    MinSe "Min-SE" b' ' Single;
    Organization "Organization" b' ' Single;
    PAssertedIdentity "P-Asserted-Identity" b' ' List;
    PPreferredIdentity "P-Preferred-Identity" b' ' List;
    Path "Path" b' ' List;
    Priority "Priority" b' ' Single;
    Privacy "Privacy" b' ' Lines;
    ProxyAuthenticate "Proxy-Authenticate" b' ' Lines;
    ProxyAuthorization "Proxy-Authorization" b' ' Lines;
    ProxyRequire "Proxy-Require" b' ' List;
    RAck "RAck" b' ' Single;
    Reason "Reason" b' ' List;
    RecordRoute "Record-Route" b' ' List;
    ReferTo "Refer-To" b'r' Single;
    ReferredBy "Referred-By" b'b' Single;
    RejectContact "Reject-Contact" b'j' List;
    RemotePartyId "Remote-Party-ID" b' ' List;
    Replaces "Replaces" b' ' Single;
    ReplyTo "Reply-To" b' ' Single;
    RequestDisposition "Request-Disposition" b'd' List;
    Require "Require" b' ' List;
    RetryAfter "Retry-After" b' ' Single;
    Route "Route" b' ' List;
    RSeq "RSeq" b' ' Single;
    Server "Server" b' ' Single;
    ServiceRoute "Service-Route" b' ' List;
    SessionExpires "Session-Expires" b'x' Single;
    Subject "Subject" b's' Single;
    SubscriptionState "Subscription-State" b' ' Single;
    Supported "Supported" b'k' List;
    Timestamp "Timestamp" b' ' Single;
    To "To" b't' Single;
    Unsupported "Unsupported" b' ' List;
    UserAgent "User-Agent" b' ' Single;
    Via "Via" b'v' List;
    Warning "Warning" b' ' List;
    WwwAuthenticate "WWW-Authenticate" b' ' Lines;
}

const SLOTS: usize = 256;
const EMPTY: u8 = u8::MAX;

const fn slot(first: u8, last: u8, length: usize) -> usize {
    let first = first.to_ascii_lowercase() as usize;
    let last = last.to_ascii_lowercase() as usize;
    (first * 37 + last * 11 + length * 101) % SLOTS
}

// Open addressing, filled at compile time.
const TABLE: [u8; SLOTS] = {
    let mut table = [EMPTY; SLOTS];
    let mut index = 0;
    while index < NAMES.len() {
        let name = NAMES[index].as_bytes();
        let mut at = slot(name[0], name[name.len() - 1], name.len());
        while table[at] != EMPTY {
            at = (at + 1) % SLOTS;
        }
        table[at] = index as u8;
        index += 1;
    }
    table
};

impl Known {
    /// Classifies a name in long or compact form, in any case.
    pub(crate) fn of(name: &[u8]) -> Known {
        let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return Known::Other };
        if name.len() == 1 {
            let letter = first.to_ascii_lowercase();
            let listed = |&compact: &u8| compact == letter && letter.is_ascii_alphabetic();
            return match COMPACT.iter().position(listed) {
                Some(index) => VARIANTS[index],
                None => Known::Other,
            };
        }
        let mut at = slot(first, last, name.len());
        while TABLE[at] != EMPTY {
            let index = usize::from(TABLE[at]);
            let known = NAMES[index].as_bytes();
            // Most peers spell names as the RFCs do.
            if known == name || known.eq_ignore_ascii_case(name) {
                return VARIANTS[index];
            }
            at = (at + 1) % SLOTS;
        }
        Known::Other
    }

    /// The long form; empty for [`Known::Other`].
    pub(crate) fn name(self) -> &'static str {
        NAMES.get(self as usize).copied().unwrap_or_default()
    }

    /// Multiplicity. An unknown header may be repeated; commas are part of its value.
    pub(crate) fn shape(self) -> Shape {
        SHAPES.get(self as usize).copied().unwrap_or(Shape::Lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_compact_form_is_found_in_any_case() {
        for (index, name) in NAMES.iter().enumerate() {
            assert_eq!(Known::of(name.as_bytes()), VARIANTS[index]);
            assert_eq!(Known::of(name.to_uppercase().as_bytes()), VARIANTS[index]);
            assert_eq!(VARIANTS[index].name(), *name);
            let compact = COMPACT[index];
            if compact != b' ' {
                assert_eq!(Known::of(&[compact]), VARIANTS[index]);
                assert_eq!(Known::of(&[compact.to_ascii_uppercase()]), VARIANTS[index]);
            }
        }
        for stranger in ["X-Extra", "Viaa", "z", "", " "] {
            assert!(matches!(Known::of(stranger.as_bytes()), Known::Other), "{stranger}");
        }
    }
}
