//! `kubernetes_sd_configs`: checked; its component comes later.

use crate::config::http;
use crate::config::section::{Item, Section};
use crate::config::url;
use crate::config::yaml::Out;
use crate::net::without_password;
use crate::stdx::gofmt;

/// A role, and the roles whose objects its selectors may select.
const ROLES: [(&str, &[&str]); 6] = [
    ("pod", &["pod", "node"]),
    ("service", &["service"]),
    ("endpoints", &["pod", "service", "endpoints"]),
    ("endpointslice", &["pod", "service", "endpointslice"]),
    ("node", &["node"]),
    ("ingress", &["ingress"]),
];

pub(super) fn read(item: &Item<'_>) -> Option<Out> {
    let mut s = item.section("kubernetes.plain")?;
    let api_server = s.string("api_server");
    let has_server = s.has("api_server");
    if has_server {
        url::check(&s, "api_server", &api_server);
        s.put("api_server", without_password(&api_server, "xxxxx"));
    }
    let role = role(&mut s);
    s.put("role", role.as_str());
    let kubeconfig = s.path("kubeconfig_file");
    s.put("kubeconfig_file", kubeconfig.as_str());
    let custom = !http::http(&mut s, true).is_default();
    let own_namespace = namespaces(&mut s);
    let has_file = !kubeconfig.is_empty();
    let faults = [
        (
            has_server && has_file,
            "kubeconfig_file",
            "cannot use 'kubeconfig_file' and 'api_server' simultaneously",
        ),
        (
            has_file && custom,
            "kubeconfig_file",
            "cannot use a custom HTTP client configuration together with 'kubeconfig_file'",
        ),
        (
            !has_server && !has_file && custom,
            "api_server",
            "to use custom HTTP client configuration please provide the 'api_server' URL \
             explicitly",
        ),
        (
            has_server && own_namespace,
            "namespaces",
            "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously",
        ),
        (
            has_file && own_namespace,
            "namespaces",
            "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously",
        ),
    ];
    for (_, key, text) in faults.into_iter().filter(|(holds, ..)| *holds) {
        s.error_at(key, text);
    }
    selectors(&mut s, &role);
    attach_metadata(&mut s);
    Some(s.finish())
}

fn role(s: &mut Section<'_>) -> String {
    let role = s.string("role");
    if role.is_empty() {
        let text = "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)";
        s.error_at("role", text);
    } else if ROLES.iter().all(|(known, _)| *known != role) {
        s.error_at(
            "role",
            format!("unknown Kubernetes SD role {}", gofmt::quote(&role)),
        );
    }
    role
}

/// Whether `own_namespace` is set.
fn namespaces(s: &mut Section<'_>) -> bool {
    s.forget_earlier("namespaces");
    let Some(mut inner) = s.section("namespaces", "kubernetes.plain") else {
        return false;
    };
    let own = inner.flag("own_namespace", false);
    let names = inner.strings("names");
    inner.put("names", names.as_slice());
    let out = inner.finish();
    if own || !names.is_empty() {
        s.put("namespaces", out);
    }
    own
}

fn selectors(s: &mut Section<'_>, role: &str) {
    let allowed = ROLES
        .iter()
        .find(|(known, _)| *known == role)
        .map(|(_, allowed)| *allowed);
    let mut seen: Vec<String> = Vec::new();
    let mut shown = Vec::new();
    for item in s.list("selectors", "[]kubernetes.SelectorConfig") {
        let Some(mut selector) = item.section("kubernetes.SelectorConfig") else {
            continue;
        };
        let own_role = selector.string("role");
        selector.put_some("role", own_role.as_str());
        for key in ["label", "field"] {
            let value = selector.string(key);
            selector.put_some(key, value);
        }
        check_field(&selector);
        if ROLES.iter().all(|(known, _)| *known != own_role) {
            let quoted = gofmt::quote(&own_role);
            selector.error_at("role", format!("unknown Kubernetes SD role {quoted}"));
        } else if seen.contains(&own_role) {
            selector.error_at("role", format!("duplicated selector role: {own_role}"));
        }
        if let Some(allowed) = allowed.filter(|roles| !roles.contains(&own_role.as_str())) {
            let allowed = allowed.join(", ");
            selector.error_at(
                "role",
                format!("{role} role supports only {allowed} selectors"),
            );
        }
        seen.push(own_role);
        shown.push(selector.finish());
    }
    s.put_some("selectors", Out::Seq(shown));
}

/// Reads `a=b`, `a==b` and `a!=b`, separated by commas.
fn check_field(selector: &Section<'_>) {
    let field = selector.peek("field");
    let bad = field
        .split(',')
        .find(|part| !part.is_empty() && !part.contains('='));
    if let Some(part) = bad {
        let text = format!("invalid selector: '{field}'; can't understand '{part}'");
        selector.error_at("field", text);
    }
}

fn attach_metadata(s: &mut Section<'_>) {
    let Some(mut inner) = s.section("attach_metadata", "kubernetes.AttachMetadataConfig") else {
        return;
    };
    let mut any = false;
    for key in ["node", "namespace", "deployment", "job", "cronjob"] {
        let value = inner.bool(key).unwrap_or(false);
        inner.put(key, value);
        any |= value;
    }
    let out = inner.finish();
    if any {
        s.put("attach_metadata", out);
    }
}
