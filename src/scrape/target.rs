//! A target: a discovered endpoint after relabelling, and the state of its scrapes.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::memory::Memory;
use super::schedule::fnv64a;
use super::url;
use crate::config::ScrapeConfig;
use crate::model::{Labels, LabelsBuilder, Metadata, TargetGroup, TimestampMs, duration};
use crate::relabel;
use crate::stdx::gofmt;
use crate::stdx::locked::locked;

/// One endpoint that is scraped. Its loop and its viewers share it.
#[derive(Debug)]
pub struct Target {
    /// All labels after relabelling, including `__address__` and the like, without `__meta_*`.
    labels: Labels,
    /// The labels that its series get.
    public: Labels,
    url: String,
    /// The hash of labels and URL. Two with the same are one target.
    pub(super) hash: u64,
    /// The hash of public labels and URL, which decide its series. A target with another interval
    /// is another target that continues the same series.
    pub(super) identity: u64,
    pub interval: Duration,
    pub timeout: Duration,
    pub(super) memory: Arc<Memory>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    status: Status,
    discovered: Discovered,
    /// The number of families and the bytes of metadata.
    metadata: (usize, usize),
}

/// The result of the last scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Status {
    pub health: Health,
    pub last_error: Option<Arc<str>>,
    /// The timestamp of the last scrape.
    pub last_scrape: Option<TimestampMs>,
    pub last_duration: Duration,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Health {
    #[default]
    Unknown,
    Up,
    Down,
}

impl Health {
    /// The name in the HTTP API.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        }
    }
}

/// Where a target's labels came from. They are worked out only when asked for.
#[derive(Debug, Clone)]
pub(super) struct Discovered {
    pub config: Arc<ScrapeConfig>,
    pub group: Arc<TargetGroup>,
    pub index: usize,
}

impl Discovered {
    /// Returns the labels before relabelling.
    pub fn labels(&self) -> LabelsBuilder {
        let mut builder = LabelsBuilder::default();
        let own = self.group.targets.get(self.index);
        // A target's own label wins. An empty one of its own hides the group's, and is absent
        // itself.
        for (name, value) in self.group.labels.iter().chain(own.into_iter().flatten()) {
            builder.set(name, value);
        }
        add_defaults(&mut builder, &self.config);
        builder
    }
}

const CONVERT: &str = "__convert_classic_histograms_to_nhcb__";
const ALWAYS: &str = "__always_scrape_classic_histograms__";
const NATIVE: &str = "__scrape_native_histograms__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const ADDRESS: &str = "__address__";
const PARAM: &str = "__param_";

fn add_defaults(builder: &mut LabelsBuilder, config: &ScrapeConfig) {
    let bool_text = |b| if b { "true" } else { "false" };
    let defaults = [
        ("job", config.job_name.clone()),
        (INTERVAL, duration::format(config.scrape_interval)),
        (TIMEOUT, duration::format(config.scrape_timeout)),
        ("__metrics_path__", config.metrics_path.clone()),
        ("__scheme__", config.scheme.clone()),
        (
            CONVERT,
            bool_text(config.convert_classic_histograms_to_nhcb).to_owned(),
        ),
        (
            ALWAYS,
            bool_text(config.always_scrape_classic_histograms).to_owned(),
        ),
        (
            NATIVE,
            bool_text(config.scrape_native_histograms).to_owned(),
        ),
    ];
    for (name, value) in &defaults {
        if builder.get(name).is_none() {
            builder.set(name, value);
        }
    }
    for (name, values) in &config.params {
        let label = format!("{PARAM}{name}");
        if let Some(first) = values.first()
            && builder.get(&label).is_none()
        {
            builder.set(&label, first);
        }
    }
}

/// The result for a discovered target.
#[derive(Debug)]
pub(super) enum Made {
    Target(Box<Target>),
    /// Relabelling drops it.
    Dropped,
}

impl Target {
    /// Makes a target (reference section 5.1).
    ///
    /// # Errors
    /// Prometheus's texts.
    pub(super) fn make(discovered: Discovered) -> Result<Made, String> {
        let config = discovered.config.clone();
        let mut builder = discovered.labels();
        if !relabel::process(&config.relabel_configs, &mut builder) || builder.is_empty() {
            return Ok(Made::Dropped);
        }
        let address = builder.get(ADDRESS).unwrap_or("").to_owned();
        if address.is_empty() {
            return Err("no address".to_owned());
        }
        if address.contains('/') {
            return Err(format!(
                "{} is not a valid hostname",
                gofmt::quote(&address)
            ));
        }
        if let Some(value) = builder.get("") {
            let value = gofmt::quote(value);
            return Err(format!(
                "relabelling made a label without a name, of value {value} (labelmap)"
            ));
        }
        let (interval, timeout) = timing(&builder)?;
        check_bools(&builder)?;
        builder.retain(|name, _| !name.starts_with("__meta_"));
        if builder.get("instance").is_none() {
            builder.set("instance", &address);
        }
        let labels = builder.labels();
        let public = Labels::from_sorted(labels.iter().filter(|(n, _)| !n.starts_with("__")));
        let url = target_url(&labels, &config);
        let hash_of = |labels: &Labels| {
            let labels = format!("{:016}", labels.stable_hash());
            fnv64a(&[labels.as_bytes(), url.as_bytes()])
        };
        let state = State {
            status: Status::default(),
            discovered,
            metadata: (0, 0),
        };
        Ok(Made::Target(Box::new(Target {
            hash: hash_of(&labels),
            identity: hash_of(&public),
            labels,
            public,
            url,
            interval,
            timeout,
            memory: Arc::default(),
            state: Mutex::new(state),
        })))
    }

    /// Takes over another target's memory of the same series, and its status.
    pub(super) fn inherit(&mut self, other: &Target) {
        self.memory = other.memory.clone();
        self.succeed(other);
    }

    /// Takes over the status of another target of the same series.
    pub(super) fn succeed(&self, other: &Target) {
        let (status, metadata) = {
            let theirs = other.lock();
            (theirs.status.clone(), theirs.metadata)
        };
        let mut ours = self.lock();
        ours.status = status;
        ours.metadata = metadata;
    }

    pub(super) fn rediscovered(&self, other: Target) {
        let discovered = other.lock().discovered.clone();
        self.lock().discovered = discovered;
    }

    pub(super) fn set_status(&self, status: Status) {
        self.lock().status = status;
    }

    /// Sets the size. Returns the one before.
    pub(super) fn set_metadata_size(&self, size: (usize, usize)) -> (usize, usize) {
        std::mem::replace(&mut self.lock().metadata, size)
    }

    pub(super) fn metadata_size(&self) -> (usize, usize) {
        self.lock().metadata
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // NOTE: fields are replaced whole, so a panic leaves none half done.
        locked(&self.state)
    }
}

/// Methods for the HTTP API.
impl Target {
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The labels that its series get.
    #[expect(
        clippy::misnamed_getters,
        reason = "the others are nobody's business as a whole"
    )]
    pub fn labels(&self) -> &Labels {
        &self.public
    }

    /// Returns one of all labels, including internal ones.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name)
    }

    pub fn discovered_labels(&self) -> Labels {
        let discovered = self.lock().discovered.clone();
        discovered.labels().labels()
    }

    pub fn status(&self) -> Status {
        self.lock().status.clone()
    }

    /// Returns the metadata of its recent pages, by family.
    pub fn metadata(&self) -> BTreeMap<String, Metadata> {
        self.memory.lock().metadata()
    }
}

fn timing(builder: &LabelsBuilder) -> Result<(Duration, Duration), String> {
    let parse = |label: &str, what: &str| {
        let text = builder.get(label).unwrap_or("");
        match duration::parse(text) {
            Ok(Duration::ZERO) => Err(format!("scrape {what} cannot be 0")),
            Ok(duration) => Ok((duration, text)),
            Err(why) => Err(format!("error parsing scrape {what}: {why}")),
        }
    };
    let (interval, interval_text) = parse(INTERVAL, "interval")?;
    let (timeout, timeout_text) = parse(TIMEOUT, "timeout")?;
    if timeout > interval {
        return Err(format!(
            "scrape timeout cannot be greater than scrape interval ({} > {})",
            gofmt::quote(timeout_text),
            gofmt::quote(interval_text)
        ));
    }
    Ok((interval, timeout))
}

fn check_bools(builder: &LabelsBuilder) -> Result<(), String> {
    let texts = [
        (CONVERT, "convert classic histograms to nhcb"),
        (ALWAYS, "always scrape classic histograms"),
        (NATIVE, "scrape native histograms"),
    ];
    for (label, what) in texts {
        let value = builder.get(label).unwrap_or("true");
        let known = [
            "1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False",
        ];
        if !known.contains(&value) {
            let value = gofmt::quote(value);
            return Err(format!(
                "error parsing {what}: strconv.ParseBool: parsing {value}: invalid syntax"
            ));
        }
    }
    Ok(())
}

fn target_url(labels: &Labels, config: &ScrapeConfig) -> String {
    let mut params: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, values) in &config.params {
        params.insert(name, values.iter().map(String::as_str).collect());
    }
    for (label, value) in labels {
        let Some(name) = label.strip_prefix(PARAM) else {
            continue;
        };
        let values = params.entry(name).or_default();
        match values.first_mut() {
            Some(first) => *first = value,
            None => values.push(value),
        }
    }
    let label = |name| labels.get(name).unwrap_or("");
    url::build(
        label("__scheme__"),
        label(ADDRESS),
        label("__metrics_path__"),
        &params,
    )
}

/// The targets of a job's groups.
#[derive(Debug, Default)]
pub(super) struct MadeTargets {
    /// Without repeated hashes.
    pub targets: Vec<Target>,
    pub dropped: Vec<Discovered>,
    pub dropped_count: usize,
    pub errors: Vec<String>,
    /// Where the first error comes from.
    pub first_invalid: Option<Discovered>,
}

pub(super) fn make_targets(config: &Arc<ScrapeConfig>, groups: &[Arc<TargetGroup>]) -> MadeTargets {
    let mut made = MadeTargets::default();
    let mut hashes = HashSet::new();
    let keep = match config.keep_dropped_targets {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    for group in groups {
        for index in 0..group.targets.len() {
            let (config, group) = (config.clone(), group.clone());
            let source = group.source.clone();
            let discovered = Discovered {
                config,
                group,
                index,
            };
            match Target::make(discovered.clone()) {
                Ok(Made::Target(target)) if hashes.insert(target.hash) => {
                    made.targets.push(*target);
                }
                Ok(Made::Target(_)) => {}
                Ok(Made::Dropped) => {
                    made.dropped_count += 1;
                    if made.dropped.len() < keep {
                        made.dropped.push(discovered);
                    }
                }
                Err(why) => {
                    made.errors
                        .push(format!("instance {index} in group {source}: {why}"));
                    made.first_invalid.get_or_insert(discovered);
                }
            }
        }
    }
    made
}
