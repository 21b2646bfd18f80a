//! The manager: takes configurations and discovered targets, and cleans up after stopped loops.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, never, select};

use super::metrics::ScrapeMetrics;
use super::pools::{Applied, Pools};
use super::prepare::Prepared;
use super::reloader;
use super::schedule::Alignment;
use super::scrape_loop::LoopEnv;
use super::view::View;
use crate::metrics::Registry;
use crate::model::TargetSets;
use crate::stdx::clock::Clock;
use crate::stdx::limits::THREAD_STACK;
use crate::stdx::mailbox::Mailbox;
use crate::stdx::stop::{Stop, StopSender, stop};
use crate::stdx::thread::{self, Thread};
use crate::storage::Appendable;

pub struct Options {
    pub storage: Arc<dyn Appendable>,
    pub targets: Mailbox<TargetSets>,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    /// For example `Prometheus/3.14.0`.
    pub user_agent: String,
    pub alignment: Alignment,
    /// `--scrape.discovery-reload-interval`: the shortest time between two updates of the targets.
    pub reload_interval: Duration,
}

/// Dropping it stops everything and waits for that. [`Handle::stop`] waits up to a deadline.
pub struct Handle {
    inbox: Sender<Cmd>,
    pools: Arc<Pools>,
    view: View,
    // ORDER: senders before threads, so that a drop stops and then joins.
    stop: Option<StopSender>,
    threads: Vec<Thread>,
}

enum Cmd {
    Apply(Prepared, Sender<Applied>),
}

/// LIMIT: reloads come one at a time, from the main loop.
const INBOX: usize = 1;

impl Handle {
    /// Starts the manager, without any job.
    ///
    /// # Errors
    /// The system has no threads.
    pub fn start(options: Options) -> io::Result<Handle> {
        let metrics = ScrapeMetrics::new(&options.registry);
        let env = LoopEnv::new(options.storage, options.clock.clone(), metrics);
        let pools = Arc::new(Pools::new(
            Arc::new(env),
            options.alignment,
            options.user_agent,
        ));
        let (sender, token) = stop();
        let (inbox_tx, inbox) = bounded(INBOX);
        // LIMIT: one ring each, since it only says that there is something to look at.
        let (trigger_tx, trigger) = bounded(1);
        let (synced_tx, synced) = bounded(1);
        let reloader = reloader::start(
            pools.clone(),
            trigger,
            synced_tx,
            token.clone(),
            options.clock.clone(),
            options.reload_interval,
        )?;
        let manager = Manager {
            pools: pools.clone(),
            clock: options.clock,
            bell: options.targets.bell().clone(),
            targets: options.targets,
            inbox,
            synced,
            trigger: trigger_tx,
            stop: token,
        };
        let manager = thread::spawn_vital("scrape", THREAD_STACK, move || manager.run())?;
        Ok(Handle {
            inbox: inbox_tx,
            view: pools.view().clone(),
            pools,
            stop: Some(sender),
            threads: vec![manager, reloader],
        })
    }

    /// Takes a configuration. Jobs whose part is equal are not touched.
    pub fn apply(&self, prepared: Prepared) -> Applied {
        let (reply, answer) = bounded(1);
        if self.inbox.send(Cmd::Apply(prepared, reply)).is_err() {
            return Applied::default();
        }
        answer.recv().unwrap_or_default()
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    /// Stops everything, without stale markers. Returns false if something still runs at the
    /// deadline; it is then left to itself.
    pub fn stop(mut self, deadline: Duration, clock: &dyn Clock) -> bool {
        let end = clock.mono() + deadline;
        drop(self.stop.take());
        let mut threads = self.pools.stop();
        threads.append(&mut self.threads);
        let mut all = true;
        for thread in threads {
            all &= thread.join_within(end.saturating_sub(clock.mono()));
        }
        all
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.pools.stop());
    }
}

/// The thread `scrape`.
struct Manager {
    pools: Arc<Pools>,
    clock: Arc<dyn Clock>,
    targets: Mailbox<TargetSets>,
    /// The bell of `targets`, until nobody can ring it any more.
    bell: Receiver<()>,
    inbox: Receiver<Cmd>,
    /// The reloader's ring after a sync.
    synced: Receiver<()>,
    trigger: Sender<()>,
    stop: Stop,
}

enum Event {
    Stop,
    Cmd(Cmd),
    Targets,
    /// No more target sets will come.
    TargetsEnded,
    /// By a panic, or because everything stops.
    ReloaderEnded,
    LookAfter,
}

impl Manager {
    fn run(mut self) {
        let mut timer = never();
        loop {
            match self.next_event(&timer) {
                Event::Stop => return,
                Event::Cmd(Cmd::Apply(prepared, reply)) => {
                    let _ = reply.send(self.pools.apply(prepared));
                }
                Event::Targets => self.on_targets(),
                Event::TargetsEnded => self.bell = never(),
                Event::ReloaderEnded => self.synced = never(),
                Event::LookAfter => {}
            }
            let chores = self.pools.look_after();
            self.pools.mark_stale(&chores.ends_of_run);
            timer = chores.next.map_or_else(never, |at| self.clock.at(at));
        }
    }

    fn next_event(&self, timer: &Receiver<std::time::Instant>) -> Event {
        select! {
            recv(self.stop.channel()) -> _ => Event::Stop,
            recv(self.inbox) -> message => message.map_or(Event::Stop, Event::Cmd),
            recv(self.bell) -> message => match message {
                Ok(()) => Event::Targets,
                Err(_) => Event::TargetsEnded,
            },
            recv(self.synced) -> message => match message {
                Ok(()) => Event::LookAfter,
                Err(_) => Event::ReloaderEnded,
            },
            recv(timer) -> _ => Event::LookAfter,
        }
    }

    fn on_targets(&self) {
        if let Some(sets) = self.targets.take() {
            self.pools.set_targets(sets);
            // It is full if the reloader has not come to the last ring yet.
            let _ = self.trigger.try_send(());
        }
    }
}
