//! Replaces passwords of customer trunks by digest hashes (SIG-51, SIG-54, RFC 7616 section 3.4.2).

use super::{Business, Secret};
use md5::{Digest as _, Md5};
use sha2::Sha256;
use std::fmt::Write as _;

/// Replaces each password by its hashes for the trunk's realm.
pub(super) fn seal(business: &mut Business, default_realm: &str) {
    for trunk in &mut business.customer_trunks {
        let Some(user) = trunk.user.as_deref() else { continue };
        let realm = trunk.realm.get_or_insert_with(|| default_realm.to_owned());
        if let Some(Secret(password)) = trunk.password.take() {
            let secret = format!("{user}:{realm}:{password}");
            trunk.ha1_md5 = Some(Secret(hexadecimal(&Md5::digest(&secret))));
            trunk.ha1_sha256 = Some(Secret(hexadecimal(&Sha256::digest(&secret))));
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7616 section 3.9.1.
    #[test]
    fn sig_54_hashes_are_those_of_the_rfc_example() {
        let secret = "Mufasa:http-auth@example.org:Circle of Life";
        assert_eq!(hexadecimal(&Md5::digest(secret)), "3d78807defe7de2157e2b0b6573a855f");
        assert_eq!(
            hexadecimal(&Sha256::digest(secret)),
            "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"
        );
    }
}
