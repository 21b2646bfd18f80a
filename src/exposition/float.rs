//! Sample values: the numbers that Go's `ParseFloat` takes, except hexadecimal ones and
//! underscores, which neither format has.

use std::fmt;

use crate::model::sample::NORMAL_NAN_BITS;
use crate::stdx::gofloat::{NotANumber, parse_float};
use crate::stdx::gofmt;

/// Why a text is not a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FloatError {
    Unsupported,
    Syntax(String),
    Range(String),
}

impl fmt::Display for FloatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FloatError::Unsupported => f.write_str("unsupported character in float"),
            FloatError::Syntax(text) => {
                write!(f, "strconv.ParseFloat: parsing {text}: invalid syntax")
            }
            FloatError::Range(text) => {
                write!(f, "strconv.ParseFloat: parsing {text}: value out of range")
            }
        }
    }
}

/// Reads `text` as a number. Every NaN becomes Prometheus's ordinary one.
pub(super) fn parse(text: &[u8]) -> Result<f64, FloatError> {
    if let Some((v, used)) = short_decimal(text)
        && used == text.len()
    {
        return Ok(v);
    }
    if text.iter().any(|b| matches!(b, b'p' | b'P' | b'_')) {
        return Err(FloatError::Unsupported);
    }
    let quoted = || gofmt::quote_bytes(text.get(..QUOTED_BYTES_MAX).unwrap_or(text));
    let number = std::str::from_utf8(text).map_err(|_| FloatError::Syntax(quoted()))?;
    match parse_float(number) {
        Ok(v) if v.is_nan() => Ok(f64::from_bits(NORMAL_NAN_BITS)),
        Ok(v) => Ok(v),
        Err(NotANumber::Syntax) => Err(FloatError::Syntax(quoted())),
        Err(NotANumber::Range) => Err(FloatError::Range(quoted())),
    }
}

/// LIMIT: no number is this long. What is cut off is missing from an error's text only.
const QUOTED_BYTES_MAX: usize = 512;

/// Reads the decimal number at the start of `text`, and returns it with its length in bytes. It
/// succeeds where one multiplication or division gives the nearest float: both operands are exact
/// below 2^53 and up to 10^22 (W. D. Clinger, "How to read floating point numbers accurately",
/// 1990).
#[inline]
pub(super) fn short_decimal(text: &[u8]) -> Option<(f64, usize)> {
    let mut scan = Scan {
        rest: text,
        mantissa: 0,
    };
    let negative = scan.take(b'-');
    let whole = scan.digits();
    let fraction = if scan.take(b'.') { scan.digits() } else { 0 };
    let digits = whole + fraction;
    // With 19 digits the mantissa cannot have wrapped around.
    if digits == 0 || digits > 19 || scan.mantissa > 1 << 53 {
        return None;
    }
    let mut exponent = -(fraction as i32);
    if scan.take(b'e') || scan.take(b'E') {
        exponent += scan.exponent()?;
    }
    let scale = *POWERS_OF_TEN.get(exponent.unsigned_abs() as usize)?;
    let magnitude = if exponent < 0 {
        scan.mantissa as f64 / scale
    } else {
        scan.mantissa as f64 * scale
    };
    let used = text.len() - scan.rest.len();
    Some((if negative { -magnitude } else { magnitude }, used))
}

struct Scan<'a> {
    rest: &'a [u8],
    /// All digits so far, without the point. It wraps around.
    mantissa: u64,
}

impl Scan<'_> {
    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    #[inline]
    fn digits(&mut self) -> usize {
        let before = self.rest.len();
        while let Some((first, rest)) = self.rest.split_first() {
            let digit = first.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            let tens = self.mantissa.wrapping_mul(10);
            self.mantissa = tens.wrapping_add(u64::from(digit));
            self.rest = rest;
        }
        before - self.rest.len()
    }

    /// Reads what follows the `e`: a sign and one to three digits.
    fn exponent(&mut self) -> Option<i32> {
        let negative = self.take(b'-');
        if !negative {
            self.take(b'+');
        }
        let mut scan = Scan {
            rest: self.rest,
            mantissa: 0,
        };
        let digits = scan.digits();
        self.rest = scan.rest;
        let magnitude = scan.mantissa as i32;
        (1..=3)
            .contains(&digits)
            .then_some(if negative { -magnitude } else { magnitude })
    }
}

const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expect: Result<f64, &str>) {
        match (parse(text.as_bytes()), expect) {
            (Ok(got), Ok(expect)) => assert_eq!(got.to_bits(), expect.to_bits(), "{text}"),
            (Err(got), Err(expect)) => assert!(got.to_string().contains(expect), "{text}: {got}"),
            (got, expect) => panic!("{text}: got {got:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn numbers_as_go_reads_them() {
        check("0", Ok(0.0));
        check("-0", Ok(-0.0));
        check("1", Ok(1.0));
        check("+1", Ok(1.0));
        check("1.", Ok(1.0));
        check(".5", Ok(0.5));
        check("-12.25", Ok(-12.25));
        check("9007199254740993", Ok(9_007_199_254_740_992.0));
        check("18446744073709551616", Ok(18_446_744_073_709_551_616.0));
        check("4.9351e-05", Ok(4.9351e-05));
        check("1.234567e+06", Ok(1_234_567.0));
        check("1E22", Ok(1e22));
        check("1e23", Ok(1e23));
        check("5e-324", Ok(5e-324));
        check("1e-400", Ok(0.0));
        check("NaN", Ok(f64::from_bits(NORMAL_NAN_BITS)));
        check("nan", Ok(f64::from_bits(NORMAL_NAN_BITS)));
        check("+Inf", Ok(f64::INFINITY));
        check("-inf", Ok(f64::NEG_INFINITY));
        check("Infinity", Ok(f64::INFINITY));
    }

    #[test]
    fn what_go_refuses() {
        check("", Err("parsing \"\": invalid syntax"));
        check(".", Err("invalid syntax"));
        check("-", Err("invalid syntax"));
        check("1e", Err("invalid syntax"));
        check("1e+", Err("invalid syntax"));
        check("1z", Err("parsing \"1z\": invalid syntax"));
        check("0x10", Err("invalid syntax"));
        check("-NaN", Err("invalid syntax"));
        check("+nan", Err("invalid syntax"));
        check("1e400", Err("value out of range"));
        check("0x1p-3", Err("unsupported character in float"));
        check("1_000", Err("unsupported character in float"));
    }

    proptest! {
        #[test]
        fn the_short_way_is_exact(text in "-?[0-9]{0,18}(\\.[0-9]{0,10})?([eE][+-]?[0-9]{1,3})?") {
            if let Some((v, used)) = short_decimal(text.as_bytes()) {
                let expect: f64 = text[..used].parse().unwrap();
                prop_assert_eq!(v.to_bits(), expect.to_bits());
            }
        }
    }
}
