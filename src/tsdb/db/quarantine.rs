//! Where damaged files go: out of the way, for whoever wants to look at them.

use std::io;

use crate::tsdb::block::BlockId;
use crate::tsdb::dir::Dir;
use crate::tsdb::filenames::{BLOCKS_DIR, QUARANTINE_DIR};

/// LIMIT: a disk that damages more than these needs no more evidence; the oldest go.
const FILES_MAX: usize = 32;

/// Moves a block's file away, with what is deleted from it.
pub fn quarantine(dir: &dyn Dir, id: BlockId, why: &str) {
    let to = format!("{QUARANTINE_DIR}/{id}.blk");
    match move_away(dir, id, &to) {
        Ok(()) => log::error!(moved_to = to.as_str(); "a damaged block: {why}"),
        Err(error) => {
            log::error!("a damaged block that can't be moved away ({error}): {why}");
        }
    }
}

fn move_away(dir: &dyn Dir, id: BlockId, to: &str) -> io::Result<()> {
    dir.create_dir(QUARANTINE_DIR)?;
    dir.rename(&id.path(), to)?;
    match dir.rename(
        &id.tombstones_path(),
        &format!("{QUARANTINE_DIR}/{id}.tomb"),
    ) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let files = files(dir)?;
    for (path, _) in files.iter().take(files.len().saturating_sub(FILES_MAX)) {
        dir.remove(path)?;
    }
    dir.sync_dir(QUARANTINE_DIR)?;
    dir.sync_dir(BLOCKS_DIR)
}

/// Removes files, the oldest first, until so many bytes are free or none is left. Returns the
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

/// Paths and sizes, the oldest first.
fn files(dir: &dyn Dir) -> io::Result<Vec<(String, u64)>> {
    let list = match dir.list(QUARANTINE_DIR) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        list => list?,
    };
    let files = list.into_iter().filter(|entry| !entry.is_dir);
    let path = |name: String| format!("{QUARANTINE_DIR}/{name}");
    Ok(files.map(|entry| (path(entry.name), entry.len)).collect())
}
