//! `remote_write` and `remote_read` (reference sections 2.9 and 2.10): checked; their components
//! come later.

use std::time::Duration;

use super::alerting::sigv4_section;
use super::http;
use super::relabel::rules;
use super::section::{Item, Section};
use super::url;
use super::yaml::Out;
use crate::model::names::NameScheme;
use crate::net::without_password;
use crate::stdx::gofmt;

const OWN_AUTH: &str = "authorization header must be changed via the basic_auth, authorization, \
                        oauth2, sigv4, azuread or google_iam parameter";

/// Answers the URLs, and the printed form.
pub(super) fn remote_write(s: &mut Section<'_>, scheme: NameScheme) -> (Vec<String>, Out) {
    let mut urls = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut shown = Vec::new();
    for item in s.list("remote_write", "[]*config.RemoteWriteConfig") {
        if item.is_null() {
            item.error("empty or null remote write config section");
        } else if let Some((url, name, out)) = write_one(&item, scheme) {
            check_name(&item, "remote write", name, &mut names);
            urls.push(url);
            shown.push(out);
        }
    }
    (urls, Out::Seq(shown))
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

fn write_one(item: &Item<'_>, scheme: NameScheme) -> Option<(String, String, Out)> {
    let mut section = item.section("config.plain")?;
    let s = &mut section;
    let url = url(s, "remote_write");
    s.duration_some("remote_timeout", Duration::from_secs(30));
    headers(s);
    let empty = "empty or null relabeling rule in remote write config";
    rules(s, "write_relabel_configs", scheme, empty);
    let name = s.text_some("name", "");
    for key in [
        "send_exemplars",
        "send_native_histograms",
        "round_robin_dns",
    ] {
        s.flag_some(key, false);
    }
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
    s.put_some("protobuf_message", message);
    s.flag_some("failed_request_logging", false);
    let http = http::http(s, false);
    queue_config(s);
    metadata_config(s);
    cloud_auth(s, http.auths());
    Some((url, name, section.finish()))
}

fn put_int(s: &mut Section<'_>, key: &'static str, default: i64) -> i64 {
    let value = s.int(key).unwrap_or(default);
    s.put_some(key, Out::Int(i128::from(value)));
    value
}

fn headers(s: &mut Section<'_>) {
    let headers = s.string_map("headers");
    s.put_map("headers", &headers);
    http::check_plain_headers(s, &headers, OWN_AUTH);
}

/// A written null takes the defaults away, as in Go, and is refused.
fn queue_config(parent: &mut Section<'_>) {
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
    let Some(mut s) = parent.section_or_empty("queue_config", "config.QueueConfig") else {
        return;
    };
    let capacity = put_int(&mut s, "capacity", capacity);
    let max_shards = put_int(&mut s, "max_shards", max);
    let min_shards = put_int(&mut s, "min_shards", min);
    let max_samples = put_int(&mut s, "max_samples_per_send", samples);
    s.duration_some("batch_send_deadline", deadline);
    let min_backoff = s.duration_some("min_backoff", min_backoff);
    let max_backoff = s.duration_some("max_backoff", max_backoff);
    s.flag_some("retry_on_http_429", false);
    s.duration_some("sample_age_limit", Duration::ZERO);
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
}

fn metadata_config(parent: &mut Section<'_>) {
    // A written null takes the defaults away, as in Go, and then there is nothing to print.
    if parent.is_null("metadata_config") {
        return parent.skip("metadata_config");
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
}

/// Clouds' own ways to sign, which Ferula has not: data must not go without them.
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

/// Answers the URLs, and the printed form.
pub(super) fn remote_read(s: &mut Section<'_>) -> (Vec<String>, Out) {
    let mut urls = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut shown = Vec::new();
    for item in s.list("remote_read", "[]*config.RemoteReadConfig") {
        if item.is_null() {
            item.error("empty or null remote read config section");
        } else if let Some((url, name, out)) = read_one(&item) {
            check_name(&item, "remote read", name, &mut names);
            urls.push(url);
            shown.push(out);
        }
    }
    (urls, Out::Seq(shown))
}

fn read_one(item: &Item<'_>) -> Option<(String, String, Out)> {
    let mut section = item.section("config.plain")?;
    let s = &mut section;
    let url = url(s, "remote_read");
    s.duration_some("remote_timeout", Duration::from_secs(60));
    let limit = s.uint("chunked_read_limit").unwrap_or(50_000_000);
    s.put_uint("chunked_read_limit", limit);
    headers(s);
    s.flag_some("read_recent", false);
    let name = s.text_some("name", "");
    http::http(s, true);
    let matchers = s.string_map("required_matchers");
    s.put_map("required_matchers", &matchers);
    s.flag_some("filter_external_labels", true);
    Some((url, name, section.finish()))
}
