//! Properties of every text, tried with random ones. `fuzz/` tries longer.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Makes its choices from bytes, and takes the first choice once they are used up.
struct Choices<'b> {
    bytes: &'b [u8],
}

impl Choices<'_> {
    fn below(&mut self, n: usize) -> usize {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        usize::from(*first) % n
    }

    fn one(&mut self, texts: &[&str]) -> String {
        texts[self.below(texts.len())].to_owned()
    }

    fn vector(&mut self) -> String {
        match self.below(9) {
            0 => self.one(&[
                "up",
                "sum",
                "a:b",
                "start",
                "offset",
                "{\"a.b\"}",
                "{__name__=\"x\"}",
            ]),
            1 => self.selector() + &self.one(&["", " offset 5m", " @ 1.5 offset -1d", " smoothed"]),
            2 => {
                let matching =
                    self.one(&["", "on (a) ", "ignoring (a) group_left () ", "fill (-1) "]);
                let op = self.one(&["+", "^", "/", "atan2", "</", "-"]);
                format!("{} {op} {matching}{}", self.vector(), self.vector())
            }
            3 => {
                let op = self.one(&["and", "or on (x)", "unless ignoring (y)", "== bool"]);
                format!("{} {op} {}", self.vector(), self.vector())
            }
            4 => {
                let clause = self.one(&["", " by (a, \"b c\") ", " without () "]);
                format!("sum{clause}({})", self.vector())
            }
            5 => format!("topk by (by) ({}, {})", self.scalar(), self.vector()),
            6 => self.one(&["-", "+"]) + &self.vector(),
            7 => format!("({})", self.vector()),
            _ => format!(
                "{}({})",
                self.one(&["rate", "max_over_time"]),
                self.matrix()
            ),
        }
    }

    fn selector(&mut self) -> String {
        let name = self.one(&["foo", "bool_", "by", "min_of"]);
        name + &self.one(&[
            "",
            "{a=\"b\"}",
            "{\"b c\"=~\"d|e\",a!=\"\\\"\"}",
            "{x!~'y',}",
        ])
    }

    fn matrix(&mut self) -> String {
        let modifier = self.one(&[
            "",
            " anchored",
            " offset 1h",
            " @ end()",
            " offset (1m - 1s)",
        ]);
        if self.below(2) == 0 {
            return format!("{}[{}]{modifier}", self.selector(), self.length());
        }
        let (vector, range) = (self.vector(), self.length());
        let step = if self.below(2) == 0 {
            String::new()
        } else {
            self.length()
        };
        let modifier = modifier.replace(" anchored", "");
        // NOTE: a number comes first, without which Prometheus refuses the colon.
        format!("({vector})[1h + {range}:{step}]{modifier}")
    }

    fn length(&mut self) -> String {
        match self.below(8) {
            0 => self.one(&["step()", "range()"]),
            1 => format!(
                "{} {} {}",
                self.length(),
                self.one(&["+", "*", "^", "-"]),
                self.length()
            ),
            2 => format!("({})", self.length()),
            3 => format!("-(-{})", self.length()),
            4 => format!("max_of({}, {})", self.length(), self.length()),
            _ => self.one(&["5m", "300", "1d2h", "0x10", "1.5"]),
        }
    }

    fn scalar(&mut self) -> String {
        match self.below(7) {
            1 => {
                let (lhs, op) = (self.scalar(), self.one(&["+", "^", "%"]));
                // NOTE: Prometheus prints `Inf` as `+Inf`. Parsed again, the sign belongs to the
                // whole power, which is another tree of the same value.
                let lhs = if lhs.ends_with("Inf") {
                    format!("({lhs})")
                } else {
                    lhs
                };
                format!("{lhs} {op} {}", self.scalar())
            }
            2 => format!("-{}", self.scalar()),
            3 => format!("scalar({})", self.vector()),
            4 => format!("({})", self.scalar()),
            _ => self.one(&["1", "1e-9", "5m", "Inf", "NaN", "time()", "017"]),
        }
    }
}

/// Returns the tree without the places in the query.
fn tree(expr: &Expr) -> String {
    let debug = format!("{expr:?}");
    let mut out = String::new();
    let mut parts = debug.split("..");
    out.push_str(parts.next().unwrap());
    for part in parts {
        out.truncate(out.trim_end_matches(|c: char| c.is_ascii_digit()).len());
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}

fn read(query: &str) -> Expr {
    parse(query, &ALL).unwrap_or_else(|error| panic!("{query}: {error}"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_read_as_the_same(bytes in vec(any::<u8>(), 0..120)) {
        let query = Choices { bytes: &bytes }.vector();
        let expr = read(&query);
        let printed = expr.to_string();
        prop_assert_eq!(tree(&read(&printed)), tree(&expr), "{}", printed);
        prop_assert_eq!(read(&printed).to_string(), printed);
        let pretty = pretty(&expr);
        prop_assert_eq!(tree(&read(&pretty)), tree(&expr), "{}", pretty);
    }

    #[test]
    fn no_text_panics(words in vec(0..WORDS.len(), 0..40), junk in "\\PC{0,8}", at in 0..40usize) {
        let mut words: Vec<&str> = words.into_iter().map(|i| WORDS[i]).collect();
        words.insert(at.min(words.len()), &junk);
        for between in ["", " "] {
            if let Ok(expr) = parse(&words.join(between), &ALL) {
                let _ = parse(&pretty(&expr), &ALL);
                let _ = resolve(&expr, 15_000, 0);
            }
        }
    }
}

#[rustfmt::skip]
const WORDS: [&str; 48] = [
    "a", "b:c", "1", "0x1F", "5m", "1.5e3", "\"x\"", "'", "`", "\\", "\n", "#", "(", ")", "{", "}",
    "[", "]", ",", ":", "=", "=~", "!=", "!~", "==", "<", ">/", "+", "-", "*", "^", "@", "offset",
    "sum", "topk", "by", "without", "on", "ignoring", "group_left", "fill", "bool", "start", "step",
    "min_of", "rate", "anchored", "and",
];
