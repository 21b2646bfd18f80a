//! JSON as Prometheus writes it: its own number layout, Go's escapes.

use std::fmt::Write as _;

use crate::model::{Labels, Sample, TimestampMs};
use crate::stdx::gofmt::push_api_float;

/// Writes a text, and escapes `<`, `>` and `&` too, as Go's encoder does by default.
pub fn push_text(out: &mut String, text: &str) {
    push_escaped(out, text, true);
}

/// Writes a label set's text. Prometheus leaves `<`, `>` and `&` in it as they are.
pub fn push_label_text(out: &mut String, text: &str) {
    push_escaped(out, text, false);
}

fn push_escaped(out: &mut String, text: &str, html: bool) {
    out.push('"');
    let mut plain_from = 0;
    for (i, c) in text.char_indices() {
        let html_char = html && matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        if c >= ' ' && c != '"' && c != '\\' && !html_char {
            continue;
        }
        out.push_str(&text[plain_from..i]);
        plain_from = i + c.len_utf8();
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
        }
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

/// Writes labels as an object.
pub fn push_labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        push_label_text(out, name);
        out.push(':');
        push_label_text(out, value);
    }
    out.push('}');
}

/// Writes seconds, with three decimals if there are milliseconds.
pub fn push_timestamp(out: &mut String, t: TimestampMs) {
    if t < 0 {
        out.push('-');
    }
    let magnitude = t.unsigned_abs();
    let mut digits = itoa::Buffer::new();
    out.push_str(digits.format(magnitude / 1000));
    let ms = magnitude % 1000;
    if ms > 0 {
        // NOTE: the 1 in front keeps the zeros behind it, and is replaced by the point.
        let decimals = digits.format(1000 + ms);
        out.push('.');
        out.push_str(&decimals[1..]);
    }
}

/// Writes `[seconds,"value"]`.
pub fn push_point(out: &mut String, sample: &Sample) {
    out.push('[');
    push_timestamp(out, sample.t);
    out.push_str(",\"");
    push_api_float(out, sample.v);
    out.push_str("\"]");
}

/// Writes `[seconds,"text"]`.
pub fn push_text_point(out: &mut String, t: TimestampMs, text: &str) {
    out.push('[');
    push_timestamp(out, t);
    out.push(',');
    push_text(out, text);
    out.push(']');
}

/// Writes a list of texts.
pub fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    list(texts, |out, text| push_text(out, text.as_ref()))
}

/// Writes a list. `push` writes each item.
pub fn list<T>(items: impl IntoIterator<Item = T>, push: impl FnMut(&mut String, T)) -> String {
    let mut out = String::new();
    push_list(&mut out, items, push);
    out
}

/// Appends a list, as [`list`] writes it.
pub fn push_list<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        push(out, item);
    }
    out.push(']');
}

/// An object, written member by member in the order of the calls.
#[derive(Debug)]
pub struct Object(String);

impl Object {
    pub fn new() -> Object {
        Object(String::from("{"))
    }

    /// Writes a member whose value is JSON already.
    pub fn raw(self, name: &str, json: &str) -> Object {
        self.with(name, |out| out.push_str(json))
    }

    /// Writes a member whose value `push` writes, so that a long value is not copied.
    pub fn with(mut self, name: &str, push: impl FnOnce(&mut String)) -> Object {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        push_text(&mut self.0, name);
        self.0.push(':');
        push(&mut self.0);
        self
    }

    pub fn text(self, name: &str, text: &str) -> Object {
        let mut json = String::new();
        push_text(&mut json, text);
        self.raw(name, &json)
    }

    pub fn number(self, name: &str, number: impl Into<f64>) -> Object {
        let mut json = String::new();
        push_api_float(&mut json, number.into());
        self.raw(name, &json)
    }

    pub fn bool(self, name: &str, value: bool) -> Object {
        self.raw(name, if value { "true" } else { "false" })
    }

    pub fn labels(self, name: &str, labels: &Labels) -> Object {
        let mut json = String::new();
        push_labels(&mut json, labels);
        self.raw(name, &json)
    }

    pub fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

impl Default for Object {
    fn default() -> Object {
        Object::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_as_go_does() {
        let check = |text: &str, expect: &str| {
            let mut out = String::new();
            push_text(&mut out, text);
            assert_eq!(out, expect);
        };
        check(
            "a\"b\\c\n\u{1}é<&>",
            r#""a\"b\\c\n\u0001é\u003c\u0026\u003e""#,
        );
        let mut out = String::new();
        push_label_text(&mut out, "<&>");
        assert_eq!(out, "\"<&>\"");
    }

    #[test]
    fn timestamps_have_no_or_three_decimals() {
        let check = |t: TimestampMs, expect: &str| {
            let mut out = String::new();
            push_timestamp(&mut out, t);
            assert_eq!(out, expect);
        };
        check(0, "0");
        check(1_435_781_430_781, "1435781430.781");
        check(1_001, "1.001");
        check(-1_500, "-1.500");
    }
}
