//! Tells whether files really changed, and which files a pattern names.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::hash::{Hash, Hasher};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh64::Xxh64;

use crate::stdx::limits::CONFIG_FILE_BYTES_MAX;
use crate::stdx::sort::sort;

/// The state of a set of files at one look. Equal fingerprints mean that nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

/// Returns the fingerprint of all files that `paths` (files, or patterns in the last component)
/// name. It covers their paths and contents, or that they cannot be read.
///
/// NOTE: it reads contents, not modification times. Those have the resolution of the file system (2
/// s on FAT), `cp -p` and archives keep them, and a file rewritten with the same content has not
/// changed. The files are small and are read at hints and rescans only. A file larger than any that
/// we would load counts by inode, length and time.
pub fn fingerprint<P: AsRef<Path>>(paths: &[P]) -> Fingerprint {
    let mut hasher = Xxh64::new(0);
    match expand(paths) {
        Ok(files) => files.iter().for_each(|file| hash_file(file, &mut hasher)),
        Err(err) => err.raw_os_error().hash(&mut hasher),
    }
    Fingerprint(hasher.finish())
}

/// Returns the paths that exist, and the matches of those whose last component is a pattern, in
/// order. A dangling link exists.
///
/// # Errors
/// It is unknown what exists: a directory may not be read, or a file system fails. A missing path
/// is no error.
pub fn expand<P: AsRef<Path>>(paths: &[P]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let path = path.as_ref();
        match path.file_name() {
            Some(name) if is_pattern(name) => files.extend(matches(path, name)?),
            _ if found(path.symlink_metadata())?.is_some() => files.push(path.to_owned()),
            _ => {}
        }
    }
    Ok(files)
}

fn matches(path: &Path, name: &OsStr) -> io::Result<Vec<PathBuf>> {
    let (Some(dir), Some(pattern)) = (path.parent(), name.to_str().and_then(pattern)) else {
        return Ok(Vec::new());
    };
    let here = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    let mut files = Vec::new();
    for entry in found(here.read_dir())?.into_iter().flatten() {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| pattern.matches(name)) {
            files.push(dir.join(name));
        }
    }
    sort(&mut files);
    Ok(files)
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(err) => Err(err),
    }
}

pub(super) fn is_pattern(name: &OsStr) -> bool {
    name.as_encoded_bytes()
        .iter()
        .any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Compiles a name's pattern as Go reads it: `**` is `*`, and `[^` excludes.
pub(super) fn pattern(name: &str) -> Option<glob::Pattern> {
    let mut text = name.replace("[^", "[!");
    while text.contains("**") {
        text = text.replace("**", "*");
    }
    glob::Pattern::new(&text).ok()
}

fn hash_file(path: &Path, hasher: &mut Xxh64) {
    path.hash(hasher);
    match read(path) {
        Ok(Seen::Content(content)) => content.hash(hasher),
        Ok(Seen::Large(meta)) => {
            (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()).hash(hasher);
        }
        Err(err) => err.raw_os_error().hash(hasher),
    }
}

enum Seen {
    Content(Vec<u8>),
    Large(Metadata),
}

fn read(path: &Path) -> io::Result<Seen> {
    // NOTE: only regular files are read, since a pipe would block its opener for ever.
    let meta = path.metadata()?;
    if meta.len() > CONFIG_FILE_BYTES_MAX || !meta.is_file() {
        return Ok(Seen::Large(meta));
    }
    let mut content = Vec::with_capacity(meta.len() as usize);
    let file = File::open(path)?;
    file.take(CONFIG_FILE_BYTES_MAX).read_to_end(&mut content)?;
    Ok(Seen::Content(content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_a_change_of_names_or_content_changes_the_fingerprint() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [dir.path().join("*.yml"), dir.path().join("one.key")];
        let mut before = fingerprint(&paths);
        let mut check = |what: &str, changes: bool, act: &dyn Fn(&Path) -> std::io::Result<()>| {
            act(dir.path()).unwrap();
            let after = fingerprint(&paths);
            assert_eq!(after != before, changes, "{what}");
            before = after;
        };
        check("a match appears", true, &|d| {
            fs::write(d.join("a.yml"), "1")
        });
        check("another file appears", false, &|d| {
            fs::write(d.join("a.txt"), "1")
        });
        check("same content", false, &|d| fs::write(d.join("a.yml"), "1"));
        check("same length", true, &|d| fs::write(d.join("a.yml"), "2"));
        check("renamed", true, &|d| {
            fs::rename(d.join("a.yml"), d.join("b.yml"))
        });
        check("a plain path appears", true, &|d| {
            fs::write(d.join("one.key"), "")
        });
        check("and goes", true, &|d| fs::remove_file(d.join("one.key")));
    }

    #[test]
    fn patterns_expand_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.yml", "a.yml", "c.json", ".d.yml"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let check = |pattern: &str, expect: &[&str]| {
            let expect: Vec<PathBuf> = expect.iter().map(|name| dir.path().join(name)).collect();
            assert_eq!(
                expand(&[dir.path().join(pattern)]).unwrap(),
                expect,
                "{pattern}"
            );
        };
        check("*.yml", &[".d.yml", "a.yml", "b.yml"]);
        check("**.yml", &[".d.yml", "a.yml", "b.yml"]);
        check("[^.a].yml", &["b.yml"]);
        check("?.json", &["c.json"]);
        check("a.yml", &["a.yml"]);
        check("none.yml", &[]);
        check("[", &[]);
        check("none/*.yml", &[]);
        check("a.yml/*.yml", &[]);
    }
}
