//! Discoveries that Prometheus knows and Ferula does not have: their keys are read and what
//! Prometheus refuses in them is refused here too, whether or not the discovery is skipped.

use super::foreign_table::{Form, Kind, TABLE};
use super::foreign_values::Values;
use crate::config::http;
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

fn read(s: &mut Section<'_>, kind: &Kind) -> Values {
    let mut values = Values::default();
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
