//! promqltest's notation of series: `name{label="value"} 1 2+3x4 _ stale {{...}}`.

use ferula::model::{Labels, stale_nan};

/// The content of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Point {
    Omitted,
    Float(f64),
    /// A native histogram, which is ignored so far.
    Native,
}

/// A series and its points.
pub fn series(line: &str) -> Result<(Labels, Vec<Point>), String> {
    let (labels, rest) = metric(line)?;
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return Err(format!("unexpected {rest:?} after the series"));
    }
    Ok((labels, points(rest)?))
}

/// Returns the labels at the start of a line, and the rest of it.
pub fn metric(line: &str) -> Result<(Labels, &str), String> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = line.find(|c| !in_name(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !name.is_empty() {
        pairs.push(("__name__".to_owned(), name.to_owned()));
    }
    let blank = rest.trim_start();
    if !blank.starts_with('{') || blank.starts_with("{{") {
        if name.is_empty() {
            return Err(format!("no series: {line:?}"));
        }
        return Ok((Labels::from_pairs(pairs), rest));
    }
    let mut rest = &blank[1..];
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if let Some(rest) = rest.strip_prefix('}') {
            pairs.retain(|(_, value)| !value.is_empty());
            return Ok((Labels::from_pairs(pairs), rest));
        }
        let quoted = rest.starts_with(['"', '\'', '`']);
        let (label, after) = if quoted {
            literal(rest)?
        } else {
            let end = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        let after = after.trim_start();
        if let Some(after) = after.strip_prefix('=') {
            let (value, after) = literal(after.trim_start())?;
            pairs.push((label, value));
            rest = after;
        } else if quoted {
            pairs.push(("__name__".to_owned(), label));
            rest = after;
        } else {
            return Err(format!("no value of label {label:?} in {line:?}"));
        }
    }
}

/// Returns the string literal at the start of a text, and the rest of it.
pub fn literal(text: &str) -> Result<(String, &str), String> {
    let bad = || format!("no string literal: {text:?}");
    let quote = text
        .chars()
        .next()
        .filter(|c| "\"'`".contains(*c))
        .ok_or_else(bad)?;
    let body = &text[1..];
    if quote == '`' {
        let (inside, rest) = body.split_once('`').ok_or_else(bad)?;
        return Ok((inside.to_owned(), rest));
    }
    let mut out: Vec<u8> = Vec::new();
    let mut at = 0;
    while let Some(c) = body[at..].chars().next() {
        at += c.len_utf8();
        if c == quote {
            let text = String::from_utf8(out).map_err(|e| e.to_string())?;
            return Ok((text, &body[at..]));
        }
        if c != '\\' {
            out.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = body[at..].chars().next().ok_or_else(bad)?;
        let digits = match escape {
            'x' => (1, 2, 16),
            'u' => (1, 4, 16),
            'U' => (1, 8, 16),
            '0'..='7' => (0, 3, 8),
            _ => {
                let simple = "abfnrtv\\'\"".find(escape).ok_or_else(bad)?;
                out.push(b"\x07\x08\x0c\n\r\t\x0b\\'\""[simple]);
                at += 1;
                continue;
            }
        };
        let (skip, len, radix) = digits;
        let text = body.get(at + skip..at + skip + len).ok_or_else(bad)?;
        let code = u32::from_str_radix(text, radix).map_err(|_| bad())?;
        at += skip + len;
        if matches!(escape, 'u' | 'U') {
            let c = char::from_u32(code).ok_or_else(bad)?;
            out.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            out.push(code as u8);
        }
    }
    Err(bad())
}

fn points(text: &str) -> Result<Vec<Point>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if rest.starts_with("{{") {
            rest = native(rest, &mut out)?.trim_start();
            continue;
        }
        let end = rest.find([' ', '\t']).unwrap_or(rest.len());
        item(&rest[..end], &mut out)?;
        rest = rest[end..].trim_start();
    }
    Ok(out)
}

/// Reads `{{...}}`, `{{...}}x3`, `{{...}}+{{...}}x3`. Returns what follows.
fn native<'t>(text: &'t str, out: &mut Vec<Point>) -> Result<&'t str, String> {
    let open = || format!("unclosed histogram in {text:?}");
    let mut rest = &text[text.find("}}").ok_or_else(open)? + 2..];
    if rest.starts_with("+{{") || rest.starts_with("-{{") {
        rest = &rest[rest.find("}}").ok_or_else(open)? + 2..];
    }
    let end = rest.find([' ', '\t']).unwrap_or(rest.len());
    let more = match rest[..end].strip_prefix('x') {
        Some(count) => count
            .parse()
            .map_err(|_| format!("bad repetition in {text:?}"))?,
        None => 0,
    };
    out.extend(vec![Point::Native; more + 1]);
    Ok(&rest[end..])
}

/// Reads `1`, `1x3`, `1+2x3`, `1-2x3`, `_`, `_x3`, `stale`, `stalex3`.
fn item(text: &str, out: &mut Vec<Point>) -> Result<(), String> {
    let bad = || format!("bad point {text:?}");
    let repeated = text.rsplit_once('x').filter(|(base, count)| {
        !base.is_empty() && !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit())
    });
    let (base, more) = match repeated {
        Some((base, count)) => (base, Some(count.parse::<usize>().map_err(|_| bad())?)),
        None => (text, None),
    };
    if base == "_" {
        out.extend(vec![Point::Omitted; more.unwrap_or(1)]);
        return Ok(());
    }
    if base == "stale" {
        out.extend(vec![Point::Float(stale_nan()); more.unwrap_or(0) + 1]);
        return Ok(());
    }
    let bytes = base.as_bytes();
    let is_sign =
        |i: &usize| matches!(bytes[*i], b'+' | b'-') && !matches!(bytes[*i - 1], b'e' | b'E');
    let (first, step) = match (1..bytes.len()).find(is_sign) {
        Some(at) => (&base[..at], number(&base[at..]).ok_or_else(bad)?),
        None => (base, 0.0),
    };
    let mut v = number(first).ok_or_else(bad)?;
    for _ in 0..=more.unwrap_or(0) {
        out.push(Point::Float(v));
        v += step;
    }
    Ok(())
}

/// Reads a float as Go does, or a duration in seconds.
pub fn number(text: &str) -> Option<f64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if let Ok(v) = digits.replace('_', "").parse::<f64>() {
        return Some(sign * v);
    }
    let duration = ferula::model::duration::parse(digits).ok()?;
    Some(sign * duration.as_secs_f64())
}
