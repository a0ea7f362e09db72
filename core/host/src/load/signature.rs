//! Signed plugin files: who signed the bytes, and whether the node trusts the key.
//!
//! The signature is the last section of the file: a custom section called `strowger-signature` of
//! 73 bytes, the format (1), the key id (8) and an Ed25519 signature (64) over
//! `strowger-signature 1\n` and the SHA-256 of all bytes before the section. A key id is the first
//! 8 bytes of the SHA-256 of the public key.

use super::sections::{Section, sections};
use crate::error::LoadError;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write as _};
use std::str::FromStr;
use thiserror::Error;

const SECTION: &[u8] = b"strowger-signature";
const FORMAT: u8 = 1;
const ID: usize = 8;
const BODY: usize = 1 + ID + 64;
const PUBLIC: &str = "strowger-public:";
const SECRET: &str = "strowger-secret:";

/// A signing key. It never appears in messages or logs.
pub struct SecretKey {
    seed: [u8; 32],
    public: PublicKey,
}

/// A key that checks signatures, written as `strowger-public:` and 64 hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// A text that is not a key; the text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a {0} key: it is `{1}` and 64 hex digits")]
pub struct BadKey(&'static str, &'static str);

impl SecretKey {
    /// The key of these random bytes.
    ///
    /// # Errors
    /// Never for 32 bytes; the library's type allows an error.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<SecretKey, BadKey> {
        let bad = BadKey("secret", SECRET);
        let pair = Ed25519KeyPair::from_seed_unchecked(bytes).map_err(|_| bad)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| bad)?;
        Ok(SecretKey { seed: *bytes, public: PublicKey(public) })
    }

    /// The public key of this key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], BadKey> {
        let bad = BadKey("secret", SECRET);
        let pair = Ed25519KeyPair::from_seed_unchecked(&self.seed).map_err(|_| bad)?;
        pair.sign(message).as_ref().try_into().map_err(|_| bad)
    }

    /// The text of a key file, which only its owner may read.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{SECRET}{}", hex(&self.seed))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public.id())
    }
}

impl FromStr for SecretKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let bytes = read_hex(text, SECRET).ok_or(BadKey("secret", SECRET))?;
        SecretKey::from_bytes(&bytes)
    }
}

impl PublicKey {
    /// 16 hex digits that name the key in messages and lists.
    #[must_use]
    pub fn id(&self) -> String {
        hex(&self.short())
    }

    fn short(&self) -> [u8; ID] {
        let digest = Sha256::digest(self.0);
        std::array::from_fn(|at| digest[at])
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", hex(&self.0))
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        read_hex(text, PUBLIC).map(PublicKey).ok_or(BadKey("public", PUBLIC))
    }
}

fn read_hex(text: &str, prefix: &str) -> Option<[u8; 32]> {
    let digits = text.trim().strip_prefix(prefix)?;
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

/// The signature in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Nothing.
    None,
    /// A signature at the end, not checked yet.
    Signed {
        /// Id of the key that it names.
        key: [u8; 8],
        /// The signature.
        signature: [u8; 64],
        /// The signed data: the SHA-256 of all bytes before the section.
        digest: [u8; 32],
    },
    /// A signature that is incomplete, not the only one, or not at the end.
    Broken,
}

impl Seal {
    /// Reads the last section.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Seal {
        let is_seal =
            |section: &Section<'_>| section.custom().is_some_and(|(name, _)| name == SECTION);
        let seals = sections(bytes).flatten().filter(is_seal).count();
        let last = sections(bytes).flatten().last().filter(is_seal);
        let Some(section) = last else {
            return if seals == 0 { Seal::None } else { Seal::Broken };
        };
        let body = section.custom().map_or(&[][..], |(_, body)| body);
        let whole = (seals == 1 && body.len() == BODY && body[0] == FORMAT).then_some(body);
        let read = whole.and_then(|body| {
            let (key, signature) = body[1..].split_at(ID);
            let before = &bytes[..bytes.len() - section.whole.len()];
            Some(Seal::Signed {
                key: key.try_into().ok()?,
                signature: signature.try_into().ok()?,
                digest: Sha256::digest(before).into(),
            })
        });
        read.unwrap_or(Seal::Broken)
    }

    /// Id of the key that the signature names, unchecked.
    #[must_use]
    pub fn key_id(&self) -> Option<String> {
        match self {
            Seal::Signed { key, .. } => Some(hex(key)),
            _ => None,
        }
    }
}

fn message(digest: &[u8; 32]) -> Vec<u8> {
    [b"strowger-signature 1\n".as_slice(), digest].concat()
}

/// The file without a signature at its end.
#[must_use]
pub fn unsigned(bytes: &[u8]) -> &[u8] {
    let last = sections(bytes).flatten().last();
    match last.filter(|section| section.custom().is_some_and(|(name, _)| name == SECTION)) {
        Some(section) => &bytes[..bytes.len() - section.whole.len()],
        None => bytes,
    }
}

/// The file with a signature by `key` at its end, replacing an existing one.
///
/// # Errors
/// If the key cannot sign.
pub fn sign(bytes: &[u8], key: &SecretKey) -> Result<Vec<u8>, BadKey> {
    let bytes = unsigned(bytes);
    let signature = key.sign(&message(&Sha256::digest(bytes).into()))?;
    let mut section = vec![SECTION.len() as u8];
    section.extend_from_slice(SECTION);
    section.push(FORMAT);
    section.extend_from_slice(&key.public.short());
    section.extend_from_slice(&signature);
    // Below 128, so that its length is one byte of LEB128.
    Ok([bytes, &[0, section.len() as u8], &section].concat())
}

/// The key of `keys` that signed the file.
///
/// # Errors
/// Names the file by `origin`, the key that the signature names, and the trusted keys.
pub fn verify<'a>(
    bytes: &[u8],
    keys: &'a [PublicKey],
    origin: &str,
) -> Result<&'a PublicKey, LoadError> {
    let seal = Seal::of(bytes);
    known(&seal, keys, origin)?.ok_or_else(|| unknown(&seal, keys, origin))
}

fn unknown(seal: &Seal, keys: &[PublicKey], origin: &str) -> LoadError {
    let (origin, wanted) = (origin.to_owned(), ids(keys));
    match seal.key_id() {
        Some(key) => LoadError::Stranger { origin, key, wanted },
        None => LoadError::Unsigned { origin, wanted },
    }
}

/// The key that signed; none for an unsigned file or an unknown key. A signature that names a known
/// key but does not fit the bytes is an error.
fn known<'a>(
    seal: &Seal,
    keys: &'a [PublicKey],
    origin: &str,
) -> Result<Option<&'a PublicKey>, LoadError> {
    let forged = |key: String, cause| LoadError::Forged { origin: origin.to_owned(), key, cause };
    match seal {
        Seal::None => Ok(None),
        Seal::Broken => Err(forged(
            "(unreadable)".to_owned(),
            "its signature is not whole, or not the only one at its end",
        )),
        Seal::Signed { key, signature, digest } => {
            let Some(public) = keys.iter().find(|public| public.short() == *key) else {
                return Ok(None);
            };
            let checked = UnparsedPublicKey::new(&ED25519, public.0);
            match checked.verify(&message(digest), signature) {
                Ok(()) => Ok(Some(public)),
                Err(_) => Err(forged(hex(key), "the signature does not fit the bytes")),
            }
        }
    }
}

fn ids(keys: &[PublicKey]) -> String {
    if keys.is_empty() {
        return "a trusted key, and none is trusted".to_owned();
    }
    let ids: Vec<String> = keys.iter().map(PublicKey::id).collect();
    format!("key {}", ids.join(" or "))
}

/// Which signatures a host requires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SigningPolicy {
    /// Refuse files that none of the keys signed.
    pub required: bool,
    /// Keys that are trusted.
    pub keys: Vec<PublicKey>,
}

/// The signer of a build, as far as this node can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Signer {
    /// It is not signed.
    #[default]
    Nobody,
    /// The signature names a key that this node does not trust, so it cannot be checked.
    Unknown(String),
    /// The id of a trusted key whose signature fits the bytes.
    Trusted(String),
}

impl Signer {
    /// The key's id, trusted or not.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Signer::Nobody => None,
            Signer::Unknown(key) | Signer::Trusted(key) => Some(key),
        }
    }

    /// Whether a trusted key signed these bytes.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        matches!(self, Signer::Trusted(_))
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Signer::Nobody => f.write_str("nobody"),
            Signer::Unknown(key) => write!(f, "key {key}, which is not trusted here"),
            Signer::Trusted(key) => write!(f, "key {key}"),
        }
    }
}

impl SigningPolicy {
    /// The signer of these bytes, or why they must not be loaded; `origin` names them in messages.
    /// A file that was changed after a trusted key signed it is refused even if no signature is
    /// required.
    ///
    /// # Errors
    /// Why a host with this policy would not load them.
    pub fn judge(&self, bytes: &[u8], origin: &str) -> Result<Signer, LoadError> {
        let seal = Seal::of(bytes);
        if let Some(key) = known(&seal, &self.keys, origin)? {
            return Ok(Signer::Trusted(key.id()));
        }
        if self.required {
            return Err(unknown(&seal, &self.keys, origin));
        }
        Ok(seal.key_id().map_or(Signer::Nobody, Signer::Unknown))
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"\0asm\x01\0\0\0\x00\x02\x01a";

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_bytes(&[seed; 32]).unwrap()
    }

    fn why(bytes: &[u8], keys: &[PublicKey]) -> String {
        verify(bytes, keys, "x.wasm").expect_err("must not be believed").to_string()
    }

    #[test]
    fn a_signature_is_believed_from_the_right_key_only() {
        let signed = sign(FILE, &key(1)).unwrap();
        let (one, two) = (key(1).public(), key(2).public());
        assert_eq!(verify(&signed, &[two.clone(), one.clone()], "x").unwrap(), &one);
        assert_eq!(
            why(&signed, std::slice::from_ref(&two)),
            format!(
                "x.wasm is signed by key {}, and wanted is a signature of key {}; take a build \
                 that is signed by a trusted key, or trust this one: add its public key to \
                 `keys` of `[plugins] signing`",
                one.id(),
                two.id()
            )
        );
        let bare = why(FILE, &[one.clone(), two.clone()]);
        let wanted = format!("wanted is a signature of key {} or {}; sign", one.id(), two.id());
        assert!(bare.starts_with("x.wasm is not signed") && bare.contains(&wanted), "{bare}");
        let bare = why(FILE, &[]);
        assert!(bare.contains("a signature of a trusted key, and none is trusted"), "{bare}");
    }

    /// Every bit of the file counts, including those of the signature.
    #[test]
    fn no_bit_can_be_turned() {
        let signed = sign(FILE, &key(1)).unwrap();
        let keys = [key(1).public()];
        for at in 0..signed.len() * 8 {
            let mut turned = signed.clone();
            turned[at / 8] ^= 1 << (at % 8);
            assert!(verify(&turned, &keys, "x").is_err(), "bit {at}");
        }
        for end in 0..signed.len() {
            assert!(verify(&signed[..end], &keys, "x").is_err(), "cut at {end}");
        }
    }

    #[test]
    fn nothing_can_be_put_behind_a_signature_and_signing_again_replaces_it() {
        let signed = sign(FILE, &key(1)).unwrap();
        let longer = [&signed[..], b"\x00\x02\x01b"].concat();
        assert_eq!(Seal::of(&longer), Seal::Broken);
        assert!(why(&longer, &[key(1).public()]).contains("not the only one at its end"));
        // Signed twice by hand: the inner signature would look like a part of the file.
        let twice = sign(&longer, &key(1)).unwrap();
        assert_eq!(Seal::of(&twice), Seal::Broken);
        let again = sign(&signed, &key(2)).unwrap();
        assert_eq!(unsigned(&again), FILE);
        assert!(verify(&again, &[key(2).public()], "x").is_ok());
    }

    /// What a node loads, by `required` and its keys.
    #[test]
    fn a_policy_believes_trusted_keys_and_refuses_the_rest_when_it_must() {
        let [one, two] = [key(1), key(2)];
        let open = SigningPolicy { required: false, keys: vec![one.public()] };
        let strict = SigningPolicy { required: true, ..open.clone() };
        let [by_one, by_two] = [sign(FILE, &one).unwrap(), sign(FILE, &two).unwrap()];
        let trusted = Signer::Trusted(one.public().id());
        assert_eq!(open.judge(&by_one, "x").unwrap(), trusted);
        assert_eq!(strict.judge(&by_one, "x").unwrap(), trusted);
        assert_eq!(open.judge(FILE, "x").unwrap(), Signer::Nobody);
        assert_eq!(open.judge(&by_two, "x").unwrap(), Signer::Unknown(two.public().id()));
        assert!(matches!(strict.judge(FILE, "x"), Err(LoadError::Unsigned { .. })));
        assert!(matches!(strict.judge(&by_two, "x"), Err(LoadError::Stranger { .. })));
        let mut forged = by_one;
        forged[10] ^= 1;
        for policy in [open, strict] {
            assert!(matches!(policy.judge(&forged, "x"), Err(LoadError::Forged { .. })));
        }
        let none = SigningPolicy::default();
        assert_eq!(none.judge(&by_two, "x").unwrap(), Signer::Unknown(two.public().id()));
    }

    #[test]
    fn keys_round_trip_as_text_and_secrets_are_not_shown() {
        let secret = key(7);
        let again: SecretKey = secret.to_text().parse().unwrap();
        assert_eq!(again.public(), secret.public());
        let public: PublicKey = format!(" {}\n", secret.public()).parse().unwrap();
        assert_eq!(public, secret.public());
        assert_eq!(format!("{secret:?}"), format!("SecretKey({})", public.id()));
        for bad in ["", "strowger-public:12", &secret.to_text()] {
            let error = bad.parse::<PublicKey>().unwrap_err().to_string();
            assert_eq!(error, "not a public key: it is `strowger-public:` and 64 hex digits");
        }
    }
}
