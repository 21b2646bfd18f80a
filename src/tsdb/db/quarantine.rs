//! The quarantine: damaged files are moved away, so that somebody can examine them.

use std::io;

use crate::tsdb::block::BlockId;
use crate::tsdb::dir::Dir;
use crate::tsdb::filenames::{QUARANTINE_DIR, segment};

/// LIMIT: a disk that damages more than these needs no more evidence. The oldest are removed.
const FILES_MAX: usize = 32;

/// Moves a block's file away, with its tombstones.
pub fn quarantine(dir: &dyn Dir, id: BlockId, why: &str) {
    match move_away(dir, &id.path(), Some(&id.tombstones_path())) {
        Ok(to) => log::error!(moved_to = to.as_str(); "a damaged block: {why}"),
        Err(error) => {
            log::error!("a damaged block that can't be moved away ({error}): {why}");
        }
    }
}

/// Moves a segment of the log away, once a block has what could be read of it.
pub fn quarantine_segment(dir: &dyn Dir, number: u32) {
    match move_away(dir, &segment(number), None) {
        Ok(to) => log::warn!(moved_to = to.as_str();
            "a damaged segment of the log; what could be read of it is in a block"),
        Err(error) => {
            log::error!("a damaged segment of the log that can't be moved away: {error}");
        }
    }
}

/// Moves a file. Returns the new path. `beside` may be missing.
fn move_away(dir: &dyn Dir, path: &str, beside: Option<&str>) -> io::Result<String> {
    let (parent, name) = path.rsplit_once('/').unwrap_or_default();
    let to = |name: &str| format!("{QUARANTINE_DIR}/{name}");
    dir.create_dir(QUARANTINE_DIR)?;
    dir.rename(path, &to(name))?;
    if let Some((_, name)) = beside.and_then(|path| path.rsplit_once('/')) {
        match dir.rename(&format!("{parent}/{name}"), &to(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    let files = files(dir)?;
    for (path, _) in files.iter().take(files.len().saturating_sub(FILES_MAX)) {
        dir.remove(path)?;
        log::warn!(path = path.as_str(), files_max = FILES_MAX;
            "a damaged file was removed for the limit of files");
    }
    dir.sync_dir(QUARANTINE_DIR)?;
    dir.sync_dir(parent)?;
    Ok(to(name))
}

/// Removes files, the oldest first, until so many bytes are free or none is left. Returns the freed
/// bytes.
pub fn make_room(dir: &dyn Dir, wanted: u64) -> io::Result<u64> {
    let mut freed = 0;
    for (path, len) in files(dir)? {
        if freed >= wanted {
            break;
        }
        dir.remove(&path)?;
        freed += len;
        log::warn!(path = path.as_str(); "a damaged file was removed for the limit of bytes");
    }
    Ok(freed)
}

/// Returns paths and sizes, the oldest first.
fn files(dir: &dyn Dir) -> io::Result<Vec<(String, u64)>> {
    let list = match dir.list(QUARANTINE_DIR) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        list => list?,
    };
    let files = list.into_iter().filter(|entry| !entry.is_dir);
    let path = |name: String| format!("{QUARANTINE_DIR}/{name}");
    Ok(files.map(|entry| (path(entry.name), entry.len)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::testing::logged;
    use crate::tsdb::dir::double::Double;

    #[test]
    fn the_oldest_go_and_that_is_told() {
        let disk = Double::new();
        logged();
        for id in (1..=FILES_MAX as u64 + 2).map(BlockId) {
            disk.set_bytes(&id.path(), b"damaged");
            quarantine(&*disk.dir(), id, "it is damaged");
        }
        let lines = logged();
        let gone = "a damaged file was removed for the limit of files";
        assert_eq!(lines.iter().filter(|l| l.starts_with(gone)).count(), 2);
        assert_eq!(files(&*disk.dir()).unwrap().len(), FILES_MAX);
    }
}
