//! `scrape_configs[]` (reference section 2.3).

use std::path::PathBuf;
use std::time::Duration;

use super::global::{GlobalSection, Limits, name_scheme, nonzero};
use super::http::http;
use super::protocols;
use super::relabel::rules;
use super::sd::{check_static_targets, service_discovery};
use super::section::{Item, Section};
use super::types::ScrapeConfig;
use super::yaml::{Out, emit};
use crate::exposition::Protocol;
use crate::model::names::{EscapingScheme, NameScheme};
use crate::stdx::gofmt;
use crate::stdx::sort::sort;

/// Reads one job; `None` if it is not one. Also returns its printed form.
pub(super) fn scrape_config(
    item: &Item<'_>,
    global: &GlobalSection,
) -> Option<(ScrapeConfig, Out)> {
    if item.is_null() {
        item.error("empty or null scrape config section");
        return None;
    }
    let mut section = item.section("config.ScrapeConfig")?;
    let s = &mut section;
    let job_name = s.string("job_name");
    if job_name.is_empty() {
        s.error_at("job_name", "job_name is empty");
    }
    s.put("job_name", job_name.as_str());
    let honor_labels = s.flag_some("honor_labels", false);
    let honor_timestamps = s.flag("honor_timestamps", true);
    let track_timestamps_staleness = s.flag("track_timestamps_staleness", false);
    let params = params(s);
    let (scrape_interval, scrape_timeout) = times(s, global, &job_name);
    let native = s
        .bool("scrape_native_histograms")
        .unwrap_or(global.scrape_native_histograms);
    let protocols = protocols(s, global, &job_name, native);
    let fallback_scrape_protocol = fallback(s, &job_name);
    s.put("scrape_native_histograms", native);
    let (always, convert) = histograms(s, global, native);
    let mut failure_log = s.path("scrape_failure_log_file");
    if failure_log.is_empty() {
        failure_log.clone_from(&global.scrape_failure_log_file);
    }
    s.put_some("scrape_failure_log_file", failure_log.as_str());
    let metrics_path = s.text_some("metrics_path", "/metrics");
    let scheme = s.text_some("scheme", "http");
    let enable_compression = s.flag("enable_compression", true);
    let limits = Limits::read(s, global.limits);
    native_limits(s);
    let keep_dropped_targets = s
        .uint("keep_dropped_targets")
        .filter(|n| *n > 0)
        .unwrap_or(global.keep_dropped_targets);
    s.put_uint("keep_dropped_targets", keep_dropped_targets);
    let (name_scheme, escaping_scheme) = schemes(s, global);
    let extra = s.flag("extra_scrape_metrics", global.extra_scrape_metrics);
    let http = http(s, true);
    let relabel_configs = rules(
        s,
        "relabel_configs",
        name_scheme,
        "empty or null target relabeling rule in scrape config",
    );
    let metric_relabel_configs = rules(
        s,
        "metric_relabel_configs",
        name_scheme,
        "empty or null metric relabeling rule in scrape config",
    );
    let service_discovery = service_discovery(s);
    if relabel_configs.is_empty() {
        check_static_targets(s, &service_discovery);
    }
    let mut job = ScrapeConfig {
        job_name,
        scrape_interval,
        scrape_timeout,
        scrape_protocols: protocols,
        fallback_scrape_protocol,
        metrics_path,
        scheme,
        params,
        honor_labels,
        honor_timestamps,
        track_timestamps_staleness,
        enable_compression,
        extra_scrape_metrics: extra,
        scrape_failure_log_file: Some(failure_log)
            .filter(|f| !f.is_empty())
            .map(PathBuf::from),
        body_size_limit: limits.body_size,
        sample_limit: limits.sample,
        label_limit: limits.label,
        label_name_length_limit: limits.label_name_length,
        label_value_length_limit: limits.label_value_length,
        target_limit: limits.target,
        keep_dropped_targets,
        name_scheme,
        escaping_scheme,
        scrape_native_histograms: native,
        convert_classic_histograms_to_nhcb: convert,
        always_scrape_classic_histograms: always,
        relabel_configs,
        metric_relabel_configs,
        http: http.settings,
        service_discovery,
        yaml: String::new(),
    };
    let out = section.finish();
    job.yaml = emit(&out);
    Some((job, out))
}

fn params(s: &mut Section<'_>) -> Vec<(String, Vec<String>)> {
    let Some(item) = s.get("params") else {
        return Vec::new();
    };
    let mut params: Vec<(String, Vec<String>)> = Vec::new();
    for (name, values) in item.map("url.Values") {
        params.push((name.to_owned(), values.strings("[]string")));
    }
    sort(&mut params);
    let shown = params
        .iter()
        .map(|(name, values)| (name.clone(), values.as_slice().into()));
    let shown = Out::Map(shown.collect());
    s.put_some("params", shown);
    params
}

fn times(s: &mut Section<'_>, global: &GlobalSection, job: &str) -> (Duration, Duration) {
    let interval = nonzero(s.duration("scrape_interval")).unwrap_or(global.global.scrape_interval);
    let own_timeout = nonzero(s.duration("scrape_timeout"));
    if own_timeout.is_some_and(|timeout| timeout > interval) {
        let text = format!(
            "scrape timeout greater than scrape interval for scrape config with job name {}",
            gofmt::quote(job)
        );
        s.error_at("scrape_timeout", text);
    }
    let timeout = own_timeout.unwrap_or(global.global.scrape_timeout.min(interval));
    s.put_duration("scrape_interval", interval);
    s.put_duration("scrape_timeout", timeout);
    (interval, timeout)
}

/// Returns the protocols to ask for. The protobuf format, which cannot be read yet, is shown but
/// left out.
fn protocols(
    s: &mut Section<'_>,
    global: &GlobalSection,
    job: &str,
    native: bool,
) -> Vec<Protocol> {
    let own = s
        .get("scrape_protocols")
        .filter(|item| !item.is_null())
        .map(|item| {
            let names = item.strings("[]config.ScrapeProtocol");
            protocols::checked(&names).unwrap_or_else(|fault| {
                let job = gofmt::quote(job);
                item.error(format!("{} for scrape config with job name {job}", fault.0));
                Protocol::DEFAULT.to_vec()
            })
        });
    let chosen = own.or_else(|| global.scrape_protocols.clone());
    let written = chosen.is_some();
    let all = chosen.unwrap_or_else(|| {
        let first = native.then_some(Protocol::PrometheusProto);
        first.into_iter().chain(Protocol::DEFAULT).collect()
    });
    let shown = all.iter().map(|p| p.as_str().into()).collect();
    s.put("scrape_protocols", Out::Seq(shown));
    let used: Vec<Protocol> = all
        .iter()
        .copied()
        .filter(|p| p.format().is_some())
        .collect();
    if used.len() < all.len() && written {
        let text = "PrometheusProto is not read by Ferula yet and is not asked for";
        s.warn_once_at("scrape_protocols", text);
    }
    if used.is_empty() {
        Protocol::DEFAULT.to_vec()
    } else {
        used
    }
}

fn fallback(s: &mut Section<'_>, job: &str) -> Option<Protocol> {
    let item = s.get("fallback_scrape_protocol")?;
    let name = item.string();
    if name.is_empty() {
        return None;
    }
    s.put("fallback_scrape_protocol", name.as_str());
    protocols::one(&name)
        .map_err(|why| {
            item.error(format!(
                "invalid fallback_scrape_protocol for scrape config with job name {}: {why}",
                gofmt::quote(job)
            ));
        })
        .ok()
}

/// Returns whether classic histograms are always scraped, and whether they are converted.
fn histograms(s: &mut Section<'_>, global: &GlobalSection, native: bool) -> (bool, bool) {
    let inherited = global.always_scrape_classic_histograms;
    let always = s.flag("always_scrape_classic_histograms", inherited);
    let inherited = global.convert_classic_histograms_to_nhcb;
    let convert = s.flag("convert_classic_histograms_to_nhcb", inherited);
    if native || always || convert {
        let text = "native histograms are not stored by Ferula yet; their settings have no effect";
        s.warn_once_at("scrape_native_histograms", text);
    }
    (always, convert)
}

fn native_limits(s: &mut Section<'_>) {
    let limit = s.uint("native_histogram_bucket_limit").unwrap_or(0);
    s.put_uint("native_histogram_bucket_limit", limit);
    let factor = s.float("native_histogram_min_bucket_factor").unwrap_or(0.0);
    s.put_some("native_histogram_min_bucket_factor", Out::Float(factor));
}

fn schemes(s: &mut Section<'_>, global: &GlobalSection) -> (NameScheme, EscapingScheme) {
    let inferred = |scheme| match scheme {
        NameScheme::Utf8 => EscapingScheme::AllowUtf8,
        NameScheme::Legacy => EscapingScheme::Underscores,
    };
    let own_names = name_scheme(s, "metric_name_validation_scheme");
    let names = own_names.unwrap_or(global.name_scheme);
    s.put("metric_name_validation_scheme", names.as_str());
    let written = s.string("metric_name_escaping_scheme");
    let escaping = match written.as_str() {
        "" if own_names.is_none() => {
            protocols::escaping(&global.escaping_scheme).unwrap_or(inferred(names))
        }
        "" => inferred(names),
        name => protocols::escaping(name).unwrap_or_else(|| {
            let text = protocols::unknown_escaping("scrape config", name);
            s.error_at("metric_name_escaping_scheme", text);
            inferred(names)
        }),
    };
    if escaping == EscapingScheme::AllowUtf8 && names == NameScheme::Legacy {
        s.error_at(
            "metric_name_escaping_scheme",
            "utf8 metric names requested but validation scheme is not set to UTF8",
        );
    }
    s.put("metric_name_escaping_scheme", escaping.as_str());
    (names, escaping)
}
