//! `remote_write` and `remote_read` (reference sections 2.9 and 2.10): checked; their components
//! come later.

use std::time::Duration;

use super::http;
use super::relabel::rules;
use super::section::{Item, Section};
use super::sigv4::sigv4_section;
use super::url;
use super::yaml::Out;
use crate::model::names::NameScheme;
use crate::net::{ClientSettings, without_password};
use crate::relabel::Rule;
use crate::stdx::gofmt;

const OWN_AUTH: &str = "authorization header must be changed via the basic_auth, authorization, \
                        oauth2, sigv4, azuread or google_iam parameter";

/// One element of `remote_write`.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteWriteConfig {
    pub url: String,
    /// Empty if none is given.
    pub name: String,
    pub remote_timeout: Duration,
    pub headers: Vec<(String, String)>,
    pub write_relabel_configs: Vec<Rule>,
    pub send_exemplars: bool,
    pub send_native_histograms: bool,
    pub round_robin_dns: bool,
    /// The full name of the message, which gives the version of the protocol.
    pub protobuf_message: String,
    pub failed_request_logging: bool,
    pub http: ClientSettings,
    pub queue: QueueConfig,
    pub metadata: MetadataConfig,
}

/// `queue_config`. The counts are at least 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueConfig {
    /// The number of samples that wait for a shard.
    pub capacity: i64,
    pub max_shards: i64,
    pub min_shards: i64,
    pub max_samples_per_send: i64,
    pub batch_send_deadline: Duration,
    pub min_backoff: Duration,
    pub max_backoff: Duration,
    pub retry_on_http_429: bool,
    /// Zero means no limit.
    pub sample_age_limit: Duration,
}

/// `metadata_config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataConfig {
    pub send: bool,
    pub send_interval: Duration,
    pub max_samples_per_send: i64,
}

/// One element of `remote_read`.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteReadConfig {
    pub url: String,
    /// Empty if none is given.
    pub name: String,
    pub remote_timeout: Duration,
    /// The bytes of one frame of a streamed answer.
    pub chunked_read_limit: u64,
    pub headers: Vec<(String, String)>,
    pub read_recent: bool,
    pub http: ClientSettings,
    /// Sorted by name.
    pub required_matchers: Vec<(String, String)>,
    pub filter_external_labels: bool,
}

/// Returns the senders, and the printed form.
pub(super) fn remote_write(
    s: &mut Section<'_>,
    scheme: NameScheme,
) -> (Vec<RemoteWriteConfig>, Out) {
    let mut found = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut shown = Vec::new();
    for item in s.list("remote_write", "[]*config.RemoteWriteConfig") {
        if item.is_null() {
            item.error("empty or null remote write config section");
        } else if let Some((config, out)) = write_one(&item, scheme) {
            check_name(&item, "remote write", config.name.clone(), &mut names);
            found.push(config);
            shown.push(out);
        }
    }
    (found, Out::Seq(shown))
}

fn check_name(item: &Item<'_>, what: &str, name: String, names: &mut Vec<String>) {
    if !name.is_empty() && names.contains(&name) {
        let name = gofmt::quote(&name);
        item.error(format!(
            "found multiple {what} configs with job name {name}"
        ));
    }
    names.push(name);
}

fn url(s: &mut Section<'_>, what: &str) -> String {
    if !s.has("url") {
        s.error_at("url", format!("url for {what} is empty"));
    }
    let url = s.string("url");
    url::check(s, "url", &url);
    s.put("url", without_password(&url, "xxxxx"));
    url
}

fn write_one(item: &Item<'_>, scheme: NameScheme) -> Option<(RemoteWriteConfig, Out)> {
    let mut section = item.section("config.plain")?;
    let s = &mut section;
    let url = url(s, "remote_write");
    let remote_timeout = s.duration_some("remote_timeout", Duration::from_secs(30));
    let headers = headers(s);
    let empty = "empty or null relabeling rule in remote write config";
    let write_relabel_configs = rules(s, "write_relabel_configs", scheme, empty);
    let name = s.text_some("name", "");
    let send_exemplars = s.flag_some("send_exemplars", false);
    let send_native_histograms = s.flag_some("send_native_histograms", false);
    let round_robin_dns = s.flag_some("round_robin_dns", false);
    let protobuf_message = protobuf_message(s);
    let failed_request_logging = s.flag_some("failed_request_logging", false);
    let http = http::http(s, false);
    let queue = queue_config(s)?;
    let metadata = metadata_config(s);
    cloud_auth(s, http.auths());
    let config = RemoteWriteConfig {
        url,
        name,
        remote_timeout,
        headers,
        write_relabel_configs,
        send_exemplars,
        send_native_histograms,
        round_robin_dns,
        protobuf_message,
        failed_request_logging,
        http: http.settings,
        queue,
        metadata,
    };
    Some((config, section.finish()))
}

fn protobuf_message(s: &mut Section<'_>) -> String {
    let message = s.string_or("protobuf_message", "prometheus.WriteRequest");
    if !matches!(
        message.as_str(),
        "prometheus.WriteRequest" | "io.prometheus.write.v2.Request"
    ) {
        let text = format!(
            "invalid protobuf_message value: unknown type for remote write protobuf message \
             {message}, supported: prometheus.WriteRequest, io.prometheus.write.v2.Request"
        );
        s.error_at("protobuf_message", text);
    }
    s.put_some("protobuf_message", message.as_str());
    message
}

fn put_int(s: &mut Section<'_>, key: &'static str, default: i64) -> i64 {
    let value = s.int(key).unwrap_or(default);
    s.put_some(key, Out::Int(i128::from(value)));
    value
}

fn headers(s: &mut Section<'_>) -> Vec<(String, String)> {
    let headers = s.string_map("headers");
    s.put_map("headers", &headers);
    http::check_plain_headers(s, &headers, OWN_AUTH);
    headers
}

/// Reads the queue's settings. A written null removes the defaults, as in Go, and is refused.
fn queue_config(parent: &mut Section<'_>) -> Option<QueueConfig> {
    let or = |default| {
        if parent.is_null("queue_config") {
            0
        } else {
            default
        }
    };
    let ms = |default| Duration::from_millis(or(default) as u64);
    let (capacity, max, min, samples) = (or(10_000), or(50), or(1), or(2_000));
    let (deadline, min_backoff, max_backoff) = (ms(5_000), ms(30), ms(5_000));
    let mut s = parent.section_or_empty("queue_config", "config.QueueConfig")?;
    let capacity = put_int(&mut s, "capacity", capacity);
    let max_shards = put_int(&mut s, "max_shards", max);
    let min_shards = put_int(&mut s, "min_shards", min);
    let max_samples = put_int(&mut s, "max_samples_per_send", samples);
    let batch_send_deadline = s.duration_some("batch_send_deadline", deadline);
    let min_backoff = s.duration_some("min_backoff", min_backoff);
    let max_backoff = s.duration_some("max_backoff", max_backoff);
    let retry_on_http_429 = s.flag_some("retry_on_http_429", false);
    let sample_age_limit = s.duration_some("sample_age_limit", Duration::ZERO);
    let faults = [
        (max_shards <= 0, "max_shards", "max_shards must be positive"),
        (min_shards <= 0, "min_shards", "min_shards must be positive"),
        (
            min_shards > max_shards,
            "min_shards",
            "min_shards must not be greater than max_shards",
        ),
        (
            max_samples <= 0,
            "max_samples_per_send",
            "max_samples_per_send must be positive",
        ),
        (capacity <= 0, "capacity", "capacity must be positive"),
        (
            max_backoff < min_backoff,
            "max_backoff",
            "max_backoff must not be less than min_backoff",
        ),
    ];
    for (_, key, text) in faults.into_iter().filter(|(holds, ..)| *holds) {
        s.error_at(key, format!("remote write queue {text}"));
    }
    let out = s.finish();
    parent.put("queue_config", out);
    Some(QueueConfig {
        capacity,
        max_shards,
        min_shards,
        max_samples_per_send: max_samples,
        batch_send_deadline,
        min_backoff,
        max_backoff,
        retry_on_http_429,
        sample_age_limit,
    })
}

fn metadata_config(parent: &mut Section<'_>) -> MetadataConfig {
    // A written null removes the defaults, as in Go, so there is nothing to print.
    if parent.is_null("metadata_config") {
        parent.skip("metadata_config");
        return MetadataConfig {
            send: false,
            send_interval: Duration::ZERO,
            max_samples_per_send: 0,
        };
    }
    let (mut send, mut interval, mut samples) = (true, Duration::from_secs(60), 2_000);
    if let Some(mut s) = parent.section("metadata_config", "config.MetadataConfig") {
        send = s.bool("send").unwrap_or(send);
        interval = s.duration("send_interval").unwrap_or(interval);
        samples = s.int("max_samples_per_send").unwrap_or(samples);
        s.finish();
    }
    let shown = vec![
        ("send".to_owned(), Out::Bool(send)),
        (
            "send_interval".to_owned(),
            crate::model::duration::format(interval).into(),
        ),
        (
            "max_samples_per_send".to_owned(),
            Out::Int(i128::from(samples)),
        ),
    ];
    parent.put("metadata_config", Out::Map(shown));
    MetadataConfig {
        send,
        send_interval: interval,
        max_samples_per_send: samples,
    }
}

/// Reads the clouds' ways to sign, which Ferula does not have. Data must not be sent without them.
fn cloud_auth(s: &mut Section<'_>, mut auths: Vec<&'static str>) {
    if let Some(inner) = s.section("sigv4", "sigv4.plain") {
        sigv4_section(inner);
        auths.push("sigv4");
    }
    if s.has("azuread") {
        auths.push("azuread");
    }
    s.skip("azuread");
    if let Some(mut inner) = s.section("google_iam", "googleiam.Config") {
        inner.string("credentials_file");
        inner.finish();
        auths.push("google_iam");
    }
    if auths.len() > 1 {
        let all = auths.join(" ");
        let text = format!(
            "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must \
             be configured. Currently configured: [{all}]"
        );
        s.error_at(auths.last().copied().unwrap_or_default(), text);
    }
    for key in ["sigv4", "azuread", "google_iam"] {
        if auths.contains(&key) {
            let text = format!("{key} is not supported by Ferula; data would go without it");
            s.error_at(key, text);
        }
    }
}

/// Returns the sources, and the printed form.
pub(super) fn remote_read(s: &mut Section<'_>) -> (Vec<RemoteReadConfig>, Out) {
    let mut found = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut shown = Vec::new();
    for item in s.list("remote_read", "[]*config.RemoteReadConfig") {
        if item.is_null() {
            item.error("empty or null remote read config section");
        } else if let Some((config, out)) = read_one(&item) {
            check_name(&item, "remote read", config.name.clone(), &mut names);
            found.push(config);
            shown.push(out);
        }
    }
    (found, Out::Seq(shown))
}

fn read_one(item: &Item<'_>) -> Option<(RemoteReadConfig, Out)> {
    let mut section = item.section("config.plain")?;
    let s = &mut section;
    let url = url(s, "remote_read");
    let remote_timeout = s.duration_some("remote_timeout", Duration::from_secs(60));
    let chunked_read_limit = s.uint("chunked_read_limit").unwrap_or(50_000_000);
    s.put_uint("chunked_read_limit", chunked_read_limit);
    let headers = headers(s);
    let read_recent = s.flag_some("read_recent", false);
    let name = s.text_some("name", "");
    let http = http::http(s, true);
    let required_matchers = s.string_map("required_matchers");
    s.put_map("required_matchers", &required_matchers);
    let filter_external_labels = s.flag_some("filter_external_labels", true);
    let config = RemoteReadConfig {
        url,
        name,
        remote_timeout,
        chunked_read_limit,
        headers,
        read_recent,
        http: http.settings,
        required_matchers,
        filter_external_labels,
    };
    Some((config, section.finish()))
}
