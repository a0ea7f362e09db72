//! The token of the admin interface: that of the node file, or one that the node makes at its
//! first start and keeps in a file that only its user can read.

use config::Config;
use platform::files;
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::fmt::Write;
use std::io;

/// Random bytes of a token.
const BYTES: usize = 32;

/// A token and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminToken {
    /// The token.
    pub(crate) text: String,
    /// It was made a moment ago.
    pub(crate) is_new: bool,
}

impl AdminToken {
    /// The token of a node that starts; made when there is none.
    ///
    /// # Errors
    /// The file cannot be read or made.
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

    /// The token that a program beside the node finds; `None` before the first start.
    ///
    /// # Errors
    /// The file is there and cannot be read: it belongs to the user of the node.
    pub fn find(config: &Config) -> io::Result<Option<String>> {
        match &config.admin.token {
            Some(token) => Ok(Some(token.clone())),
            None => read(&config.admin_token_file()),
        }
    }
}

/// `None` if there is no file, or nothing in it that can be a token.
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
