//! `ferula check config`: verdicts and exit codes.

use crate::support::run_to_end;

#[test]
fn verdicts_and_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let check = |text: &str, arguments: &[&str], code: i32, piece: &str| {
        std::fs::write(dir.path().join("c.yml"), text).unwrap();
        let all: Vec<&str> = ["check", "config"]
            .iter()
            .chain(arguments)
            .chain(&["c.yml"])
            .copied()
            .collect();
        let finished = run_to_end(dir.path(), &all);
        let output = format!("{}{}", finished.stdout, finished.stderr);
        assert_eq!(finished.code(), code, "{text}: {output}");
        assert!(output.contains(piece), "{text}: {output}");
    };
    check(
        "",
        &[],
        0,
        "SUCCESS: c.yml is valid prometheus config file syntax",
    );
    check(
        "scrape_configs: [{job_name: a}]\n",
        &["--syntax-only"],
        0,
        "SUCCESS",
    );
    check(
        "scrape_configs: [{job_name: ''}]\n",
        &[],
        1,
        "job_name is empty",
    );
    check("nonsense: 1\n", &[], 1, "field nonsense not found");
    check("rule_files: [nowhere.yml]\n", &[], 1, "nowhere.yml");
    check(
        "rule_files: [nowhere.yml]\n",
        &["--syntax-only"],
        0,
        "SUCCESS",
    );
    let eureka = "scrape_configs: [{job_name: a, eureka_sd_configs: [{server: 'http://x'}]}]\n";
    check(eureka, &[], 1, "--config.ignore-unsupported-sd");
}

#[test]
fn the_example_configuration_is_good() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let finished = run_to_end(root, &["check", "config", "config/ferula.yml"]);
    assert_eq!(finished.code(), 0, "{}{}", finished.stdout, finished.stderr);
}
