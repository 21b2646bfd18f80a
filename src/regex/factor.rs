//! Joins the common ending of alternatives: `host-1.*|host-2.*` becomes `(?:host-1|host-2).*`. An
//! automaton then has the ending once instead of thousands of times, and the texts as a trie.
//! `AC|BC` and `(?:A|B)C` prefer the same match and the same groups, as long as only neighbours are
//! joined.

use regex_syntax::hir::{Capture, Hir, HirKind, Repetition};

/// Returns the same expression with its alternations factored from the right. The parser's limit on
/// nesting bounds the recursion.
pub(super) fn factored(hir: Hir) -> Hir {
    match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(factored(*repetition.sub)),
            ..repetition
        }),
        HirKind::Capture(capture) => Hir::capture(Capture {
            sub: Box::new(factored(*capture.sub)),
            ..capture
        }),
        HirKind::Concat(subs) => Hir::concat(subs.into_iter().map(factored).collect()),
        HirKind::Alternation(subs) => alternation(subs.into_iter().map(factored).collect()),
    }
}

fn alternation(subs: Vec<Hir>) -> Hir {
    let mut out: Vec<Hir> = Vec::new();
    // The beginnings of neighbours, and their common ending.
    let mut run: Option<(Vec<Hir>, Hir)> = None;
    for sub in subs {
        let (head, end) = split(sub);
        match (&mut run, end) {
            (Some((heads, common)), Some(end)) if *common == end => heads.push(head),
            (_, Some(end)) => {
                out.extend(run.replace((vec![head], end)).map(joined));
            }
            (_, None) => {
                out.extend(run.take().map(joined));
                out.push(head);
            }
        }
    }
    out.extend(run.map(joined));
    Hir::alternation(out)
}

fn joined((heads, end): (Vec<Hir>, Hir)) -> Hir {
    Hir::concat(vec![Hir::alternation(heads), end])
}

/// Splits off the last part of a concatenation. A part with a group equals no other, because groups
/// are numbered.
fn split(hir: Hir) -> (Hir, Option<Hir>) {
    if !matches!(hir.kind(), HirKind::Concat(_)) {
        return (hir, None);
    }
    let HirKind::Concat(mut subs) = hir.into_kind() else {
        return (Hir::empty(), None);
    };
    let end = subs.pop();
    (Hir::concat(subs), end)
}
