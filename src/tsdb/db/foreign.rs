//! Other programs' directories: what Prometheus left is neither read nor touched.

use std::io;

use crate::tsdb::dir::Dir;
use crate::tsdb::filenames::BLOCKS_DIR;

/// Returns what in the directory shows that it is Prometheus's.
///
/// Blocks of its format alone do not show that if ours are there too: somebody backfilled them, and
/// they must not keep a daemon from its own data.
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

/// Returns Prometheus's blocks that lie beside ours, where nothing reads them.
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
