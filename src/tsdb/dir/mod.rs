//! The disk seam: every file operation of the database passes here.
//!
//! [`Disk`] is the real one. Tests use a double that keeps what is durable apart from what was only
//! written. Paths are relative to the data directory, with `/` between their parts.
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
pub use error::advice;
pub use lockfile::{Lock, LockError};
pub use sub::{Sub, remove_tree};

/// A data directory. Nothing is durable before its file's [`File::sync`], and no name (created,
/// renamed, removed) before [`Dir::sync_dir`] of the directory that holds it.
pub trait Dir: Debug + Send + Sync {
    /// Makes an empty file, in place of one of that name.
    fn create(&self, path: &str) -> io::Result<Box<dyn File>>;

    /// Opens a file that is only read.
    fn open(&self, path: &str) -> io::Result<Box<dyn File>>;

    /// Names and sizes of what stands in a directory ("" is the data directory), sorted.
    fn list(&self, path: &str) -> io::Result<Vec<Entry>>;

    /// In place of a file of the new name, at once. A directory takes along what is in it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// A second name of a file that is not changed any more. Fails where the medium has no such
    /// names, or the new one is taken.
    fn link(&self, from: &str, to: &str) -> io::Result<()>;

    fn remove(&self, path: &str) -> io::Result<()>;

    /// Removes a directory that is empty.
    fn remove_dir(&self, path: &str) -> io::Result<()>;

    /// Cuts a file.
    fn truncate(&self, path: &str, len: u64) -> io::Result<()>;

    /// Makes a directory; one that is there already is good.
    fn create_dir(&self, path: &str) -> io::Result<()>;

    fn sync_dir(&self, path: &str) -> io::Result<()>;

    /// Free bytes of the medium.
    fn free_bytes(&self) -> io::Result<u64>;

    /// Bytes of the medium, used and free.
    fn total_bytes(&self) -> io::Result<u64>;
}

/// An open file. Writes go to its end.
#[expect(
    clippy::len_without_is_empty,
    reason = "nobody asks whether a file is empty"
)]
pub trait File: Debug + Send + Sync {
    /// Reads up to the buffer's size at an offset; 0 at or after the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of it, or fails having written some of it.
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
