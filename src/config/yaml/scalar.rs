//! The meaning of an unquoted scalar to Go's YAML library (YAML 1.1 with Go's numbers).

/// Reads `y`, `yes`, `on`, `true` and their opposites, each in three cases.
pub fn to_bool(literal: &str) -> Option<bool> {
    match literal {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(false)
        }
        _ => None,
    }
}

pub fn to_int(literal: &str) -> Option<i64> {
    i64::try_from(to_wide(literal)?).ok()
}

pub fn to_uint(literal: &str) -> Option<u64> {
    u64::try_from(to_wide(literal)?).ok()
}

/// Reads a number for an integer's key: a float's fraction is cut, as yaml.v2 does.
pub fn cut_to_int(literal: &str) -> Option<i64> {
    to_int(literal).or_else(|| i64::try_from(cut(literal)?).ok())
}

/// Reads a number as [`cut_to_int`] does. None is below 0.
pub fn cut_to_uint(literal: &str) -> Option<u64> {
    to_uint(literal).or_else(|| u64::try_from(cut(literal)?).ok())
}

fn cut(literal: &str) -> Option<i128> {
    to_float(literal)
        .filter(|float| float.abs() < 1e19)
        .map(|float| float as i128)
}

/// Reads `1_000`, `0x10`, `0b1`, `0o17`, `017` (octal), and floats without a fraction (`1e3`).
fn to_wide(literal: &str) -> Option<i128> {
    let plain = literal.replace('_', "");
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, plain.get(1..)?),
        b'+' => (false, plain.get(1..)?),
        // NOTE: a text, as whatever begins with no sign, digit or dot.
        _ if literal.starts_with('_') => return None,
        _ => (false, plain.as_str()),
    };
    let lower = digits.to_ascii_lowercase();
    let based = |prefix, radix| {
        let rest: &str = lower.strip_prefix(prefix)?;
        i128::from_str_radix(rest, radix)
            .ok()
            .filter(|_| !rest.starts_with(['+', '-']))
    };
    let octal = || if lower.len() > 1 { based("0", 8) } else { None };
    let decimal = || {
        let all_digits = lower.bytes().all(|b| b.is_ascii_digit());
        lower.parse::<i128>().ok().filter(|_| all_digits)
    };
    let value = based("0x", 16)
        .or_else(|| based("0b", 2))
        .or_else(|| based("0o", 8))
        .or_else(octal)
        .or_else(decimal);
    if let Some(value) = value {
        return Some(if negative { -value } else { value });
    }
    let float = to_float(literal)?;
    (float.fract() == 0.0 && float.abs() < 1e19).then_some(float as i128)
}

pub fn to_float(literal: &str) -> Option<f64> {
    match literal {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    let number = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-' | b'_');
    if literal.starts_with('_')
        || !literal.bytes().all(number)
        || !literal.bytes().any(|b| b.is_ascii_digit())
    {
        return None;
    }
    literal.replace('_', "").parse().ok()
}

/// Whether a text must have been quoted, since YAML 1.2's reader would have read it bare as
/// something else. That is unknown for what only YAML 1.1 has (`yes`, `017`, `1_000`).
pub fn is_quoted(literal: &str) -> bool {
    let body = literal.strip_prefix(['+', '-']).unwrap_or(literal);
    let octal = body.len() > 1 && body.starts_with('0') && body.bytes().all(|b| b.is_ascii_digit());
    let words = [
        "true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL", "~",
    ];
    let number = to_int(literal).is_some() || to_float(literal).is_some();
    words.contains(&literal) || (number && !octal && !literal.contains('_'))
}
