//! Files to which lines are appended.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{Access, access};

/// Opens a file for appending, and makes it if needed.
///
/// # Errors
/// The system's.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Checks whether [`open`] would succeed, and makes nothing. For callers that only prepare.
///
/// # Errors
/// Why it would not.
pub fn check(path: &Path) -> io::Result<()> {
    match OpenOptions::new().append(true).open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            Ok(access(parent, Access::WRITE_OK | Access::EXEC_OK)?)
        }
        opened => opened.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_tells_and_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        check(&path).unwrap();
        assert!(!path.exists());
        open(&path).unwrap();
        check(&path).unwrap();
        let kind = |path: &Path| check(path).map_err(|e| e.kind());
        let absent = dir.path().join("no/log");
        assert_eq!(kind(&absent), Err(io::ErrorKind::NotFound));
        let below_a_file = path.join("log");
        assert_eq!(kind(&below_a_file), Err(io::ErrorKind::NotADirectory));
        assert_eq!(kind(dir.path()), Err(io::ErrorKind::IsADirectory));
    }
}
