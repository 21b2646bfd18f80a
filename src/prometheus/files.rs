//! Files of the machine's file system: written with a buffer and a checksum, read through a window.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::error::PromError;
use crate::stdx::sort::sort;

/// LIMIT: a read or write of this size costs a small machine's disk little more than a smaller one.
const BUFFER_BYTES: usize = 64 * 1024;

/// A new file.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// The offset of the next byte.
    pub at: u64,
    crc: u32,
}

impl Output {
    pub fn create(path: PathBuf) -> Result<Output, PromError> {
        let file = File::create(&path).map_err(PromError::io(&path))?;
        Ok(Output {
            path,
            file,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            at: 0,
            crc: 0,
        })
    }

    pub fn put(&mut self, bytes: &[u8]) -> Result<(), PromError> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.at += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    pub fn pad(&mut self, multiple: u64) -> Result<(), PromError> {
        let missing = self.at.next_multiple_of(multiple) - self.at;
        let zeros = [0; 16];
        self.put(zeros.get(..missing as usize).unwrap_or_default())
    }

    /// Starts the checksum for the next `put_crc`.
    pub fn begin_crc(&mut self) {
        self.crc = 0;
    }

    pub fn put_crc(&mut self) -> Result<(), PromError> {
        let crc = self.crc;
        self.put(&crc.to_be_bytes())
    }

    pub fn flush(&mut self) -> Result<(), PromError> {
        let written = self.file.write_all(&self.buffer);
        written.map_err(PromError::io(&self.path))?;
        self.buffer.clear();
        Ok(())
    }

    /// Makes it durable.
    pub fn finish(mut self) -> Result<u64, PromError> {
        self.flush()?;
        self.file.sync_all().map_err(PromError::io(&self.path))?;
        Ok(self.at)
    }
}

/// A file that is read at rising offsets.
#[derive(Debug)]
pub struct Window {
    pub path: PathBuf,
    file: File,
    pub len: u64,
    start: u64,
    buffer: Vec<u8>,
}

impl Window {
    pub fn open(path: &Path) -> Result<Window, PromError> {
        let file = File::open(path).map_err(PromError::io(path))?;
        let len = file.metadata().map_err(PromError::io(path))?.len();
        Ok(Window {
            path: path.to_owned(),
            file,
            len,
            start: 0,
            buffer: Vec::new(),
        })
    }

    /// Returns `want` bytes at an offset, fewer at the file's end.
    pub fn at(&mut self, offset: u64, want: usize) -> Result<&[u8], PromError> {
        // NOTE: the rest of the file may be longer than 32 bits can say.
        let want = (want as u64).min(self.len.saturating_sub(offset)) as usize;
        let held = self.start..self.start + self.buffer.len() as u64;
        if want > 0 && !(held.start <= offset && offset + want as u64 <= held.end) {
            self.read(offset, want).map_err(PromError::io(&self.path))?;
        }
        let from = offset.saturating_sub(self.start) as usize;
        Ok(self.buffer.get(from..from + want).unwrap_or_default())
    }

    fn read(&mut self, offset: u64, want: usize) -> io::Result<()> {
        let size = (want.max(BUFFER_BYTES) as u64).min(self.len - offset);
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES);
        self.buffer.resize(size as usize, 0);
        self.start = offset;
        let read = self.file.read_exact_at(&mut self.buffer, offset);
        if read.is_err() {
            self.buffer.clear();
        }
        read
    }
}

/// Returns a directory's entries with their names, sorted; none if the directory does not exist.
pub fn list(path: &Path) -> Result<Vec<(String, PathBuf)>, PromError> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(PromError::io(path))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(PromError::io(path))?.path();
        if let Some(name) = path.file_name().and_then(|n| n.to_str()) {
            found.push((name.to_owned(), path));
        }
    }
    sort(&mut found);
    Ok(found)
}

/// Returns the files named by a number of so many digits, with the number, in its order.
pub fn list_numbered(path: &Path, digits: usize) -> Result<Vec<(u64, PathBuf)>, PromError> {
    let numbered = list(path)?.into_iter().filter_map(|(name, path)| {
        let is_number = name.len() >= digits && name.bytes().all(|b| b.is_ascii_digit());
        is_number.then_some((name.parse().ok()?, path))
    });
    let mut numbered: Vec<_> = numbered.collect();
    sort(&mut numbered);
    Ok(numbered)
}

pub fn exists(path: &Path) -> bool {
    path.exists()
}

pub fn file_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.len())
}

/// Reads all of a file that is small by nature.
pub fn read_small(path: &Path, bytes_max: u64) -> Result<Vec<u8>, PromError> {
    let len = fs::metadata(path).map_err(PromError::io(path))?.len();
    if len > bytes_max {
        let what = format!("it has {len} bytes, at most {bytes_max} are read");
        return Err(PromError::refused(path, what));
    }
    fs::read(path).map_err(PromError::io(path))
}

pub fn write_durably(path: PathBuf, bytes: &[u8]) -> Result<(), PromError> {
    let mut output = Output::create(path)?;
    output.put(bytes)?;
    output.finish().map(drop)
}

pub fn create_dirs(path: &Path) -> Result<(), PromError> {
    fs::create_dir_all(path).map_err(PromError::io(path))
}

pub fn remove_file(path: &Path) -> Result<(), PromError> {
    fs::remove_file(path).map_err(PromError::io(path))
}

/// Removes a directory with its content. A missing one is no error.
pub fn remove_dir(path: &Path) -> Result<(), PromError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(PromError::io(path)),
    }
}

pub fn sync_dir(path: &Path) -> Result<(), PromError> {
    let synced = File::open(path).and_then(|dir| dir.sync_all());
    synced.map_err(PromError::io(path))
}

/// Gives a finished directory its name, durably.
pub fn publish(from: &Path, to: &Path) -> Result<(), PromError> {
    sync_dir(from)?;
    fs::rename(from, to).map_err(PromError::io(from))?;
    to.parent().map_or(Ok(()), sync_dir)
}
