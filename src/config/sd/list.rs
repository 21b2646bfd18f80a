//! Reads all discoveries of one section.

use std::sync::Arc;

use super::foreign::refuse;
use super::kinds::{KINDS, Reader, SdConfig};
use super::static_groups::group;
use crate::config::section::{Item, Section};
use crate::config::yaml::Out;
use crate::model::names::NameScheme;
use crate::stdx::gofmt;

const STATIC: &str = "static_configs";

/// Reads and notes every discovery of a section. Static groups come last, all as one.
pub(in crate::config) fn service_discovery(s: &mut Section<'_>) -> Vec<SdConfig> {
    let mut found = Vec::new();
    for (key, reader) in &KINDS {
        let kind = key.strip_suffix("_sd_configs").unwrap_or(key);
        let mut shown = Vec::new();
        for item in present(s, key) {
            let read = match reader {
                Reader::Found(read) => read(&item),
                Reader::Later(read) => {
                    item.warn(format!(
                        "{kind} service discovery is not there yet in Ferula; it finds nothing"
                    ));
                    read(&item).map(|out| (SdConfig::Later(kind.to_owned()), out))
                }
                Reader::Foreign => {
                    refuse(&item, kind);
                    None
                }
            };
            if let Some((config, out)) = read {
                found.push(config);
                shown.push(out);
            }
        }
        s.put_some(key, Out::Seq(shown));
    }
    let mut groups = Vec::new();
    let mut shown = Vec::new();
    for item in present(s, STATIC) {
        if let Some((mut group, out)) = group(&item, NameScheme::Utf8) {
            group.source = groups.len().to_string();
            groups.push(Arc::new(group));
            shown.push(out);
        }
    }
    s.put_some(STATIC, Out::Seq(shown));
    if !groups.is_empty() {
        found.push(SdConfig::Static(groups));
    }
    found
}

/// Returns the elements of a list. Null ones are reported and left out.
fn present<'a>(s: &mut Section<'a>, key: &'static str) -> Vec<Item<'a>> {
    let mut items = s.list(key, "[]*discovery.Config");
    items.retain(|item| {
        if item.is_null() {
            item.error(format!("empty or null section in {key}"));
        }
        !item.is_null()
    });
    items
}

/// Checks that no static target is a URL, unless relabelling may still make an address of it.
pub(in crate::config) fn check_static_targets(s: &Section<'_>, configs: &[SdConfig]) {
    let groups = configs.iter().flat_map(|config| match config {
        SdConfig::Static(groups) => groups.as_slice(),
        _ => &[],
    });
    for target in groups.flat_map(|group| &group.targets) {
        let address = target.get("__address__").map_or("", String::as_str);
        if address.contains('/') {
            let text = format!("{} is not a valid hostname", gofmt::quote(address));
            s.error_at(STATIC, text);
        }
    }
}
