//! `tracing` and `otlp` (reference section 2.11): checked as in Prometheus, but without effect.

use std::time::Duration;

use super::http;
use super::section::Section;
use super::yaml::Out;
use crate::model::names::NameScheme;
use crate::stdx::gofmt;

pub(super) fn tracing(mut s: Section<'_>) -> Out {
    s.warn("tracing is not supported by Ferula: ignored");
    let client = s.string_or("client_type", "grpc");
    if !matches!(client.as_str(), "http" | "grpc") {
        let text =
            format!("expected tracing client type to be to be http or grpc, but got {client}");
        s.error_at("client_type", text);
    }
    s.put("client_type", client);
    let endpoint = s.string("endpoint");
    if endpoint.is_empty() {
        s.error_at("endpoint", "tracing endpoint must be set");
    }
    s.put_some("endpoint", endpoint);
    let fraction = s.float("sampling_fraction").unwrap_or(0.0);
    s.put_some("sampling_fraction", Out::Float(fraction));
    s.flag_some("insecure", false);
    http::tls(&mut s);
    let headers = s.string_map("headers");
    s.put_map("headers", &headers);
    let own = "custom authorization header configuration is not yet supported";
    http::check_plain_headers(&s, &headers, own);
    let compression = s.string("compression");
    if !matches!(compression.as_str(), "" | "gzip") {
        let text = format!("invalid compression type {compression} provided, valid options: gzip");
        s.error_at("compression", text);
    }
    s.put_some("compression", compression);
    s.duration_some("timeout", Duration::ZERO);
    s.finish()
}

const STRATEGIES: [&str; 4] = [
    "UnderscoreEscapingWithSuffixes",
    "UnderscoreEscapingWithoutSuffixes",
    "NoUTF8EscapingWithSuffixes",
    "NoTranslation",
];

/// What is printed where the section is absent.
pub(super) fn otlp_default() -> Out {
    Out::Map(vec![
        ("translation_strategy".to_owned(), STRATEGIES[0].into()),
        ("label_name_underscore_sanitization".to_owned(), true.into()),
        (
            "label_name_preserve_multiple_underscores".to_owned(),
            true.into(),
        ),
    ])
}

pub(super) fn otlp(mut s: Section<'_>, names: NameScheme) -> Out {
    s.warn("the OTLP receiver is not there yet in Ferula: ignored");
    let all = s.flag_some("promote_all_resource_attributes", false);
    let promoted = attributes(&mut s, "promote_resource_attributes", "promoted");
    let ignored = attributes(&mut s, "ignore_resource_attributes", "ignored");
    if all && promoted {
        let text = "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be \
                    configured simultaneously";
        s.error_at("promote_all_resource_attributes", text);
    }
    if !all && ignored {
        let text = "'ignore_resource_attributes' cannot be configured unless \
                    'promote_all_resource_attributes' is true";
        s.error_at("ignore_resource_attributes", text);
    }
    let strategy = s.string_or("translation_strategy", STRATEGIES[0]);
    let quoted = gofmt::quote(&strategy);
    if !strategy.is_empty() && !STRATEGIES.contains(&strategy.as_str()) {
        let text = format!("unsupported OTLP translation strategy {quoted}");
        s.error_at("translation_strategy", text);
    } else if names == NameScheme::Legacy && strategy.starts_with("No") {
        let text =
            format!("OTLP translation strategy {quoted} is not allowed when UTF8 is disabled");
        s.error_at("translation_strategy", text);
    }
    s.put_some("translation_strategy", strategy);
    let flags = [
        ("keep_identifying_resource_attributes", false),
        ("convert_histograms_to_nhcb", false),
        ("promote_scope_metadata", false),
        ("label_name_underscore_sanitization", true),
        ("label_name_preserve_multiple_underscores", true),
    ];
    for (key, default) in flags {
        let value = s.bool(key).unwrap_or(default);
        s.put_some(key, value);
    }
    s.finish()
}

/// Reads the attributes. Returns whether there are any.
fn attributes(s: &mut Section<'_>, key: &'static str, adjective: &str) -> bool {
    let written = s.strings(key);
    let trimmed: Vec<String> = written.iter().map(|name| name.trim().to_owned()).collect();
    for (i, name) in trimmed.iter().enumerate() {
        let fault = if name.is_empty() {
            format!("empty {adjective} OTel resource attribute")
        } else if trimmed.iter().take(i).any(|earlier| earlier == name) {
            format!(
                "duplicated {adjective} OTel resource attribute {}",
                gofmt::quote(name)
            )
        } else {
            continue;
        };
        s.error_at(key, format!("invalid '{key}': {fault}"));
    }
    s.put_some(key, trimmed.as_slice());
    !trimmed.is_empty()
}
