//! Doubles for the room's tests: a storage that keeps everything, a network that gives set answers,
//! and a rig that turns one loop.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::metrics::ScrapeMetrics;
use super::pool_shared::PoolShared;
use super::prepare::Dial;
use super::runner::Cancel;
use super::scrape_loop::{LoopEnv, ScrapeLoop, Turned};
use super::target::{Discovered, Made, Target};
use crate::config::{Config, LoadOptions, ScrapeConfig, load_text};
use crate::metrics::Registry;
use crate::model::names::NameScheme;
use crate::model::{LabelMap, Labels, SeriesRef, TargetGroup, TimestampMs, is_stale_nan};
use crate::net::{Fetch, NetError, ScrapeRequest, ScrapeResponse};
use crate::relabel::{RawRule, Rule};
use crate::stdx::clock::ManualClock;
use crate::stdx::gofmt::api_float;
use crate::stdx::stop::{StopSender, stop};
use crate::stdx::testing::DEADLINE;
use crate::storage::{
    Appendable, Appender, Committed, Exemplar, ExemplarFault, Fault, RefusedExemplar, StorageError,
};

/// A storage that judges samples as Prometheus's head does.
#[derive(Debug, Default)]
pub struct Store(Mutex<Stored>);

type Known = (Labels, Option<(TimestampMs, f64)>, bool);

#[derive(Debug, Default)]
struct Stored {
    /// The labels, the newest sample, and whether the series is gone.
    series: Vec<Known>,
    log: Vec<(Labels, TimestampMs, f64)>,
    exemplars: Vec<(Labels, Exemplar)>,
    fail_commit: bool,
    /// Removes every series before each of the next so many commits.
    going: usize,
    refuse: bool,
    commits: usize,
}

impl Store {
    /// Returns what was stored since the last call, in order.
    pub fn take(&self) -> Vec<(Labels, TimestampMs, f64)> {
        std::mem::take(&mut self.0.lock().unwrap().log)
    }

    /// Returns the exemplars committed since the last call, in order.
    pub fn take_exemplars(&self) -> Vec<(Labels, Exemplar)> {
        std::mem::take(&mut self.0.lock().unwrap().exemplars)
    }

    /// Drops all series, as after a flush that found them old.
    pub fn forget_series(&self) {
        self.0
            .lock()
            .unwrap()
            .series
            .iter_mut()
            .for_each(|s| s.2 = true);
    }

    /// Drops all series before each of the next so many commits.
    pub fn forget_series_at_commits(&self, commits: usize) {
        self.0.lock().unwrap().going = commits;
    }

    pub fn fail_commits(&self, fail: bool) {
        self.0.lock().unwrap().fail_commit = fail;
    }

    pub fn refuse_series(&self, refuse: bool) {
        self.0.lock().unwrap().refuse = refuse;
    }

    pub fn series_count(&self) -> usize {
        self.0.lock().unwrap().series.len()
    }

    pub fn commits(&self) -> usize {
        self.0.lock().unwrap().commits
    }
}

impl Appendable for Store {
    fn resolve(&self, labels: &Labels) -> Result<SeriesRef, StorageError> {
        let mut stored = self.0.lock().unwrap();
        let known = stored.series.iter().position(|s| s.0 == *labels && !s.2);
        if let Some(at) = known {
            return Ok(SeriesRef(at as u64));
        }
        if stored.refuse {
            return Err(StorageError::Other("too many series".to_owned()));
        }
        stored.series.push((labels.clone(), None, false));
        Ok(SeriesRef(stored.series.len() as u64 - 1))
    }

    fn labels_of(&self, series: SeriesRef) -> Option<Labels> {
        let stored = self.0.lock().unwrap();
        { stored.series.get(series.0 as usize) }.map(|s| s.0.clone())
    }

    fn takes_exemplars(&self) -> bool {
        true
    }

    fn commit(&self, batch: &Appender) -> Result<Committed, StorageError> {
        let mut guard = self.0.lock().unwrap();
        let stored = &mut *guard;
        if stored.fail_commit {
            return Err(StorageError::Closed);
        }
        stored.commits += 1;
        if stored.going > 0 {
            stored.going -= 1;
            stored.series.iter_mut().for_each(|s| s.2 = true);
        }
        let mut committed = Committed::default();
        for pending in &batch.exemplars {
            let labels = stored.series[pending.series.0 as usize].0.clone();
            // A negative exemplar counts as out of order.
            if pending.exemplar.v < 0.0 {
                committed.refuse_exemplar(RefusedExemplar {
                    fault: ExemplarFault::OutOfOrder,
                    series: pending.series,
                    t: pending.exemplar.t,
                });
            }
            stored.exemplars.push((labels, pending.exemplar.clone()));
        }
        for (at, sample) in batch.samples.iter().enumerate() {
            let (labels, last, gone) = &mut stored.series[sample.series.0 as usize];
            if *gone {
                committed.gone.push(at as u32);
                continue;
            }
            match *last {
                Some((t, _)) if sample.t < t => committed.refuse(Fault::OutOfOrder, *sample),
                Some((t, v)) if sample.t == t && v.to_bits() != sample.v.to_bits() => {
                    let (existing, new) = (v, sample.v);
                    committed.refuse(Fault::Duplicate { t, existing, new }, *sample);
                }
                _ => {
                    committed.appended += 1;
                    *last = Some((sample.t, sample.v));
                    stored.log.push((labels.clone(), sample.t, sample.v));
                }
            }
        }
        Ok(committed)
    }
}

/// The answer of a double's target.
#[derive(Debug, Clone)]
pub enum Answer {
    Page(&'static str, String),
    Status(u16, &'static str),
    Fail(NetError),
    Panic,
}

/// Gives answers in turn, the last one again and again.
#[derive(Debug, Clone, Default)]
pub struct Pages(Arc<Mutex<VecDeque<Answer>>>);

impl Pages {
    pub fn push(&self, answer: Answer) {
        self.0.lock().unwrap().push_back(answer);
    }

    fn next(&self) -> Answer {
        let mut answers = self.0.lock().unwrap();
        let next = answers.pop_front().unwrap_or(Answer::Fail(NetError::Eof));
        if answers.is_empty() {
            answers.push_back(next.clone());
        }
        next
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl Fetch for Pages {
    fn get(&mut self, _: &ScrapeRequest, body: &mut Vec<u8>) -> Result<ScrapeResponse, NetError> {
        self.next().give(body)
    }
}

impl Answer {
    fn give(self, body: &mut Vec<u8>) -> Result<ScrapeResponse, NetError> {
        let response = |status, reason: &str, content_type: &str| ScrapeResponse {
            status,
            reason: reason.to_owned(),
            content_type: content_type.to_owned(),
            bytes_read: 0,
        };
        match self {
            Answer::Page(content_type, page) => {
                body.extend_from_slice(page.as_bytes());
                Ok(response(200, "OK", content_type))
            }
            Answer::Status(status, reason) => Ok(response(status, reason, "")),
            Answer::Fail(e) => Err(e),
            Answer::Panic => panic!("told to"),
        }
    }
}

/// Targets that answer when the test lets them, or when their request is cancelled.
#[derive(Clone)]
pub struct Gate {
    asked: (Sender<()>, Receiver<()>),
    answers: (Sender<Answer>, Receiver<Answer>),
}

impl Default for Gate {
    fn default() -> Gate {
        Gate {
            asked: bounded(64),
            answers: bounded(64),
        }
    }
}

impl Gate {
    pub fn dial(&self) -> Dial {
        let gate = self.clone();
        Arc::new(move || {
            let (cancel, cancelled) = bounded(1);
            let held = Held {
                gate: gate.clone(),
                cancelled,
            };
            let cancel: Cancel = Box::new(move || {
                let _ = cancel.try_send(());
            });
            (Box::new(held), cancel)
        })
    }

    /// Waits until a scrape is under way.
    pub fn asked(&self) {
        self.asked.1.recv_timeout(DEADLINE).unwrap();
    }

    /// Whether a scrape began since the last [`Gate::asked`].
    pub fn is_asked(&self) -> bool {
        !self.asked.1.is_empty()
    }

    /// Gives this answer to a scrape that is under way.
    pub fn answer(&self, answer: Answer) {
        self.answers.0.send(answer).unwrap();
    }
}

/// A connection of a [`Gate`].
struct Held {
    gate: Gate,
    cancelled: Receiver<()>,
}

impl Fetch for Held {
    fn get(&mut self, _: &ScrapeRequest, body: &mut Vec<u8>) -> Result<ScrapeResponse, NetError> {
        self.gate.asked.0.send(()).unwrap();
        select! {
            recv(self.gate.answers.1) -> answer => answer.unwrap().give(body),
            recv(self.cancelled) -> _ => Err(NetError::Canceled),
        }
    }
}

/// Returns the defaults of a job `j`, scraped every 15 s.
pub fn config() -> ScrapeConfig {
    ScrapeConfig::clone(&whole("scrape_interval: 15s").scrape_configs[0])
}

/// Returns a configuration of one job `j` with these settings, in YAML's flow style.
pub fn whole(settings: &str) -> Config {
    let text = format!("scrape_configs: [{{job_name: j, {settings}}}]");
    let options = LoadOptions {
        syntax_only: true,
        ..LoadOptions::default()
    };
    load_text(Path::new("test.yml"), &text, &options).unwrap().0
}

pub fn rule(action: &str, source: &str, regex: &str, target: &str, replacement: &str) -> Rule {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let raw = RawRule {
        source_labels: some(source).map(|s| s.split(',').map(str::to_owned).collect()),
        regex: some(regex),
        target_label: target.to_owned(),
        replacement: some(replacement),
        action: Some(action.to_owned()),
        ..RawRule::default()
    };
    Rule::checked(&raw, NameScheme::Utf8).unwrap()
}

pub fn label_map(pairs: &[(&str, &str)]) -> LabelMap {
    pairs
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect()
}

pub fn group(source: &str, targets: &[&[(&str, &str)]]) -> Arc<TargetGroup> {
    Arc::new(TargetGroup {
        targets: targets.iter().map(|t| label_map(t)).collect(),
        labels: LabelMap::new(),
        source: source.to_owned(),
    })
}

pub fn target(config: &ScrapeConfig, labels: &[(&str, &str)]) -> Target {
    let discovered = Discovered {
        config: Arc::new(config.clone()),
        group: group("0", &[labels]),
        index: 0,
    };
    match Target::make(discovered).unwrap() {
        Made::Target(target) => *target,
        Made::Dropped => panic!("dropped"),
    }
}

/// One loop, its target `h:1` of job `j`, and its storage.
pub struct Rig {
    pub store: Arc<Store>,
    pub pages: Pages,
    pub clock: ManualClock,
    pub registry: Registry,
    pub target: Arc<Target>,
    pub pool: Arc<PoolShared>,
    pub turns: i64,
    pub stop: Option<StopSender>,
    pub scrape_loop: ScrapeLoop,
    report: BTreeMap<String, f64>,
}

pub const STEP_MS: i64 = 15_000;
pub const TEXT: &str = "text/plain; version=0.0.4";
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

impl Rig {
    pub fn plain() -> Rig {
        Rig::new(|_| {})
    }

    pub fn new(edit: impl FnOnce(&mut ScrapeConfig)) -> Rig {
        let mut config = config();
        edit(&mut config);
        let (store, pages) = (Arc::new(Store::default()), Pages::default());
        let (clock, registry) = (ManualClock::new(0), Registry::new());
        let metrics = ScrapeMetrics::new(&registry);
        let pool = Arc::new(PoolShared::new(metrics.pool("j")));
        let env = LoopEnv::new(store.clone(), Arc::new(clock.clone()), metrics);
        let target = Arc::new(target(&config, &[("__address__", "h:1")]));
        let (sender, token) = stop();
        let request = Ok(ScrapeRequest::new(target.url(), &[]).unwrap());
        let scrape_loop = ScrapeLoop::new(
            Arc::new(env),
            pool.clone(),
            Arc::new(config),
            target.clone(),
            Box::new(pages.clone()),
            request,
            token,
        );
        Rig {
            store,
            pages,
            clock,
            registry,
            target,
            pool,
            turns: 0,
            stop: Some(sender),
            scrape_loop,
            report: BTreeMap::new(),
        }
    }

    /// Runs one turn. Returns what it stored besides the report: `series value`, separated by `; `,
    /// without the target's own labels, with `@SECONDS` if the time is not the turn's.
    pub fn answer(&mut self, answer: Answer) -> String {
        self.pages.clear();
        self.pages.push(answer);
        self.turns += 1;
        self.clock.advance(Duration::from_millis(STEP_MS as u64));
        assert_eq!(self.scrape_loop.turn(self.turns * STEP_MS), Turned::Done);
        self.stored()
    }

    /// Runs a turn with a page in the text format. `|` stands for a line's end.
    pub fn page(&mut self, page: &str) -> String {
        let page: String = format!("{}\n", page.replace('|', "\n"));
        self.answer(Answer::Page(TEXT, page))
    }

    pub fn down(&mut self) -> String {
        self.answer(Answer::Fail(NetError::Eof))
    }

    pub fn stored(&mut self) -> String {
        let mut out = Vec::new();
        for (labels, t, v) in self.store.take() {
            let name = labels.metric_name().to_owned();
            if name == "up" || name.starts_with("scrape_") {
                self.report.insert(name, v);
                continue;
            }
            let own = Labels::from_sorted(
                labels
                    .iter()
                    .filter(|pair| ![("instance", "h:1"), ("job", "j")].contains(pair)),
            );
            let value = if is_stale_nan(v) {
                "stale".to_owned()
            } else {
                api_float(v)
            };
            let mut line = format!("{} {value}", own.series_text());
            if t != self.turns * STEP_MS {
                let _ = write!(line, " @{}", api_float(t as f64 / 1000.0));
            }
            out.push(line);
        }
        out.join("; ")
    }

    /// Returns the last values of the report: up, scraped, after relabelling, added.
    pub fn report(&self) -> String {
        let names = [
            "up",
            "scrape_samples_scraped",
            "scrape_samples_post_metric_relabeling",
            "scrape_series_added",
        ];
        let values = names.map(|name| self.report_value(name));
        values.join(" ")
    }

    pub fn report_value(&self, name: &str) -> String {
        self.report
            .get(name)
            .map_or("-".to_owned(), |v| api_float(*v))
    }

    pub fn last_error(&self) -> String {
        self.target
            .status()
            .last_error
            .map_or(String::new(), |e| e.to_string())
    }

    /// Returns a counter's or gauge's value, found by the line's beginning.
    pub fn metric(&self, name: &str) -> String {
        self.registry.shown(name)
    }
}
