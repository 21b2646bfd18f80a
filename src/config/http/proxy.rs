//! Proxies.

use crate::config::section::Section;
use crate::config::url;
use crate::config::yaml::Out;
use crate::net::{ProxySettings, Secret, without_password};

pub(super) fn proxy(s: &mut Section<'_>) -> ProxySettings {
    let url = s.string("proxy_url");
    let url_fault = url::parse(&url).err();
    let no_proxy = s.string("no_proxy");
    let from_environment = s.bool("proxy_from_environment").unwrap_or(false);
    let mut connect_headers = Vec::new();
    let mut shown = Vec::new();
    if let Some(item) = s.get("proxy_connect_header") {
        for (name, values) in item.map("config.ProxyHeader") {
            let values = values.strings("[]config.Secret");
            let hidden = Out::Seq(values.iter().map(|_| "<secret>".into()).collect());
            shown.push((name.to_owned(), hidden));
            let header = |value| (name.to_owned(), Secret::new(value));
            connect_headers.extend(values.into_iter().map(header));
        }
    }
    if !connect_headers.is_empty() && !from_environment && url.is_empty() {
        let text = "if proxy_connect_header is configured, proxy_url or proxy_from_environment \
                    must also be configured";
        s.error_at("proxy_connect_header", text);
    }
    if from_environment && !url.is_empty() {
        let text = "if proxy_from_environment is configured, proxy_url must not be configured";
        s.error_at("proxy_url", text);
    }
    if from_environment && !no_proxy.is_empty() {
        let text = "if proxy_from_environment is configured, no_proxy must not be configured";
        s.error_at("no_proxy", text);
    } else if url.is_empty() && !no_proxy.is_empty() {
        s.error_at(
            "no_proxy",
            "if no_proxy is configured, proxy_url must also be configured",
        );
    }
    s.put_some("proxy_url", without_password(&url, "xxxxx"));
    s.put_some("no_proxy", no_proxy.as_str());
    s.put_some("proxy_from_environment", from_environment);
    s.put_some("proxy_connect_header", Out::Map(shown));
    let settings = ProxySettings {
        url: Some(url).filter(|url| !url.is_empty()),
        no_proxy: Some(no_proxy).filter(|hosts| !hosts.is_empty()),
        from_environment,
        connect_headers,
    };
    match (url_fault, settings.fault()) {
        (Some(fault), _) => s.error_at("proxy_url", fault),
        (None, Some(fault)) if settings.is_socks() => s.error_at("proxy_url", fault),
        // Prometheus accepts it, and nothing goes through it there either.
        (None, Some(fault)) => s.warn_at("proxy_url", format!("every request will fail: {fault}")),
        (None, None) => {}
    }
    settings
}
