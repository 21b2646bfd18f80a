//! `global` and `runtime` (reference section 2.2).

use std::path::PathBuf;
use std::time::Duration;

use super::protocols::{self, ProtocolsFault};
use super::section::Section;
use super::types::Global;
use super::yaml::Out;
use crate::exposition::Protocol;
use crate::model::names::NameScheme;
use crate::stdx::gofmt;
use crate::stdx::sort::sort;

/// The section `global`, with what only jobs inherit.
#[derive(Debug, Clone)]
pub(super) struct GlobalSection {
    pub global: Global,
    pub scrape_protocols: Option<Vec<Protocol>>,
    pub scrape_failure_log_file: String,
    pub limits: Limits,
    pub keep_dropped_targets: u64,
    pub name_scheme: NameScheme,
    /// "" where the name scheme decides.
    pub escaping_scheme: String,
    pub scrape_native_histograms: bool,
    pub convert_classic_histograms_to_nhcb: bool,
    pub always_scrape_classic_histograms: bool,
    pub extra_scrape_metrics: bool,
}

/// Limits that jobs inherit where theirs is 0.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    pub body_size: u64,
    pub sample: u64,
    pub target: u64,
    pub label: u64,
    pub label_name_length: u64,
    pub label_value_length: u64,
}

impl Limits {
    pub fn read(s: &mut Section<'_>, inherited: Limits) -> Limits {
        let or = |own: Option<u64>, inherited| own.filter(|n| *n > 0).unwrap_or(inherited);
        let limits = Limits {
            body_size: or(s.size("body_size_limit"), inherited.body_size),
            sample: or(s.uint("sample_limit"), inherited.sample),
            target: or(s.uint("target_limit"), inherited.target),
            label: or(s.uint("label_limit"), inherited.label),
            label_name_length: or(
                s.uint("label_name_length_limit"),
                inherited.label_name_length,
            ),
            label_value_length: or(
                s.uint("label_value_length_limit"),
                inherited.label_value_length,
            ),
        };
        s.put_size("body_size_limit", limits.body_size);
        s.put_uint("sample_limit", limits.sample);
        s.put_uint("target_limit", limits.target);
        s.put_uint("label_limit", limits.label);
        s.put_uint("label_name_length_limit", limits.label_name_length);
        s.put_uint("label_value_length_limit", limits.label_value_length);
        limits
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// Reads the section. `written` is false if it is absent or null, when the defaults print
/// differently.
pub(super) fn global(s: &mut Section<'_>, written: bool) -> GlobalSection {
    let scrape_interval = nonzero(s.duration("scrape_interval")).unwrap_or(MINUTE);
    let own_timeout = nonzero(s.duration("scrape_timeout"));
    if own_timeout.is_some_and(|timeout| timeout > scrape_interval) {
        s.error_at(
            "scrape_timeout",
            "global scrape timeout greater than scrape interval",
        );
    }
    let scrape_timeout = own_timeout.unwrap_or(scrape_interval.min(Duration::from_secs(10)));
    s.put_duration("scrape_interval", scrape_interval);
    s.put_duration("scrape_timeout", scrape_timeout);
    let scrape_protocols = protocols(s);
    let evaluation_interval = nonzero(s.duration("evaluation_interval")).unwrap_or(MINUTE);
    s.put_duration("evaluation_interval", evaluation_interval);
    let rule_query_offset = s.duration_some("rule_query_offset", Duration::ZERO);
    let query_log_file = s.path("query_log_file");
    s.put_some("query_log_file", query_log_file.as_str());
    let scrape_failure_log_file = s.path("scrape_failure_log_file");
    s.put_some("scrape_failure_log_file", scrape_failure_log_file.as_str());
    // Names are checked by the scheme, which comes later.
    let name_scheme = name_scheme(s, "metric_name_validation_scheme").unwrap_or_default();
    let external_labels = external_labels(s, name_scheme);
    let limits = Limits::read(s, Limits::default());
    let keep_dropped = s.uint("keep_dropped_targets").unwrap_or(0);
    s.put_uint("keep_dropped_targets", keep_dropped);
    s.put("metric_name_validation_scheme", name_scheme.as_str());
    let escaping_scheme = s.string("metric_name_escaping_scheme");
    if !escaping_scheme.is_empty() && protocols::escaping(&escaping_scheme).is_none() {
        s.error_at(
            "metric_name_escaping_scheme",
            protocols::unknown_escaping("global", &escaping_scheme),
        );
    }
    let shown = if written {
        escaping_scheme.as_str()
    } else {
        "allow-utf-8"
    };
    s.put_some("metric_name_escaping_scheme", shown);
    let scrape_native_histograms = s.flag("scrape_native_histograms", false);
    let convert = s.flag_some("convert_classic_histograms_to_nhcb", false);
    let always = s.flag_some("always_scrape_classic_histograms", false);
    let by_default = s.cx.options.extra_scrape_metrics;
    let extra_scrape_metrics = s.flag("extra_scrape_metrics", by_default);
    GlobalSection {
        global: Global {
            scrape_interval,
            scrape_timeout,
            evaluation_interval,
            rule_query_offset,
            external_labels,
            query_log_file: Some(query_log_file)
                .filter(|f| !f.is_empty())
                .map(PathBuf::from),
        },
        scrape_protocols,
        scrape_failure_log_file,
        limits,
        keep_dropped_targets: keep_dropped,
        name_scheme,
        escaping_scheme,
        scrape_native_histograms,
        convert_classic_histograms_to_nhcb: convert,
        always_scrape_classic_histograms: always,
        extra_scrape_metrics,
    }
}

pub(super) fn nonzero(duration: Option<Duration>) -> Option<Duration> {
    duration.filter(|d| !d.is_zero())
}

fn protocols(s: &mut Section<'_>) -> Option<Vec<Protocol>> {
    let item = s.get("scrape_protocols").filter(|item| !item.is_null())?;
    let names: Vec<String> = item
        .list("[]config.ScrapeProtocol")
        .iter()
        .map(super::section::Item::string)
        .collect();
    s.put_some("scrape_protocols", names.as_slice());
    match protocols::checked(&names) {
        Ok(protocols) => Some(protocols),
        Err(ProtocolsFault(message)) => {
            item.error(format!("{message} for global config"));
            None
        }
    }
}

/// Returns `None` if it is absent or "".
pub(super) fn name_scheme(s: &mut Section<'_>, key: &'static str) -> Option<NameScheme> {
    let item = s.get(key)?;
    match item.string().as_str() {
        "" => None,
        "utf8" => Some(NameScheme::Utf8),
        "legacy" => Some(NameScheme::Legacy),
        other => {
            item.error(format!(
                "unrecognized ValidationScheme: {}",
                gofmt::quote(other)
            ));
            None
        }
    }
}

fn external_labels(s: &mut Section<'_>, scheme: NameScheme) -> Vec<(String, String)> {
    let Some(item) = s.get("external_labels") else {
        return Vec::new();
    };
    let mut labels = Vec::new();
    for (name, value) in item.map("labels.Labels") {
        if !scheme.is_label_name(name) {
            value.error(format!("{} is not a valid label name", gofmt::quote(name)));
        }
        let missing = |variable: &str| value.warn(format!("empty environment variable {variable}"));
        let expanded = expand(&value.string(), value.cx.options.environment, missing);
        labels.push((name.to_owned(), expanded));
    }
    sort(&mut labels);
    s.put_map("external_labels", &labels);
    labels
}

/// Expands `$name`, `${name}` and `$$` as Go's `os.Expand` does.
pub(super) fn expand(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    mut missing: impl FnMut(&str),
) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(rest.get(..at).unwrap_or_default());
        let after = rest.get(at + 1..).unwrap_or_default();
        let (name, used) = shell_name(after);
        rest = after.get(used..).unwrap_or_default();
        match name {
            "$" => out.push('$'),
            // A bad name with braces vanishes, a lone dollar stays.
            "" if used == 0 => out.push('$'),
            "" => {}
            name => match environment(name).filter(|value| !value.is_empty()) {
                Some(value) => out.push_str(&value),
                None => missing(name),
            },
        }
    }
    out.push_str(rest);
    out
}

/// Returns the variable's name at the start of a text, and how many bytes it takes.
fn shell_name(text: &str) -> (&str, usize) {
    let special = |b: u8| b.is_ascii_digit() || b"*#$@!?-".contains(&b);
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    match text.bytes().next() {
        Some(b'{') => match text.find('}') {
            Some(end) => (text.get(1..end).unwrap_or_default(), end + 1),
            None => ("", 1),
        },
        Some(b) if special(b) => (text.get(..1).unwrap_or_default(), 1),
        _ => {
            let len = text.bytes().take_while(word).count();
            (text.get(..len).unwrap_or_default(), len)
        }
    }
}

/// `runtime`: settings of Go's garbage collector. They are read and shown, and mean nothing here.
pub(super) fn runtime(s: Option<Section<'_>>) -> Out {
    let gogc = s.map_or(0, |mut s| {
        let gogc = s.int("gogc").unwrap_or(0);
        s.finish();
        gogc
    });
    let gogc = if gogc == 0 { 75 } else { gogc };
    Out::Map(vec![("gogc".to_owned(), Out::Int(i128::from(gogc)))])
}
