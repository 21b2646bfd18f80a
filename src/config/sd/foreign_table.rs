//! The keys of the discoveries that Ferula does not have, and what Prometheus refuses in them.

use super::foreign_checks::{azure, has_scheme_and_host, marathon, oci, zookeeper};
use super::foreign_values::Values;
use super::own::url_fault;
use crate::stdx::gofmt;

/// The form of a key.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    Text,
    Int,
    Bool,
    Duration,
    Texts,
    Filters,
}

use Form::{Bool, Duration, Filters, Int, Text, Texts};

pub(super) struct Kind {
    pub name: &'static str,
    /// Whether it has the HTTP client's keys; if not, whether it has `tls_config` alone.
    pub http: bool,
    pub tls: bool,
    pub keys: &'static [(&'static str, Form)],
    pub check: fn(&Values),
}

const fn kind(
    name: &'static str,
    http: bool,
    keys: &'static [(&'static str, Form)],
    check: fn(&Values),
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

pub(super) const TABLE: [Kind; 31] = [
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
