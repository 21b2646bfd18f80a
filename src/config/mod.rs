//! The configuration: YAML, read into a tree, becomes a checked [`Config`].
//!
//! Owns nothing; reads the files that the configuration names (`scrape_config_files`, globs). Every
//! section reads its keys, checks them and notes how Prometheus would print them, in one place and
//! in the order of Prometheus's structure. Errors are collected with their paths and lines, so that
//! one look at a file finds all of them. **Invariant:** knows no component: what a checked value
//! means is `plan`'s business. No other room knows the YAML.

mod alerting;
mod diagnostic;
mod global;
mod http;
mod later;
mod load;
mod options;
mod protocols;
mod reader;
mod relabel;
mod remote;
mod rule_file;
mod scrape;
mod sd;
mod section;
mod sigv4;
mod storage_section;
mod target_file;
mod target_json;
mod types;
mod url;
mod yaml;

#[cfg(test)]
mod tests;

pub use diagnostic::{Diagnostic, Severity};
pub use load::{glob, io_text, load, load_http_client, load_text, read_bytes, summary};
pub use options::{LoadOptions, RETENTION};
pub use rule_file::{NamedRule, rules_of_file};
pub use sd::{FileSdConfig, HttpSdConfig, SdConfig, sd_kinds};
pub use target_file::{TargetFileKind, parse_target_groups};
pub use types::{Config, ScrapeConfig, StorageConfig};
pub use yaml::decode as decode_yaml;
