//! How people dial in a country, and E.164.

use crate::config::Plan;

impl Plan {
    /// The E.164 number that somebody dialled; `None` if it cannot be one.
    pub(crate) fn e164(&self, dialled: &str) -> Option<String> {
        let Plan { country, international, national, national_digits, area } = self;
        let number = if let Some(rest) = dialled.strip_prefix('+') {
            rest.to_owned()
        } else if let Some(rest) = dialled.strip_prefix(international.as_str()) {
            rest.to_owned()
        } else if *national_digits > 0 && dialled.len() == *national_digits {
            format!("{country}{dialled}")
        } else if !national.is_empty() && dialled.starts_with(national.as_str()) {
            format!("{country}{}", &dialled[national.len()..])
        } else if area.is_empty() {
            dialled.to_owned()
        } else {
            format!("{country}{area}{dialled}")
        };
        let legal = is_digits(&number) && (7..=15).contains(&number.len());
        (legal && !number.starts_with('0')).then_some(number)
    }

    /// An E.164 number as it is dialled in this plan.
    pub(crate) fn dialled(&self, number: &str) -> String {
        match number.strip_prefix(self.country.as_str()) {
            Some(rest) => format!("{}{rest}", self.national),
            None => format!("{}{number}", self.international),
        }
    }
}

/// Whether a text has digits only.
pub(crate) fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
