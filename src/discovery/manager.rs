//! The manager: shares providers among jobs, merges their groups, and sends all of them at a
//! bounded rate.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::discoverer::{Update, Updates, channel};
use super::metrics::{ManagerMetrics, SdMetrics};
use super::pace::Pace;
use super::prepare::{Prepared, PreparedProvider};
use super::provider::{News, Provider, Running, join_all};
use super::source::{Factory, Source, Surroundings};
use crate::metrics::Registry;
use crate::model::TargetSets;
use crate::stdx::clock::{Alarm, Clock};
use crate::stdx::limits::THREAD_STACK;
use crate::stdx::mailbox::{Mailbox, Poster, mailbox};
use crate::stdx::stop::{Stop, StopSender, stop};
use crate::stdx::thread::{Thread, spawn, spawn_vital};
use crate::watch;

/// LIMIT: how long a provider that hangs in the network or in a dead file system may hold up a
/// reload or the end. Its thread is then left behind.
const JOIN_WAIT: Duration = Duration::from_secs(2);

/// The parts of a manager.
#[derive(Debug)]
pub struct Options {
    /// `scrape` or `notify`. It names the thread and the metrics.
    pub name: String,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    pub watcher: watch::Handle,
    /// The shortest time between two sends, except urgent ones.
    pub send_interval: Duration,
    /// How HTTP requests introduce themselves.
    pub user_agent: String,
}

impl Options {
    pub fn new(
        name: &str,
        clock: Arc<dyn Clock>,
        registry: Registry,
        watcher: watch::Handle,
    ) -> Options {
        Options {
            name: name.to_owned(),
            clock,
            registry,
            watcher,
            send_interval: Duration::from_secs(5),
            user_agent: crate::net::USER_AGENT.to_owned(),
        }
    }
}

/// A running manager. Dropping it stops it and its providers.
#[derive(Debug)]
pub struct Handle {
    commands: Sender<Apply>,
    stop: StopSender,
    thread: Thread,
}

/// What a new configuration changed, as numbers of providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    pub added: usize,
    pub removed: usize,
    pub kept: usize,
    /// Providers without a thread, because the system had none. The next configuration tries again.
    pub failed: usize,
}

#[derive(Debug)]
struct Apply {
    prepared: Prepared,
    reply: Sender<Applied>,
}

impl Handle {
    /// Starts a manager. The mailbox gets the newest target sets of all jobs.
    ///
    /// # Errors
    /// The system's, when it cannot make a thread.
    pub fn start(options: Options) -> io::Result<(Handle, Mailbox<TargetSets>)> {
        // LIMIT one: there is one reload at a time, and it waits for the answer.
        let (commands, inbox) = bounded(1);
        let (updates_tx, updates) = channel();
        let (poster, sets) = mailbox();
        let (stop_tx, stop) = stop();
        let name = format!("sd-{}", options.name);
        let manager_loop = ManagerLoop {
            stop,
            inbox,
            updates_tx,
            updates,
            poster,
            jobs: BTreeSet::new(),
            providers: BTreeMap::new(),
            next_id: 0,
            pace: Pace::new(options.send_interval),
            alarm: Alarm::default(),
            metrics: ManagerMetrics::new(&options.registry, &options.name),
            sd_metrics: SdMetrics::new(&options.registry),
            options,
        };
        let thread = spawn_vital(name, THREAD_STACK, move || manager_loop.run())?;
        let handle = Handle {
            commands,
            stop: stop_tx,
            thread,
        };
        Ok((handle, sets))
    }

    /// Replaces the configuration. Providers of equal configuration go on undisturbed, with their
    /// threads and groups. If another provider takes a provider's place in its job, the old groups
    /// stay until the new one has found its first. A removed job, and all static groups, change at
    /// once.
    pub fn apply(&self, prepared: Prepared) -> Applied {
        let (reply, answer) = bounded(1);
        let sent = self.commands.send(Apply { prepared, reply });
        let applied = sent.ok().and_then(|()| answer.recv().ok());
        applied.unwrap_or_else(|| {
            log::error!(thread = self.thread.name(); "discovery has ended, nothing is applied");
            Applied::default()
        })
    }

    /// Stops the manager, and waits at most `deadline`. Returns false if the thread still runs.
    pub fn stop(self, deadline: Duration) -> bool {
        drop(self.stop);
        self.thread.join_within(deadline)
    }
}

enum Event {
    Stop,
    Apply(Apply),
    Update(Update),
    Due,
}

struct ManagerLoop {
    stop: Stop,
    inbox: Receiver<Apply>,
    updates_tx: Sender<Update>,
    updates: Receiver<Update>,
    poster: Poster<TargetSets>,
    jobs: BTreeSet<String>,
    /// The providers by number. Numbers are never reused, so a late update of a removed provider is
    /// not confused with another's.
    providers: BTreeMap<u64, Provider>,
    next_id: u64,
    pace: Pace,
    alarm: Alarm,
    metrics: ManagerMetrics,
    sd_metrics: SdMetrics,
    options: Options,
}

impl ManagerLoop {
    fn next_event(&mut self) -> Event {
        self.alarm.set(&*self.options.clock, self.pace.due());
        select! {
            recv(self.stop.channel()) -> _ => Event::Stop,
            recv(self.inbox) -> apply => apply.map_or(Event::Stop, Event::Apply),
            recv(self.updates) -> update => update.map_or(Event::Stop, Event::Update),
            recv(self.alarm.channel()) -> _ => Event::Due,
        }
    }

    fn run(mut self) {
        loop {
            match self.next_event() {
                Event::Stop => break,
                Event::Apply(apply) => self.on_apply(apply),
                Event::Update(update) => self.on_update(update),
                Event::Due => self.on_due(),
            }
        }
        let all = std::mem::take(&mut self.providers).into_values();
        let threads = all.filter_map(|mut it| it.stop()).collect();
        join_all(threads, &*self.options.clock, JOIN_WAIT);
    }

    fn on_apply(&mut self, Apply { prepared, reply }: Apply) {
        let mut applied = Applied::default();
        let mut old = std::mem::take(&mut self.providers);
        let mut fresh = Vec::new();
        for wanted in prepared.providers {
            let same = old.iter().find(|(_, it)| it.config == wanted.config);
            let same = same.map(|(id, _)| *id);
            if let Some((id, mut provider)) = same.and_then(|id| old.remove_entry(&id)) {
                provider.jobs = wanted.jobs.into_iter().collect();
                self.providers.insert(id, provider);
                applied.kept += 1;
            } else {
                fresh.push(wanted);
            }
        }
        applied.removed = old.len();
        let threads = old.values_mut().filter_map(Provider::stop).collect();
        // ORDER: the old ones end before the new begin, since their metrics may have the same
        // labels.
        join_all(threads, &*self.options.clock, JOIN_WAIT);
        let mut heirs: BTreeSet<u64> = BTreeSet::new();
        for wanted in fresh {
            let id = self.next_id;
            self.next_id += 1;
            if self.add(id, wanted) {
                heirs.insert(id);
                applied.added += 1;
            } else {
                applied.failed += 1;
            }
        }
        self.bequeath(&old, &heirs);
        for job in self.jobs.difference(&prepared.jobs) {
            self.metrics.forget(job);
        }
        self.jobs = prepared.jobs;
        let failed = applied.failed + prepared.later;
        self.metrics.failed_configs.set(failed as f64);
        self.pace.urgent(self.options.clock.mono());
        self.on_due();
        let _ = reply.send(applied);
    }

    /// Hands the groups of removed providers to their successors: in each job the first new
    /// provider of the same kind.
    fn bequeath(&mut self, old: &BTreeMap<u64, Provider>, heirs: &BTreeSet<u64>) {
        for gone in old.values().filter(|it| it.config.kind() != "static") {
            for job in &gone.jobs {
                let heir = self.providers.iter_mut().find(|(id, it)| {
                    heirs.contains(id)
                        && it.jobs.contains(job)
                        && it.config.kind() == gone.config.kind()
                });
                if let Some((_, heir)) = heir {
                    heir.inherit(job, gone);
                }
            }
        }
    }

    /// Starts a provider. Returns false if that failed.
    fn add(&mut self, id: u64, wanted: PreparedProvider) -> bool {
        let job = wanted.jobs.first().cloned().unwrap_or_default();
        let mut provider = Provider::new(wanted.config, wanted.jobs.into_iter().collect());
        let started = match wanted.source {
            Source::Static(groups) => {
                provider.merge(groups);
                self.metrics.received_updates.inc();
                Ok(())
            }
            Source::Discoverer(factory) => self.start(id, &mut provider, factory, job.clone()),
        };
        if let Err(err) = &started {
            log::error!(job = job.as_str(), err:% = err; "can't start a service discovery");
        } else {
            self.providers.insert(id, provider);
        }
        started.is_ok()
    }

    fn start(
        &self,
        id: u64,
        provider: &mut Provider,
        mut factory: Factory,
        job: String,
    ) -> io::Result<()> {
        let client = factory.client.take();
        let discoverer = factory.make(Surroundings {
            watcher: self.options.watcher.clone(),
            clock: self.options.clock.clone(),
            metrics: self.sd_metrics.clone(),
            user_agent: self.options.user_agent.clone(),
            job,
        });
        let name = thread_name(provider.config.kind(), id);
        let (stop_tx, stop) = stop();
        let updates = Updates::new(id, self.updates_tx.clone(), stop.clone());
        let thread = spawn(name, THREAD_STACK, move || discoverer.run(stop, updates))?;
        provider.started(Running {
            stop: stop_tx,
            thread,
            client,
        });
        Ok(())
    }

    fn on_update(&mut self, update: Update) {
        self.metrics.received_updates.inc();
        let Some(provider) = self.providers.get_mut(&update.provider) else {
            return;
        };
        let now = self.options.clock.mono();
        match provider.merge(update.groups) {
            News::First => self.pace.urgent(now),
            News::Changed => self.pace.changed(now),
            News::Same => {
                for job in &provider.jobs {
                    self.metrics.updated(job, self.options.clock.wall_ms());
                }
            }
        }
    }

    fn on_due(&mut self) {
        self.alarm.heard();
        if !self.pace.take_due(self.options.clock.mono()) {
            return;
        }
        let sets = self.target_sets();
        let wall_ms = self.options.clock.wall_ms();
        for (job, groups) in &sets {
            let targets = groups.iter().map(|group| group.targets.len()).sum();
            self.metrics.targets(job, targets);
            self.metrics.updated(job, wall_ms);
        }
        self.metrics.sent_updates.inc();
        self.poster.post(sets);
    }

    fn target_sets(&self) -> TargetSets {
        let empty = self.jobs.iter().map(|job| (job.clone(), Vec::new()));
        let mut sets: TargetSets = empty.collect();
        for provider in self.providers.values() {
            for job in &provider.jobs {
                if let Some(groups) = sets.get_mut(job) {
                    groups.extend(provider.groups_of(job).cloned());
                }
            }
        }
        sets
    }
}

/// Returns `sd-KIND-N`. The kind is cut rather than the number, which tells threads apart.
fn thread_name(kind: &str, id: u64) -> String {
    let room = (NAME_BYTES_MAX - "sd--".len()).saturating_sub(id.to_string().len());
    let kind = kind.get(..room).unwrap_or(kind);
    format!("sd-{kind}-{id}")
}

/// LIMIT: what Linux keeps of a thread's name.
const NAME_BYTES_MAX: usize = 15;

#[cfg(test)]
mod tests {
    use super::thread_name;

    #[test]
    fn a_thread_s_name_ends_with_its_number() {
        for (kind, id, expect) in [
            ("file", 7, "sd-file-7"),
            ("kubernetes", 3, "sd-kubernetes-3"),
            ("kubernetes", 42, "sd-kubernete-42"),
            ("http", 1_234_567_890, "sd-h-1234567890"),
        ] {
            assert_eq!(thread_name(kind, id), expect);
            assert!(expect.len() <= 15, "{expect}");
        }
    }
}
