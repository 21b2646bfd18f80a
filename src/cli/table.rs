//! All flags in one table: name, kind, default, effect, help.
//!
//! Names and defaults are Prometheus's (reference sections 1.1 and 1.2).

/// The kind of a flag's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `--name` and `--no-name`.
    Bool,
    Text,
    /// May be repeated; every value may hold several, separated by commas.
    List,
    Int,
    Float,
    Duration,
    /// Absent unless given.
    OptionalDuration,
    /// Bytes with a unit.
    Size,
    /// Bytes with a unit. Absent unless given.
    OptionalSize,
    Level,
    LogFormat,
}

/// The effect of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It does what it says.
    Serves,
    /// Its component is not built yet. It is accepted, and named in the log if it is given.
    Later,
    /// It has no effect in Ferula. It is accepted, and named in the log if it is given.
    Nothing,
    /// For agent mode only.
    Agent,
}

/// One flag.
#[derive(Debug)]
pub struct Flag {
    pub name: &'static str,
    pub kind: Kind,
    pub default: &'static str,
    /// Left out of `--help`.
    pub hidden: bool,
    pub fate: Fate,
    pub help: &'static str,
}

const fn flag(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    fate: Fate,
    help: &'static str,
) -> Flag {
    Flag {
        name,
        kind,
        default,
        hidden: false,
        fate,
        help,
    }
}

const fn hidden(flag: Flag) -> Flag {
    Flag {
        hidden: true,
        ..flag
    }
}

use Fate::{Agent, Later, Nothing, Serves};
use Kind::{
    Bool, Duration, Float, Int, Level, List, LogFormat, OptionalDuration, OptionalSize, Size, Text,
};

#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    flag("config.file", Text, "prometheus.yml", Serves, "The configuration file."),
    flag("config.auto-reload", Bool, "false", Serves,
        "Reload by itself when the configuration file, or a file that it names, has changed."),
    flag("config.auto-reload-interval", Duration, "30s", Serves,
        "How often changed files are looked for where the system tells of no changes; at least 1s."),
    flag("config.ignore-unsupported-sd", Bool, "false", Serves,
        "Skip service discoveries that Ferula does not have, with a warning, instead of refusing the file."),
    flag("web.listen-address", List, "0.0.0.0:9090", Serves,
        "Address to listen on for API, metrics and management; may be repeated. Port 0 takes a free one."),
    flag("auto-gomaxprocs", Bool, "true", Nothing, "Go's run time only."),
    flag("auto-gomemlimit", Bool, "true", Nothing, "Go's run time only."),
    flag("auto-gomemlimit.ratio", Float, "0.9", Nothing, "Go's run time only."),
    flag("auto-gomemlimit.refresh-interval", Duration, "0s", Nothing, "Go's run time only."),
    flag("web.config.file", Text, "", Serves,
        "File with the server's TLS and basic authentication."),
    flag("web.read-timeout", Duration, "5m", Serves,
        "Longest time for reading a request, and for an idle connection."),
    flag("web.max-connections", Int, "512", Serves, "Connections that may be open at once."),
    flag("web.max-request-head-size", Size, "1MiB", Serves,
        "Bytes of a request's line and headers; all together may take 16 times as many, and 16KiB a connection."),
    flag("web.max-notifications-subscribers", Int, "16", Later,
        "Subscribers of live notifications."),
    flag("web.external-url", Text, "", Serves,
        "URL under which Ferula is reached from outside, for links."),
    flag("web.route-prefix", Text, "", Serves,
        "Prefix of all paths; the path of --web.external-url unless given."),
    flag("web.user-assets", Text, "", Nothing, "Ferula serves no directory of its user's."),
    flag("web.enable-lifecycle", Bool, "false", Serves, "Allow reload and shutdown by HTTP."),
    flag("web.enable-admin-api", Bool, "false", Serves, "Allow administrative actions by HTTP."),
    flag("web.enable-remote-write-receiver", Bool, "false", Serves,
        "Take samples by remote write at /api/v1/write."),
    flag("web.remote-write-receiver.accepted-protobuf-messages", List, "prometheus.WriteRequest,io.prometheus.write.v2.Request", Serves,
        "Messages that the receiver takes; of these prometheus.WriteRequest is built."),
    flag("web.enable-otlp-receiver", Bool, "false", Later, "Take metrics by OTLP."),
    flag("web.console.templates", Text, "consoles", Nothing, "Ferula has no console templates."),
    flag("web.console.libraries", Text, "console_libraries", Nothing,
        "Ferula has no console templates."),
    flag("web.page-title", Text, "Prometheus Time Series Collection and Processing Server", Later,
        "Title of the pages."),
    flag("web.cors.origin", Text, ".*", Serves,
        "Regular expression, fully anchored, of the origins that may use the API."),
    flag("storage.tsdb.path", Text, "data/", Serves, "Directory of the metrics."),
    flag("storage.tsdb.retention.time", OptionalDuration, "", Serves,
        "How long samples are kept; 15d where neither this nor the configuration says."),
    flag("storage.tsdb.retention.size", OptionalSize, "", Serves,
        "Bytes that the data directory may have."),
    flag("storage.tsdb.no-lockfile", Bool, "false", Serves,
        "Make no lock file in the data directory."),
    flag("storage.head-budget", OptionalSize, "", Serves,
        "Bytes of memory at which the newest samples become a block; an eighth of the memory, between 16MiB and 512MiB, unless given."),
    flag("storage.wal-sync-interval", Duration, "30s", Serves,
        "How often the write-ahead log is made durable; a power cut loses at most so much."),
    flag("storage.wal-size-limit", OptionalSize, "", Serves,
        "Bytes of the write-ahead log that are kept for remote endpoints that lag; 32MiB unless given."),
    flag("storage.tsdb.head-chunks-write-queue-size", Int, "0", Nothing,
        "Ferula has no such queue."),
    flag("storage.tsdb.delay-compact-file.path", Text, "", Nothing,
        "For sidecars of Prometheus's block format."),
    flag("storage.agent.path", Text, "data-agent/", Agent,
        "Directory of the metrics in agent mode."),
    flag("storage.agent.wal-compression", Bool, "true", Agent,
        "Compress the agent's write-ahead log."),
    flag("storage.agent.retention.min-time", Duration, "5m", Agent,
        "Age below which the agent's log is never cut."),
    flag("storage.agent.retention.max-time", Duration, "4h", Agent,
        "Age above which the agent's log is cut."),
    flag("storage.agent.checkpoint-from-in-memory-series", Bool, "false", Agent,
        "No meaning here."),
    flag("storage.agent.checkpoint-batch-size", Int, "1000", Agent, "No meaning here."),
    flag("storage.agent.no-lockfile", Bool, "false", Agent,
        "Make no lock file in the agent's directory."),
    flag("storage.remote.flush-deadline", Duration, "1m", Later,
        "Longest time for flushing samples at a shutdown or reload."),
    flag("storage.remote.read-sample-limit", Int, "50000000", Later,
        "Samples that one remote read may ask for."),
    flag("storage.remote.read-concurrent-limit", Int, "10", Later, "Remote reads at once."),
    flag("storage.remote.read-max-bytes-in-frame", Int, "1048576", Later,
        "Bytes in one frame of a streamed remote read."),
    flag("web.search.max-limit", Int, "10000", Nothing, "Ferula has no search API."),
    flag("rules.alert.for-outage-tolerance", Duration, "1h", Later,
        "Longest outage over which the state of alerts is restored."),
    flag("rules.alert.for-grace-period", Duration, "10m", Later,
        "Least time between an alert and its restored state."),
    flag("rules.alert.resend-delay", Duration, "1m", Later,
        "Least time before an alert is sent again."),
    flag("rules.max-concurrent-evals", Int, "4", Later, "Rules that are evaluated at once."),
    flag("alertmanager.notification-queue-capacity", Int, "10000", Later,
        "Alerts that may wait."),
    flag("alertmanager.notification-batch-size", Int, "256", Later, "Alerts in one request."),
    flag("alertmanager.drain-notification-queue-on-shutdown", Bool, "true", Later,
        "Send what waits before stopping."),
    flag("query.lookback-delta", Duration, "5m", Serves,
        "How far back a query looks for the newest sample."),
    flag("query.timeout", Duration, "2m", Serves, "Longest time of a query."),
    flag("query.max-concurrency", Int, "20", Serves, "Queries that are evaluated at once."),
    flag("query.max-samples", Int, "50000000", Serves,
        "Samples that one query may hold in memory."),
    flag("query.memory-budget", OptionalSize, "", Serves,
        "Bytes that the intermediate results of one query may take; an eighth of the memory, between 16MiB and 256MiB, unless given."),
    flag("enable-feature", List, "", Serves,
        "Names of features, separated by commas; may be repeated."),
    flag("agent", Bool, "false", Serves,
        "Agent mode: scrape and forward, keep nothing to query."),
    flag("log.level", Level, "info", Serves, "One of debug, info, warn, error."),
    flag("log.format", LogFormat, "logfmt", Serves, "One of logfmt, json."),
    hidden(flag("storage.tsdb.min-block-duration", Duration, "2h", Later,
        "Range of a block as it is cut.")),
    hidden(flag("storage.tsdb.max-block-duration", OptionalDuration, "", Later,
        "Range of the largest block.")),
    hidden(flag("storage.tsdb.max-block-chunk-segment-size", OptionalSize, "", Nothing,
        "Of Prometheus's block format.")),
    hidden(flag("storage.tsdb.wal-segment-size", OptionalSize, "", Nothing,
        "Ferula's segments grow with the number of series.")),
    hidden(flag("storage.tsdb.allow-overlapping-compaction", Bool, "true", Nothing,
        "Overlapping blocks are always merged.")),
    hidden(flag("storage.tsdb.wal-compression", Bool, "true", Nothing,
        "Ferula's log has an encoding of its own.")),
    hidden(flag("storage.tsdb.wal-compression-type", Text, "snappy", Nothing,
        "Ferula's log has an encoding of its own.")),
    hidden(flag("storage.tsdb.samples-per-chunk", Int, "120", Nothing,
        "Ferula's chunks have an encoding of their own.")),
    hidden(flag("storage.tsdb.delayed-compaction.max-percent", Int, "10", Nothing,
        "Ferula does not delay compaction.")),
    hidden(flag("storage.tsdb.block-reload-interval", Duration, "1m", Nothing,
        "Ferula knows its blocks.")),
    hidden(flag("storage.agent.wal-segment-size", OptionalSize, "", Agent,
        "Segment size of the agent's log.")),
    hidden(flag("storage.agent.wal-compression-type", Text, "snappy", Agent,
        "Compression of the agent's log.")),
    hidden(flag("storage.agent.wal-truncate-frequency", OptionalDuration, "", Agent,
        "How often the agent's log is cut.")),
    hidden(flag("scrape.adjust-timestamps", Bool, "true", Serves,
        "Align scrape timestamps to the schedule where they are close to it.")),
    hidden(flag("scrape.timestamp-tolerance", Duration, "2ms", Serves, "How close that is.")),
    hidden(flag("scrape.discovery-reload-interval", Duration, "5s", Serves,
        "Least time between two updates of a pool's targets.")),
    hidden(flag("write-documentation", Bool, "false", Nothing, "Ferula's flags are in its README.")),
];

/// A feature of `--enable-feature` (reference section 1.3).
pub struct Feature {
    pub name: &'static str,
    pub state: FeatureState,
}

/// The effect of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureState {
    /// It does what its name says.
    Works,
    /// Ferula always does it, or it graduated long ago.
    NoOp,
    /// Its component is not built yet, or it has no meaning here.
    Without,
}

const fn feature(name: &'static str, state: FeatureState) -> Feature {
    Feature { name, state }
}

use FeatureState::{NoOp, Without, Works};

pub const FEATURES: &[Feature] = &[
    feature("agent", NoOp),
    feature("promql-at-modifier", NoOp),
    feature("promql-negative-offset", NoOp),
    feature("remote-write-receiver", NoOp),
    feature("new-service-discovery-manager", NoOp),
    feature("expand-external-labels", NoOp),
    feature("no-default-scrape-port", NoOp),
    feature("native-histograms", NoOp),
    feature("ooo-native-histograms", NoOp),
    feature("promql-duration-expr", NoOp),
    feature("auto-gomaxprocs", NoOp),
    feature("auto-gomemlimit", NoOp),
    feature("otlp-write-receiver", NoOp),
    feature("utf8-names", NoOp),
    feature("memory-snapshot-on-shutdown", Without),
    feature("promql-experimental-functions", Works),
    feature("promql-per-step-stats", Without),
    feature("promql-delayed-name-removal", Works),
    feature("promql-extended-range-selectors", Works),
    feature("promql-binop-fill-modifiers", Works),
    feature("created-timestamp-zero-ingestion", Without),
    feature("st-storage", Without),
    feature("st-synthesis", Without),
    feature("use-start-timestamps", Works),
    feature("histograms-st-encoding", Without),
    feature("concurrent-rule-eval", Without),
    feature("old-ui", Without),
    feature("metadata-wal-records", Without),
    feature("delayed-compaction", Without),
    feature("otlp-deltatocumulative", Without),
    feature("otlp-native-delta-ingestion", Without),
    feature("type-and-unit-labels", Without),
    feature("use-uncached-io", Without),
    feature("xor2-encoding", Without),
    feature("search-api", Without),
    feature("fast-startup", Without),
    feature("exemplar-storage", Works),
    feature("extra-scrape-metrics", Works),
    feature("auto-reload-config", Works),
];
