//! `alerting` (reference section 2.8): checked; the notifier comes later.

use super::global::GlobalSection;
use super::http;
use super::relabel::rules;
use super::sd::{check_static_targets, service_discovery};
use super::section::{Item, Section};
use super::sigv4::sigv4_section;
use super::types::AlertmanagerConfig;
use super::yaml::Out;
use crate::model::names::NameScheme;

/// Reads and notes the section. Returns the Alertmanagers, and whether the section has any content.
pub(super) fn alerting(
    mut s: Section<'_>,
    global: &GlobalSection,
) -> (Vec<AlertmanagerConfig>, Out) {
    let scheme = global.name_scheme;
    rules(
        &mut s,
        "alert_relabel_configs",
        scheme,
        "empty or null alert relabeling rule",
    );
    let mut alertmanagers = Vec::new();
    let mut shown = Vec::new();
    for item in s.list("alertmanagers", "config.AlertmanagerConfigs") {
        if item.is_null() {
            item.error("empty or null Alertmanager config section");
            continue;
        }
        if let Some((alertmanager, out)) = alertmanager(&item, scheme) {
            alertmanagers.push(alertmanager);
            shown.push(out);
        }
    }
    s.put_some("alertmanagers", Out::Seq(shown));
    (alertmanagers, s.finish())
}

fn alertmanager(item: &Item<'_>, names: NameScheme) -> Option<(AlertmanagerConfig, Out)> {
    let mut s = item.section("config.AlertmanagerConfig")?;
    let http = http::http(&mut s, true);
    sigv4(&mut s, !http.auths().is_empty());
    let scheme = s.text_some("scheme", "http");
    let path_prefix = s.text_some("path_prefix", "");
    let timeout = s.duration_some("timeout", std::time::Duration::from_secs(10));
    let version = s.string_or("api_version", "v2");
    if version != "v2" {
        let text = format!("expected Alertmanager api version to be one of [v2] but got {version}");
        s.error_at("api_version", text);
    }
    s.put("api_version", version);
    let target_fault = "empty or null Alertmanager target relabeling rule";
    let relabel_configs = rules(&mut s, "relabel_configs", names, target_fault);
    let alert_fault = "empty or null Alertmanager alert relabeling rule";
    let alert_relabel_configs = rules(&mut s, "alert_relabel_configs", names, alert_fault);
    let service_discovery = service_discovery(&mut s);
    if relabel_configs.is_empty() {
        check_static_targets(&s, &service_discovery);
    }
    let alertmanager = AlertmanagerConfig {
        scheme,
        path_prefix,
        timeout,
        http: http.settings,
        relabel_configs,
        alert_relabel_configs,
        service_discovery,
    };
    Some((alertmanager, s.finish()))
}

fn sigv4(s: &mut Section<'_>, others: bool) {
    let Some(inner) = s.section("sigv4", "sigv4.plain") else {
        return;
    };
    sigv4_section(inner);
    if others {
        let text = "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured";
        s.error_at("sigv4", text);
    }
    s.error_at(
        "sigv4",
        "sigv4 is not supported by Ferula; requests would go without it",
    );
}
