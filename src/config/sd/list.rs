//! All discoveries of one section.

use std::sync::Arc;

use super::{consul, foreign, kubernetes, own};
use crate::config::section::{Item, Section};
use crate::config::types::SdConfig;
use crate::config::yaml::Out;
use crate::model::names::NameScheme;
use crate::stdx::gofmt;

/// Every key that Prometheus knows, in the order in which it prints them.
const KEYS: [&str; 36] = [
    "aws_sd_configs",
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "dns_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "ecs_sd_configs",
    "elasticache_sd_configs",
    "eureka_sd_configs",
    "file_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "http_sd_configs",
    "ionos_sd_configs",
    "kubernetes_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "msk_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "oci_sd_configs",
    "openstack_sd_configs",
    "outscale_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "rds_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
];

const STATIC: &str = "static_configs";

/// Reads and notes every discovery of a section; static groups come last, all as one.
pub(in crate::config) fn service_discovery(s: &mut Section<'_>) -> Vec<SdConfig> {
    let mut found = Vec::new();
    for key in KEYS {
        let kind = key.strip_suffix("_sd_configs").unwrap_or(key);
        let mut shown = Vec::new();
        for item in present(s, key) {
            let read = match kind {
                "file" => own::file(&item),
                "http" => own::http(&item),
                "dns" => own::dns(&item),
                "consul" => consul::consul(&item),
                "kubernetes" => kubernetes::kubernetes(&item),
                _ => {
                    foreign::foreign(&item, kind);
                    None
                }
            };
            if let Some((config, out)) = read {
                if matches!(config, SdConfig::Later(_)) {
                    item.warn(format!(
                        "{kind} service discovery is not there yet in Ferula; it finds nothing"
                    ));
                }
                found.push(config);
                shown.push(out);
            }
        }
        s.put_some(key, Out::Seq(shown));
    }
    let mut groups = Vec::new();
    let mut shown = Vec::new();
    for item in present(s, STATIC) {
        if let Some((mut group, out)) = own::group(&item, NameScheme::Utf8) {
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

/// The elements of a list; null ones are complained of and left out.
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

/// A static target must be no URL, unless relabelling may still make an address of it.
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
