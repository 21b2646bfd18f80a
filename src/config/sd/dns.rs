//! `dns_sd_configs`: checked; its component comes later.

use std::time::Duration;

use crate::config::section::Item;
use crate::config::yaml::Out;

pub(super) fn read(item: &Item<'_>) -> Option<Out> {
    let mut s = item.section("dns.plain")?;
    let names = s.strings("names");
    if names.is_empty() {
        s.error_at(
            "names",
            "DNS-SD config must contain at least one SRV record name",
        );
    }
    s.put("names", names.as_slice());
    s.duration_some("refresh_interval", Duration::from_secs(30));
    let kind = s.string_or("type", "SRV");
    let port = s.int("port").unwrap_or(0);
    match kind.to_ascii_uppercase().as_str() {
        "SRV" => {}
        "A" | "AAAA" | "MX" | "NS" if port != 0 => {}
        "A" | "AAAA" | "MX" | "NS" => {
            let text = "a port is required in DNS-SD configs for all record types except SRV";
            s.error_at("type", text);
        }
        _ => s.error_at("type", format!("invalid DNS-SD records type {kind}")),
    }
    s.put("type", kind);
    s.put("port", Out::Int(i128::from(port)));
    Some(s.finish())
}
