//! The lock that keeps two processes out of one data directory.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use thiserror::Error;

use super::error::{advice, is_read_only};

#[derive(Debug, Error)]
pub enum LockError {
    #[error("the data directory is in use by another process{}: {} is locked", owner(.pid), .path.display())]
    Held { path: PathBuf, pid: String },
    #[error("lock file {}{}: {source}", .path.display(), advice(.source))]
    Io { path: PathBuf, source: io::Error },
}

fn owner(pid: &str) -> String {
    if pid.is_empty() {
        return String::new();
    }
    format!(" (pid {pid})")
}

/// Held until it is dropped, or until the process ends in any way. The file stays. It is empty
/// after a stop, and holds the process's number otherwise.
#[derive(Debug)]
pub struct Lock {
    /// `None` where no file can be made.
    file: Option<fs::File>,
    /// The directory, locked as well: a start that could make no file keeps others out all the
    /// same, also when the medium can be written later. `None` where directories cannot be locked.
    _directory: Option<fs::File>,
    /// Whether the last owner ended as it should, or there was none.
    pub clean: bool,
    /// Why the file could not be written, where it could only be read.
    pub unwritable: Option<String>,
}

impl Lock {
    pub fn take(path: &Path) -> Result<Lock, LockError> {
        let io = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = match options.open(path) {
            Err(error) if is_read_only(&error) => return Lock::take_read_only(path, &error),
            file => file.map_err(io)?,
        };
        let mut pid = String::new();
        // NOTE: used in the message only. A file of any content can be locked.
        let _ = (&file).take(20).read_to_string(&mut pid);
        let pid: String = pid.chars().filter(char::is_ascii_digit).collect();
        lock(&file, path, &pid)?;
        let directory = lock_directory(path)?;
        file.rewind().map_err(io)?;
        let text = format!("{}\n", std::process::id());
        // NOTE: a full disk does not prevent the start. Mostly the bytes have their place already.
        if let Err(error) = file.write_all(text.as_bytes())
            && !matches!(
                error.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded
            )
        {
            return Err(io(error));
        }
        file.set_len(text.len() as u64).map_err(io)?;
        let clean = pid.is_empty();
        Ok(Lock {
            file: Some(file),
            _directory: directory,
            clean,
            unwritable: None,
        })
    }

    /// On a medium that cannot be written the file that is there is locked, and stays as it is.
    fn take_read_only(path: &Path, why: &io::Error) -> Result<Lock, LockError> {
        let unwritable = Some(format!("{}: {why}", path.display()));
        let mut file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                log::warn!("{}: no lock file can be made", path.display());
                return Ok(Lock {
                    file: None,
                    _directory: lock_directory(path)?,
                    clean: true,
                    unwritable,
                });
            }
            Err(source) => {
                let path = path.to_owned();
                return Err(LockError::Io { path, source });
            }
        };
        let mut pid = String::new();
        let _ = (&mut file).take(20).read_to_string(&mut pid);
        lock(&file, path, pid.trim())?;
        Ok(Lock {
            file: Some(file),
            _directory: lock_directory(path)?,
            clean: pid.is_empty(),
            unwritable,
        })
    }
}

fn lock(file: &fs::File, path: &Path, pid: &str) -> Result<(), LockError> {
    let path = path.to_owned();
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::Held {
            path,
            pid: pid.to_owned(),
        }),
        Err(error) => Err(LockError::Io {
            path,
            source: error.into(),
        }),
    }
}

/// Locks the directory of the lock file.
fn lock_directory(path: &Path) -> Result<Option<fs::File>, LockError> {
    let Some(directory) = path.parent() else {
        return Ok(None);
    };
    // NOTE: network file systems lock only what can be written, and no directory can.
    let Ok(file) = fs::File::open(directory) else {
        return Ok(None);
    };
    match lock(&file, directory, "") {
        Err(error @ LockError::Held { .. }) => Err(error),
        Err(LockError::Io { .. }) => Ok(None),
        Ok(()) => Ok(Some(file)),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // NOTE: a file that can't be cut only makes the next start say that this one was killed.
        let _ = self.file.as_ref().map(|file| file.set_len(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&path).unwrap();
        assert!(first.clean);
        let text = Lock::take(&path).unwrap_err().to_string();
        assert!(
            text.contains(&format!("(pid {})", std::process::id())),
            "{text}"
        );
        drop(first);
        assert!(Lock::take(&path).unwrap().clean);
        fs::write(&path, "12345\n").unwrap();
        assert!(!Lock::take(&path).unwrap().clean, "a stale one");
    }

    /// A start on a read-only medium without a lock file kept nobody out when the medium could be
    /// written later.
    #[test]
    fn without_a_file_the_directory_is_locked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let why = io::Error::from(ErrorKind::ReadOnlyFilesystem);
        let first = Lock::take_read_only(&path, &why).unwrap();
        let held = |lock| matches!(lock, Err(LockError::Held { .. }));
        assert!(held(Lock::take_read_only(&path, &why)));
        assert!(held(Lock::take(&path)));
        drop(first);
        assert!(Lock::take(&path).unwrap().clean);
    }
}
