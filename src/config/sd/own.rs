//! The discoveries that Ferula has itself: static groups, files, HTTP; and DNS, which comes later.

use std::time::Duration;

use crate::config::http;
use crate::config::section::{Item, Section};
use crate::config::types::{FileSdConfig, HttpSdConfig, SdConfig};
use crate::config::url;
use crate::config::yaml::Out;
use crate::model::names::NameScheme;
use crate::model::{LabelMap, TargetGroup};
use crate::stdx::gofmt;

pub(super) type Read = Option<(SdConfig, Out)>;

/// The name of a structure that has none in Prometheus.
const GROUP_TYPE: &str =
    r#"struct { Targets []string "yaml:\"targets\""; Labels model.LabelSet "yaml:\"labels\"" }"#;

/// Reads a target group of `static_configs` or of a target file.
pub(in crate::config) fn group(item: &Item<'_>, scheme: NameScheme) -> Option<(TargetGroup, Out)> {
    let mut s = item.section(GROUP_TYPE)?;
    let targets = s.strings("targets");
    s.put("targets", targets.as_slice());
    let labels = labels(&mut s, scheme);
    let target = |address: String| LabelMap::from([("__address__".to_owned(), address)]);
    let group = TargetGroup {
        targets: targets.into_iter().map(target).collect(),
        labels,
        source: String::new(),
    };
    Some((group, s.finish()))
}

fn labels(s: &mut Section<'_>, scheme: NameScheme) -> LabelMap {
    let mut labels = LabelMap::new();
    if let Some(item) = s.get("labels") {
        for (name, value) in item.map("model.LabelSet") {
            if !scheme.is_label_name(name) {
                value.error(format!("{} is not a valid label name", gofmt::quote(name)));
            }
            labels.insert(name.to_owned(), value.string());
        }
    }
    let shown = labels
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()));
    let shown = Out::Map(shown.collect());
    s.put_some("labels", shown);
    labels
}

pub(super) fn file(item: &Item<'_>) -> Read {
    let mut s = item.section("file.plain")?;
    let names = s.strings("files");
    if names.is_empty() {
        let text = "file service discovery config must contain at least one path name";
        s.error_at("files", text);
    }
    for name in &names {
        if !check_file_name(name) {
            let text = format!(
                "path name {} is not valid for file discovery",
                gofmt::quote(name)
            );
            s.error_at("files", text);
        }
    }
    let files: Vec<String> = names.iter().map(|name| item.cx.join(name)).collect();
    s.put("files", files.as_slice());
    let refresh_interval = refresh_interval(&mut s, 300);
    // NOTE: not made absolute, since rules match on `__meta_filepath`.
    let config = FileSdConfig {
        files,
        refresh_interval,
    };
    Some((SdConfig::File(config), s.finish()))
}

pub(in crate::config) fn absolute(path: &str) -> String {
    let absolute = std::path::absolute(path).ok();
    absolute
        .and_then(|p| p.to_str().map(str::to_owned))
        .unwrap_or_else(|| path.to_owned())
}

/// Checks for at most one star, in the last segment, and an ending that gives the format.
pub(in crate::config) fn check_file_name(name: &str) -> bool {
    const ENDINGS: [&str; 6] = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"];
    let Some(stem) = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)) else {
        return false;
    };
    stem.split_once('*')
        .is_none_or(|(_, after)| !after.contains('/'))
}

/// Reads the interval. `default` is in seconds. A written null or 0 is no interval, as in Go.
pub(super) fn refresh_interval(s: &mut Section<'_>, default: u64) -> Duration {
    s.duration_some("refresh_interval", Duration::from_secs(default))
}

pub(super) fn http(item: &Item<'_>) -> Read {
    let mut s = item.section("http.plain")?;
    let http = http::http(&mut s, true);
    let refresh_interval = refresh_interval(&mut s, 60);
    let url = s.string("url");
    check_url(&s, &url);
    s.put("url", url.as_str());
    let config = HttpSdConfig {
        url,
        refresh_interval,
        http: http.settings,
    };
    Some((SdConfig::Http(Box::new(config)), s.finish()))
}

pub(super) fn check_url(s: &Section<'_>, url: &str) {
    if let Some(fault) = url_fault(url) {
        s.error_at("url", fault);
    }
}

pub(super) fn url_fault(url: &str) -> Option<String> {
    if url.is_empty() {
        return Some("URL is missing".to_owned());
    }
    match url::parse(url) {
        Err(fault) => Some(fault),
        Ok(url) if url.scheme != "http" && url.scheme != "https" => {
            Some("URL scheme must be 'http' or 'https'".to_owned())
        }
        Ok(url) if url.host.is_empty() => Some("host is missing in URL".to_owned()),
        Ok(_) => None,
    }
}

pub(super) fn dns(item: &Item<'_>) -> Read {
    let mut s = item.section("dns.plain")?;
    let names = s.strings("names");
    if names.is_empty() {
        s.error_at(
            "names",
            "DNS-SD config must contain at least one SRV record name",
        );
    }
    s.put("names", names.as_slice());
    refresh_interval(&mut s, 30);
    let kind = s.string_or("type", "SRV");
    let port = s.int("port").unwrap_or(0);
    match kind.to_ascii_uppercase().as_str() {
        "SRV" => {}
        "A" | "AAAA" | "MX" | "NS" if port != 0 => {}
        "A" | "AAAA" | "MX" | "NS" => {
            let text = "a port is required in DNS-SD configs for all record types except SRV";
            s.error_at("type", text);
        }
        _ => s.error_at("type", format!("invalid DNS-SD records type {kind}")),
    }
    s.put("type", kind);
    s.put("port", Out::Int(i128::from(port)));
    Some((SdConfig::Later("dns".to_owned()), s.finish()))
}
