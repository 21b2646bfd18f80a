//! Service discoveries of a job or of Alertmanagers (reference section 2.7).
//!
//! Owns nothing. **Invariant:** checks what is written; finds no target.

mod foreign;
mod kinds;
mod list;

mod consul;
mod dns;
mod file;
mod http;
mod kubernetes;
mod static_groups;

pub use file::FileSdConfig;
pub use http::HttpSdConfig;
pub use kinds::{SdConfig, sd_kinds};
pub(super) use list::{check_static_targets, service_discovery};
pub(super) use static_groups::group;
