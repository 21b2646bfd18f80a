//! Makes a series' labels from a line's: the target's labels, relabelling, validity, limits. It
//! runs once per new line, not for those that the cache knows.

use super::error::ScrapeError;
use crate::config::ScrapeConfig;
use crate::model::names::METRIC_NAME;
use crate::model::{Labels, LabelsBuilder};
use crate::relabel;
use crate::stdx::gofmt;
use crate::stdx::sort::sort_by_key;

/// Turns scraped labels into those of the series. `None` means that relabelling drops it.
pub(super) fn series_labels(
    config: &ScrapeConfig,
    target: &Labels,
    builder: &mut LabelsBuilder,
) -> Result<Option<Labels>, ScrapeError> {
    if config.honor_labels {
        for (name, value) in target {
            // An empty label in the page means that there is none, as on every Pushgateway's page.
            if builder.get(name).is_none() && !builder.is_empty_on_purpose(name) {
                builder.set(name, value);
            }
        }
    } else {
        override_labels(target, builder);
    }
    if !relabel::process(&config.metric_relabel_configs, builder) || builder.is_empty() {
        return Ok(None);
    }
    check_names(config, builder)?;
    check_limits(config, builder)?;
    Ok(Some(builder.labels()))
}

/// Adds the target's labels, which win. A displaced label is renamed `exported_NAME`, with as many
/// prefixes as it takes to be free.
fn override_labels(target: &Labels, builder: &mut LabelsBuilder) {
    let mut displaced: Vec<(String, String)> = Vec::new();
    for (name, value) in target {
        if let Some(scraped) = builder.get(name) {
            displaced.push((name.to_owned(), scraped.to_owned()));
        }
        builder.set(name, value);
    }
    // Shorter names first, so that a label already called exported_x is moved after x.
    sort_by_key(&mut displaced, |(name, _)| name.len());
    for (mut name, value) in displaced {
        while builder.get(&name).is_some() {
            name.insert_str(0, "exported_");
        }
        builder.set(&name, &value);
    }
}

fn check_names(config: &ScrapeConfig, builder: &LabelsBuilder) -> Result<(), ScrapeError> {
    let scheme = config.name_scheme;
    let Some(metric) = builder.get(METRIC_NAME) else {
        return Err(ScrapeError::MissingName);
    };
    let valid = scheme.is_metric_name(metric)
        && builder
            .iter()
            .all(|(name, _)| name == METRIC_NAME || scheme.is_label_name(name));
    if valid {
        Ok(())
    } else {
        Err(ScrapeError::InvalidNames(builder.labels().to_string()))
    }
}

fn check_limits(config: &ScrapeConfig, builder: &LabelsBuilder) -> Result<(), ScrapeError> {
    let over = |length: usize, limit: u64| limit > 0 && length as u64 > limit;
    let metric = || shortened(builder.get(METRIC_NAME).unwrap_or("")).to_owned();
    if over(builder.len(), config.label_limit) {
        return Err(ScrapeError::LabelLimit {
            metric: metric(),
            count: builder.len(),
            limit: config.label_limit,
        });
    }
    for (name, value) in builder.iter() {
        if over(name.len(), config.label_name_length_limit) {
            return Err(ScrapeError::LabelNameLength {
                metric: metric(),
                name: shortened(name).to_owned(),
                length: name.len(),
                limit: config.label_name_length_limit,
            });
        }
        if over(value.len(), config.label_value_length_limit) {
            return Err(ScrapeError::LabelValueLength {
                metric: metric(),
                name: shortened(name).to_owned(),
                value: gofmt::quote(shortened(value)),
                length: value.len(),
                limit: config.label_value_length_limit,
            });
        }
    }
    Ok(())
}

/// Returns the first 50 characters, as in Prometheus's messages.
fn shortened(text: &str) -> &str {
    let end = text.char_indices().nth(50).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}
