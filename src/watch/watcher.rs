//! The thread `watch`: turns the kernel's hints and passing time into bells.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::hints::{MakeKernel, Metrics, Shared, kernel};
use super::schedule::Schedule;
use super::watch_points::{WatchPoints, watch_points};
use crate::metrics::Registry;
use crate::stdx::atomic::AtomicU64;
use crate::stdx::clock::{Alarm, Clock};
use crate::stdx::limits::THREAD_STACK;
use crate::stdx::locked::locked;
use crate::stdx::stop::{Stop, stop};
use crate::stdx::thread::{Running, spawn_vital};

/// The queue of commands. LIMIT: one per subscriber at a time, and there are about as many
/// subscribers as file providers and TLS clients. When it is full they wait, at most
/// `COMMAND_WAIT`.
const COMMANDS: usize = 64;

/// LIMIT: a thread that hangs in a dead network file system must not hold up its subscribers.
const COMMAND_WAIT: Duration = Duration::from_secs(5);

/// LIMIT: how long a thread that hangs in a dead network file system may delay the end.
const JOIN_WAIT: Duration = Duration::from_secs(2);

/// How often paths that changed during a look are looked at again at once. LIMIT: paths that change
/// faster are looked at again after the settle time.
const LOOKS_MAX: usize = 4;

/// What to watch, and when to ring.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Files, existing or not; the last component may be a pattern.
    pub paths: Vec<PathBuf>,
    /// The bell rings at this interval whether or not anything was noticed. At least 1 s.
    pub rescan: Duration,
    /// The bell rings when nothing more was noticed for this long, but after 5 s at the latest.
    pub settle: Duration,
}

impl Subscription {
    /// Makes a subscription with a rescan every 5 minutes and 300 ms to settle.
    pub fn new(paths: Vec<PathBuf>) -> Subscription {
        Subscription {
            paths,
            rescan: Duration::from_secs(300),
            settle: Duration::from_millis(300),
        }
    }
}

/// The running watcher; clones share it. Dropping the last one stops it.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: Sender<Cmd>,
    ids: Arc<AtomicU64>,
    polling: Arc<AtomicBool>,
    running: Arc<Watching>,
}

#[derive(Debug)]
struct Watching(Running);

impl Drop for Watching {
    fn drop(&mut self) {
        if !self.0.stop(JOIN_WAIT) {
            log::warn!("the file watcher does not end, leaving it behind");
        }
    }
}

/// A subscription that lasts until it is dropped.
#[derive(Debug)]
pub struct Watched {
    id: u64,
    commands: Sender<Cmd>,
    bell: Receiver<()>,
    /// Held so that after the watcher's end the bell stays silent instead of disconnecting.
    _bell_tx: Sender<()>,
}

#[derive(Debug)]
enum Cmd {
    Subscribe(u64, Subscription, Sender<()>),
    SetPaths(u64, Vec<PathBuf>),
    Unsubscribe(u64),
}

impl Handle {
    /// Starts the watcher of this process. Without inotify it logs a warning and rescans.
    ///
    /// # Errors
    /// The system's, when it cannot make a thread.
    pub fn start(clock: Arc<dyn Clock>, registry: &Registry) -> io::Result<Handle> {
        Handle::start_with(clock, registry, kernel)
    }

    pub(super) fn start_with(
        clock: Arc<dyn Clock>,
        registry: &Registry,
        kernel: MakeKernel,
    ) -> io::Result<Handle> {
        let (commands, inbox) = bounded(COMMANDS);
        // LIMIT one: `Shared` says which subscriptions are meant.
        let (hint, hints) = bounded(1);
        let shared = Arc::new(Mutex::new(Shared::default()));
        let metrics = Metrics::new(registry);
        let kernel = kernel(&shared, hint.clone(), &metrics);
        let polling = Arc::new(AtomicBool::new(kernel.is_none()));
        let (stop_tx, stop) = stop();
        let watch_loop = WatchLoop {
            stop,
            inbox,
            hints,
            _hint: hint,
            kernel,
            shared,
            subscribers: BTreeMap::new(),
            watched: HashMap::new(),
            alarm: Alarm::default(),
            refused: false,
            metrics,
            clock,
        };
        let thread = spawn_vital("watch", THREAD_STACK, move || watch_loop.run())?;
        Ok(Handle {
            commands,
            ids: Arc::default(),
            polling,
            running: Arc::new(Watching(Running::new(stop_tx, vec![thread]))),
        })
    }

    /// Ends the watching for all clones; subscriptions stay silent. Returns false if the thread
    /// still runs after `deadline`; it is then left to itself.
    pub fn stop(&self, deadline: Duration) -> bool {
        self.running.0.stop(deadline)
    }

    /// Starts to watch. The bell rings once when the watches stand, so that a change between the
    /// subscriber's first look and that moment is not missed.
    pub fn subscribe(&self, subscription: Subscription) -> Watched {
        let id = self.ids.fetch_add(1, Relaxed);
        // LIMIT one: a bell that has rung need not ring again before it is heard.
        let (bell_tx, bell) = bounded(1);
        let command = Cmd::Subscribe(id, subscription, bell_tx.clone());
        command_within(&self.commands, command);
        Watched {
            id,
            commands: self.commands.clone(),
            bell,
            _bell_tx: bell_tx,
        }
    }

    /// Whether changes are found by rescans only.
    pub fn is_polling(&self) -> bool {
        self.polling.load(Relaxed)
    }
}

impl Watched {
    /// The channel for `select!`. It rings when something may have changed, and at each rescan.
    pub fn bell(&self) -> &Receiver<()> {
        &self.bell
    }

    /// Replaces the watched paths. The bell rings when the watches stand.
    pub fn set_paths(&self, paths: Vec<PathBuf>) {
        command_within(&self.commands, Cmd::SetPaths(self.id, paths));
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // NOTE: if the queue is full, the disconnected bell says the same at its next ring.
        let _ = self.commands.try_send(Cmd::Unsubscribe(self.id));
    }
}

fn command_within(commands: &Sender<Cmd>, command: Cmd) {
    if commands.send_timeout(command, COMMAND_WAIT).is_err() {
        log::error!("the file watcher does not answer; some files are not watched");
    }
}

enum Event {
    Stop,
    Command(Cmd),
    Hint,
    Due,
}

struct WatchLoop {
    stop: Stop,
    inbox: Receiver<Cmd>,
    hints: Receiver<()>,
    /// Held so that `hints` never disconnects where the kernel's watcher is missing.
    _hint: Sender<()>,
    kernel: Option<RecommendedWatcher>,
    shared: Arc<Mutex<Shared>>,
    subscribers: BTreeMap<u64, Subscriber>,
    /// Watched directories, with the device and inode that they had.
    watched: HashMap<PathBuf, (u64, u64)>,
    alarm: Alarm,
    /// Whether a refused watch was logged once.
    refused: bool,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
}

struct Subscriber {
    paths: Vec<PathBuf>,
    schedule: Schedule,
    bell: Sender<()>,
}

impl WatchLoop {
    fn next_event(&mut self) -> Event {
        let due = self.subscribers.values().map(|it| it.schedule.due()).min();
        self.alarm.set(&*self.clock, due);
        select! {
            recv(self.stop.channel()) -> _ => Event::Stop,
            recv(self.inbox) -> command => command.map_or(Event::Stop, Event::Command),
            recv(self.hints) -> _ => Event::Hint,
            recv(self.alarm.channel()) -> _ => Event::Due,
        }
    }

    fn run(mut self) {
        loop {
            match self.next_event() {
                Event::Stop => return,
                Event::Command(Cmd::Subscribe(id, it, bell)) => self.on_subscribe(id, it, bell),
                Event::Command(Cmd::SetPaths(id, paths)) => self.on_set_paths(id, paths),
                Event::Command(Cmd::Unsubscribe(id)) => self.on_unsubscribe(id),
                Event::Hint => self.on_hint(),
                Event::Due => self.on_due(),
            }
        }
    }

    fn on_subscribe(&mut self, id: u64, subscription: Subscription, bell: Sender<()>) {
        let schedule = Schedule::new(self.clock.mono(), subscription.rescan, subscription.settle);
        let subscriber = Subscriber {
            paths: subscription.paths,
            schedule,
            bell,
        };
        self.subscribers.insert(id, subscriber);
        self.ring(id);
    }

    fn on_set_paths(&mut self, id: u64, paths: Vec<PathBuf>) {
        if let Some(subscriber) = self.subscribers.get_mut(&id) {
            subscriber.paths = paths;
            self.ring(id);
        }
    }

    fn on_unsubscribe(&mut self, id: u64) {
        self.subscribers.remove(&id);
        self.look(id);
    }

    fn on_hint(&mut self) {
        let now = self.clock.mono();
        let changed = std::mem::take(&mut locked(&self.shared).changed);
        for id in changed {
            if let Some(subscriber) = self.subscribers.get_mut(&id) {
                subscriber.schedule.mark(now);
            }
        }
    }

    fn on_due(&mut self) {
        self.alarm.heard();
        let now = self.clock.mono();
        let due: Vec<u64> = self
            .subscribers
            .iter_mut()
            .filter_map(|(id, it)| it.schedule.take_due(now).then_some(*id))
            .collect();
        for id in due {
            self.ring(id);
        }
    }

    /// ORDER: watches first, then the bell, so that changes after the subscriber's look are
    /// noticed.
    fn ring(&mut self, id: u64) {
        self.look(id);
        let Some(subscriber) = self.subscribers.get(&id) else {
            return;
        };
        if let Err(crossbeam_channel::TrySendError::Disconnected(())) = subscriber.bell.try_send(())
        {
            self.on_unsubscribe(id);
        }
    }

    /// Follows a subscription's paths anew and updates the watches.
    fn look(&mut self, id: u64) {
        let Some(subscriber) = self.subscribers.get(&id) else {
            return self.watch_at(id, WatchPoints::new());
        };
        let paths = subscriber.paths.clone();
        let mut now = watch_points(&paths);
        for _ in 0..LOOKS_MAX {
            self.watch_at(id, now.clone());
            // ORDER: looks again once the watch stands. A link that was swapped, or a directory
            // that came, between the look and the watch gave no hint.
            let before = std::mem::replace(&mut now, watch_points(&paths));
            if before == now {
                return;
            }
        }
        let mono = self.clock.mono();
        if let Some(subscriber) = self.subscribers.get_mut(&id) {
            subscriber.schedule.mark(mono);
        }
    }

    fn watch_at(&mut self, id: u64, watch_points: WatchPoints) {
        let dirs: Vec<PathBuf> = watch_points.keys().cloned().collect();
        for dir in self.exchange(id, watch_points) {
            self.unwatch(&dir);
        }
        for dir in dirs {
            self.watch(dir);
        }
        self.metrics.directories.set(self.watched.len() as f64);
    }

    /// Replaces a subscription's interests. Returns the directories that no subscription wants any
    /// more.
    fn exchange(&mut self, id: u64, watch_points: WatchPoints) -> Vec<PathBuf> {
        let mut shared = locked(&self.shared);
        for interested in shared.interests.values_mut() {
            interested.retain(|(other, _)| *other != id);
        }
        for (dir, names) in watch_points {
            shared.interests.entry(dir).or_default().push((id, names));
        }
        shared
            .interests
            .retain(|_, interested| !interested.is_empty());
        let watched = self.watched.keys();
        let gone = watched.filter(|dir| !shared.interests.contains_key(*dir));
        gone.cloned().collect()
    }

    /// NOTE: a directory that is watched already is watched again. If it was removed and made anew,
    /// or moved away, its old watch is dead without notice.
    fn watch(&mut self, dir: PathBuf) {
        let Ok(meta) = dir.metadata() else {
            return self.unwatch(&dir);
        };
        let identity = (meta.dev(), meta.ino());
        if self.watched.get(&dir).is_some_and(|was| *was != identity) {
            self.unwatch(&dir);
        }
        let Some(kernel) = &mut self.kernel else {
            return;
        };
        match kernel.watch(&dir, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.watched.insert(dir, identity);
            }
            Err(err) => self.refuse(&dir, &err),
        }
    }

    fn unwatch(&mut self, dir: &Path) {
        if let (Some(_), Some(kernel)) = (self.watched.remove(dir), &mut self.kernel) {
            // NOTE: the watch of a removed directory is gone already.
            let _ = kernel.unwatch(dir);
        }
    }

    fn refuse(&mut self, dir: &Path, err: &notify::Error) {
        self.watched.remove(dir);
        if matches!(err.kind, notify::ErrorKind::PathNotFound) {
            return;
        }
        self.metrics.errors.inc();
        if !std::mem::replace(&mut self.refused, true) {
            log::warn!(path:% = dir.display(), err:% = err;
                "can't watch a directory; its files are only looked at periodically");
        }
    }
}
