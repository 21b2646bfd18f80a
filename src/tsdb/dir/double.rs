//! A directory in memory that keeps durable data apart from data that was only written.
//!
//! Every operation that changes something has a number, at which it can fail. [`Double::crash`]
//! gives the directory that a power cut leaves. The same seed gives the same directory.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{Dir, Entry, File};
use crate::stdx::locked::locked;

const PAGE: usize = 4096;
const SECTOR: usize = 512;

/// What happens at an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails. An append has written half.
    Error,
    /// It fails the same way, for lack of space.
    NoSpace,
    /// It and all later ones fail. An append has written half.
    PowerCut,
    /// It panics, and has done nothing.
    Panic,
}

/// Operations that can be made to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Append,
    Sync,
}

/// What a power cut leaves of the data that was not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Nothing,
    Everything,
    /// Some names, and of each page nothing, all, or its beginning.
    Seed(u64),
}

#[derive(Debug, Clone, Default)]
pub struct Double(Arc<Mutex<World>>);

#[derive(Debug)]
struct World {
    files: Vec<Content>,
    names: BTreeMap<String, Node>,
    durable_names: BTreeMap<String, Node>,
    /// Changes of names that are not durable.
    pending: Vec<NameChange>,
    operations: u64,
    /// Numbers of the operations that made something durable.
    sync_points: Vec<u64>,
    faults: BTreeMap<u64, Fault>,
    dead: bool,
    free: Option<u64>,
    /// Whether files may have more than one name.
    has_links: bool,
    /// Which appends or syncs wait, for which paths, and until when.
    held: Option<(Kind, String, Receiver<()>)>,
    waiting: usize,
}

impl Default for World {
    fn default() -> World {
        World {
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
            operations: 0,
            sync_points: Vec::new(),
            faults: BTreeMap::new(),
            dead: false,
            free: None,
            has_links: true,
            held: None,
            waiting: 0,
        }
    }
}

#[derive(Debug, Default, Clone)]
struct Content {
    written: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

#[derive(Debug, Clone)]
enum NameChange {
    Made(String, Node),
    Renamed(String, String, Node),
    Removed(String),
}

impl Double {
    pub fn new() -> Double {
        Double::default()
    }

    /// Returns the double as a [`Dir`].
    pub fn dir(&self) -> Arc<dyn Dir> {
        Arc::new(self.clone())
    }

    /// The number of operations so far, which is the next one's number.
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// The numbers of the operations that were syncs.
    pub fn sync_points(&self) -> Vec<u64> {
        self.world().sync_points.clone()
    }

    /// Makes operation `number` fail.
    pub fn fault(&self, number: u64, fault: Fault) {
        self.world().faults.insert(number, fault);
    }

    /// Makes appends to (or syncs of) files with this path prefix wait until the returned value is
    /// dropped, as on a slow disk.
    pub fn hold(&self, kind: Kind, prefix: &str) -> Held {
        let (sender, gate) = bounded(0);
        self.world().held = Some((kind, prefix.to_owned(), gate));
        Held {
            disk: self.clone(),
            _sender: sender,
        }
    }

    /// Waits if the path is held.
    fn pass(&self, kind: Kind, path: &str) {
        let mut world = self.world();
        let held = world.held.clone();
        let held = held.filter(|(of, prefix, _)| *of == kind && path.starts_with(prefix));
        let Some((_, _, gate)) = held else {
            return;
        };
        world.waiting += 1;
        drop(world);
        let _ = gate.recv();
        self.world().waiting -= 1;
    }

    /// Makes it a medium without hard links.
    pub fn without_links(&self) {
        self.world().has_links = false;
    }

    /// Sets the bytes that can still be appended; `None` is no limit.
    pub fn set_free(&self, bytes: Option<u64>) {
        self.world().free = bytes;
    }

    /// Returns a file's bytes as written.
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let world = self.world();
        let at = world.file(path).ok()?;
        Some(world.files[at].written.clone())
    }

    /// Replaces a file's bytes, durably, to damage it.
    pub fn set_bytes(&self, path: &str, bytes: &[u8]) {
        let mut world = self.world();
        let at = world.files.len();
        world.files.push(Content {
            written: bytes.to_vec(),
            durable: bytes.to_vec(),
        });
        world.names.insert(path.to_owned(), Node::File(at));
        world.durable_names.insert(path.to_owned(), Node::File(at));
    }

    /// Zeroes a file under whoever has it open, as a medium does that rots.
    pub fn rot(&self, path: &str) {
        let mut world = self.world();
        let at = world.file(path).unwrap();
        let Content { written, durable } = &mut world.files[at];
        written.fill(0);
        durable.fill(0);
    }

    /// Returns another directory with the same content, all of it durable.
    pub fn copy(&self) -> Double {
        self.crash(Choice::Everything)
    }

    /// Returns the directory after a power cut now.
    pub fn crash(&self, choice: Choice) -> Double {
        let world = self.world();
        let mut dice = Dice(match choice {
            Choice::Seed(seed) => seed,
            _ => 0,
        });
        let mut names = world.durable_names.clone();
        for change in &world.pending {
            let kept = match choice {
                Choice::Nothing => false,
                Choice::Everything => true,
                Choice::Seed(_) => dice.throw(2) == 0,
            };
            if kept {
                change.apply(&mut names);
            }
        }
        let all = names.clone();
        names.retain(|path, _| {
            let mut parents = path.match_indices('/').map(|(at, _)| &path[..at]);
            parents.all(|parent| all.contains_key(parent))
        });
        let files = world.files.iter();
        let files = files.map(|file| file.after(choice, &mut dice)).collect();
        Double(Arc::new(Mutex::new(World {
            files,
            durable_names: names.clone(),
            names,
            ..World::default()
        })))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.0)
    }
}

/// Makes writers wait until it is dropped.
#[derive(Debug)]
pub struct Held {
    disk: Double,
    _sender: Sender<()>,
}

impl Held {
    /// The number of operations that wait.
    pub fn waiting(&self) -> usize {
        self.disk.world().waiting
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.disk.world().held = None;
    }
}

impl Content {
    fn after(&self, choice: Choice, dice: &mut Dice) -> Content {
        let bytes = match choice {
            Choice::Nothing => self.durable.clone(),
            Choice::Everything => self.written.clone(),
            Choice::Seed(_) if self.durable == self.written => self.durable.clone(),
            Choice::Seed(_) => self.mixed(dice),
        };
        Content {
            written: bytes.clone(),
            durable: bytes,
        }
    }

    fn mixed(&self, dice: &mut Dice) -> Vec<u8> {
        let (old, new) = (self.durable.len(), self.written.len());
        let len = match dice.throw(3) {
            0 => old,
            1 => new,
            // NOTE: if the file has grown, any part of the growth may be there.
            _ => old.min(new) + dice.throw((old.abs_diff(new) + 1) as u64) as usize,
        };
        let mut bytes = self.durable.clone();
        bytes.resize(len, 0);
        for start in (0..len).step_by(PAGE) {
            let end = len.min(start + PAGE).min(new);
            let end = match dice.throw(3) {
                0 => continue,
                1 => end,
                _ => end.min(start + SECTOR * dice.throw((PAGE / SECTOR) as u64) as usize),
            };
            if start < end {
                bytes[start..end].copy_from_slice(&self.written[start..end]);
            }
        }
        // NOTE: durable bytes that are still the same were never at risk.
        let same = self.durable.iter().zip(&self.written);
        let same = same.take_while(|(a, b)| a == b).count();
        let keep = same.min(old).min(new);
        if bytes.len() < keep {
            bytes.resize(keep, 0);
        }
        bytes[..keep].copy_from_slice(&self.durable[..keep]);
        bytes
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, Node>) {
        match self {
            NameChange::Made(path, node) => {
                names.insert(path.clone(), *node);
            }
            NameChange::Renamed(from, to, node) => {
                // NOTE: names made in a directory that are not durable stay behind. So a directory
                // must be complete before it is renamed.
                let inside = format!("{from}/");
                let moved: Vec<String> = { names.keys() }
                    .filter(|path| path.starts_with(&inside))
                    .cloned()
                    .collect();
                for path in moved {
                    if let Some(node) = names.remove(&path) {
                        names.insert(format!("{to}/{}", &path[inside.len()..]), node);
                    }
                }
                names.remove(from);
                names.insert(to.clone(), *node);
            }
            NameChange::Removed(path) => {
                names.remove(path);
            }
        }
    }

    fn is_in(&self, dir: &str) -> bool {
        match self {
            NameChange::Made(path, _) | NameChange::Removed(path) => parent(path) == dir,
            NameChange::Renamed(from, to, _) => parent(from) == dir || parent(to) == dir,
        }
    }
}

impl World {
    /// Counts an operation. Returns the error if it is to fail.
    fn operation(&mut self) -> io::Result<()> {
        let number = self.operations;
        self.operations += 1;
        let fault = self.faults.get(&number).copied();
        self.dead |= fault == Some(Fault::PowerCut);
        match fault {
            _ if self.dead => Err(io::Error::other("the power is cut")),
            Some(Fault::NoSpace) => Err(ErrorKind::StorageFull.into()),
            Some(Fault::Panic) => panic!("injected"),
            Some(_) => Err(io::Error::other("injected")),
            None => Ok(()),
        }
    }

    fn is_alive(&self) -> io::Result<()> {
        if self.dead {
            return Err(io::Error::other("the power is cut"));
        }
        Ok(())
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    fn file(&self, path: &str) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Node::File(at)) => Ok(*at),
            Some(Node::Dir) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn has_dir(&self, path: &str) -> io::Result<()> {
        if path.is_empty() || self.names.get(path) == Some(&Node::Dir) {
            return Ok(());
        }
        Err(ErrorKind::NotFound.into())
    }
}

impl Dir for Double {
    fn create(&self, path: &str) -> io::Result<Box<dyn File>> {
        let mut world = self.world();
        world.operation()?;
        world.has_dir(parent(path))?;
        let at = world.files.len();
        world.files.push(Content::default());
        world.change(NameChange::Made(path.to_owned(), Node::File(at)));
        Ok(Box::new(Opened(self.clone(), at, path.to_owned())))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn File>> {
        let world = self.world();
        world.is_alive()?;
        let at = world.file(path)?;
        Ok(Box::new(Opened(self.clone(), at, path.to_owned())))
    }

    fn list(&self, path: &str) -> io::Result<Vec<Entry>> {
        let world = self.world();
        world.is_alive()?;
        world.has_dir(path)?;
        let inside = world.names.iter().filter(|(p, _)| parent(p) == path);
        let mut entries: Vec<Entry> = inside
            .map(|(name, node)| Entry {
                name: name.rsplit('/').next().unwrap_or(name).to_owned(),
                len: match node {
                    Node::File(at) => world.files[*at].written.len() as u64,
                    Node::Dir => 0,
                },
                is_dir: *node == Node::Dir,
            })
            .collect();
        entries.sort();
        Ok(entries)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        world.operation()?;
        let node = world.names.get(from).copied();
        let node = node.ok_or(ErrorKind::NotFound)?;
        world.change(NameChange::Renamed(from.to_owned(), to.to_owned(), node));
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut world = self.world();
        world.operation()?;
        world.file(path)?;
        world.change(NameChange::Removed(path.to_owned()));
        Ok(())
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        world.operation()?;
        if !world.has_links {
            return Err(ErrorKind::Unsupported.into());
        }
        let node = Node::File(world.file(from)?);
        world.has_dir(parent(to))?;
        if world.names.contains_key(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        world.change(NameChange::Made(to.to_owned(), node));
        Ok(())
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let mut world = self.world();
        world.operation()?;
        world.has_dir(path)?;
        let inside = format!("{path}/");
        if world.names.keys().any(|name| name.starts_with(&inside)) {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        world.change(NameChange::Removed(path.to_owned()));
        Ok(())
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        let mut world = self.world();
        world.operation()?;
        let at = world.file(path)?;
        world.files[at].written.resize(len as usize, 0);
        Ok(())
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let mut world = self.world();
        if world.has_dir(path).is_ok() {
            return world.is_alive();
        }
        world.operation()?;
        world.change(NameChange::Made(path.to_owned(), Node::Dir));
        Ok(())
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let mut world = self.world();
        world.operation()?;
        world.has_dir(path)?;
        let number = world.operations - 1;
        world.sync_points.push(number);
        let pending = std::mem::take(&mut world.pending);
        let (done, left): (Vec<_>, _) = pending.into_iter().partition(|change| change.is_in(path));
        for change in &done {
            change.apply(&mut world.durable_names);
        }
        world.pending = left;
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.world().free.unwrap_or(u64::MAX))
    }

    /// Returns 1 MiB.
    fn total_bytes(&self) -> io::Result<u64> {
        Ok(1 << 20)
    }
}

#[derive(Debug)]
struct Opened(Double, usize, String);

impl File for Opened {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let world = self.0.world();
        world.is_alive()?;
        let bytes = world.files[self.1].written.get(offset as usize..);
        let bytes = bytes.unwrap_or_default();
        let n = bytes.len().min(buffer.len());
        buffer[..n].copy_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.pass(Kind::Append, &self.2);
        let mut world = self.0.world();
        let was_dead = world.dead;
        let mut done = world.operation();
        let mut n = if done.is_ok() {
            bytes.len()
        } else {
            bytes.len() / 2
        };
        if let Some(free) = world.free {
            if (n as u64) > free {
                n = free as usize;
                done = Err(ErrorKind::StorageFull.into());
            }
            world.free = Some(free - n as u64);
        }
        if !was_dead {
            world.files[self.1].written.extend_from_slice(&bytes[..n]);
        }
        done
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.pass(Kind::Sync, &self.2);
        let mut world = self.0.world();
        world.operation()?;
        let number = world.operations - 1;
        world.sync_points.push(number);
        let file = &mut world.files[self.1];
        file.durable = file.written.clone();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let world = self.0.world();
        world.is_alive()?;
        Ok(world.files[self.1].written.len() as u64)
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_pages() -> Double {
        let double = Double::new();
        let mut file = double.create("a").unwrap();
        file.append(&[1; PAGE]).unwrap();
        file.sync().unwrap();
        double.sync_dir("").unwrap();
        file.append(&[2; PAGE]).unwrap();
        double.rename("a", "b").unwrap();
        double
    }

    #[test]
    fn what_is_synced_stays() {
        let double = two_pages();
        assert_eq!(double.sync_points(), [2, 3]);
        let lost = double.crash(Choice::Nothing);
        assert_eq!(lost.bytes("a"), Some(vec![1; PAGE]));
        assert_eq!(lost.bytes("b"), None);
        let kept = double.crash(Choice::Everything).bytes("b").unwrap();
        assert_eq!(kept.len(), 2 * PAGE);
        for seed in 0..200 {
            let cut = double.crash(Choice::Seed(seed));
            let bytes = cut.bytes("a").or(cut.bytes("b")).unwrap();
            assert_eq!(bytes[..PAGE], [1; PAGE]);
            assert!(bytes[PAGE..].iter().all(|b| [0, 2].contains(b)));
        }
    }

    #[test]
    fn faults() {
        let double = two_pages();
        double.fault(double.operations() + 1, Fault::NoSpace);
        double.fault(double.operations() + 2, Fault::PowerCut);
        let mut file = double.create("c").unwrap();
        let error = file.append(&[3; 10]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(double.bytes("c"), Some(vec![3; 5]));
        assert!(file.append(&[3; 10]).is_err());
        assert!(file.sync().is_err() && double.list("").is_err());
        assert_eq!(double.bytes("c").map(|b| b.len()), Some(10));
    }
}
