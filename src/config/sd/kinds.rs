//! The kinds of discovery: the checked forms, and the table of their keys and readers.

use std::sync::Arc;

use super::file::{self, FileSdConfig};
use super::http::{self, HttpSdConfig};
use super::{consul, dns, kubernetes};
use crate::config::section::Item;
use crate::config::yaml::Out;
use crate::model::TargetGroup;
use crate::stdx::sort::sort;

/// One provider of targets. Jobs share equal ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SdConfig {
    /// All `static_configs` of a job together. The sources are "0", "1", ….
    Static(Vec<Arc<TargetGroup>>),
    File(FileSdConfig),
    Http(Box<HttpSdConfig>),
    /// A discovery that is checked, but not implemented yet: its kind (`dns`).
    Later(String),
}

impl SdConfig {
    /// Returns `file`, `http`, …, as in thread names and metrics.
    pub fn kind(&self) -> &str {
        match self {
            SdConfig::Static(_) => "static",
            SdConfig::File(_) => "file",
            SdConfig::Http(_) => "http",
            SdConfig::Later(kind) => kind,
        }
    }
}

/// Reads one element of a key's list; `None` if it is refused. With the configuration it returns
/// how Prometheus prints it.
pub(super) enum Reader {
    Found(fn(&Item<'_>) -> Option<(SdConfig, Out)>),
    /// Its component comes later.
    Later(fn(&Item<'_>) -> Option<Out>),
    /// Ferula will not have it.
    Foreign,
}

use Reader::{Foreign, Found, Later};

/// Every key that Prometheus knows, in the order in which it prints them.
#[rustfmt::skip]
pub(super) const KINDS: [(&str, Reader); 36] = [
    ("aws_sd_configs", Foreign),
    ("azure_sd_configs", Foreign),
    ("consul_sd_configs", Later(consul::read)),
    ("digitalocean_sd_configs", Foreign),
    ("dns_sd_configs", Later(dns::read)),
    ("docker_sd_configs", Foreign),
    ("dockerswarm_sd_configs", Foreign),
    ("ec2_sd_configs", Foreign),
    ("ecs_sd_configs", Foreign),
    ("elasticache_sd_configs", Foreign),
    ("eureka_sd_configs", Foreign),
    ("file_sd_configs", Found(|item| found(file::read(item), SdConfig::File))),
    ("gce_sd_configs", Foreign),
    ("hetzner_sd_configs", Foreign),
    ("http_sd_configs", Found(|item| found(http::read(item), |it| SdConfig::Http(Box::new(it))))),
    ("ionos_sd_configs", Foreign),
    ("kubernetes_sd_configs", Later(kubernetes::read)),
    ("kuma_sd_configs", Foreign),
    ("lightsail_sd_configs", Foreign),
    ("linode_sd_configs", Foreign),
    ("marathon_sd_configs", Foreign),
    ("msk_sd_configs", Foreign),
    ("nerve_sd_configs", Foreign),
    ("nomad_sd_configs", Foreign),
    ("oci_sd_configs", Foreign),
    ("openstack_sd_configs", Foreign),
    ("outscale_sd_configs", Foreign),
    ("ovhcloud_sd_configs", Foreign),
    ("puppetdb_sd_configs", Foreign),
    ("rds_sd_configs", Foreign),
    ("scaleway_sd_configs", Foreign),
    ("serverset_sd_configs", Foreign),
    ("stackit_sd_configs", Foreign),
    ("triton_sd_configs", Foreign),
    ("uyuni_sd_configs", Foreign),
    ("vultr_sd_configs", Foreign),
];

/// Returns the kinds that find targets here (`file`, `http`, …), sorted.
pub fn sd_kinds() -> Vec<&'static str> {
    let found = |(key, reader): &(&'static str, Reader)| {
        let kind = key.strip_suffix("_sd_configs")?;
        matches!(reader, Found(_)).then_some(kind)
    };
    let mut kinds: Vec<_> = KINDS.iter().filter_map(found).collect();
    kinds.push("static");
    sort(&mut kinds);
    kinds
}

fn found<T>(read: Option<(T, Out)>, of: fn(T) -> SdConfig) -> Option<(SdConfig, Out)> {
    read.map(|(config, out)| (of(config), out))
}
