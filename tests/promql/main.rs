//! Runs the engine against scripts in promqltest's language: ours and, if at hand, upstream's.
//!
//! Ours are the `*.test` files beside this one. Upstream's are read from the shared directory
//! (`$FERULA_SHARED`, else `../shared`); without it they are skipped, which is printed. Evaluations
//! with native histograms or start timestamps are skipped and counted, never called passed.
//! `PROMQL_ONLY=operators:12` runs one file, or one line of it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::print_stderr, reason = "a test tells what it skips")]

mod compare;
mod notation;
mod one_view;
mod run;
mod script;

use std::fs;
use std::path::{Path, PathBuf};

use run::Tally;

#[test]
fn our_scripts() {
    let tally = directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promql"));
    tally.judge();
}

#[test]
fn upstream_scripts() {
    let shared = std::env::var("FERULA_SHARED").map_or_else(
        |_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let scripts = shared.join("conformance/data/promql/promqltest/testdata");
    if !scripts.is_dir() {
        eprintln!("skipped: no upstream scripts in {}", scripts.display());
        return;
    }
    directory(&scripts).judge();
}

/// Every evaluation of this script is wrong in one way, except the first.
const WRONG: &str = r#"
load 1m
  a{n="1"} 1 2 3 4 5
  a{n="2"} 5 4 3 2 1

eval instant at 3m a
  a{n="1"} 4
  a{n="2"} 2

eval instant at 3m a
  a{n="1"} 4
  a{n="2"} 2.00001

eval instant at 3m a
  a{n="1"} 4

eval instant at 3m a
  a{n="1"} 4
  a{n="2"} 2
  a{n="3"} 2

eval instant at 3m a
  b{n="1"} 4
  a{n="2"} 2

eval instant at 3m sort(a)
  expect ordered
  a{n="1"} 4
  a{n="2"} 2

eval instant at 3m a
  expect fail

eval instant at 3m a +
  a{n="1"} 4
  a{n="2"} 2

eval instant at 3m 1 / 0
NaN

eval instant at 3m "x"
  expect string "y"

eval instant at 3m a{n="1"}
  expect warn
  a{n="1"} 4

eval instant at 3m quantile(2, a)
  expect no_warn
  {} Inf

eval instant at 3m quantile(2, a)
  expect warn msg: quantile value should be between 0 and 1, got 2
  {} Inf

eval instant at 3m nothing{
  expect fail msg: another text

eval range from 0 to 2m step 1m a{n="1"}
  a{n="1"} 1 2

eval range from 0 to 2m step 1m a{n="1"}
  a{n="1"} 1 2 _

eval range from 0 to 2m step 1m a{n="1"}
  a{n="1"} 1 _ 3

eval instant at 2m a{n="1"}[2m]
  expect range vector from 2m to 3m step 1m
  a{n="1"} 2 3
"#;

#[test]
fn the_runner_sees_what_is_wrong() {
    let commands = script::parse(WRONG).unwrap();
    let tally = run::run("wrong", &commands, None);
    assert_eq!(tally.passed, 1, "{tally:#?}");
    let evaluations = WRONG.matches("\neval").count();
    assert_eq!(tally.failed.len(), evaluations - 1, "{tally:#?}");
    let first = tally.failed.first().unwrap();
    assert!(first.starts_with("wrong.test:10: a\n"), "{first}");
}

/// Runs all scripts of a directory.
fn directory(path: &Path) -> Tally {
    let files = fs::read_dir(path).unwrap().flatten().map(|e| e.path());
    let mut files: Vec<PathBuf> = files
        .filter(|p| p.extension().is_some_and(|e| e == "test"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no scripts in {}", path.display());
    let only = std::env::var("PROMQL_ONLY").unwrap_or_default();
    let (only_file, only_line) = only.split_once(':').unwrap_or((&only, ""));
    let mut total = Tally::default();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        if !only_file.is_empty() && name != only_file {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let commands = script::parse(&text).unwrap_or_else(|e| panic!("{}:{e}", file.display()));
        let tally = run::run(&name, &commands, only_line.parse().ok());
        eprintln!("{name:22} {}", tally.line());
        total.add(tally);
    }
    eprintln!("{:22} {}", "all", total.line());
    total
}
