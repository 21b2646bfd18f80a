//! The kinds of discovery: one line for each in [`source`].

use super::source::Source;
use super::{file_sd, http_sd};
use crate::config::SdConfig;
use crate::net::{self, NetError, Strictness};

/// Prepares a discovery; everything that may fail happens here. Returns `None` if its component
/// comes later.
pub(super) fn source(
    config: &SdConfig,
    env: &net::Env,
    strictness: Strictness,
) -> Result<Option<Source>, NetError> {
    Ok(Some(match config {
        SdConfig::Static(groups) => Source::Static(groups.clone()),
        SdConfig::File(config) => file_sd::prepare(config),
        SdConfig::Http(config) => http_sd::prepare(config, env, strictness)?,
        SdConfig::Later(_) => return Ok(None),
    }))
}
