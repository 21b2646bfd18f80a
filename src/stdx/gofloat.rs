//! Numbers as Go's `strconv` reads them: besides decimals, hexadecimal floats (`0x1p-2`),
//! underscores between digits, and infinities in any case.

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotANumber {
    Syntax,
    /// It is beyond the largest float.
    Range,
}

/// Reads what `strconv.ParseFloat(text, 64)` reads.
///
/// # Errors
/// Go's two kinds.
pub fn parse_float(text: &str) -> Result<f64, NotANumber> {
    let (negative, magnitude) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..).unwrap_or_default()),
        Some(b'+') => (false, text.get(1..).unwrap_or_default()),
        _ => (false, text),
    };
    let is = |name: &str| magnitude.eq_ignore_ascii_case(name);
    let value = if is("inf") || is("infinity") {
        f64::INFINITY
    } else if is("nan") && magnitude.len() == text.len() {
        f64::NAN
    } else {
        number(magnitude)?
    };
    Ok(if negative { -value } else { value })
}

/// Reads what `strconv.ParseInt(text, 0, 64)` reads of a text without a sign: `0x` begins a
/// hexadecimal number, `0b` a binary one, `0o` or `0` alone an octal one.
pub fn parse_int(text: &str) -> Option<i64> {
    if !separates_digits(text) {
        return None;
    }
    let plain = text.replace('_', "").to_ascii_lowercase();
    let (digits, radix) = match plain.as_bytes() {
        [b'0', b'x', ..] => (plain.get(2..)?, 16),
        [b'0', b'b', ..] => (plain.get(2..)?, 2),
        [b'0', b'o', ..] => (plain.get(2..)?, 8),
        [b'0', _, ..] => (plain.get(1..)?, 8),
        _ => (&*plain, 10),
    };
    let is_bare = digits.bytes().all(|b| b.is_ascii_alphanumeric());
    is_bare.then(|| i64::from_str_radix(digits, radix).ok())?
}

fn number(text: &str) -> Result<f64, NotANumber> {
    let is_decimal = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    let value = if text.bytes().all(is_decimal) {
        decimal(text)
    } else {
        unusual(text)
    };
    match value {
        None => Err(NotANumber::Syntax),
        Some(f64::INFINITY) => Err(NotANumber::Range),
        Some(value) => Ok(value),
    }
}

fn decimal(text: &str) -> Option<f64> {
    // NOTE: the sign is gone by now, and there is one at most.
    let has_sign = text.starts_with(['+', '-']);
    { !has_sign }.then(|| text.parse().ok())?
}

/// A number with underscores, or a hexadecimal one.
fn unusual(text: &str) -> Option<f64> {
    // NOTE: what Rust reads beyond Go's numbers are names, whose letters are none of these.
    let is_part = |b: u8| b.is_ascii_hexdigit() || b"._+-xXpP".contains(&b);
    if !text.bytes().all(is_part) || !separates_digits(text) {
        return None;
    }
    let plain = text.replace('_', "");
    match plain.get(..2) {
        Some("0x" | "0X") => hexadecimal(plain.get(2..).unwrap_or_default()),
        _ => decimal(&plain),
    }
}

/// Whether each underscore stands between two digits; the base's prefix is as good as one.
fn separates_digits(text: &str) -> bool {
    let is_hex = matches!(text.get(..2), Some("0x" | "0X"));
    let is_prefix = matches!(text.get(1..2), Some("b" | "B" | "o" | "O" | "x" | "X"));
    let is_digit = |at: usize, b: u8| {
        let in_prefix = at == 1 && is_prefix && text.starts_with('0');
        b.is_ascii_digit() || is_hex && b.is_ascii_hexdigit() || in_prefix
    };
    let digit_at = |at: usize| text.as_bytes().get(at).is_some_and(|b| is_digit(at, *b));
    let mut underscores = text.match_indices('_').map(|(at, _)| at);
    underscores.all(|at| at > 0 && digit_at(at - 1) && digit_at(at + 1))
}

/// What follows `0x`: digits with a point somewhere, and the exponent of two, which must be there.
fn hexadecimal(text: &str) -> Option<f64> {
    let (digits, exponent) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = whole.bytes().chain(fraction.bytes());
    let (mut mantissa, mut beyond, mut is_more) = (0u64, 0i64, false);
    let mut count = 0;
    for byte in all {
        let digit = u64::from(char::from(byte).to_digit(16)?);
        count += 1;
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
        } else {
            beyond += 4;
            is_more |= digit != 0;
        }
    }
    if count == 0 {
        return None;
    }
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // LIMIT: no float is so large or small; what does not fit is further out.
    let magnitude = digits.parse::<i64>().unwrap_or(1 << 40).min(1 << 40);
    let exponent = if exponent.starts_with('-') {
        -magnitude
    } else {
        magnitude
    };
    Some(nearest(
        mantissa,
        exponent + beyond - 4 * fraction.len() as i64,
        is_more,
    ))
}

/// The float nearest to `mantissa * 2^exponent`, or to a little more; of two the even one.
fn nearest(mantissa: u64, exponent: i64, is_more: bool) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let up = mantissa.leading_zeros();
    let mantissa = mantissa << up;
    // Of the highest bit.
    let top = exponent - i64::from(up) + 63;
    if top > 1023 {
        return f64::INFINITY;
    }
    // A float has 53 bits, fewer below 2^-1022.
    let kept = 53.min(top + 1075);
    if kept < 0 {
        return 0.0;
    }
    let cut = 64 - kept as u32;
    let (high, low) = (
        mantissa.checked_shr(cut).unwrap_or(0),
        mantissa << ((64 - cut) % 64),
    );
    // What is cut off, from the highest bit on.
    let low = if cut == 64 { mantissa } else { low };
    let half = 1 << 63;
    let rounds_up = low > half || low == half && (is_more || high & 1 == 1);
    let digits = high + u64::from(rounds_up);
    if kept < 53 {
        return f64::from_bits(digits);
    }
    // A carry goes on into the exponent, to infinity at last.
    f64::from_bits((((top + 1022) as u64) << 52) + digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Go 1.26's verdicts.
    #[test]
    fn numbers_as_go_reads_them() {
        let check = |text: &str, expect: f64| {
            let got = parse_float(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            assert_eq!(got.to_bits(), expect.to_bits(), "{text}: {got}");
        };
        check("1_0", 10.0);
        check("0_1", 1.0);
        check("1e1_0", 1e10);
        check("0x1p4", 16.0);
        check("0X1P4", 16.0);
        check("-0x1p10", -1024.0);
        check("0x1_0p4", 256.0);
        check("0x_1p4", 16.0);
        check("0x.8p1", 1.0);
        check("0x1p-1074", 5e-324);
        check("0x1p-1075", 0.0);
        check("0x1.8p-1075", 5e-324);
        check("0x1p-1022", f64::MIN_POSITIVE);
        check("0x1.00000000000008p0", 1.0);
        check("0x1.00000000000018p0", 1.000_000_000_000_000_4);
        check("0x1.000000000000080000001p0", 1.000_000_000_000_000_2);
        check("0x1.fffffffffffffp1023", f64::MAX);
        check("0x123456789abcdef01234p0", 8.596_805_828_370_696e22);
        check("-0", -0.0);
        check("1E5", 1e5);
        check(".5", 0.5);
        check("5.", 5.0);
        check("+infinity", f64::INFINITY);
        check("-INF", f64::NEG_INFINITY);
        check("1e-400", 0.0);
        assert!(parse_float("nAn").unwrap().is_nan());
    }

    #[test]
    fn what_go_refuses() {
        for text in [
            "",
            ".",
            "-",
            "_1",
            "1_",
            "1__0",
            "1_.5",
            "1._5",
            "1e_1",
            "0b1",
            "0x10",
            "0xp1",
            "0x1p",
            "0x1p+",
            "0x.p1",
            "0x1.2.3p1",
            "infin",
            "-nan",
            "+nan",
            "++1",
            "1e",
            "1 ",
            "é",
            "0x",
            "e5",
            "0x1p1_",
            "1f",
            "1d5",
            "--1",
        ] {
            assert_eq!(
                parse_float(text).unwrap_or(0.5).to_string(),
                "0.5",
                "{text}"
            );
            assert_eq!(parse_float(text), Err(NotANumber::Syntax), "{text}");
        }
        for text in [
            "1e400",
            "0x1p2000",
            "1e99999999999999999999",
            "0x1.fffffffffffff8p1023",
        ] {
            assert_eq!(parse_float(text), Err(NotANumber::Range), "{text}");
        }
    }

    #[test]
    fn whole_numbers_with_a_base() {
        for (text, expect) in [
            ("0_1", Some(1)),
            ("1_0", Some(10)),
            ("0x1_0", Some(16)),
            ("017", Some(15)),
            ("0b11", Some(3)),
            ("0o17", Some(15)),
            ("0", Some(0)),
            ("089", None),
            ("1__0", None),
            ("1_", None),
            ("0x1p4", None),
            ("0x", None),
            ("0x+1", None),
            ("0xffffffffffffffff", None),
        ] {
            assert_eq!(parse_int(text), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn hexadecimal_floats_are_exact(v in any::<f64>()) {
            prop_assume!(v.is_finite());
            let bits = v.to_bits();
            let (exponent, digits) = ((bits >> 52) & 0x7ff, bits & ((1 << 52) - 1));
            let sign = if v.is_sign_negative() { "-" } else { "" };
            let text = match exponent {
                0 => format!("{sign}0x0.{digits:013x}p-1022"),
                _ => format!("{sign}0x1.{digits:013x}p{}", exponent as i64 - 1023),
            };
            prop_assert_eq!(parse_float(&text).unwrap().to_bits(), bits);
        }
    }
}
