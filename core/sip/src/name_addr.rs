//! `"Display" <uri>;params`: the value of From, To, Contact, Route and their kin.

use crate::params::{self, trim};
use crate::uri::{UriError, UriRef};
use std::borrow::Cow;

/// A name-addr or addr-spec with header parameters (RFC 3261 20.10, 25.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameAddrRef<'a> {
    pub(crate) display: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) params: &'a str,
}

impl<'a> NameAddrRef<'a> {
    /// Parses one value; a comma list must be split first.
    ///
    /// # Errors
    /// What is wrong with it: an unclosed quote or bracket, a comma in an unquoted display name, a
    /// space inside the URI, a comma or `?` in a URI without brackets.
    pub fn parse(value: &'a str) -> Result<NameAddrRef<'a>, &'static str> {
        let value = trim(value);
        if value.starts_with('"') {
            let length = params::quoted_length(value).ok_or("quoted string is not closed")?;
            let (display, rest) = value.split_at(length);
            let rest = trim(rest);
            if !rest.starts_with('<') {
                return Err("no `<` after the display name");
            }
            return NameAddrRef::bracketed(display, rest);
        }
        match params::find(value.as_bytes(), b'<') {
            // If a parameter precedes the bracket, the bracket belongs to a quoted parameter value.
            Some(at) if !value.as_bytes()[..at].contains(&b'=') => {
                let display = trim(&value[..at]);
                if display.as_bytes().contains(&b',') {
                    return Err("comma in a display name without quotes");
                }
                if display.as_bytes().contains(&b'"') {
                    return Err("misplaced quote in the display name");
                }
                NameAddrRef::bracketed(display, &value[at..])
            }
            _ => NameAddrRef::bare(value),
        }
    }

    fn bracketed(display: &'a str, rest: &'a str) -> Result<NameAddrRef<'a>, &'static str> {
        let rest = &rest[1..];
        let end = rest.bytes().position(|byte| byte == b'>' || outside_uri(byte));
        let Some(end) = end.filter(|&end| rest.as_bytes()[end] == b'>') else {
            return Err(match params::find(rest.as_bytes(), b'>') {
                Some(_) => NameAddrRef::OUTSIDE_URI,
                None => "no `>` after the URI",
            });
        };
        let (uri, params) = (&rest[..end], trim(&rest[end + 1..]));
        if uri.is_empty() {
            return Err(NameAddrRef::EMPTY_URI);
        }
        match params.strip_prefix(';') {
            Some(params) => Ok(NameAddrRef { display, uri, params }),
            None if params.is_empty() => Ok(NameAddrRef { display, uri, params }),
            None => Err("text after `>` that is no parameter"),
        }
    }

    /// Without brackets all parameters belong to the header (RFC 3261 20).
    fn bare(value: &'a str) -> Result<NameAddrRef<'a>, &'static str> {
        let (uri, params) = params::split_once(value, b';').unwrap_or((value, ""));
        let uri = trim(uri);
        if uri.is_empty() {
            return Err(NameAddrRef::EMPTY_URI);
        }
        if uri.bytes().any(outside_uri) {
            return Err(NameAddrRef::OUTSIDE_URI);
        }
        if uri.contains([',', '?']) {
            return Err("URI with `,` or `?` needs angle brackets");
        }
        Ok(NameAddrRef { display: "", uri, params })
    }

    const EMPTY_URI: &'static str = "empty URI";
    const OUTSIDE_URI: &'static str = "white space, quote or bracket inside the URI";

    /// Display name without quotes and escapes; empty if there is none.
    pub fn display(&self) -> Cow<'a, str> {
        match self.display.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inside) => params::unescape(inside),
            None => Cow::Borrowed(self.display),
        }
    }

    /// The URI as written, without brackets; `*` in a Contact of a de-registration.
    pub fn uri(&self) -> &'a str {
        self.uri
    }

    /// The parsed URI.
    ///
    /// # Errors
    /// See [`UriRef::parse`].
    pub fn parse_uri(&self) -> Result<UriRef<'a>, UriError> {
        UriRef::parse(self.uri)
    }

    /// Header parameters as written, without the first `;`.
    pub fn params(&self) -> &'a str {
        self.params
    }

    /// Value of a header parameter without quotes; `""` if the parameter has none.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        params::param(self.params, name)
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&'a str> {
        self.param("tag").filter(|tag| !tag.is_empty())
    }
}

/// Bytes that no URI contains and that would move its end.
fn outside_uri(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'<' | b'"')
}
