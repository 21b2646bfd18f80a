//! A subdirectory as a [`Dir`] of its own.

use std::io;
use std::sync::Arc;

use super::{Dir, Entry, File};

/// Makes paths relative to `path` in `dir`, which must exist.
#[derive(Debug, Clone)]
pub struct Sub {
    pub dir: Arc<dyn Dir>,
    pub path: String,
}

impl Sub {
    fn full(&self, path: &str) -> String {
        match path {
            "" => self.path.clone(),
            path => format!("{}/{path}", self.path),
        }
    }
}

impl Dir for Sub {
    fn create(&self, path: &str) -> io::Result<Box<dyn File>> {
        self.dir.create(&self.full(path))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn File>> {
        self.dir.open(&self.full(path))
    }

    fn list(&self, path: &str) -> io::Result<Vec<Entry>> {
        self.dir.list(&self.full(path))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.dir.rename(&self.full(from), &self.full(to))
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.dir.link(&self.full(from), &self.full(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.dir.remove(&self.full(path))
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.dir.remove_dir(&self.full(path))
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.dir.truncate(&self.full(path), len)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.dir.create_dir(&self.full(path))
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.dir.sync_dir(&self.full(path))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.dir.free_bytes()
    }

    fn total_bytes(&self) -> io::Result<u64> {
        self.dir.total_bytes()
    }
}

/// Removes a directory with all its content.
pub fn remove_tree(dir: &dyn Dir, path: &str) -> io::Result<()> {
    for entry in dir.list(path)? {
        let inside = format!("{path}/{}", entry.name);
        if entry.is_dir {
            remove_tree(dir, &inside)?;
        } else {
            dir.remove(&inside)?;
        }
    }
    dir.remove_dir(path)
}
