//! Discoveries that Prometheus knows and Ferula does not have: their keys are read and what
//! Prometheus refuses in them is refused here too, whether or not the discovery is skipped.

use super::foreign_table::{Form, Kind, TABLE};
use crate::config::http::{self, Http};
use crate::config::section::{Item, Section};

/// Checks one such section and says that it is not supported: an error, or with the flag a warning.
pub(super) fn foreign(item: &Item<'_>, name: &str) {
    if item.cx.options.ignore_unsupported_sd {
        item.warn(format!(
            "{name} service discovery is not supported by Ferula: skipped"
        ));
    } else {
        item.error(format!(
            "{name} service discovery is not supported by Ferula; feed it through http_sd_configs, \
             or go on without its targets with --config.ignore-unsupported-sd"
        ));
    }
    let Some(kind) = TABLE.iter().find(|kind| kind.name == name) else {
        return;
    };
    let Some(mut s) = item.section(plain_name(kind.name)) else {
        return;
    };
    let values = read(&mut s, kind);
    (kind.check)(&values);
    for (key, message) in values.faults.take() {
        s.error_at(key, message);
    }
    s.finish();
}

/// What Prometheus calls the structure: its package, and `plain`.
fn plain_name(kind: &str) -> &'static str {
    const NAMES: [&str; 18] = [
        "azure.plain",
        "digitalocean.plain",
        "eureka.plain",
        "gce.plain",
        "hetzner.plain",
        "ionos.plain",
        "linode.plain",
        "marathon.plain",
        "nomad.plain",
        "oci.plain",
        "openstack.plain",
        "outscale.plain",
        "ovhcloud.plain",
        "puppetdb.plain",
        "scaleway.plain",
        "stackit.plain",
        "triton.plain",
        "uyuni.plain",
    ];
    match kind {
        "docker" | "dockerswarm" => "moby.plain",
        "kuma" => "xds.plainKumaConf",
        "nerve" | "serverset" => "zookeeper.plain",
        "vultr" => "vultr.plain",
        _ => NAMES
            .into_iter()
            .find(|name| name.strip_suffix(".plain") == Some(kind))
            .unwrap_or("aws.plain"),
    }
}

/// What was read of one section, for its check.
pub(super) struct Values {
    texts: Vec<(&'static str, Option<String>)>,
    lists: Vec<(&'static str, Vec<String>)>,
    pub http: Option<Http>,
    /// Whether a filter is without values.
    pub empty_filter: bool,
    faults: std::cell::RefCell<Vec<(&'static str, String)>>,
}

fn read(s: &mut Section<'_>, kind: &Kind) -> Values {
    let mut values = Values {
        texts: Vec::new(),
        lists: Vec::new(),
        http: None,
        empty_filter: false,
        faults: std::cell::RefCell::default(),
    };
    for (key, form) in kind.keys {
        match form {
            Form::Text => values
                .texts
                .push((key, s.get(key).map(|item| item.string()))),
            Form::Int => drop(s.int(key)),
            Form::Bool => drop(s.bool(key)),
            Form::Duration => drop(s.duration(key)),
            Form::Texts => values.lists.push((key, s.strings(key))),
            Form::Filters => values.empty_filter |= filters(s, key),
        }
    }
    if !kind.keys.iter().any(|(key, _)| *key == "timeout") {
        s.duration("refresh_interval");
    }
    if kind.http {
        values.http = Some(http::http(s, true));
    } else if kind.tls {
        http::tls(s);
    }
    values
}

/// Whether one of them has no values.
fn filters(s: &mut Section<'_>, key: &'static str) -> bool {
    let mut empty = false;
    for item in s.list(key, "[]*Filter") {
        let Some(mut filter) = item.section("Filter") else {
            continue;
        };
        filter.string("name");
        empty |= filter.strings("values").is_empty();
        filter.finish();
    }
    empty
}

impl Values {
    pub fn fault(&self, key: &'static str, message: impl Into<String>) {
        self.faults.borrow_mut().push((key, message.into()));
    }

    pub fn text(&self, key: &str) -> String {
        self.text_or(key, "")
    }

    pub fn text_or(&self, key: &str, default: &str) -> String {
        let value = self.texts.iter().find(|(name, _)| *name == key);
        value
            .and_then(|(_, text)| text.clone())
            .unwrap_or_else(|| default.to_owned())
    }

    pub fn list(&self, key: &str) -> &[String] {
        let value = self.lists.iter().find(|(name, _)| *name == key);
        value.map_or(&[], |(_, list)| list)
    }

    pub fn required(&self, key: &'static str, message: &str) {
        if self.text(key).is_empty() {
            self.fault(key, message);
        }
    }

    pub fn one_of(
        &self,
        key: &'static str,
        default: &str,
        known: &[&str],
        message: impl Fn(&str) -> String,
    ) {
        let got = self.text_or(key, default);
        if !known.contains(&got.as_str()) {
            self.fault(key, message(&got));
        }
    }

    pub fn uuid(&self, key: &'static str, what: &str) {
        let got = self.text(key);
        let lengths: Vec<usize> = got.split('-').map(str::len).collect();
        let hexadecimal = got.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if !got.is_empty() && (lengths != [8, 4, 4, 4, 12] || !hexadecimal) {
            self.fault(
                key,
                format!(
                    "scaleway-sdk-go: invalid {what} format '{got}', expected a UUID: \
                     xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
                ),
            );
        }
    }

    pub fn secret_key(&self) {
        let (key, file) = (self.text("secret_key"), self.text("secret_key_file"));
        match (key.is_empty(), file.is_empty()) {
            (true, true) => self.fault(
                "secret_key",
                "one of secret_key & secret_key_file must be configured",
            ),
            (false, false) => self.fault(
                "secret_key_file",
                "at most one of secret_key & secret_key_file must be configured",
            ),
            _ => {}
        }
    }
}
