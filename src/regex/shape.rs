//! Reduces a pattern to a simpler test: a few texts, a prefix, anything. It works on the parsed
//! tree, so that it cannot miss flags such as `(?i)`.

use crate::stdx::sort::sort;
use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind, Look, Repetition};

/// LIMIT: the number of texts that classes and groups multiply to, as in `(a|b)_[xyz]`. A plain
/// list of alternatives may be longer, since it takes no more room than its pattern.
const PRODUCT_MAX: usize = 256;

/// LIMIT: the recursion here. Deeper patterns are left to the automaton.
const DEPTH_MAX: u32 = 40;

/// LIMIT: alternatives that are tried one after another.
const ALTERNATIVES_MAX: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// One of these texts, sorted.
    Literals(Vec<String>),
    /// Begins with `before`, ends with `after`, and has at least `gap` bytes between them.
    Ends {
        before: String,
        after: String,
        gap: usize,
    },
    /// Contains this text anywhere.
    Contains(String),
    /// One of several shapes, none of them general.
    AnyOf(Vec<Shape>),
    /// Needs the automaton; begins with `prefix`.
    General { prefix: String },
}

impl Shape {
    pub fn unknown() -> Shape {
        Shape::General {
            prefix: String::new(),
        }
    }

    /// Returns `None` where only the automaton can tell.
    pub fn is_match(&self, text: &str) -> Option<bool> {
        match self {
            Shape::Literals(texts) => Some(contains(texts, text)),
            Shape::Ends { before, after, gap } => Some(
                text.len() >= before.len() + after.len() + gap
                    && text.starts_with(before.as_str())
                    && text.ends_with(after.as_str()),
            ),
            Shape::Contains(part) => Some(text.contains(part.as_str())),
            Shape::AnyOf(shapes) => Some(shapes.iter().any(|s| s.is_match(text) == Some(true))),
            Shape::General { prefix } if !text.starts_with(prefix.as_str()) => Some(false),
            Shape::General { .. } => None,
        }
    }
}

fn contains(texts: &[String], text: &str) -> bool {
    match texts {
        [one] => one == text,
        _ => texts.binary_search_by(|t| t.as_str().cmp(text)).is_ok(),
    }
}

/// Returns the shape of a pattern that matches whole texts, so that anchors at its ends are
/// redundant.
pub(super) fn shape(hir: &Hir, height: u32) -> Shape {
    if height > DEPTH_MAX {
        return Shape::unknown();
    }
    let mut parts = Vec::new();
    flatten(hir, &mut parts);
    of_parts(&parts)
}

/// Whether the whole pattern is one group, as in `(.*)`. `groups` is the number of its groups.
pub(super) fn is_one_group(hir: &Hir, groups: usize) -> bool {
    groups == 1 && matches!(hir.kind(), HirKind::Capture(_))
}

fn is_anchor(hir: &Hir, look: Look) -> bool {
    matches!(hir.kind(), HirKind::Look(is) if *is == look)
}

/// Lists the parts of a concatenation in order, capture groups opened.
fn flatten<'h>(hir: &'h Hir, parts: &mut Vec<&'h Hir>) {
    match hir.kind() {
        HirKind::Concat(subs) => subs.iter().for_each(|sub| flatten(sub, parts)),
        HirKind::Capture(capture) => flatten(&capture.sub, parts),
        HirKind::Empty => {}
        _ => parts.push(hir),
    }
}

fn of_parts(parts: &[&Hir]) -> Shape {
    let parts = match parts {
        [first, rest @ ..] if is_anchor(first, Look::Start) => rest,
        _ => parts,
    };
    let parts = match parts {
        [rest @ .., last] if is_anchor(last, Look::End) => rest,
        _ => parts,
    };
    if let [only] = parts
        && let HirKind::Alternation(subs) = only.kind()
    {
        return of_alternatives(subs);
    }
    let wild: Vec<usize> = (0..parts.len())
        .filter(|i| gap(parts[*i]).is_some())
        .collect();
    let found = match wild[..] {
        [] => texts_of(parts).map(Shape::Literals),
        [i] => ends(parts, i),
        [0, last] if last == parts.len() - 1 => middle(parts),
        _ => None,
    };
    found.unwrap_or_else(|| Shape::General {
        prefix: prefix(parts),
    })
}

fn of_alternatives(subs: &[Hir]) -> Shape {
    let mut texts = Vec::new();
    let mut shapes = Vec::new();
    for sub in subs {
        match shape(sub, 0) {
            Shape::Literals(some) => texts.extend(some),
            Shape::AnyOf(some) => shapes.extend(some),
            Shape::General { .. } => return Shape::unknown(),
            other => shapes.push(other),
        }
    }
    sort(&mut texts);
    texts.dedup();
    if shapes.is_empty() {
        return Shape::Literals(texts);
    }
    if !texts.is_empty() {
        shapes.push(Shape::Literals(texts));
    }
    if shapes.len() > ALTERNATIVES_MAX {
        return Shape::unknown();
    }
    Shape::AnyOf(shapes)
}

/// Returns the least length that a `.*` or `.+` over all characters matches.
fn gap(hir: &Hir) -> Option<usize> {
    match hir.kind() {
        HirKind::Repetition(Repetition {
            min: min @ 0..=1,
            max: None,
            sub,
            ..
        }) if is_any(sub) => Some(*min as usize),
        _ => None,
    }
}

fn is_any(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(Class::Unicode(set)) => {
            matches!(set.ranges(), [all] if all.start() == '\0' && all.end() == char::MAX)
        }
        HirKind::Capture(capture) => is_any(&capture.sub),
        _ => false,
    }
}

/// Reads one text before the wild part at `i` and one after it.
fn ends(parts: &[&Hir], i: usize) -> Option<Shape> {
    let gap = gap(parts[i])?;
    Some(Shape::Ends {
        before: one_text(&parts[..i])?,
        after: one_text(&parts[i + 1..])?,
        gap,
    })
}

fn middle(parts: &[&Hir]) -> Option<Shape> {
    let (first, inner) = parts.split_first()?;
    let (last, inner) = inner.split_last()?;
    let part = one_text(inner)?;
    let gap = gap(first)? + gap(last)?;
    match (gap, part.is_empty()) {
        (0, _) => Some(Shape::Contains(part)),
        _ => None,
    }
}

fn one_text(parts: &[&Hir]) -> Option<String> {
    let mut texts = texts_of(parts)?;
    if texts.len() == 1 { texts.pop() } else { None }
}

/// Returns what all matches begin with.
fn prefix(parts: &[&Hir]) -> String {
    let mut prefix = String::new();
    for part in parts {
        let Some(text) = one_text(&[part]) else {
            break;
        };
        prefix.push_str(&text);
    }
    prefix
}

/// Returns all texts that the parts match in turn, sorted, if they are few.
fn texts_of(parts: &[&Hir]) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    for part in parts {
        let texts = texts(part)?;
        if let [text] = &texts[..] {
            for t in &mut all {
                t.push_str(text);
            }
            continue;
        }
        let count = all.len().checked_mul(texts.len())?;
        if all.len() > 1 && count > PRODUCT_MAX {
            return None;
        }
        let each = all
            .iter()
            .flat_map(|a| texts.iter().map(move |b| format!("{a}{b}")));
        all = each.collect();
    }
    sort(&mut all);
    all.dedup();
    Some(all)
}

fn texts(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(text) => Some(vec![String::from_utf8(text.0.to_vec()).ok()?]),
        HirKind::Class(Class::Unicode(set)) => {
            let size: usize = set.iter().map(ClassUnicodeRange::len).sum();
            let chars = set.iter().flat_map(|r| r.start()..=r.end());
            (size <= PRODUCT_MAX).then(|| chars.map(String::from).collect())
        }
        HirKind::Capture(capture) => texts(&capture.sub),
        HirKind::Concat(subs) => texts_of(&subs.iter().collect::<Vec<_>>()),
        HirKind::Alternation(subs) => {
            let mut all = Vec::new();
            for sub in subs {
                all.extend(texts(sub)?);
            }
            Some(all)
        }
        HirKind::Repetition(Repetition {
            min: 0,
            max: Some(1),
            sub,
            ..
        }) => {
            let mut all = texts(sub)?;
            all.push(String::new());
            Some(all)
        }
        _ => None,
    }
}
