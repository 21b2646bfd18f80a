//! Sets of characters and escapes in Go's syntax.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::error::{self, Error};
use super::unicode;

/// The flags that `(?imsU)` sets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub fold_case: bool,
    pub multi_line: bool,
    pub dot_newline: bool,
    pub swap_greed: bool,
}

const LAST: u32 = char::MAX as u32;

/// The first and the last code point that has another case.
const FOLD_FIRST: u32 = 0x41;
const FOLD_LAST: u32 = 0x1e943;

pub(super) fn dot(newline: bool) -> ClassUnicode {
    let mut set = ClassUnicode::empty();
    push_range(&mut set, 0, LAST);
    if !newline {
        set.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
    }
    set
}

/// Adds code points except surrogates: Go can spell those, but no text contains any.
pub(super) fn push_range(set: &mut ClassUnicode, lo: u32, hi: u32) {
    const BEFORE: u32 = 0xd7ff;
    const AFTER: u32 = 0xe000;
    let lo = if lo > BEFORE { lo.max(AFTER) } else { lo };
    let hi = if hi < AFTER { hi.min(BEFORE) } else { hi };
    if let (Some(lo), Some(hi)) = (char::from_u32(lo), char::from_u32(hi))
        && lo <= hi
    {
        set.push(ClassUnicodeRange::new(lo, hi));
    }
}

/// Reads `[...]` at `start`. Returns the set, where it ends, and its cost beyond its size.
pub(super) fn bracketed(
    text: &str,
    start: usize,
    flags: Flags,
) -> Result<(ClassUnicode, usize, u64), Error> {
    let mut set = ClassUnicode::empty();
    let mut cost = 0;
    let mut pos = start + 1;
    let negated = after(text, pos).starts_with('^');
    pos += usize::from(negated);
    let mut first = true;
    while first || !after(text, pos).starts_with(']') {
        first = false;
        if let Some((part, end)) = posix(text, pos, flags)? {
            set.union(&part);
            pos = end;
            continue;
        }
        if after(text, pos).starts_with('\\')
            && let Some((part, end)) = escaped(text, pos, flags)?
        {
            set.union(&part);
            pos = end;
            continue;
        }
        let (lo, hi, end) = range(text, start, pos)?;
        let mut part = ClassUnicode::empty();
        push_range(&mut part, lo, hi);
        if flags.fold_case && !(lo <= FOLD_FIRST && hi >= FOLD_LAST) {
            // LIMIT: folding visits each code point of a range.
            cost += u64::from(hi - lo) / 16;
            part.case_fold_simple();
        }
        set.union(&part);
        pos = end;
    }
    if negated {
        set.negate();
    }
    Ok((set, pos + 1, cost))
}

fn after(text: &str, pos: usize) -> &str {
    text.get(pos..).unwrap_or("")
}

fn between(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or("")
}

/// Reads `a` or `a-z` at `pos`, within the brackets that opened at `start`.
fn range(text: &str, start: usize, pos: usize) -> Result<(u32, u32, usize), Error> {
    let (lo, end) = set_char(text, start, pos)?;
    let rest = after(text, end);
    if rest.len() < 2 || !rest.starts_with('-') || rest.starts_with("-]") {
        return Ok((lo, lo, end));
    }
    let (hi, end) = set_char(text, start, end + 1)?;
    if hi < lo {
        let at = between(text, pos, end);
        return Err(Error::new(error::INVALID_CHAR_RANGE, at));
    }
    Ok((lo, hi, end))
}

fn set_char(text: &str, start: usize, pos: usize) -> Result<(u32, usize), Error> {
    match after(text, pos).chars().next() {
        None => Err(Error::new(error::MISSING_BRACKET, after(text, start))),
        Some('\\') => escaped_char(text, pos),
        Some(c) => Ok((u32::from(c), pos + c.len_utf8())),
    }
}

type Ranges = &'static [(char, char)];

const DIGIT: Ranges = &[('0', '9')];
const SPACE: Ranges = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];
const WORD: Ranges = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

const POSIX: [(&str, Ranges); 14] = [
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", DIGIT),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

fn finish(mut set: ClassUnicode, flags: Flags, negated: bool) -> ClassUnicode {
    if flags.fold_case {
        set.case_fold_simple();
    }
    if negated {
        set.negate();
    }
    set
}

fn of(ranges: Ranges) -> ClassUnicode {
    ClassUnicode::new(
        ranges
            .iter()
            .map(|(lo, hi)| ClassUnicodeRange::new(*lo, *hi)),
    )
}

/// Reads `[:alpha:]` or `[:^alpha:]` at `pos`, if there is one.
fn posix(text: &str, pos: usize, flags: Flags) -> Result<Option<(ClassUnicode, usize)>, Error> {
    let Some(rest) = after(text, pos).strip_prefix("[:") else {
        return Ok(None);
    };
    let Some((name, _)) = rest.split_once(":]") else {
        return Ok(None);
    };
    let end = pos + name.len() + 4;
    let (negated, plain) = match name.strip_prefix('^') {
        Some(plain) => (true, plain),
        None => (false, name),
    };
    let known = POSIX.iter().find(|(known, _)| *known == plain);
    let (_, ranges) = known.ok_or_else(|| {
        let at = between(text, pos, end);
        Error::new(error::INVALID_CHAR_RANGE, at)
    })?;
    Ok(Some((finish(of(ranges), flags, negated), end)))
}

/// Reads a set given by an escape at `start`, if there is one: `\d`, `\pL`, `\P{Greek}`.
pub(super) fn escaped(
    text: &str,
    start: usize,
    flags: Flags,
) -> Result<Option<(ClassUnicode, usize)>, Error> {
    let Some(letter) = after(text, start + 1).chars().next() else {
        return Ok(None);
    };
    let ranges = match letter.to_ascii_lowercase() {
        'd' => DIGIT,
        's' => SPACE,
        'w' => WORD,
        'p' => return by_name(text, start, flags).map(Some),
        _ => return Ok(None),
    };
    let negated = letter.is_ascii_uppercase();
    Ok(Some((finish(of(ranges), flags, negated), start + 2)))
}

/// Reads `\pL` or `\p{Greek}` at `start`.
fn by_name(text: &str, start: usize, flags: Flags) -> Result<(ClassUnicode, usize), Error> {
    let rest = after(text, start + 2);
    let (name, end) = if let Some(braced) = rest.strip_prefix('{') {
        let Some((name, _)) = braced.split_once('}') else {
            let at = after(text, start);
            return Err(Error::new(error::INVALID_CHAR_RANGE, at));
        };
        (name, start + name.len() + 4)
    } else {
        let len = rest.chars().next().map_or(0, char::len_utf8);
        (between(rest, 0, len), start + 2 + len)
    };
    let (inverted, plain) = match name.strip_prefix('^') {
        Some(plain) => (true, plain),
        None => (false, name),
    };
    let negated = (after(text, start + 1).starts_with('P')) != inverted;
    let set = unicode::table(plain).ok_or_else(|| {
        let at = between(text, start, end);
        Error::new(error::INVALID_CHAR_RANGE, at)
    })?;
    Ok((finish(set, flags, negated), end))
}

/// Reads one escaped character at `start`. Returns it and where the escape ends.
pub(super) fn escaped_char(text: &str, start: usize) -> Result<(u32, usize), Error> {
    let mut rest = after(text, start + 1).chars();
    let Some(c) = rest.next() else {
        return Err(Error::new(error::TRAILING_BACKSLASH, ""));
    };
    let code = match c {
        'x' => hex(&mut rest),
        '0'..='7' => octal(c, &mut rest),
        'a' => Some(7),
        'f' => Some(12),
        'n' => Some(10),
        'r' => Some(13),
        't' => Some(9),
        'v' => Some(11),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
        _ => None,
    };
    let end = text.len() - rest.as_str().len();
    code.map(|code| (code, end))
        .ok_or_else(|| Error::new(error::INVALID_ESCAPE, between(text, start, end)))
}

/// Reads up to three octal digits. A single digit other than 0 would be a back-reference.
fn octal(first: char, rest: &mut std::str::Chars<'_>) -> Option<u32> {
    let mut code = first.to_digit(8)?;
    let mut digits = 1;
    while digits < 3
        && let Some(digit) = rest.clone().next().and_then(|c| c.to_digit(8))
    {
        rest.next();
        code = code * 8 + digit;
        digits += 1;
    }
    (first == '0' || digits > 1).then_some(code)
}

/// Reads `7F` or `{10FFFF}`.
fn hex(rest: &mut std::str::Chars<'_>) -> Option<u32> {
    let first = rest.next()?;
    if first != '{' {
        let second = rest.next();
        return Some(first.to_digit(16)? * 16 + second?.to_digit(16)?);
    }
    let (mut code, mut digits) = (0, 0);
    loop {
        match rest.next()? {
            '}' => return (digits > 0).then_some(code),
            c => code = code * 16 + c.to_digit(16)?,
        }
        digits += 1;
        if code > LAST {
            return None;
        }
    }
}
