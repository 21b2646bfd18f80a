//! Tests of `check` on real files.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::check_config::{CheckOptions, CheckOutcome, Lints, config};

fn run(dir: &Path, main: &str, change: impl FnOnce(&mut CheckOptions<'_>)) -> CheckOutcome {
    let file = dir.join("prometheus.yml");
    fs::write(&file, main).unwrap();
    let mut options = CheckOptions {
        agent: false,
        ignore_unsupported_sd: true,
        syntax_only: false,
        lints: Lints::parse("all").unwrap(),
        lint_fatal: false,
        lookback_delta: Duration::from_secs(300),
        environment: &|_| None,
    };
    change(&mut options);
    let mut outcome = config(&[file], &options);
    let place = format!("{}/", dir.display());
    outcome.stdout = outcome.stdout.replace(&place, "");
    outcome.stderr = outcome.stderr.replace(&place, "");
    outcome
}

/// Runs with everything on. The expectation is a part of the report.
fn check(dir: &Path, main: &str, code: u8, expect: &str) {
    let outcome = run(dir, main, |_| {});
    assert_eq!(outcome.code, code, "{main}\n{outcome:#?}");
    assert!(outcome.stderr.contains(expect), "{main}\n{outcome:#?}");
}

#[test]
fn verdicts() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let fine = run(dir, "global: {scrape_interval: 5s}", |_| {});
    let expect = "Checking prometheus.yml\n SUCCESS: prometheus.yml is valid prometheus config \
                  file syntax\n\n";
    assert_eq!(
        (fine.stdout.as_str(), fine.stderr.as_str(), fine.code),
        (expect, "", 0)
    );
    let refused = run(dir, "x: 1\ny: 2", |_| {});
    let expect = "  FAILED: parsing YAML file prometheus.yml: field x not found in type \
                  config.plain\n\
                  \x20   prometheus.yml:1: x: field x not found in type config.plain\n\
                  \x20   prometheus.yml:2: y: field y not found in type config.plain\n";
    assert_eq!((refused.stderr.as_str(), refused.code), (expect, 1));
    let absent = config(
        &["/nonexistent/a.yml"],
        &CheckOptions {
            agent: false,
            ignore_unsupported_sd: false,
            syntax_only: true,
            lints: Lints::default(),
            lint_fatal: false,
            lookback_delta: Duration::ZERO,
            environment: &|_| None,
        },
    );
    let expect = "  FAILED: open /nonexistent/a.yml: no such file or directory\n";
    assert!(absent.stderr.starts_with(expect), "{absent:?}");
}

#[test]
fn files_that_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let job = |rest: &str| format!("scrape_configs:\n- job_name: j\n  {rest}");
    check(
        dir,
        "rule_files: [none.yml]",
        1,
        "none.yml\" does not point to an existing file",
    );
    check(dir, "rule_files: ['none*.yml']", 0, "");
    check(
        dir,
        &job("authorization: {credentials_file: none}"),
        1,
        "error checking authorization credentials or bearer token file \"none\": stat none: no \
         such file or directory",
    );
    check(
        dir,
        &job("tls_config: {cert_file: a, key_file: b}"),
        1,
        "client cert file \"a\": stat a",
    );
    let sd = job("file_sd_configs: [{files: [sd.yml]}]");
    let absent = run(dir, &sd, |_| {});
    assert!(
        absent
            .stdout
            .contains("file \"sd.yml\" for file_sd in scrape job \"j\" does not exist"),
        "{absent:?}"
    );
    fs::write(dir.join("sd.yml"), "- targets: [a:1]\n-\n").unwrap();
    check(
        dir,
        &sd,
        1,
        "checking SD file \"sd.yml\": nil target group item found (index 1)",
    );
    fs::write(dir.join("sd.yml"), "- targets: ['http://a/']\n").unwrap();
    check(
        dir,
        &sd,
        1,
        "instance 0 in group : \"http://a/\" is not a valid hostname",
    );
    let relabelled = "relabel_configs: [{target_label: __address__, replacement: 'a:1'}]\n  \
                      file_sd_configs: [{files: [sd.yml]}]";
    check(dir, &job(relabelled), 0, "");
    let interval = "static_configs: [{targets: [a], labels: {__scrape_timeout__: 2h}}]";
    let text = "scrape timeout cannot be greater than scrape interval (\"2h\" > \"1m\")";
    check(dir, &job(interval), 1, text);
}

#[test]
fn more_files_of_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let main = "scrape_config_files: ['more/*.yml']\nscrape_configs: [{job_name: a}]";
    fs::create_dir(dir.join("more")).unwrap();
    let none = run(dir, main, |_| {});
    assert_eq!(none.code, 0);
    assert!(
        none.stdout.contains("more/*.yml\" matches no file"),
        "{none:?}"
    );
    fs::write(dir.join("more/1.yml"), "scrape_configs: [{job_name: b}]").unwrap();
    check(dir, main, 0, "");
    fs::write(dir.join("more/2.yml"), "scrape_configs:\n- job_name: b\n").unwrap();
    check(
        dir,
        main,
        1,
        "found multiple scrape configs with job name \"b\", first found in \"more/1.yml\"",
    );
    fs::write(dir.join("more/2.yml"), "scrape_configs:\n- job_name: a\n").unwrap();
    check(
        dir,
        main,
        1,
        "job name \"a\", first found in main config file",
    );
    fs::write(dir.join("more/2.yml"), "global: {}\n").unwrap();
    check(
        dir,
        main,
        1,
        "more/2.yml:1: global: field global not found in type",
    );
    let syntax = run(dir, main, |o| o.syntax_only = true);
    assert_eq!(syntax.code, 0, "{syntax:?}");
}

#[test]
fn lints() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let slow = "scrape_configs: [{job_name: j, scrape_interval: 1h}]";
    check(dir, slow, 0, "too long scrape interval found");
    assert_eq!(run(dir, slow, |o| o.lint_fatal = true).code, 3);
    let off = |o: &mut CheckOptions<'_>| {
        o.lint_fatal = true;
        o.lints = Lints::parse("none,too-long-scrape-interval").unwrap();
    };
    assert_eq!(run(dir, slow, off).code, 0);
    let rules =
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: b}\n  - {record: a, expr: c}\n";
    fs::write(dir.join("r.yml"), rules).unwrap();
    check(
        dir,
        "rule_files: [r.yml]",
        0,
        "1 duplicate rule(s) found.\nMetric: a\nLabel(s):\n",
    );
    fs::write(dir.join("r.yml"), "groups: 1").unwrap();
    check(dir, "rule_files: [r.yml]", 1, "groups must be a list");
    assert!(Lints::parse("x").is_err());
}

/// Upstream's good and bad files, if they are at hand.
#[test]
fn upstream_s_files() {
    let shared = std::env::var("FERULA_SHARED")
        .unwrap_or_else(|_| format!("{}/../shared", env!("CARGO_MANIFEST_DIR")));
    let dir = Path::new(&shared).join("conformance/data/config/testdata");
    let Ok(entries) = fs::read_dir(&dir) else {
        println!("skipped: {} is not there", dir.display());
        return;
    };
    for path in entries.filter_map(|entry| entry.ok().map(|e| e.path())) {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        let (good, bad) = (name.ends_with(".good.yml"), name.ends_with(".bad.yml"));
        if !good && !bad || name.contains("windows") {
            continue;
        }
        let options = CheckOptions {
            agent: false,
            // The content of a skipped discovery is not checked.
            ignore_unsupported_sd: good,
            // In some of these the fault is in the files that they name.
            syntax_only: !(bad && name.starts_with("scrape_config_files")),
            lints: Lints::default(),
            lint_fatal: false,
            lookback_delta: Duration::ZERO,
            environment: &|_| None,
        };
        let outcome = config(&[&path], &options);
        assert_eq!(outcome.code == 0, good, "{name}\n{outcome:#?}");
    }
}
