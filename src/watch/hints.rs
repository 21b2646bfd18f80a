//! The kernel's hints, and which subscriptions they are for.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crossbeam_channel::Sender;
use notify::{EventKind, RecommendedWatcher};

use super::watch_points::Name;
use crate::metrics::{Counter, Gauge, Registry};
use crate::stdx::locked::locked;

/// Makes the kernel's watcher: [`kernel`], or a test's double.
pub(super) type MakeKernel =
    fn(&Arc<Mutex<Shared>>, Sender<()>, &Metrics) -> Option<RecommendedWatcher>;

/// Makes the kernel's watcher, whose hints mark subscriptions; `None` where there is none.
pub(super) fn kernel(
    shared: &Arc<Mutex<Shared>>,
    hint: Sender<()>,
    metrics: &Metrics,
) -> Option<RecommendedWatcher> {
    let (shared, errors) = (shared.clone(), metrics.errors.clone());
    let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let marked = match &event {
            // NOTE: our own reading of a watched file is an access. Counting it would never end.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => false,
            Ok(event) if event.need_rescan() => locked(&shared).mark_all(),
            Ok(event) => locked(&shared).mark(&event.paths),
            Err(_) => {
                errors.inc();
                locked(&shared).mark_all()
            }
        };
        if marked {
            // NOTE: never a blocking send: the kernel's queue would overflow meanwhile.
            let _ = hint.try_send(());
        }
    });
    made.inspect_err(|err| {
        metrics.errors.inc();
        log::warn!(err:% = err;
            "no file change notifications; files are only looked at periodically");
    })
    .ok()
}

/// What the kernel's hints are matched with. ORDER: this lock is never held over a call of the
/// kernel's watcher, because that watcher's thread takes it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub interests: HashMap<PathBuf, Vec<(u64, BTreeSet<Name>)>>,
    pub changed: BTreeSet<u64>,
}

impl Shared {
    fn mark(&mut self, paths: &[PathBuf]) -> bool {
        let before = self.changed.len();
        for path in paths {
            let itself = self.interests.get(path).into_iter().flatten();
            self.changed.extend(itself.map(|(id, _)| *id));
            if let (Some(dir), Some(name)) = (path.parent(), path.file_name()) {
                let within = self.interests.get(dir).into_iter().flatten();
                let within = within.filter(|(_, names)| names.iter().any(|it| it.matches(name)));
                self.changed.extend(within.map(|(id, _)| *id));
            }
        }
        self.changed.len() > before
    }

    fn mark_all(&mut self) -> bool {
        let all = self.interests.values().flatten().map(|(id, _)| *id);
        self.changed.extend(all);
        !self.changed.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct Metrics {
    pub directories: Gauge,
    pub errors: Counter,
}

impl Metrics {
    pub fn new(registry: &Registry) -> Metrics {
        Metrics {
            directories: registry.gauge(
                "ferula_watch_directories",
                "Directories whose changes the kernel reports.",
            ),
            errors: registry.counter(
                "ferula_watch_errors_total",
                "Failures to watch for file changes; rescans find the changes later.",
            ),
        }
    }
}
