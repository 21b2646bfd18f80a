//! Directories of others: what Prometheus left is neither read nor touched.

use std::io;

use crate::tsdb::dir::Dir;

/// What in the directory says that it is Prometheus's.
pub fn prometheus_sign(dir: &dyn Dir) -> io::Result<Option<String>> {
    for entry in dir.list("")? {
        let name = entry.name;
        if !entry.is_dir {
            continue;
        }
        let is_sign = match name.as_str() {
            "chunks_head" => true,
            "wal" => has(dir, &name, |file| {
                file.len() == 8 && file.bytes().all(|b| b.is_ascii_digit())
            })?,
            _ => is_ulid(&name) && has(dir, &name, |file| file == "meta.json")?,
        };
        if is_sign {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn has(dir: &dyn Dir, path: &str, is: impl Fn(&str) -> bool) -> io::Result<bool> {
    Ok(dir.list(path)?.iter().any(|entry| is(&entry.name)))
}

fn is_ulid(name: &str) -> bool {
    name.len() == 26
        && name
            .bytes()
            .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}
