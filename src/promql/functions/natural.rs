//! Natural order of texts: `a2` before `a10`.

use std::cmp::Ordering;

/// Compares runs of ASCII digits and of other characters in turn, two runs of digits as numbers.
/// Numbers that do not fit an integer are compared as texts.
///
/// NOTE: for equal numbers written differently (`1` and `01`), Prometheus's order depends on which
/// is asked for first; here the bytes decide.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    loop {
        match (rest_a.is_empty(), rest_b.is_empty()) {
            (true, true) => return a.cmp(b),
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        let (run_a, run_b);
        (run_a, rest_a) = first_run(rest_a);
        (run_b, rest_b) = first_run(rest_b);
        let order = match (run_a.parse::<i64>(), run_b.parse::<i64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => run_a.cmp(run_b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn first_run(text: &str) -> (&str, &str) {
    let is_digit = |c: char| c.is_ascii_digit();
    let begins_with_digit = text.starts_with(is_digit);
    let end = text.find(|c: char| is_digit(c) != begins_with_digit);
    text.split_at(end.unwrap_or(text.len()))
}
