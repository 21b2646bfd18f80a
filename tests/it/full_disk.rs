//! A full disk, and one that goes away: the daemon runs on, answers, and reports it.
//!
//! The medium is a small file system in memory that only the program under test sees.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use rustix::process::Signal;

use crate::support::{Exporter, Ferula, eventually, more_than, scraping};

const WAITING: &str = "ferula_tsdb_full_disk_waiting_samples";

fn lines(ferula: &Ferula, level: &str) -> usize {
    ferula
        .log_text()
        .matches(&format!("level={level} "))
        .count()
}

#[test]
fn a_full_disk_heals_by_itself() {
    let exporter = Exporter::page("a 1\n");
    let Some(ferula) = Ferula::start_on_medium(&scraping(&exporter, "100ms"), 1024, "true") else {
        return;
    };
    let before = more_than(&ferula, 3.0);
    let ballast = ferula.path_inside("data/ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    drop(file);
    eventually("samples wait", || {
        ferula.metric(WAITING).filter(|n| *n > 20.0)
    });
    let full = more_than(&ferula, before + 10.0);
    assert!(lines(&ferula, "ERROR") < 6, "{}", ferula.log_text());
    fs::remove_file(&ballast).unwrap();
    eventually("nothing waits", || {
        (ferula.metric(WAITING) == Some(0.0)).then_some(())
    });
    more_than(&ferula, full);
    assert_eq!(
        ferula.metric("ferula_tsdb_full_disk_passed_over_samples_total"),
        Some(0.0)
    );
    ferula.signal(Signal::TERM);
    let finished = ferula.wait();
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    assert!(
        !finished.stderr.contains("are lost\""),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_start_on_a_full_disk() {
    let exporter = Exporter::page("a 1\n");
    let fill = "cat /dev/zero > data/ballast 2> /dev/null";
    let Some(ferula) = Ferula::start_on_medium(&scraping(&exporter, "100ms"), 256, fill) else {
        return;
    };
    more_than(&ferula, 3.0);
    ferula.wait_for_log("the disk is full: what is committed waits in memory");
    ferula.signal(Signal::TERM);
    let finished = ferula.wait();
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    assert!(
        finished.stderr.contains("that wait in memory are lost"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_directory_that_is_removed_comes_back() {
    let exporter = Exporter::page("a 1\n");
    let mut ferula = Ferula::start("global: {}\n");
    fs::remove_dir_all(ferula.path("data")).unwrap();
    ferula.write("prometheus.yml", &scraping(&exporter, "100ms"));
    assert_eq!(ferula.reload().status, 200);
    let before = more_than(&ferula, 3.0);
    ferula.kill();
    ferula.start_again(&[]);
    more_than(&ferula, before);
}

/// A medium that is mounted read-only, as after an error of it: what is there is served, what is
/// scraped waits, and everything is written once it can be.
#[test]
fn a_start_on_a_medium_that_can_only_be_read() {
    let exporter = Exporter::page("a 1\n");
    let mut before = Ferula::start(&scraping(&exporter, "100ms"));
    let kept = more_than(&before, 3.0);
    before.kill();
    let fill = format!(
        "cp -r {}/. data/; mount -o remount,ro none data",
        before.path("data").display()
    );
    let Some(ferula) = Ferula::start_on_medium(&scraping(&exporter, "100ms"), 4096, &fill) else {
        return;
    };
    ferula.wait_for_log("the data directory can only be read");
    let all = more_than(&ferula, kept + 3.0);
    let status = ferula.get("/api/v1/status/tsdb").json();
    assert!(status["data"]["logUnwritable"].is_string(), "{status}");
    assert!(
        status["data"]["waitingSamples"].as_f64() > Some(0.0),
        "{status}"
    );
    let pid = ferula.pid().to_string();
    let mut remount = Command::new("nsenter");
    remount.args(["-t", &pid, "-U", "-m", "--preserve-credentials"]);
    remount
        .args(["sh", "-c", "mount -o remount,rw none \"$0\""])
        .arg(ferula.path("data"));
    assert!(remount.status().unwrap().success());
    eventually("nothing waits", || {
        (ferula.metric(WAITING) == Some(0.0)).then_some(())
    });
    let status = ferula.get("/api/v1/status/tsdb").json();
    assert!(status["data"]["logUnwritable"].is_null(), "{status}");
    more_than(&ferula, all);
    ferula.signal(Signal::TERM);
    assert_eq!(ferula.wait().code(), 0);
}
