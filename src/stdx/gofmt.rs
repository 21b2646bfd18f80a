//! Numbers and strings as Go's `strconv` writes them, since Prometheus's texts are Go's.
//!
//! The digits come from `zmij` (shortest, ties broken as in Go); the layout is ours.

use std::fmt::Write as _;

/// Writes a sample value as the HTTP API does: shortest digits without an exponent, or with one
/// where
/// |v| < 1e-6 or ≥ 1e21; `NaN`, `+Inf`, `-Inf`.
pub fn push_api_float(out: &mut String, v: f64) {
    let magnitude = v.abs();
    if !v.is_finite() {
        push_special(out, v);
    } else if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let digits = Digits::of(v);
        digits.push_exponent(out);
    } else if v.trunc() == v && magnitude < WHOLE_MAX && v != 0.0 {
        out.push_str(itoa::Buffer::new().format(v as i64));
    } else {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(v);
        if text.contains('e') {
            Digits::of(v).push_plain(out);
        } else {
            out.push_str(text.strip_suffix(".0").unwrap_or(text));
        }
    }
}

/// Every whole number below this one has a float of its own.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Writes Go's `'g'` with the shortest digits. It has an exponent where that is < -4 or ≥
/// `threshold`, which is 21 for `%v` and 6 for `strconv.FormatFloat(v, 'g', -1, 64)`.
fn push_g(out: &mut String, v: f64, threshold: i32) {
    if !v.is_finite() {
        return push_special(out, v);
    }
    let digits = Digits::of(v);
    if v != 0.0 && (digits.exponent < -4 || digits.exponent >= threshold) {
        digits.push_exponent(out);
    } else {
        digits.push_plain(out);
    }
}

/// Writes a value or an `le` as the text formats do: `FormatFloat(v, 'g', -1, 64)`.
pub fn push_text_float(out: &mut String, v: f64) {
    push_g(out, v, 6);
}

pub fn api_float(v: f64) -> String {
    let mut out = String::new();
    push_api_float(&mut out, v);
    out
}

/// Writes a float as `%v` does.
pub fn v(v: f64) -> String {
    let mut out = String::new();
    push_g(&mut out, v, 6);
    out
}

/// Writes `FormatFloat(v, 'f', -1, 64)`: the shortest digits, never an exponent.
pub fn plain(v: f64) -> String {
    let mut out = String::new();
    if v.is_finite() {
        Digits::of(v).push_plain(&mut out);
    } else {
        push_special(&mut out, v);
    }
    out
}

fn push_special(out: &mut String, v: f64) {
    out.push_str(match v {
        _ if v.is_nan() => "NaN",
        _ if v > 0.0 => "+Inf",
        _ => "-Inf",
    });
}

/// The shortest decimal digits of a finite number, which is `0.DIGITS × 10^(exponent + 1)`.
struct Digits {
    negative: bool,
    text: [u8; 20],
    len: usize,
    exponent: i32,
}

impl Digits {
    fn of(v: f64) -> Digits {
        let mut digits = Digits {
            negative: v.is_sign_negative(),
            text: [b'0'; 20],
            len: 1,
            exponent: 0,
        };
        if v == 0.0 {
            return digits;
        }
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(v.abs());
        let (mantissa, exponent) = match text.split_once('e') {
            Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(0)),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = whole.bytes().chain(fraction.bytes());
        let leading = all.clone().take_while(|b| *b == b'0').count();
        digits.len = 0;
        for (slot, byte) in digits.text.iter_mut().zip(all.skip(leading)) {
            *slot = byte;
            digits.len += 1;
        }
        digits.exponent = exponent + whole.len() as i32 - 1 - leading as i32;
        while digits.len > 1 && digits.text[digits.len - 1] == b'0' {
            digits.len -= 1;
        }
        digits
    }

    fn push_sign(&self, out: &mut String) {
        if self.negative {
            out.push('-');
        }
    }

    fn push_digits(&self, out: &mut String, from: usize, to: usize) {
        for i in from..to {
            out.push(if i < self.len {
                self.text[i] as char
            } else {
                '0'
            });
        }
    }

    fn push_plain(&self, out: &mut String) {
        self.push_sign(out);
        if self.exponent < 0 {
            out.push_str("0.");
            (1..-self.exponent).for_each(|_| out.push('0'));
            self.push_digits(out, 0, self.len);
            return;
        }
        let point = self.exponent as usize + 1;
        self.push_digits(out, 0, point);
        if self.len > point {
            out.push('.');
            self.push_digits(out, point, self.len);
        }
    }

    fn push_exponent(&self, out: &mut String) {
        self.push_sign(out);
        self.push_digits(out, 0, 1);
        if self.len > 1 {
            out.push('.');
            self.push_digits(out, 1, self.len);
        }
        let sign = if self.exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "e{sign}{:02}", self.exponent.abs());
    }
}

/// Writes `%q`: a Go string literal in double quotes.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\x0b' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c == '\x7f' => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if !is_print(c) && (c as u32) < 0x1_0000 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c if !is_print(c) => {
                let _ = write!(out, "\\U{:08x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Writes `%q` of a character: in single quotes.
pub fn quote_char(c: char) -> String {
    match c {
        '\'' => "'\\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => {
            let text = quote(c.encode_utf8(&mut [0; 4]));
            format!("'{}'", text.trim_matches('"'))
        }
    }
}

/// Whether Go's `strconv.IsPrint` holds: letters, marks, numbers, punctuation, symbols, and the
/// space of ASCII.
fn is_print(c: char) -> bool {
    // NOTE: std's table of the same characters. At the start of a text it escapes marks as well.
    c.is_ascii_graphic() || c == ' ' || {
        let mut text = [b'a'; 5];
        let len = 1 + c.encode_utf8(&mut text[1..]).len();
        let text = std::str::from_utf8(text.get(..len).unwrap_or_default()).unwrap_or_default();
        text.escape_debug().nth(1) == Some(c)
    }
}

/// Writes `%q` of bytes that may not be UTF-8. Other bytes show as `\xNN`.
pub fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let quoted = quote(chunk.valid());
        out.push_str(&quoted[1..quoted.len() - 1]);
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(v: f64, api: &str, text: &str) {
        assert_eq!(api_float(v), api, "api form of {v:e}");
        let mut out = String::new();
        push_text_float(&mut out, v);
        assert_eq!(out, text, "text form of {v:e}");
    }

    #[test]
    fn floats_as_go_writes_them() {
        check(0.0, "0", "0");
        check(-0.0, "-0", "-0");
        check(1.0, "1", "1");
        check(1.5, "1.5", "1.5");
        check(1e6, "1000000", "1e+06");
        check(123_456_789.0, "123456789", "1.23456789e+08");
        check(1e20, "100000000000000000000", "1e+20");
        check(1e21, "1e+21", "1e+21");
        check(1e-6, "0.000001", "1e-06");
        check(1e-7, "1e-07", "1e-07");
        check(0.1, "0.1", "0.1");
        check(-2.5e-9, "-2.5e-09", "-2.5e-09");
        check(
            2_023_347_301_156_851.2,
            "2023347301156851.2",
            "2.0233473011568512e+15",
        );
        check(f64::INFINITY, "+Inf", "+Inf");
        check(f64::NEG_INFINITY, "-Inf", "-Inf");
        check(f64::NAN, "NaN", "NaN");
        check(
            f64::MAX,
            "1.7976931348623157e+308",
            "1.7976931348623157e+308",
        );
        check(5e-324, "5e-324", "5e-324");
    }

    #[test]
    fn what_go_does_not_print_is_escaped() {
        // Go 1.26's verdicts.
        let check = |c: char, expect: &str| {
            assert_eq!(quote_char(c), format!("'{expect}'"), "{:x}", c as u32);
        };
        check('\u{a0}', "\\u00a0");
        check('\u{ad}', "\\u00ad");
        check('\u{200b}', "\\u200b");
        check('\u{2028}', "\\u2028");
        check('\u{3000}', "\\u3000");
        check('\u{378}', "\\u0378");
        check('\u{e000}', "\\ue000");
        check('\u{feff}', "\\ufeff");
        check('\u{1d173}', "\\U0001d173");
        check('\u{10ffff}', "\\U0010ffff");
        check('\u{85}', "\\u0085");
        check('\u{7f}', "\\x7f");
        check('\'', "\\'");
        for c in ['"', 'é', '\u{301}', '😀', '\u{fffd}', ' '] {
            check(c, &c.to_string());
        }
    }

    #[test]
    fn quoting_as_go_does() {
        assert_eq!(quote("a\"b\\c\n\u{1}é"), r#""a\"b\\c\n\x01é""#);
        assert_eq!(quote_bytes(b"a\xffb"), r#""a\xffb""#);
    }
}
