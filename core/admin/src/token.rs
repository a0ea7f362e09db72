//! The token of the admin API: from the node file, or made by the node at its first start and kept
//! in a file that only its user can read.

use config::Config;
use platform::files;
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::fmt::Write;
use std::io;

/// Random bytes of a token.
const BYTES: usize = 32;

/// A token and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminToken {
    /// The token.
    pub(crate) text: String,
    /// Whether it was just created.
    pub(crate) is_new: bool,
}

impl AdminToken {
    /// The token for a starting node, created if there is none.
    ///
    /// # Errors
    /// The file cannot be read or created.
    pub(crate) fn of_node(config: &Config) -> io::Result<AdminToken> {
        if let Some(token) = &config.admin.token {
            return Ok(AdminToken { text: token.clone(), is_new: false });
        }
        let file = config.admin_token_file();
        if files::is_secret(&file)?
            && let Some(text) = read(&file)?
        {
            return Ok(AdminToken { text, is_new: false });
        }
        let mut random = [0; BYTES];
        OsRng.try_fill_bytes(&mut random).map_err(io::Error::other)?;
        let mut text = String::with_capacity(2 * BYTES);
        for byte in random {
            let _ = write!(text, "{byte:02x}");
        }
        files::write_secret(&file, format!("{text}\n").as_bytes())?;
        Ok(AdminToken { text, is_new: true })
    }

    /// The token for a program on the same machine; `None` before the first start.
    ///
    /// # Errors
    /// The file exists and cannot be read: it belongs to the node's user.
    pub fn find(config: &Config) -> io::Result<Option<String>> {
        match &config.admin.token {
            Some(token) => Ok(Some(token.clone())),
            None => read(&config.admin_token_file()),
        }
    }
}

/// `None` if there is no file, or no token in it.
fn read(file: &std::path::Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let text = text.trim();
            let is_token = text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic());
            Ok(is_token.then(|| text.to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
