//! `http_sd_configs`.

use std::time::Duration;

use crate::config::section::Item;
use crate::config::yaml::Out;
use crate::config::{http, url};
use crate::net::ClientSettings;

/// One `http_sd_configs` entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpSdConfig {
    pub url: String,
    pub refresh_interval: Duration,
    pub http: ClientSettings,
}

pub(super) fn read(item: &Item<'_>) -> Option<(HttpSdConfig, Out)> {
    let mut s = item.section("http.plain")?;
    let http = http::http(&mut s, true);
    let refresh_interval = s.duration_some("refresh_interval", Duration::from_secs(60));
    let url = s.string("url");
    if let Some(fault) = url_fault(&url) {
        s.error_at("url", fault);
    }
    s.put("url", url.as_str());
    let config = HttpSdConfig {
        url,
        refresh_interval,
        http: http.settings,
    };
    Some((config, s.finish()))
}

fn url_fault(url: &str) -> Option<String> {
    if url.is_empty() {
        return Some("URL is missing".to_owned());
    }
    match url::parse(url) {
        Err(fault) => Some(fault),
        Ok(url) if url.scheme != "http" && url.scheme != "https" => {
            Some("URL scheme must be 'http' or 'https'".to_owned())
        }
        Ok(url) if url.host.is_empty() => Some("host is missing in URL".to_owned()),
        Ok(_) => None,
    }
}
