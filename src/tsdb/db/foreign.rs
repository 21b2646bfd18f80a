//! Directories of others: what Prometheus left is neither read nor touched.

use std::io;

use crate::tsdb::dir::Dir;
use crate::tsdb::filenames::BLOCKS_DIR;

/// What in the directory says that it is Prometheus's.
///
/// Its blocks alone do not say so where ours are: they were put there, as one backfills a
/// Prometheus, and must not keep a daemon from its own data.
pub fn prometheus_sign(dir: &dyn Dir) -> io::Result<Option<String>> {
    let entries = dir.list("")?;
    let ours = entries.iter().any(|e| e.is_dir && e.name == BLOCKS_DIR);
    for entry in entries {
        let name = entry.name;
        if !entry.is_dir {
            continue;
        }
        let is_sign = match name.as_str() {
            "chunks_head" => true,
            "wal" => has(dir, &name, |file| {
                file.len() == 8 && file.bytes().all(|b| b.is_ascii_digit())
            })?,
            _ => !ours && is_ulid(&name) && has(dir, &name, |file| file == "meta.json")?,
        };
        if is_sign {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Blocks of Prometheus's that lie beside ours, where nothing reads them.
pub fn blocks_beside(dir: &dyn Dir) -> io::Result<Vec<String>> {
    let entries = dir.list("")?.into_iter();
    let names = entries.filter(|e| e.is_dir && is_ulid(&e.name));
    Ok(names.map(|e| e.name).collect())
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
