//! The values of strings, numbers and durations.

use crate::model::duration;
use crate::stdx::gofloat::{self, NotANumber};
use crate::stdx::gofmt;

/// Moves `pos`, which is after a backslash, past the escape.
///
/// # Errors
/// Gives Prometheus's text.
pub(super) fn skip_escape(query: &str, pos: &mut usize, quote: char) -> Result<(), String> {
    let mut rest = query.get(*pos..).unwrap_or("").chars();
    escape(&mut rest, quote)?;
    *pos = query.len() - rest.as_str().len();
    Ok(())
}

/// The value of an escape.
enum Escaped {
    Byte(u8),
    Char(char),
}

fn escape(rest: &mut std::str::Chars<'_>, quote: char) -> Result<Escaped, String> {
    const ENDS: &str = "escape sequence not terminated";
    let c = rest.next().ok_or(ENDS)?;
    let (digits, radix, first) = match c {
        'a' => return Ok(Escaped::Byte(7)),
        'b' => return Ok(Escaped::Byte(8)),
        'f' => return Ok(Escaped::Byte(12)),
        'n' => return Ok(Escaped::Byte(b'\n')),
        'r' => return Ok(Escaped::Byte(b'\r')),
        't' => return Ok(Escaped::Byte(b'\t')),
        'v' => return Ok(Escaped::Byte(11)),
        '\\' => return Ok(Escaped::Char('\\')),
        c if c == quote => return Ok(Escaped::Char(c)),
        '0'..='7' => (3, 8, Some(c)),
        'x' => (2, 16, None),
        'u' => (4, 16, None),
        'U' => (8, 16, None),
        c => return Err(format!("unknown escape sequence {}", code_point(c))),
    };
    let mut code = 0u32;
    let mut next = first;
    for _ in 0..digits {
        let c = next.take().or_else(|| rest.next()).ok_or(ENDS)?;
        let digit = c
            .to_digit(radix)
            .ok_or_else(|| format!("illegal character {} in escape sequence", code_point(c)))?;
        code = code.wrapping_mul(radix).wrapping_add(digit);
    }
    let bad = "escape sequence is an invalid Unicode code point";
    if digits < 4 {
        return Ok(Escaped::Byte(u8::try_from(code).map_err(|_| bad)?));
    }
    Ok(Escaped::Char(char::from_u32(code).ok_or(bad)?))
}

/// Writes a character as Go's `%#U` does.
fn code_point(c: char) -> String {
    let code = u32::from(c);
    let is_plain =
        matches!(c, '"' | '\\') || !gofmt::quote(c.encode_utf8(&mut [0; 4])).contains('\\');
    if is_plain {
        format!("U+{code:04X} '{c}'")
    } else {
        format!("U+{code:04X}")
    }
}

/// Returns the value of a string literal, which includes its quotes.
///
/// # Errors
/// An escape is wrong.
pub(super) fn unquote(literal: &str) -> Result<Vec<u8>, String> {
    let mut chars = literal.chars();
    let (Some(quote), Some(_)) = (chars.next(), chars.next_back()) else {
        return Err("invalid syntax".to_owned());
    };
    if quote == '`' {
        return Ok(chars.as_str().as_bytes().to_vec());
    }
    let mut bytes = Vec::with_capacity(literal.len());
    while let Some(c) = chars.next() {
        let escaped = match c {
            '\\' => escape(&mut chars, quote)?,
            c => Escaped::Char(c),
        };
        match escaped {
            Escaped::Byte(byte) => bytes.push(byte),
            Escaped::Char(c) => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Ok(bytes)
}

/// Returns the value of a number: one of Go's integer literals, else a decimal.
///
/// # Errors
/// Gives Prometheus's text.
pub(super) fn number(text: &str) -> Result<f64, String> {
    let error = |what: &str| {
        let text = gofmt::quote(text);
        format!("error parsing number: strconv.ParseFloat: parsing {text}: {what}")
    };
    if let Some(whole) = gofloat::parse_int(text) {
        return Ok(whole as f64);
    }
    gofloat::parse_float(text).map_err(|why| match why {
        NotANumber::Syntax => error("invalid syntax"),
        NotANumber::Range => error("value out of range"),
    })
}

/// Returns a duration's seconds.
///
/// # Errors
/// Gives Prometheus's text.
pub(super) fn duration_seconds(text: &str) -> Result<f64, String> {
    duration::parse(text).map(|duration| duration.as_secs_f64())
}
