//! Errors of the disk. Each names its file; those that a start can meet also say what helps.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// The system's error, and the file's path.
#[derive(Debug)]
struct FileError {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for FileError {}

/// Returns the error with the file's name, and of the same kind.
pub fn of_file(path: &Path, source: io::Error) -> io::Error {
    let path = path.to_owned();
    io::Error::new(source.kind(), FileError { path, source })
}

/// Whether nothing can be written there, while what is there may be readable.
pub fn is_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
    )
}

/// Returns what the operator can do about the error, in brackets, to stand before it. Empty if
/// there is nothing to say.
pub fn advice(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let code = inner.map_or(error, |inner: &FileError| &inner.source);
    let text = match code.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ACCESS) => {
            let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
            return format!(
                " (the process runs as user {user}, group {group}, which must be able to read and \
                 write there)",
                user = user.as_raw(),
                group = group.as_raw()
            );
        }
        Some(Errno::PERM) => "it may be marked immutable (lsattr), or the medium forbids it",
        Some(Errno::ROFS) => "the medium is mounted read-only; data needs one that can be written",
        Some(Errno::EXIST | Errno::NOTDIR) => "what stands there is no directory",
        Some(Errno::ISDIR) => "a directory stands where a file belongs",
        Some(Errno::NOSPC | Errno::DQUOT) => "the disk must have a little room for a start",
        Some(Errno::MFILE | Errno::NFILE) => {
            "the limit of open files (ulimit -n, LimitNOFILE=) is too low"
        }
        Some(Errno::IO) => "the medium fails; the kernel's log says more",
        _ => return String::new(),
    };
    format!(" ({text})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let check = |code: Errno, expect: &str| {
            let plain = io::Error::from(code);
            let kind = plain.kind();
            let error = of_file(Path::new("data/lock"), plain);
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().starts_with("data/lock: "), "{error}");
            assert!(advice(&error).contains(expect), "{}", advice(&error));
            assert_eq!(advice(&error), advice(&io::Error::from(code)));
        };
        check(Errno::ACCESS, "the process runs as user ");
        check(Errno::PERM, "immutable");
        check(Errno::ROFS, "mounted read-only");
        check(Errno::EXIST, "no directory");
        check(Errno::NOTDIR, "no directory");
        check(Errno::MFILE, "ulimit -n");
        check(Errno::NOSPC, "room");
        assert_eq!(advice(&io::Error::from(Errno::NOENT)), "");
        assert_eq!(advice(&io::Error::other("injected")), "");
    }
}
