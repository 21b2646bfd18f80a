//! `consul_sd_configs`: checked; its component comes later.

use std::time::Duration;

use crate::config::http;
use crate::config::section::Item;
use crate::config::yaml::Out;

pub(super) fn read(item: &Item<'_>) -> Option<Out> {
    let mut s = item.section("consul.plain")?;
    let server = s.string_or("server", "localhost:8500");
    if server.trim().is_empty() {
        s.error_at(
            "server",
            "consul SD configuration requires a server address",
        );
    }
    s.put_some("server", server);
    s.text_some("path_prefix", "");
    let token = s.string("token");
    s.put_secret("token", &token);
    for key in ["datacenter", "namespace", "partition"] {
        s.text_some(key, "");
    }
    s.text_some("tag_separator", ",");
    s.text_some("scheme", "http");
    let (username, password) = (s.string("username"), s.string("password"));
    s.put_some("username", username.as_str());
    s.put_secret("password", &password);
    s.flag("allow_stale", true);
    s.duration_some("refresh_interval", Duration::from_secs(30));
    for key in ["services", "tags"] {
        let values = s.strings(key);
        s.put_some(key, values.as_slice());
    }
    let node_meta = s.string_map("node_meta");
    s.put_map("node_meta", &node_meta);
    for key in ["filter", "health_filter"] {
        s.text_some(key, "");
    }
    let own_user = !username.is_empty() || !password.is_empty();
    let both = own_user && s.has("basic_auth");
    if own_user && !both {
        let mut shown = Vec::new();
        if !username.is_empty() {
            shown.push(("username".to_owned(), Out::from(username)));
        }
        if !password.is_empty() {
            shown.push(("password".to_owned(), Out::from("<secret>")));
        }
        s.put("basic_auth", Out::Map(shown));
    }
    let http = http::http(&mut s, true);
    if both {
        let text = "at most one of consul SD configuration username and password and basic auth \
                    can be configured";
        s.error_at("username", text);
    }
    let bearer = http.bearer;
    let settings = http.settings;
    if !token.is_empty()
        && !bearer
        && (settings.authorization.is_some() || settings.oauth2.is_some())
    {
        let text = "at most one of consul SD token, authorization, or oauth2 can be configured";
        s.error_at("token", text);
    }
    Some(s.finish())
}
