//! Discoveries that Prometheus knows and Ferula does not have: a table of their keys and of what
//! Prometheus refuses in them, so that a configuration that is wrong there is refused here too,
//! whether or not the discovery itself is skipped.

use super::own::url_fault;
use crate::config::http::{self, Http};
use crate::config::section::{Item, Section};
use crate::stdx::gofmt;

/// The form of a key.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Text,
    Int,
    Bool,
    Duration,
    Texts,
    Filters,
}

use Form::{Bool, Duration, Filters, Int, Text, Texts};

struct Kind {
    name: &'static str,
    /// Whether the HTTP client's keys stand in it; if not, whether `tls_config` alone does.
    http: bool,
    tls: bool,
    keys: &'static [(&'static str, Form)],
    check: fn(&Values<'_>),
}

const fn kind(
    name: &'static str,
    http: bool,
    keys: &'static [(&'static str, Form)],
    check: fn(&Values<'_>),
) -> Kind {
    Kind {
        name,
        http,
        tls: false,
        keys,
        check,
    }
}

const AWS: &[(&str, Form)] = &[
    ("endpoint", Text),
    ("region", Text),
    ("access_key", Text),
    ("secret_key", Text),
    ("profile", Text),
    ("role_arn", Text),
    ("external_id", Text),
    ("port", Int),
    ("filters", Filters),
    ("clusters", Texts),
    ("request_concurrency", Int),
    ("role", Text),
];

const TABLE: [Kind; 31] = [
    kind("aws", true, AWS, |v| {
        let roles = ["ec2", "ecs", "elasticache", "lightsail", "msk", "rds"];
        v.one_of("role", "", &roles, |got| {
            format!("unknown AWS SD role {}", gofmt::quote(got))
        });
    }),
    kind("ec2", true, AWS, |v| {
        if v.empty_filter {
            v.fault(
                "filters",
                "EC2 SD configuration filter values cannot be empty",
            );
        }
    }),
    kind("ecs", true, AWS, |_| {}),
    kind("elasticache", true, AWS, |_| {}),
    kind("lightsail", true, AWS, |_| {}),
    kind("msk", true, AWS, |_| {}),
    kind("rds", true, AWS, |_| {}),
    kind(
        "azure",
        true,
        &[
            ("environment", Text),
            ("port", Int),
            ("subscription_id", Text),
            ("tenant_id", Text),
            ("client_id", Text),
            ("client_secret", Text),
            ("authentication_method", Text),
            ("resource_group", Text),
        ],
        azure,
    ),
    kind(
        "digitalocean",
        true,
        &[("port", Int), ("role", Text)],
        |v| {
            v.one_of(
                "role",
                "droplets",
                &["droplets", "databases"],
                |got| match got {
                    "" => "role missing (one of: droplets, databases)".to_owned(),
                    got => format!("unknown DigitalOcean SD role {}", gofmt::quote(got)),
                },
            );
        },
    ),
    kind(
        "docker",
        true,
        &[
            ("host", Text),
            ("port", Int),
            ("filters", Filters),
            ("host_networking_host", Text),
            ("match_first_network", Bool),
        ],
        |v| v.required("host", "host missing"),
    ),
    kind(
        "dockerswarm",
        true,
        &[
            ("host", Text),
            ("role", Text),
            ("port", Int),
            ("filters", Filters),
        ],
        |v| {
            v.required("host", "host missing");
            v.one_of(
                "role",
                "",
                &["services", "nodes", "tasks"],
                |got| match got {
                    "" => "role missing (one of: tasks, services, nodes)".to_owned(),
                    got => format!("invalid role {got}, expected tasks, services, or nodes"),
                },
            );
        },
    ),
    kind("eureka", true, &[("server", Text)], |v| {
        v.required("server", "eureka_sd: empty or null eureka server");
        let server = v.text("server");
        if !server.is_empty() && !has_scheme_and_host(&server) {
            v.fault("server", "eureka_sd: invalid eureka server URL");
        }
    }),
    kind(
        "gce",
        false,
        &[
            ("project", Text),
            ("zone", Text),
            ("filter", Text),
            ("port", Int),
            ("tag_separator", Text),
        ],
        |v| {
            v.required("project", "GCE SD configuration requires a project");
            v.required("zone", "GCE SD configuration requires a zone");
        },
    ),
    kind(
        "hetzner",
        true,
        &[("port", Int), ("role", Text), ("label_selector", Text)],
        |v| {
            v.one_of("role", "", &["robot", "hcloud"], |got| match got {
                "" => "role missing (one of: robot, hcloud)".to_owned(),
                got => format!("unknown role {}", gofmt::quote(got)),
            });
        },
    ),
    kind(
        "ionos",
        true,
        &[("datacenter_id", Text), ("port", Int)],
        |v| {
            v.required("datacenter_id", "datacenter id can't be empty");
        },
    ),
    kind(
        "kuma",
        true,
        &[
            ("server", Text),
            ("client_id", Text),
            ("fetch_timeout", Duration),
        ],
        |v| {
            let server = v.text("server");
            if server.is_empty() {
                v.fault("server", "kuma SD server must not be empty: ");
            } else if !has_scheme_and_host(&server) {
                v.fault(
                    "server",
                    format!("kuma SD server must not be empty and have a scheme: {server}"),
                );
            }
        },
    ),
    kind(
        "linode",
        true,
        &[("port", Int), ("tag_separator", Text), ("region", Text)],
        |_| {},
    ),
    kind(
        "marathon",
        true,
        &[
            ("servers", Texts),
            ("auth_token", Text),
            ("auth_token_file", Text),
        ],
        marathon,
    ),
    kind("nerve", false, ZOOKEEPER, |v| zookeeper(v, "nerve")),
    kind("serverset", false, ZOOKEEPER, |v| zookeeper(v, "serverset")),
    kind(
        "nomad",
        true,
        &[
            ("allow_stale", Bool),
            ("namespace", Text),
            ("region", Text),
            ("server", Text),
            ("tag_separator", Text),
        ],
        |v| {
            if v.text_or("server", "http://localhost:4646")
                .trim()
                .is_empty()
            {
                v.fault("server", "nomad SD configuration requires a server address");
            }
        },
    ),
    kind(
        "oci",
        true,
        &[
            ("auth", Text),
            ("tenancy", Text),
            ("user", Text),
            ("fingerprint", Text),
            ("key_file", Text),
            ("key_passphrase", Text),
            ("key_passphrase_file", Text),
            ("region", Text),
            ("compartments", Texts),
            ("port", Int),
        ],
        oci,
    ),
    Kind {
        name: "openstack",
        http: false,
        tls: true,
        keys: &[
            ("identity_endpoint", Text),
            ("username", Text),
            ("userid", Text),
            ("password", Text),
            ("project_name", Text),
            ("project_id", Text),
            ("domain_name", Text),
            ("domain_id", Text),
            ("application_credential_name", Text),
            ("application_credential_id", Text),
            ("application_credential_secret", Text),
            ("role", Text),
            ("region", Text),
            ("port", Int),
            ("all_tenants", Bool),
            ("availability", Text),
        ],
        check: |v| {
            v.one_of(
                "role",
                "",
                &["hypervisor", "instance", "loadbalancer"],
                |got| match got {
                    "" => "role missing (one of: instance, hypervisor, loadbalancer)".to_owned(),
                    got => format!("unknown OpenStack SD role {}", gofmt::quote(got)),
                },
            );
            v.one_of(
                "availability",
                "public",
                &["public", "internal", "admin"],
                |got| {
                    format!("unknown availability {got}, must be one of admin, internal or public")
                },
            );
            v.required("region", "openstack SD configuration requires a region");
        },
    },
    kind(
        "outscale",
        true,
        &[
            ("endpoint", Text),
            ("region", Text),
            ("access_key", Text),
            ("secret_key", Text),
            ("secret_key_file", Text),
            ("port", Int),
        ],
        |v| {
            v.required("region", "outscale SD configuration requires a region");
            v.required(
                "access_key",
                "outscale SD configuration requires access_key",
            );
            v.secret_key();
        },
    ),
    kind(
        "ovhcloud",
        false,
        &[
            ("endpoint", Text),
            ("application_key", Text),
            ("application_secret", Text),
            ("consumer_key", Text),
            ("service", Text),
        ],
        |v| {
            if v.text_or("endpoint", "ovh-eu").is_empty() {
                v.fault("endpoint", "endpoint can not be empty");
            }
            v.required("application_key", "application key can not be empty");
            v.required("application_secret", "application secret can not be empty");
            v.required("consumer_key", "consumer key can not be empty");
            v.one_of("service", "", &["dedicated_server", "vps"], |got| {
                format!("unknown service: {got}")
            });
        },
    ),
    kind(
        "puppetdb",
        true,
        &[
            ("url", Text),
            ("query", Text),
            ("include_parameters", Bool),
            ("port", Int),
        ],
        |v| {
            if let Some(fault) = url_fault(&v.text("url")) {
                v.fault("url", fault);
            }
            v.required("query", "query missing");
        },
    ),
    kind(
        "scaleway",
        true,
        &[
            ("project_id", Text),
            ("api_url", Text),
            ("zone", Text),
            ("access_key", Text),
            ("secret_key", Text),
            ("secret_key_file", Text),
            ("name_filter", Text),
            ("tags_filter", Texts),
            ("port", Int),
            ("role", Text),
        ],
        |v| {
            v.one_of("role", "", &["instance", "baremetal"], |got| match got {
                "" => "role missing (one of: instance, baremetal)".to_owned(),
                got => format!("unknown role {}", gofmt::quote(got)),
            });
            v.required("project_id", "project_id is mandatory");
            v.secret_key();
            v.required("access_key", "access_key is mandatory");
            v.uuid("project_id", "project ID");
            v.uuid("secret_key", "secret key");
        },
    ),
    kind(
        "stackit",
        true,
        &[
            ("project", Text),
            ("port", Int),
            ("region", Text),
            ("endpoint", Text),
            ("service_account_key", Text),
            ("private_key", Text),
            ("service_account_key_path", Text),
            ("private_key_path", Text),
            ("credentials_file_path", Text),
        ],
        |v| {
            if v.text("endpoint").is_empty() && v.text_or("region", "eu01").is_empty() {
                v.fault("region", "stackit_sd: endpoint and region missing");
            }
        },
    ),
    Kind {
        name: "triton",
        http: false,
        tls: true,
        keys: &[
            ("account", Text),
            ("role", Text),
            ("dns_suffix", Text),
            ("endpoint", Text),
            ("groups", Texts),
            ("port", Int),
            ("version", Int),
        ],
        check: |v| {
            v.one_of("role", "container", &["container", "cn"], |_| {
                "triton SD configuration requires role to be 'container' or 'cn'".to_owned()
            });
            v.required("account", "triton SD configuration requires an account");
            v.required(
                "dns_suffix",
                "triton SD configuration requires a dns_suffix",
            );
            v.required("endpoint", "triton SD configuration requires an endpoint");
        },
    },
    kind(
        "uyuni",
        true,
        &[
            ("server", Text),
            ("username", Text),
            ("password", Text),
            ("entitlement", Text),
            ("separator", Text),
        ],
        |v| {
            v.required("server", "Uyuni SD configuration requires server host");
            v.required("username", "Uyuni SD configuration requires a username");
            v.required("password", "Uyuni SD configuration requires a password");
        },
    ),
    kind("vultr", true, &[("port", Int)], |_| {}),
];

const ZOOKEEPER: &[(&str, Form)] = &[("servers", Texts), ("paths", Texts), ("timeout", Duration)];

/// Checks one such section and says that it is not supported: an error, or with the flag a warning.
pub(super) fn foreign(item: &Item<'_>, name: &str) {
    if item.cx.options.ignore_unsupported_sd {
        item.warn(format!(
            "{name} service discovery is not supported by Ferula: skipped"
        ));
    } else {
        item.error(format!(
            "{name} service discovery is not supported by Ferula; feed it through http_sd_configs, \
             or go on without its targets with --config.ignore-unsupported-sd"
        ));
    }
    let Some(kind) = TABLE.iter().find(|kind| kind.name == name) else {
        return;
    };
    let Some(mut s) = item.section(plain_name(kind.name)) else {
        return;
    };
    let values = read(&mut s, kind);
    (kind.check)(&values);
    for (key, message) in values.faults.take() {
        s.error_at(key, message);
    }
    s.finish();
}

/// What Prometheus calls the structure: its package, and `plain`.
fn plain_name(kind: &str) -> &'static str {
    const NAMES: [&str; 18] = [
        "azure.plain",
        "digitalocean.plain",
        "eureka.plain",
        "gce.plain",
        "hetzner.plain",
        "ionos.plain",
        "linode.plain",
        "marathon.plain",
        "nomad.plain",
        "oci.plain",
        "openstack.plain",
        "outscale.plain",
        "ovhcloud.plain",
        "puppetdb.plain",
        "scaleway.plain",
        "stackit.plain",
        "triton.plain",
        "uyuni.plain",
    ];
    match kind {
        "docker" | "dockerswarm" => "moby.plain",
        "kuma" => "xds.plainKumaConf",
        "nerve" | "serverset" => "zookeeper.plain",
        "vultr" => "vultr.plain",
        _ => NAMES
            .into_iter()
            .find(|name| name.strip_suffix(".plain") == Some(kind))
            .unwrap_or("aws.plain"),
    }
}

struct Values<'a> {
    texts: Vec<(&'static str, Option<String>)>,
    lists: Vec<(&'static str, Vec<String>)>,
    http: Option<Http>,
    empty_filter: bool,
    faults: std::cell::RefCell<Vec<(&'a str, String)>>,
}

fn read(s: &mut Section<'_>, kind: &Kind) -> Values<'static> {
    let mut values = Values {
        texts: Vec::new(),
        lists: Vec::new(),
        http: None,
        empty_filter: false,
        faults: std::cell::RefCell::default(),
    };
    for (key, form) in kind.keys {
        match form {
            Text => values
                .texts
                .push((key, s.get(key).map(|item| item.string()))),
            Int => drop(s.int(key)),
            Bool => drop(s.bool(key)),
            Duration => drop(s.duration(key)),
            Texts => values.lists.push((key, s.strings(key))),
            Filters => values.empty_filter |= filters(s, key),
        }
    }
    if !kind.keys.iter().any(|(key, _)| *key == "timeout") {
        s.duration("refresh_interval");
    }
    if kind.http {
        values.http = Some(http::http(s, true));
    } else if kind.tls {
        http::tls(s);
    }
    values
}

/// Whether one of them has no values.
fn filters(s: &mut Section<'_>, key: &'static str) -> bool {
    let mut empty = false;
    for item in s.list(key, "[]*Filter") {
        let Some(mut filter) = item.section("Filter") else {
            continue;
        };
        filter.string("name");
        empty |= filter.strings("values").is_empty();
        filter.finish();
    }
    empty
}

impl Values<'_> {
    fn fault(&self, key: &'static str, message: impl Into<String>) {
        self.faults.borrow_mut().push((key, message.into()));
    }

    fn text(&self, key: &str) -> String {
        self.text_or(key, "")
    }

    fn text_or(&self, key: &str, default: &str) -> String {
        let value = self.texts.iter().find(|(name, _)| *name == key);
        value
            .and_then(|(_, text)| text.clone())
            .unwrap_or_else(|| default.to_owned())
    }

    fn list(&self, key: &str) -> &[String] {
        let value = self.lists.iter().find(|(name, _)| *name == key);
        value.map_or(&[], |(_, list)| list)
    }

    fn required(&self, key: &'static str, message: &str) {
        if self.text(key).is_empty() {
            self.fault(key, message);
        }
    }

    fn one_of(
        &self,
        key: &'static str,
        default: &str,
        known: &[&str],
        message: impl Fn(&str) -> String,
    ) {
        let got = self.text_or(key, default);
        if !known.contains(&got.as_str()) {
            self.fault(key, message(&got));
        }
    }

    fn uuid(&self, key: &'static str, what: &str) {
        let got = self.text(key);
        let lengths: Vec<usize> = got.split('-').map(str::len).collect();
        let hexadecimal = got.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if !got.is_empty() && (lengths != [8, 4, 4, 4, 12] || !hexadecimal) {
            self.fault(
                key,
                format!(
                    "scaleway-sdk-go: invalid {what} format '{got}', expected a UUID: \
                     xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
                ),
            );
        }
    }

    fn secret_key(&self) {
        let (key, file) = (self.text("secret_key"), self.text("secret_key_file"));
        match (key.is_empty(), file.is_empty()) {
            (true, true) => self.fault(
                "secret_key",
                "one of secret_key & secret_key_file must be configured",
            ),
            (false, false) => self.fault(
                "secret_key_file",
                "at most one of secret_key & secret_key_file must be configured",
            ),
            _ => {}
        }
    }
}

fn has_scheme_and_host(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, rest)| {
        !scheme.is_empty() && !rest.split('/').next().unwrap_or("").is_empty()
    })
}

fn azure(v: &Values<'_>) {
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

fn marathon(v: &Values<'_>) {
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

fn oci(v: &Values<'_>) {
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

fn zookeeper(v: &Values<'_>, name: &str) {
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
