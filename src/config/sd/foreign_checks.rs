//! Checks of a discovery's keys that take more than a line of the table.

use super::foreign_values::Values;
use crate::stdx::gofmt;

pub(super) fn has_scheme_and_host(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, rest)| {
        !scheme.is_empty() && !rest.split('/').next().unwrap_or("").is_empty()
    })
}

pub(super) fn azure(v: &Values) {
    v.required(
        "subscription_id",
        "azure SD configuration requires a subscription_id",
    );
    let method = v.text_or("authentication_method", "OAuth");
    match method.as_str() {
        "OAuth" => {
            for key in ["tenant_id", "client_id", "client_secret"] {
                v.required(key, &format!("azure SD configuration requires a {key}"));
            }
        }
        "ManagedIdentity" | "SDK" | "WorkloadIdentity" => {}
        _ => v.fault(
            "authentication_method",
            format!(
                "unknown authentication_type {}. Supported types are \"OAuth\", \
                 \"ManagedIdentity\", \"SDK\" or \"WorkloadIdentity\"",
                gofmt::quote(&method)
            ),
        ),
    }
}

pub(super) fn marathon(v: &Values) {
    if v.list("servers").is_empty() {
        v.fault(
            "servers",
            "marathon_sd: must contain at least one Marathon server",
        );
    }
    let (token, file) = (v.text("auth_token"), v.text("auth_token_file"));
    if !token.is_empty() && !file.is_empty() {
        let text = "marathon_sd: at most one of auth_token & auth_token_file must be configured";
        v.fault("auth_token_file", text);
    }
    let Some(http) = v
        .http
        .as_ref()
        .filter(|_| !token.is_empty() || !file.is_empty())
    else {
        return;
    };
    let text = if http.settings.basic_auth.is_some() {
        "marathon_sd: at most one of basic_auth, auth_token & auth_token_file must be configured"
    } else if http.bearer {
        "marathon_sd: at most one of bearer_token, bearer_token_file, auth_token & \
         auth_token_file must be configured"
    } else if http.settings.authorization.is_some() {
        "marathon_sd: at most one of auth_token, auth_token_file & authorization must be configured"
    } else {
        return;
    };
    v.fault(
        if token.is_empty() {
            "auth_token_file"
        } else {
            "auth_token"
        },
        text,
    );
}

pub(super) fn oci(v: &Values) {
    v.required("region", "oci_sd: region is required");
    let auth = v.text_or("auth", "api_key");
    let own = ["tenancy", "user", "fingerprint", "key_file"];
    let passphrases = ["key_passphrase", "key_passphrase_file"];
    match auth.as_str() {
        "api_key" => {
            for key in own {
                v.required(key, &format!("oci_sd: api_key auth requires {key}"));
            }
            if passphrases.iter().all(|key| !v.text(key).is_empty()) {
                let text = "oci_sd: at most one of key_passphrase and key_passphrase_file must be \
                            configured";
                v.fault("key_passphrase_file", text);
            }
        }
        "instance_principal" => {
            if own
                .iter()
                .chain(&passphrases)
                .any(|key| !v.text(key).is_empty())
            {
                let text = "oci_sd: instance_principal auth must not have tenancy, user, \
                            fingerprint, key_file, key_passphrase, or key_passphrase_file set";
                v.fault("auth", text);
            }
        }
        _ => v.fault(
            "auth",
            format!(
                "oci_sd: unknown auth method {}, expected \"api_key\" or \"instance_principal\"",
                gofmt::quote(&auth)
            ),
        ),
    }
    if let Some(i) = v.list("compartments").iter().position(String::is_empty) {
        v.fault(
            "compartments",
            format!("oci_sd: compartments[{i}] must not be empty"),
        );
    }
}

pub(super) fn zookeeper(v: &Values, name: &str) {
    if v.list("servers").is_empty() {
        let text = format!("{name} SD config must contain at least one Zookeeper server");
        v.fault("servers", text);
    }
    if v.list("paths").is_empty() {
        v.fault(
            "paths",
            format!("{name} SD config must contain at least one path"),
        );
    }
    for path in v.list("paths").iter().filter(|path| !path.starts_with('/')) {
        v.fault(
            "paths",
            format!("{name} SD config paths must begin with '/': {path}"),
        );
    }
}
