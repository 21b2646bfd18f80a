//! Prints YAML byte for byte as Go's library prints a structure (lines fold after 80 columns).

use std::fmt::Write as _;

use super::scalar::{to_bool, to_float, to_uint};
use crate::stdx::gofmt;

/// LIMIT: libyaml's default, which Prometheus keeps.
const WIDTH: usize = 80;

/// A value to print. Maps keep their order.
#[derive(Debug, Clone, PartialEq)]
pub enum Out {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    Seq(Vec<Out>),
    /// Printed as `[a, b]`.
    Flow(Vec<String>),
    Map(Vec<(String, Out)>),
}

impl Out {
    /// Whether `omitempty` leaves it out.
    pub fn is_empty(&self) -> bool {
        match self {
            Out::Null => true,
            Out::Bool(b) => !b,
            Out::Int(n) => *n == 0,
            Out::Float(v) => *v == 0.0,
            Out::Text(text) => text.is_empty(),
            Out::Seq(items) => items.is_empty(),
            Out::Flow(items) => items.is_empty(),
            Out::Map(entries) => entries.is_empty(),
        }
    }
}

impl From<&str> for Out {
    fn from(text: &str) -> Out {
        Out::Text(text.to_owned())
    }
}

impl From<String> for Out {
    fn from(text: String) -> Out {
        Out::Text(text)
    }
}

impl From<bool> for Out {
    fn from(value: bool) -> Out {
        Out::Bool(value)
    }
}

impl From<&[String]> for Out {
    fn from(items: &[String]) -> Out {
        Out::Seq(items.iter().map(|item| item.as_str().into()).collect())
    }
}

pub fn emit(value: &Out) -> String {
    let mut out = String::new();
    match value {
        Out::Map(entries) if !entries.is_empty() => push_map(&mut out, entries, 0, false),
        Out::Seq(items) if !items.is_empty() => push_seq(&mut out, items, 0),
        other => {
            push_scalar(&mut out, other, 0, 0);
            out.push('\n');
        }
    }
    // The text lives as long as the configuration.
    out.shrink_to_fit();
    out
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Writes a map. With `inline` the first key follows a list's dash, on a line already begun.
fn push_map(out: &mut String, entries: &[(String, Out)], indent: usize, mut inline: bool) {
    for (key, value) in entries {
        if !inline {
            pad(out, indent);
        }
        inline = false;
        let start = out.len();
        push_text(out, key, indent, indent);
        out.push(':');
        let column = indent + (out.len() - start);
        push_value(out, value, indent, column);
    }
}

fn push_value(out: &mut String, value: &Out, indent: usize, column: usize) {
    match value {
        Out::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            push_map(out, entries, indent + 2, false);
        }
        Out::Seq(items) if !items.is_empty() => {
            out.push('\n');
            push_seq(out, items, indent);
        }
        other => {
            out.push(' ');
            push_scalar(out, other, indent + 2, column + 1);
            out.push('\n');
        }
    }
}

fn push_seq(out: &mut String, items: &[Out], indent: usize) {
    for item in items {
        pad(out, indent);
        out.push_str("- ");
        match item {
            Out::Map(entries) if !entries.is_empty() => push_map(out, entries, indent + 2, true),
            other => {
                push_scalar(out, other, indent + 2, indent + 2);
                out.push('\n');
            }
        }
    }
}

fn push_scalar(out: &mut String, value: &Out, indent: usize, column: usize) {
    let _ = match value {
        Out::Null => write!(out, "null"),
        Out::Bool(b) => write!(out, "{b}"),
        Out::Int(n) => write!(out, "{n}"),
        Out::Float(v) => {
            gofmt::push_text_float(out, *v);
            Ok(())
        }
        Out::Text(text) => {
            push_text(out, text, indent, column);
            Ok(())
        }
        Out::Flow(items) => {
            push_flow(out, items, indent, column);
            Ok(())
        }
        Out::Seq(_) => write!(out, "[]"),
        Out::Map(_) => write!(out, "{{}}"),
    };
}

fn push_flow(out: &mut String, items: &[String], indent: usize, column: usize) {
    out.push('[');
    let mut column = column + 1;
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
            column += 1;
            if column > WIDTH {
                out.push('\n');
                pad(out, indent);
                column = indent;
            } else {
                out.push(' ');
                column += 1;
            }
        }
        let start = out.len();
        if is_plain(item, true) {
            out.push_str(item);
        } else {
            push_quoted(out, item, indent, column);
        }
        column += out[start..].chars().count();
    }
    out.push(']');
}

fn push_text(out: &mut String, text: &str, indent: usize, column: usize) {
    let block = text.contains('\n')
        && !text.contains(" \n")
        && !text.ends_with(' ')
        && text.chars().all(is_printable);
    if block {
        push_literal(out, text, indent);
    } else if is_plain(text, false) {
        fold(out, text, indent, column);
    } else {
        push_quoted(out, text, indent, column);
    }
}

/// Writes a block scalar: `|`, with a digit if it begins with white space, `-` if it does not end
/// with a line break, `+` if it ends with several.
fn push_literal(out: &mut String, text: &str, indent: usize) {
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    if !text.ends_with('\n') {
        out.push('-');
    } else if text.ends_with("\n\n") || text == "\n" {
        out.push('+');
    }
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
    }
}

/// Writes plain text, breaking at single spaces beyond the width.
fn fold(out: &mut String, text: &str, indent: usize, column: usize) {
    let mut column = column;
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let single = c == ' ' && before != ' ' && chars.peek().is_some_and(|next| *next != ' ');
        if single && column > WIDTH {
            out.push('\n');
            pad(out, indent);
            column = indent;
        } else {
            out.push(c);
            column += 1;
        }
        before = c;
    }
}

/// Quotes a text. It gets double quotes if it is unprintable or would read as something else, and
/// single quotes if its characters only need protection.
fn push_quoted(out: &mut String, text: &str, indent: usize, column: usize) {
    if reads_as_other(text) || text.contains('\n') || !text.chars().all(is_printable) {
        push_escaped(out, text, indent, column);
        return;
    }
    out.push('\'');
    fold(out, &text.replace('\'', "''"), indent, column + 1);
    out.push('\'');
}

fn push_escaped(out: &mut String, text: &str, indent: usize, column: usize) {
    let mut column = column + 1;
    let mut spaced = false;
    out.push('"');
    let last = text.chars().count().saturating_sub(1);
    for (i, c) in text.chars().enumerate() {
        if c == ' ' && !spaced && column > WIDTH && i > 0 && i < last {
            out.push('\n');
            pad(out, indent);
            column = indent;
            spaced = true;
            continue;
        }
        let start = out.len();
        push_escape(out, c);
        column += out[start..].chars().count();
        spaced = c == ' ';
    }
    out.push('"');
}

fn push_escape(out: &mut String, c: char) {
    let short = match c {
        '\0' => '0',
        '\x07' => 'a',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\x0b' => 'v',
        '\x0c' => 'f',
        '\r' => 'r',
        '\x1b' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        c => {
            let code = u32::from(c);
            let _ = match code {
                _ if is_printable(c) => write!(out, "{c}"),
                ..=0xff => write!(out, "\\x{code:02X}"),
                0x100..=0xffff => write!(out, "\\u{code:04X}"),
                _ => write!(out, "\\U{code:08X}"),
            };
            return;
        }
    };
    out.push('\\');
    out.push(short);
}

/// Whether libyaml prints it: nothing beyond the first plane.
fn is_printable(c: char) -> bool {
    let other_break = matches!(
        c,
        '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    );
    c == '\n' || !(c.is_control() || other_break || c > '\u{ffff}')
}

/// Whether Go's reader would read the bare text as null, a boolean, a number or a time.
fn reads_as_other(text: &str) -> bool {
    let null = matches!(text, "" | "~" | "null" | "Null" | "NULL");
    null || to_bool(text).is_some()
        || to_uint(text).is_some()
        || to_float(text).is_some()
        || super::scalar::to_int(text).is_some()
        || is_sexagesimal(text)
        || is_date(text)
}

/// `1:30` is a number in YAML 1.1. Go quotes it for the sake of other readers.
fn is_sexagesimal(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = body.split(':');
    let first = parts.next().unwrap_or("");
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let rest: Vec<&str> = parts.collect();
    digits(first)
        && !rest.is_empty()
        && rest
            .iter()
            .all(|part| digits(part) && part.len() <= 2 && part.parse::<u8>().is_ok_and(|n| n < 60))
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 8
        && bytes.iter().take(4).all(u8::is_ascii_digit)
        && bytes.get(4) == Some(&b'-')
        && bytes
            .iter()
            .all(|b| b.is_ascii_digit() || b"-:. TtZz+".contains(b))
}

/// Applies libyaml's rules for plain scalars.
fn is_plain(text: &str, flow: bool) -> bool {
    if text.is_empty() || reads_as_other(text) || text.starts_with("---") || text.starts_with("...")
    {
        return false;
    }
    if text.starts_with(' ') || text.ends_with(' ') || !text.chars().all(is_printable) {
        return false;
    }
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    let mut first = true;
    while let Some(c) = chars.next() {
        let spaced = chars.peek().is_none_or(|next| next.is_whitespace());
        let indicator = if first {
            "#,[]{}&*!|>'\"%@`".contains(c)
                || ("?:".contains(c) && (flow || spaced))
                || (c == '-' && spaced)
        } else {
            (flow && ",?[]{}".contains(c))
                || (c == ':' && (flow || spaced))
                || (c == '#' && before == ' ')
        };
        if indicator || c == '\n' {
            return false;
        }
        (before, first) = (c, false);
    }
    true
}
