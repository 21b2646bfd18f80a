//! What a scrape asks for (`Accept`), and which format the answer has (`Content-Type`).

use std::fmt::Write as _;

use super::media_type::media_type;
use crate::model::names::EscapingScheme;
use crate::stdx::gofmt::quote;

/// The grammar that a body is read by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus's text format, both 0.0.4 and 1.0.0.
    Text,
    /// OpenMetrics, both 0.0.1 and 1.0.0.
    OpenMetrics,
}

/// A scrape protocol under its configuration name (`scrape_protocols`, `fallback_scrape_protocol`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Known so that configurations with it load. It is never asked for.
    PrometheusProto,
    OpenMetricsText0_0_1,
    OpenMetricsText1_0_0,
    PrometheusText0_0_4,
    PrometheusText1_0_0,
}

impl Protocol {
    /// All protocols, sorted by name, as an error text lists them.
    pub const ALL: [Protocol; 5] = [
        Protocol::OpenMetricsText0_0_1,
        Protocol::OpenMetricsText1_0_0,
        Protocol::PrometheusProto,
        Protocol::PrometheusText0_0_4,
        Protocol::PrometheusText1_0_0,
    ];

    /// The protocols asked for by default, best first.
    pub const DEFAULT: [Protocol; 4] = [
        Protocol::OpenMetricsText1_0_0,
        Protocol::OpenMetricsText0_0_1,
        Protocol::PrometheusText1_0_0,
        Protocol::PrometheusText0_0_4,
    ];

    pub fn parse(name: &str) -> Option<Protocol> {
        Protocol::ALL.into_iter().find(|p| p.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::PrometheusProto => "PrometheusProto",
            Protocol::OpenMetricsText0_0_1 => "OpenMetricsText0.0.1",
            Protocol::OpenMetricsText1_0_0 => "OpenMetricsText1.0.0",
            Protocol::PrometheusText0_0_4 => "PrometheusText0.0.4",
            Protocol::PrometheusText1_0_0 => "PrometheusText1.0.0",
        }
    }

    /// The format that the protocol is read by; `None` where it cannot be read.
    pub fn format(self) -> Option<Format> {
        match self {
            Protocol::PrometheusProto => None,
            Protocol::OpenMetricsText0_0_1 | Protocol::OpenMetricsText1_0_0 => {
                Some(Format::OpenMetrics)
            }
            Protocol::PrometheusText0_0_4 | Protocol::PrometheusText1_0_0 => Some(Format::Text),
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Protocol::PrometheusProto => PROTOBUF,
            Protocol::OpenMetricsText0_0_1 | Protocol::OpenMetricsText1_0_0 => OPEN_METRICS,
            Protocol::PrometheusText0_0_4 | Protocol::PrometheusText1_0_0 => TEXT,
        }
    }

    fn version(self) -> &'static str {
        match self {
            Protocol::OpenMetricsText0_0_1 => "0.0.1",
            Protocol::PrometheusText0_0_4 => "0.0.4",
            _ => "1.0.0",
        }
    }
}

const OPEN_METRICS: &str = "application/openmetrics-text";
const TEXT: &str = "text/plain";
const PROTOBUF: &str = "application/vnd.google.protobuf";

/// Returns the `Accept` header for these protocols, best first. Protocols that cannot be read are
/// left out.
pub fn accept_header(protocols: &[Protocol], escaping: EscapingScheme) -> String {
    let mut out = String::new();
    // Prometheus counts down from the number of protocols that it knows, plus one.
    let mut weight = Protocol::ALL.len() + 1;
    for protocol in protocols.iter().filter(|p| p.format().is_some()) {
        let version = protocol.version();
        let _ = write!(out, "{};version={version}", protocol.media_type());
        // Only the newer versions know names that need an escape.
        if version == "1.0.0" {
            let _ = write!(out, ";escaping={}", escaping.as_str());
        }
        let _ = write!(out, ";q=0.{weight},");
        weight = weight.saturating_sub(1);
    }
    let _ = write!(out, "*/*;q=0.{weight}");
    out
}

/// Returns the format of an answer, with a warning where the fallback had to decide. The error says
/// why the answer cannot be read. Both texts are Prometheus's.
pub fn format_of(
    content_type: Option<&str>,
    fallback: Option<Protocol>,
) -> Result<(Format, Option<String>), String> {
    let header = content_type.unwrap_or("");
    let (fault, hint) = match fault_of(header) {
        Ok(format) => return Ok((format, None)),
        Err(Fault::Blank) => (
            "non-compliant scrape target sending blank Content-Type".to_owned(),
            String::new(),
        ),
        Err(Fault::Malformed(why)) => {
            let verb = match fallback {
                Some(_) => "could not parse received",
                None => "cannot parse",
            };
            let fault = format!("{verb} Content-Type {}", quote(header));
            (fault, format!("\n{why}"))
        }
        Err(Fault::Unsupported) => (
            format!("received unsupported Content-Type {}", quote(header)),
            String::new(),
        ),
    };
    let Some(fallback) = fallback else {
        // Prometheus leaves "specified" out for a malformed header only.
        let specified = if hint.is_empty() { " specified" } else { "" };
        return Err(format!(
            "{fault} and no fallback_scrape_protocol{specified} for target{hint}"
        ));
    };
    let media_type = quote(fallback.media_type());
    let warning = format!("{fault}, using fallback_scrape_protocol {media_type}{hint}");
    match fallback.format() {
        Some(format) => Ok((format, Some(warning))),
        None => Err(format!(
            "{fault}, and fallback_scrape_protocol {media_type} is not supported{hint}"
        )),
    }
}

enum Fault {
    Blank,
    Malformed(&'static str),
    Unsupported,
}

fn fault_of(header: &str) -> Result<Format, Fault> {
    if header.is_empty() {
        return Err(Fault::Blank);
    }
    match media_type(header).map_err(Fault::Malformed)?.as_str() {
        OPEN_METRICS => Ok(Format::OpenMetrics),
        TEXT => Ok(Format::Text),
        _ => Err(Fault::Unsupported),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, fallback: Option<&str>, expect: Result<(Format, &str), &str>) {
        let fallback = fallback.map(|name| Protocol::parse(name).unwrap());
        let got = format_of(Some(header), fallback);
        let got = got.map(|(format, warning)| (format, warning.unwrap_or_default()));
        let expect = expect.map(|(format, warning)| (format, warning.to_owned()));
        assert_eq!(got, expect.map_err(str::to_owned), "{header:?}");
    }

    #[test]
    fn content_types() {
        use Format::{OpenMetrics, Text};
        let text = Some("PrometheusText0.0.4");
        check(
            "text/plain; version=0.0.4; charset=utf-8",
            None,
            Ok((Text, "")),
        );
        check("text/plain", Some("OpenMetricsText1.0.0"), Ok((Text, "")));
        check(
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            None,
            Ok((OpenMetrics, "")),
        );
        check(
            "",
            None,
            Err(
                "non-compliant scrape target sending blank Content-Type and no \
                 fallback_scrape_protocol specified for target",
            ),
        );
        check(
            "",
            text,
            Ok((
                Text,
                "non-compliant scrape target sending blank Content-Type, using \
                 fallback_scrape_protocol \"text/plain\"",
            )),
        );
        check(
            "text/html",
            None,
            Err("received unsupported Content-Type \"text/html\" and no \
                 fallback_scrape_protocol specified for target"),
        );
        check(
            "text/html",
            text,
            Ok((
                Text,
                "received unsupported Content-Type \"text/html\", using \
                 fallback_scrape_protocol \"text/plain\"",
            )),
        );
        check(
            "a/b/c",
            None,
            Err(
                "cannot parse Content-Type \"a/b/c\" and no fallback_scrape_protocol for target\n\
                 mime: unexpected content after media subtype",
            ),
        );
        check(
            "invalid/",
            text,
            Ok((
                Text,
                "could not parse received Content-Type \"invalid/\", using \
                 fallback_scrape_protocol \"text/plain\"\nmime: expected token after slash",
            )),
        );
        check(
            "application/vnd.google.protobuf",
            None,
            Err(
                "received unsupported Content-Type \"application/vnd.google.protobuf\" and no \
                 fallback_scrape_protocol specified for target",
            ),
        );
        assert!(format_of(None, None).is_err());
        assert!(format_of(None, Some(Protocol::PrometheusProto)).is_err());
    }

    #[test]
    fn accept() {
        let expect = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                      application/openmetrics-text;version=0.0.1;q=0.5,\
                      text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                      text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let escaping = EscapingScheme::AllowUtf8;
        assert_eq!(accept_header(&Protocol::DEFAULT, escaping), expect);
        let protocols = [Protocol::PrometheusProto, Protocol::PrometheusText1_0_0];
        assert_eq!(
            accept_header(&protocols, EscapingScheme::Underscores),
            "text/plain;version=1.0.0;escaping=underscores;q=0.6,*/*;q=0.5"
        );
    }
}
