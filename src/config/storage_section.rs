//! `storage` (reference section 2.11).

use std::time::Duration;

use super::options::LoadOptions;
use super::section::Section;
use super::types::StorageConfig;
use super::yaml::Out;
use crate::model::{duration, size};
use crate::stdx::gofmt;

/// LIMIT: Prometheus's default.
const EXEMPLARS_MAX: i64 = 100_000;

pub(super) fn storage(s: Option<Section<'_>>, options: &LoadOptions<'_>) -> (StorageConfig, Out) {
    let mut config = StorageConfig {
        out_of_order_time_window: Duration::ZERO,
        retention_time: None,
        retention_size: None,
        retention_percentage: None,
        max_exemplars: EXEMPLARS_MAX,
    };
    let by_flags = retention_shown(options.retention.0, options.retention.1, 0.0);
    let exemplars = Out::Map(vec![(
        "max_exemplars".to_owned(),
        Out::Int(i128::from(EXEMPLARS_MAX)),
    )]);
    let Some(mut s) = s else {
        let tsdb = tsdb_shown(Duration::ZERO, 0.0, "", by_flags);
        let mut shown = vec![("tsdb".to_owned(), Out::Map(tsdb))];
        if options.exemplars {
            shown.push(("exemplars".to_owned(), exemplars));
        }
        return (config, Out::Map(shown));
    };
    s.forget_earlier("tsdb");
    let tsdb = match s.section("tsdb", "config.plain") {
        Some(section) => tsdb(section, &mut config, by_flags),
        None => tsdb_shown(Duration::ZERO, 0.0, "", by_flags),
    };
    s.put("tsdb", Out::Map(tsdb));
    if let Some(mut inner) = s.section("exemplars", "config.ExemplarsConfig") {
        config.max_exemplars = inner.int("max_exemplars").unwrap_or(0);
        inner.put_some("max_exemplars", Out::Int(i128::from(config.max_exemplars)));
        let out = inner.finish();
        s.put("exemplars", out);
    } else if options.exemplars {
        s.put("exemplars", exemplars);
    }
    (config, s.finish())
}

fn tsdb(mut s: Section<'_>, config: &mut StorageConfig, by_flags: Out) -> Vec<(String, Out)> {
    let window = s.duration("out_of_order_time_window").unwrap_or_default();
    config.out_of_order_time_window = window;
    // A field of Prometheus's structure, which it prints and therefore must read.
    s.int("outofordertimewindow");
    let threshold = s.float("stale_series_compaction_threshold").unwrap_or(0.0);
    let mut floats = String::new();
    if let Some(mut inner) = s.section("chunk_encoding", "config.ChunkEncodingConfig") {
        floats = inner.string("floats");
        if !matches!(floats.as_str(), "" | "xor" | "xor2") {
            let text = format!(
                "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must \
                 be omitted entirely, got {}",
                gofmt::quote(&floats)
            );
            inner.error_at("floats", text);
        }
        inner.finish();
    }
    s.forget_earlier("retention");
    let retention = s
        .section("retention", "config.plain")
        .map(|inner| retention(inner, config));
    s.finish();
    tsdb_shown(window, threshold, &floats, retention.unwrap_or(by_flags))
}

fn retention(mut s: Section<'_>, config: &mut StorageConfig) -> Out {
    // In a written section an absent field means no limit. Flags hold only without a section.
    config.retention_time = Some(s.duration("time").unwrap_or_default());
    config.retention_size = Some(s.size("size").unwrap_or(0));
    config.retention_percentage = Some(s.float("percentage").unwrap_or(0.0));
    let percentage = config.retention_percentage.unwrap_or(0.0);
    if !(0.0..=100.0).contains(&percentage) {
        let got = gofmt::v(percentage);
        let text =
            format!("'storage.tsdb.retention.percentage' must be in the range [0, 100], got {got}");
        s.error_at("percentage", text);
    } else if percentage > 0.0 && config.retention_size.unwrap_or(0) > 0 {
        let text = "storage.tsdb.retention.size is ignored, because \
                    storage.tsdb.retention.percentage is specified";
        s.warn_at("size", text);
    }
    s.finish();
    let (time, size) = (config.retention_time, config.retention_size);
    retention_shown(time.unwrap_or_default(), size.unwrap_or(0), percentage)
}

fn retention_shown(time: Duration, bytes: u64, percentage: f64) -> Out {
    let mut out = Vec::new();
    if !time.is_zero() {
        out.push(("time".to_owned(), duration::format(time).into()));
    }
    if bytes > 0 {
        out.push(("size".to_owned(), size::format(bytes).into()));
    }
    if percentage != 0.0 {
        out.push(("percentage".to_owned(), Out::Float(percentage)));
    }
    Out::Map(out)
}

/// Returns the section as Prometheus shows it: with the window again, in milliseconds, under its
/// structure's name.
fn tsdb_shown(
    window: Duration,
    threshold: f64,
    floats: &str,
    retention: Out,
) -> Vec<(String, Out)> {
    let ms = i128::from(window.as_millis() as u64);
    let mut out = vec![("outofordertimewindow".to_owned(), Out::Int(ms))];
    if ms > 0 {
        let text = duration::format(window);
        out.push(("out_of_order_time_window".to_owned(), text.into()));
    }
    if threshold != 0.0 {
        out.push((
            "stale_series_compaction_threshold".to_owned(),
            Out::Float(threshold),
        ));
    }
    if !floats.is_empty() {
        let floats = vec![("floats".to_owned(), floats.into())];
        out.push(("chunk_encoding".to_owned(), Out::Map(floats)));
    }
    out.push(("retention".to_owned(), retention));
    out
}
