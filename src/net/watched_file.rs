//! A text from the settings, or from a file that is read again when it has changed.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::error::reason;
use super::{NetError, SecretSource};
use crate::stdx::locked::locked;

/// LIMIT: the largest certificate bundle or secret. A system's whole bundle has 250 KiB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// One secret, certificate or header value.
#[derive(Debug)]
pub(super) enum Source {
    Inline(Text),
    File(WatchedFile),
}

/// A text that is never shown.
#[derive(Clone)]
pub(super) struct Text(pub Arc<str>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

#[derive(Debug)]
pub(super) struct WatchedFile {
    what: &'static str,
    path: PathBuf,
    read: Mutex<Option<ReadFile>>,
}

#[derive(Debug)]
struct ReadFile {
    signature: Signature,
    text: Text,
}

/// What changes with a file's content, as far as the system tells.
#[derive(Debug, PartialEq, Eq)]
struct Signature {
    modified: (i64, i64),
    changed: (i64, i64),
    len: u64,
    inode: u64,
}

impl Source {
    /// Makes a source. `what` is its name in messages (`basic auth password`).
    pub fn new(source: &SecretSource, what: &'static str) -> Source {
        match source {
            SecretSource::Inline(secret) => Source::Inline(Text(secret.expose().into())),
            SecretSource::File(path) => Source::file(path, what),
        }
    }

    pub fn file(path: &Path, what: &'static str) -> Source {
        Source::File(WatchedFile {
            what,
            path: path.to_owned(),
            read: Mutex::new(None),
        })
    }

    /// Returns the newest content; that of a file without surrounding white space. An unchanged
    /// file gives the same allocation.
    pub fn text(&self) -> Result<Arc<str>, NetError> {
        match self {
            Source::Inline(text) => Ok(text.0.clone()),
            Source::File(file) => file.text(),
        }
    }

    pub fn is_file(&self) -> bool {
        matches!(self, Source::File(_))
    }
}

impl WatchedFile {
    fn text(&self) -> Result<Arc<str>, NetError> {
        // NOTE: replaced whole, so a panic elsewhere leaves the last content.
        let mut read = locked(&self.read);
        let metadata = std::fs::metadata(&self.path).map_err(|e| self.error(&reason(&e)))?;
        let signature = Signature {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            len: metadata.len(),
            inode: metadata.ino(),
        };
        if let Some(read) = &*read
            && read.signature == signature
        {
            return Ok(read.text.0.clone());
        }
        let text = self.load()?;
        *read = Some(ReadFile {
            signature,
            text: Text(text.clone()),
        });
        Ok(text)
    }

    fn load(&self) -> Result<Arc<str>, NetError> {
        let failed = |error: std::io::Error| self.error(&reason(&error));
        let mut text = String::new();
        let file = File::open(&self.path).map_err(failed)?;
        let mut file = file.take(FILE_BYTES_MAX + 1);
        file.read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(self.error(&format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        Ok(text.trim().into())
    }

    fn error(&self, reason: &str) -> NetError {
        NetError::File {
            what: self.what,
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }
}
