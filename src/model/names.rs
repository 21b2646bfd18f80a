//! Names of metrics and labels: which are valid, and how an invalid one is escaped.

/// Which names are allowed (`metric_name_validation_scheme`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NameScheme {
    /// Any non-empty UTF-8.
    #[default]
    Utf8,
    /// `[a-zA-Z_:][a-zA-Z0-9_:]*` for metrics, the same without colons for labels.
    Legacy,
}

pub const METRIC_NAME: &str = "__name__";

pub fn is_legacy_metric_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().enumerate().all(|(i, b)| {
            b.is_ascii_alphabetic() || b == b'_' || b == b':' || (i > 0 && b.is_ascii_digit())
        })
}

pub fn is_legacy_label_name(name: &str) -> bool {
    is_legacy_metric_name(name) && !name.contains(':')
}

impl NameScheme {
    pub fn is_metric_name(self, name: &str) -> bool {
        match self {
            NameScheme::Utf8 => !name.is_empty(),
            NameScheme::Legacy => is_legacy_metric_name(name),
        }
    }

    pub fn is_label_name(self, name: &str) -> bool {
        match self {
            NameScheme::Utf8 => !name.is_empty(),
            NameScheme::Legacy => is_legacy_label_name(name),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            NameScheme::Utf8 => "utf8",
            NameScheme::Legacy => "legacy",
        }
    }
}

/// How a scrape asks for names that are not legacy ones (`metric_name_escaping_scheme`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EscapingScheme {
    #[default]
    AllowUtf8,
    Underscores,
    Dots,
    Values,
}

impl EscapingScheme {
    /// The name that the configuration and the `Accept` header use.
    pub fn as_str(self) -> &'static str {
        match self {
            EscapingScheme::AllowUtf8 => "allow-utf-8",
            EscapingScheme::Underscores => "underscores",
            EscapingScheme::Dots => "dots",
            EscapingScheme::Values => "values",
        }
    }
}

/// Undoes a `U__` escape (`values` scheme: `_` is doubled, other characters are `_HEX_`). A name
/// without that escape, or with a broken one, is returned as it is.
pub fn unescape(name: &str) -> String {
    name.strip_prefix("U__")
        .and_then(unescape_values)
        .unwrap_or_else(|| name.to_owned())
}

fn unescape_values(mut rest: &str) -> Option<String> {
    let mut out = String::new();
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let (hex, after) = rest.split_once('_')?;
        // LIMIT: six digits are the largest code point.
        let code = (hex.len() <= 6).then(|| u32::from_str_radix(hex, 16).ok())??;
        out.push(char::from_u32(code)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names() {
        assert_eq!(unescape("plain_name"), "plain_name");
        assert_eq!(unescape("U__http_2e_status__code"), "http.status_code");
        assert_eq!(unescape("U__broken_zz_"), "U__broken_zz_");
        assert_eq!(unescape("U__"), "");
    }
}
