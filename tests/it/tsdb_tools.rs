//! Long tools can be interrupted and run again, and they say what the daemon would do to their
//! work.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{eventually, run_to_end};

/// Samples of some days of 1970, which is long ago.
fn open_metrics(path: &Path, samples: u64) {
    let mut text = String::new();
    for i in 0..samples {
        writeln!(text, "m{{i=\"{}\"}} {i} {}", i % 7, 1_000 + i).unwrap();
    }
    fs::write(path, text + "# EOF\n").unwrap();
}

#[test]
fn work_that_is_interrupted_goes_on_in_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("input");
    open_metrics(&input, 120_000);
    let arguments = ["tsdb", "create-blocks-from", "openmetrics", "input", "out"];
    let child = Command::new(env!("CARGO_BIN_EXE_ferula"))
        .current_dir(dir.path())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It listens for signals before it makes anything.
    let out = dir.path().join("out");
    eventually("the work has begun", || out.exists().then_some(()));
    let pid = Pid::from_raw(child.id() as i32).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ended = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("running it again goes on"), "{stderr}");

    let blocks = || fs::read_dir(&out).unwrap().count();
    let again = run_to_end(dir.path(), &arguments);
    assert_eq!((again.code(), again.stderr.as_str()), (0, ""));
    let made = blocks();
    assert!(made > 10, "{made}");
    let third = run_to_end(dir.path(), &arguments);
    assert_eq!((third.code(), blocks()), (0, made));
}

#[test]
fn an_import_says_what_retention_would_remove() {
    let dir = tempfile::tempdir().unwrap();
    open_metrics(&dir.path().join("input"), 1_000);
    let made = ["tsdb", "create-blocks-from", "openmetrics", "input", "out"];
    assert_eq!(run_to_end(dir.path(), &made).code(), 0);
    for taken in ["1000 samples", "0 samples"] {
        let imported = run_to_end(dir.path(), &["tsdb", "import", "out", "data"]);
        assert_eq!(imported.code(), 0, "{}", imported.stderr);
        assert!(imported.stdout.contains(taken), "{}", imported.stdout);
        let oldest = "the oldest sample is of 1970-01-01T00:";
        assert!(imported.stdout.contains(oldest), "{}", imported.stdout);
        let flag = "start it with --storage.tsdb.retention.time=";
        assert!(imported.stderr.contains(flag), "{}", imported.stderr);
        // Progress is for terminals.
        assert!(!imported.stderr.contains('\r'), "{}", imported.stderr);
    }
}
