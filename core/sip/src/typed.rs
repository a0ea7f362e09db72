//! The vocabulary of `rsip`, on demand: its methods, status codes, URIs and typed headers,
//! made from our scan. Our own borrowed views stay on the hot path.

use crate::message::Message;
use crate::method::Method;
use crate::name_addr::NameAddrRef;
use crate::params;
use crate::uri::UriRef;
use rsip::headers::ToTypedHeader;
use std::sync::LazyLock;

impl Method {
    /// The same method in `rsip`'s terms; `None` for methods that it does not know.
    pub fn to_rsip(&self) -> Option<rsip::Method> {
        Some(match self {
            Method::Invite => rsip::Method::Invite,
            Method::Ack => rsip::Method::Ack,
            Method::Bye => rsip::Method::Bye,
            Method::Cancel => rsip::Method::Cancel,
            Method::Options => rsip::Method::Options,
            Method::Register => rsip::Method::Register,
            Method::Info => rsip::Method::Info,
            Method::Update => rsip::Method::Update,
            Method::Prack => rsip::Method::PRack,
            Method::Refer => rsip::Method::Refer,
            Method::Notify => rsip::Method::Notify,
            Method::Subscribe => rsip::Method::Subscribe,
            Method::Message => rsip::Method::Message,
            Method::Publish => rsip::Method::Publish,
            Method::Other(_) => return None,
        })
    }
}

impl From<rsip::Method> for Method {
    fn from(method: rsip::Method) -> Method {
        match method {
            rsip::Method::Invite => Method::Invite,
            rsip::Method::Ack => Method::Ack,
            rsip::Method::Bye => Method::Bye,
            rsip::Method::Cancel => Method::Cancel,
            rsip::Method::Options => Method::Options,
            rsip::Method::Register => Method::Register,
            rsip::Method::Info => Method::Info,
            rsip::Method::Update => Method::Update,
            rsip::Method::PRack => Method::Prack,
            rsip::Method::Refer => Method::Refer,
            rsip::Method::Notify => Method::Notify,
            rsip::Method::Subscribe => Method::Subscribe,
            rsip::Method::Message => Method::Message,
            rsip::Method::Publish => Method::Publish,
        }
    }
}

impl UriRef<'_> {
    /// The same URI in `rsip`'s terms.
    ///
    /// # Errors
    /// What `rsip` does not understand, such as user parts with parameters of their own.
    pub fn to_rsip(&self) -> Result<rsip::Uri, rsip::Error> {
        rsip::Uri::try_from(self.as_str())
    }
}

impl NameAddrRef<'_> {
    /// Display name with its quotes, URI and parameters in `rsip`'s terms. Taken apart by
    /// us: `rsip` does not read every quoted display name.
    fn to_rsip(self) -> Result<(Option<String>, rsip::Uri, Vec<rsip::Param>), rsip::Error> {
        let display = Some(self.display).filter(|display| !display.is_empty());
        let params = params::params(self.params)
            .map(|(name, value)| {
                rsip::Param::try_from((name, Some(value).filter(|value| !value.is_empty())))
            })
            .collect::<Result<_, _>>()?;
        Ok((display.map(str::to_owned), rsip::Uri::try_from(self.uri)?, params))
    }
}

impl Message {
    /// The status code of a response; `None` for a request.
    pub fn status_code(&self) -> Option<rsip::StatusCode> {
        (!self.is_request()).then(|| rsip::StatusCode::from(self.status()))
    }

    /// The top Via as a typed header.
    ///
    /// # Errors
    /// What `rsip` does not understand.
    pub fn typed_via(&self) -> Result<rsip::typed::Via, rsip::Error> {
        rsip::headers::Via::from(self.headers("Via").next().unwrap_or_default()).into_typed()
    }

    /// From as a typed header.
    ///
    /// # Errors
    /// What `rsip` does not understand.
    pub fn typed_from(&self) -> Result<rsip::typed::From, rsip::Error> {
        let (display_name, uri, params) = self.from().to_rsip()?;
        Ok(rsip::typed::From { display_name, uri, params })
    }

    /// To as a typed header.
    ///
    /// # Errors
    /// What `rsip` does not understand.
    pub fn typed_to(&self) -> Result<rsip::typed::To, rsip::Error> {
        let (display_name, uri, params) = self.to().to_rsip()?;
        Ok(rsip::typed::To { display_name, uri, params })
    }

    /// The first Contact as a typed header.
    ///
    /// # Errors
    /// What `rsip` does not understand; also if there is none.
    pub fn typed_contact(&self) -> Result<rsip::typed::Contact, rsip::Error> {
        let (display_name, uri, params) = self.contact().unwrap_or_default().to_rsip()?;
        Ok(rsip::typed::Contact { display_name, uri, params })
    }

    /// CSeq as a typed header.
    ///
    /// # Errors
    /// Methods that `rsip` does not know.
    pub fn typed_cseq(&self) -> Result<rsip::typed::CSeq, rsip::Error> {
        rsip::headers::CSeq::from(self.header("CSeq").unwrap_or_default()).into_typed()
    }
}

/// The standard reason phrase of a status code, from `rsip`'s names: `486` gives
/// `Busy Here`. `Unknown` for a code without name.
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
