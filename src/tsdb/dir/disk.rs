//! The real disk.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::error::of_file;
use super::{Dir, Entry, File};
use crate::stdx::sort::sort;

/// A directory of the machine's file system. Its errors name the file.
#[derive(Debug, Clone)]
pub struct Disk {
    root: PathBuf,
}

impl Disk {
    /// Opens the directory, and makes it if it is missing.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Disk> {
        let disk = Disk { root: root.into() };
        disk.create_dir("")?;
        Ok(disk)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    fn at<T>(&self, path: &str, work: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        // NOTE: joining an empty path would add a slash at the end.
        let path = match path {
            "" => self.root.clone(),
            path => self.root.join(path),
        };
        work(&path).map_err(|error| of_file(&path, error))
    }

    fn open_with(&self, path: &str, options: &fs::OpenOptions) -> io::Result<Box<dyn File>> {
        self.at(path, |path| {
            Ok(Box::new(DiskFile {
                file: options.open(path)?,
                path: path.to_owned(),
            }) as Box<dyn File>)
        })
    }
}

impl Dir for Disk {
    fn create(&self, path: &str) -> io::Result<Box<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        self.open_with(path, &options)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn File>> {
        self.open_with(path, fs::OpenOptions::new().read(true))
    }

    fn list(&self, path: &str) -> io::Result<Vec<Entry>> {
        self.at(path, list)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.at(from, |from| fs::rename(from, self.root.join(to)))
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.at(to, |to| fs::hard_link(self.root.join(from), to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.at(path, |path| fs::remove_file(path))
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.at(path, |path| fs::remove_dir(path))
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.at(path, |path| {
            let file = fs::OpenOptions::new().write(true).open(path)?;
            file.set_len(len)
        })
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.at(path, |path| fs::create_dir_all(path))
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.at(path, |path| fs::File::open(path)?.sync_all())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.at("", |path| {
            let stat = rustix::fs::statvfs(path)?;
            Ok(stat.f_bavail * stat.f_frsize)
        })
    }

    fn total_bytes(&self) -> io::Result<u64> {
        self.at("", |path| {
            let stat = rustix::fs::statvfs(path)?;
            Ok(stat.f_blocks * stat.f_frsize)
        })
    }
}

fn list(path: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // NOTE: another thread has removed it since.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        // NOTE: our own names are ASCII. Anything else here is not ours.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        entries.push(Entry {
            name,
            len: metadata.len(),
            is_dir: metadata.is_dir(),
        });
    }
    sort(&mut entries);
    Ok(entries)
}

#[derive(Debug)]
struct DiskFile {
    file: fs::File,
    /// The file's path, for errors.
    path: PathBuf,
}

impl DiskFile {
    fn named<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| of_file(&self.path, error))
    }
}

impl File for DiskFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                done => return self.named(done),
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let done = self.file.write_all(bytes);
        self.named(done)
    }

    fn sync(&mut self) -> io::Result<()> {
        let done = self.file.sync_data();
        self.named(done)
    }

    fn len(&self) -> io::Result<u64> {
        let metadata = self.named(self.file.metadata())?;
        Ok(metadata.len())
    }
}
