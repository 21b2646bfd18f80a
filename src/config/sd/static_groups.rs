//! Groups of targets, as `static_configs` and target files list them.

use crate::config::section::{Item, Section};
use crate::config::yaml::Out;
use crate::model::names::NameScheme;
use crate::model::{LabelMap, TargetGroup};
use crate::stdx::gofmt;

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
