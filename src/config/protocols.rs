//! Scrape protocols and escaping schemes, by name.

use crate::exposition::Protocol;
use crate::model::names::EscapingScheme;
use crate::stdx::gofmt;

/// Why a list of protocols is refused, in Prometheus's words.
pub(super) struct ProtocolsFault(pub String);

pub(super) fn checked(names: &[String]) -> Result<Vec<Protocol>, ProtocolsFault> {
    if names.is_empty() {
        return Err(ProtocolsFault(
            "scrape_protocols cannot be empty".to_owned(),
        ));
    }
    let mut protocols = Vec::new();
    for (i, name) in names.iter().enumerate() {
        if names
            .iter()
            .take(i)
            .any(|earlier| earlier.eq_ignore_ascii_case(name))
        {
            let all = names.join(" ");
            let text = format!("duplicated protocol in scrape_protocols, got [{all}]");
            return Err(ProtocolsFault(text));
        }
        let protocol = one(name).map_err(|m| ProtocolsFault(format!("scrape_protocols: {m}")))?;
        protocols.push(protocol);
    }
    Ok(protocols)
}

pub(super) fn one(name: &str) -> Result<Protocol, String> {
    Protocol::parse(name).ok_or_else(|| {
        let known: Vec<&str> = Protocol::ALL.iter().map(|p| p.as_str()).collect();
        format!(
            "unknown scrape protocol {name}, supported: [{}]",
            known.join(" ")
        )
    })
}

const ESCAPINGS: [EscapingScheme; 4] = [
    EscapingScheme::AllowUtf8,
    EscapingScheme::Underscores,
    EscapingScheme::Dots,
    EscapingScheme::Values,
];

pub(super) fn escaping(name: &str) -> Option<EscapingScheme> {
    ESCAPINGS.into_iter().find(|scheme| scheme.as_str() == name)
}

pub(super) fn unknown_escaping(whose: &str, got: &str) -> String {
    let [a, b, c, d] = ESCAPINGS.map(EscapingScheme::as_str);
    format!(
        "unknown {whose} name escaping method specified, must be one of '{a}', '{b}', '{c}', or \
         '{d}', got {}",
        gofmt::quote(got)
    )
}
