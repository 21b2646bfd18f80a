//! The interface to the disk: every file operation of the database goes through it.
//!
//! [`Disk`] is the real one. Tests use a double that keeps durable data apart from data that was
//! only written. Paths are relative to the data directory, with `/` between their parts.
//! **Invariant:** no other module of `tsdb` names `std::fs`.

mod disk;
#[cfg(test)]
pub mod double;
mod error;
mod lockfile;
mod sub;

use std::fmt::Debug;
use std::io;

pub use disk::Disk;
pub use error::{advice, is_read_only};
pub use lockfile::{Lock, LockError};
pub use sub::{Sub, remove_tree};

/// A data directory. Data is durable only after its file's [`File::sync`]. A name (created,
/// renamed, removed) is durable only after [`Dir::sync_dir`] of its directory.
pub trait Dir: Debug + Send + Sync {
    /// Makes an empty file. It replaces one of that name.
    fn create(&self, path: &str) -> io::Result<Box<dyn File>>;

    /// Opens a file for reading.
    fn open(&self, path: &str) -> io::Result<Box<dyn File>>;

    /// Returns names and sizes of a directory's entries ("" is the data directory), sorted.
    fn list(&self, path: &str) -> io::Result<Vec<Entry>>;

    /// Renames atomically, and replaces a file of the new name. A directory keeps its content.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Gives a finished file a second name. Fails where the medium has no hard links, or the new
    /// name is taken.
    fn link(&self, from: &str, to: &str) -> io::Result<()>;

    fn remove(&self, path: &str) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &str) -> io::Result<()>;

    /// Cuts a file to `len` bytes.
    fn truncate(&self, path: &str, len: u64) -> io::Result<()>;

    /// Makes a directory. An existing one is no error.
    fn create_dir(&self, path: &str) -> io::Result<()>;

    fn sync_dir(&self, path: &str) -> io::Result<()>;

    /// The free bytes of the medium.
    fn free_bytes(&self) -> io::Result<u64>;

    /// The bytes of the medium, used and free.
    fn total_bytes(&self) -> io::Result<u64>;
}

/// An open file. Writes go to its end.
#[expect(
    clippy::len_without_is_empty,
    reason = "nobody asks whether a file is empty"
)]
pub trait File: Debug + Send + Sync {
    /// Reads up to the buffer's size at an offset. Returns 0 at or after the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all bytes, or fails after writing some.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written durable (`fdatasync`).
    fn sync(&mut self) -> io::Result<()>;

    fn len(&self) -> io::Result<u64>;
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub name: String,
    pub len: u64,
    pub is_dir: bool,
}
