//! Tests whose expectations are Go's.

use std::path::PathBuf;

use super::*;

/// Go's verdict on a pattern and a text: `no`, the places of the groups, or the error.
fn verdict(regex: Result<Regex, Error>, text: &str) -> String {
    let regex = match regex {
        Ok(regex) => regex,
        Err(error) => return format!("ERR {error}"),
    };
    let mut captures = Captures::default();
    let found = regex.captures(text, &mut captures);
    assert_eq!(found, regex.is_match(text), "{regex:?} {text:?}");
    if let Some(literals) = regex.literals() {
        assert_eq!(
            found,
            literals.iter().any(|l| l == text),
            "{regex:?} {text:?}"
        );
    }
    if let Some(prefix) = regex.prefix() {
        assert!(!found || text.starts_with(prefix), "{regex:?} {text:?}");
    }
    if !found {
        return "no".to_owned();
    }
    let place = |group| match captures.get(group) {
        Some(range) => format!("{} {}", range.start, range.end),
        None => "-1 -1".to_owned(),
    };
    let places: Vec<_> = (0..regex.group_count()).map(place).collect();
    places.join(" ")
}

/// The rows were made with Go 1.26: pattern, text, the verdict for a matcher, and that for a rule
/// if it differs; all as JSON strings.
#[test]
fn go_agrees_with_every_row() {
    let (mut rows, mut wrong) = (0, 0);
    for line in include_str!("testdata/go.tsv").lines() {
        let cells: Vec<String> = line
            .split('\t')
            .map(|cell| serde_json::from_str(cell).unwrap())
            .collect();
        let (pattern, text, expect) = (&cells[0], &cells[1], &cells[2]);
        let wrapped = cells.get(3).unwrap_or(expect);
        for (got, expect) in [
            (verdict(Regex::anchored(pattern), text), expect),
            (verdict(Regex::wrapped(pattern), text), wrapped),
        ] {
            rows += 1;
            if got != *expect {
                wrong += 1;
                println!("{pattern:?} on {text:?}: got {got}, expected {expect}");
            }
        }
    }
    assert_eq!(wrong, 0, "of {rows}");
}

#[test]
fn the_shared_table_agrees() {
    let shared = std::env::var("FERULA_SHARED").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let path = shared.join("conformance/data/regex/go_regex.tsv");
    let Ok(table) = std::fs::read_to_string(&path) else {
        println!("skipped: no {}", path.display());
        return;
    };
    for line in table.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let got = match Regex::anchored(cells[0]) {
            Ok(regex) => regex.is_match(cells[1]).to_string(),
            Err(_) => "ERR".to_owned(),
        };
        assert_eq!(got, cells[2], "{line:?}");
    }
}

#[test]
fn fast_paths() {
    fn literals(pattern: &str, expect: &[&str]) {
        let regex = Regex::anchored(pattern).unwrap();
        let expect: Vec<String> = expect.iter().map(|&t| t.to_owned()).collect();
        assert_eq!(regex.literals(), Some(&expect[..]), "{pattern}");
    }
    literals("foo", &["foo"]);
    literals("", &[""]);
    literals("^foo$", &["foo"]);
    literals("c|a|b", &["a", "b", "c"]);
    literals("(foo|bar)", &["bar", "foo"]);
    literals("x_(?:a|b)_[12]", &["x_a_1", "x_a_2", "x_b_1", "x_b_2"]);
    literals("foo(bar)?", &["foo", "foobar"]);
    literals("(?i)ab", &["AB", "Ab", "aB", "ab"]);
    literals("foo|", &["", "foo"]);
    fn prefix(pattern: &str, expect: Option<&str>) {
        let regex = Regex::anchored(pattern).unwrap();
        assert_eq!(regex.literals(), None, "{pattern}");
        assert_eq!(regex.prefix(), expect, "{pattern}");
    }
    prefix("foo.*", Some("foo"));
    prefix("foo[a-z]+", Some("foo"));
    prefix("(foo)(a|b)*", Some("foo"));
    prefix("foobar?.*", Some("fooba"));
    prefix("(?i)foo.*", None);
    prefix("(?i:f)oo.*", None);
    prefix(".*foo", None);
    prefix("foo.*|bar", None);
}

#[test]
fn templates_expand_as_go_s() {
    fn check(template: &str, expect: &str) {
        let regex = Regex::wrapped("(a+)-(?P<n>b+)(?P<n>c+)?").unwrap();
        let (text, mut captures, mut out) = ("aa-bb", Captures::default(), String::new());
        assert!(regex.captures(text, &mut captures));
        Template::new(template).expand(&regex, &captures, text, &mut out);
        assert_eq!(out, expect, "{template}");
    }
    check("$1", "aa");
    check("x${1}y", "xaay");
    check("$1y", "");
    check("$1-$2", "aa-bb");
    check("$0", "aa-bb");
    check("$3$4$99", "");
    check("${n}", "bb");
    check("$n.", "bb.");
    check("$nx", "");
    check("$$1", "$1");
    check("$", "$");
    check("a$", "a$");
    check("${1", "${1");
    check("${}", "${}");
    check("$-1", "$-1");
    check("$01", "");
    check("${ 1}", "${ 1}");
    check("$1$", "aa$");
}

#[test]
fn limits() {
    let error = |pattern: &str| Regex::anchored(pattern).unwrap_err().message;
    let large = "expression too large (its automaton may take 8 MiB)";
    assert_eq!(error(&"(".repeat(100_000)), "expression nests too deeply");
    assert_eq!(
        error(&"(?:a".repeat(100_000)),
        "expression nests too deeply"
    );
    let deep = format!("{}a{}", "(".repeat(200), ")*".repeat(200));
    assert_eq!(error(&deep), "expression nests too deeply");
    assert_eq!(error(r"[\pL0]{1000}x\pL{1000}"), large);
    assert_eq!(error(r"((((\pL{9}){9}){9})?\pL){1}\pL{900}"), large);
    // The memory of a tree was looked at when it was there: 579 MB for the last of these.
    for many in ["z|", "[a-z]", "|", "(a?)"] {
        let error = error(&many.repeat(2_000_000));
        assert_eq!(error, "expression too large (it may have 131072 parts)");
    }
    assert_eq!(error(&"a".repeat(2_000_000)), large);
    assert!(Regex::anchored("é+ab*|a|").unwrap().is_match("ééabbb"));
    assert!(!Regex::anchored("éab*").unwrap().is_match("éababb"));
    let names: Vec<String> = (0..10_000).map(|i| format!("some_name_{i}")).collect();
    assert!(
        Regex::anchored(&names.join("|"))
            .unwrap()
            .is_match("some_name_777")
    );
}

/// A host list of 119 KB, as templates write it. Once it was refused, and printed whole.
#[test]
fn ten_thousand_alternatives_that_end_alike() {
    let list = |tail: &str| {
        let texts = (0..10_000).map(|i| format!("host-{i}{tail}"));
        texts.collect::<Vec<_>>().join("|")
    };
    for (tail, text) in [
        (".*", "host-77:9100"),
        (".+", "host-9999:1"),
        ("(?::[0-9]+)?", "host-5:1"),
    ] {
        let regex = Regex::anchored(&list(tail)).unwrap();
        assert!(
            regex.is_match(text) && !regex.is_match("host-x:1"),
            "{tail}"
        );
    }
    let regex = Regex::wrapped(&format!("({});(.*)", list("[.].*"))).unwrap();
    let mut captures = Captures::default();
    assert!(regex.captures("host-9.example;x", &mut captures));
    let mut out = String::new();
    Template::new("$2/$1").expand(&regex, &captures, "host-9.example;x", &mut out);
    assert_eq!(out, "x/host-9.example");
    // A pattern that is still too large gives an error of one line.
    let groups = (0..10_000)
        .map(|i| format!(r"(\pL{{5}}{i}.*)"))
        .collect::<Vec<_>>();
    let error = Regex::anchored(&groups.join("|")).unwrap_err().to_string();
    assert!(
        error.starts_with("error parsing regexp: expression too large"),
        "{error}"
    );
    assert!(error.len() < 400, "{}", error.len());
}

#[test]
fn factored_alternatives_prefer_the_same_groups() {
    let check = |pattern: &str, text: &str, expect: &str| {
        let regex = Regex::anchored(pattern).unwrap();
        let mut captures = Captures::default();
        assert!(regex.captures(text, &mut captures), "{pattern}");
        let mut got = String::new();
        Template::new("$1,$2").expand(&regex, &captures, text, &mut got);
        assert_eq!(got, expect, "{pattern}");
    };
    check("(a|ab).*|(b).*", "abc", "a,");
    check("(a).*|x|(ab).*", "abc", "a,");
    check("(a)b|(a).*|(ab).*", "abc", ",a");
    check("(?:(a)|(b)).+|b", "b", ",");
}

/// Construction recurses and runs in scrape loops, so their stack must suffice.
#[test]
fn the_deepest_pattern_fits_on_a_small_stack() {
    let patterns = [
        format!("{}a{}", "(x".repeat(25), ")*".repeat(25)),
        format!("{}a{}", "(x|y*".repeat(25), ")".repeat(25)),
        format!("{}a{}", "(".repeat(38), ")+".repeat(38)),
        format!("{}a{}", "(?:b|cx*".repeat(35), ")?".repeat(35)),
    ];
    let run = move || {
        let fits = |pattern: &String| {
            let regex = Regex::wrapped(pattern);
            let Ok(regex) = regex else { return 0 };
            regex.is_match("zz");
            regex.captures("zz", &mut Captures::default());
            1
        };
        patterns.iter().map(fits).sum::<usize>()
    };
    let stack = crate::stdx::limits::LOOP_STACK;
    let thread = std::thread::Builder::new().stack_size(stack).spawn(run);
    let fitted = thread.unwrap().join().unwrap();
    assert!(fitted >= 3, "{fitted} of the patterns are below the limit");
}

#[test]
fn equal_by_pattern() {
    let of = |pattern| Regex::anchored(pattern).unwrap();
    assert_eq!(of("a|b"), of("a|b"));
    assert_ne!(of("a|b"), of("b|a"));
}
