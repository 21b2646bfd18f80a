//! A disk that stands still, for its file system is frozen: writes neither fail nor return. The
//! daemon runs on, answers, and ends when it is asked to.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::support::{Exporter, Ferula, eventually, more_than, scraping, skipped};

const WAITING: &str = "ferula_tsdb_full_disk_waiting_samples";

/// A file system of the test's own, in a file. A shell undoes everything when its input ends, which
/// it does with the test, however that ends.
struct Medium {
    path: PathBuf,
    undo: Child,
}

impl Medium {
    /// `None` where the system lets nobody have one.
    fn mount(dir: &Path) -> Option<Medium> {
        let path = dir.join("data");
        fs::create_dir(&path).unwrap();
        let image = dir.join("image");
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        let shell = |script: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", script, "sh"]).arg(&path).arg(&image);
            shell
        };
        let undo = r#"cat > /dev/null; fsfreeze -u "$1"; umount -l "$1""#;
        let undo = shell(undo)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let medium = Medium {
            path: path.clone(),
            undo,
        };
        let mount = r#"mkfs.ext4 -q "$2" && mount -o loop "$2" "$1" && fsfreeze -f "$1" && fsfreeze -u "$1""#;
        let mounted = shell(mount).stderr(Stdio::null()).status();
        let is_there = mounted.is_ok_and(|status| status.success());
        if !is_there {
            skipped("a loop-mounted ext4 cannot be made and frozen here");
        }
        // NOTE: what is not returned is undone.
        is_there.then_some(medium)
    }

    fn freeze(&self, flag: &str) {
        let status = Command::new("fsfreeze").arg(flag).arg(&self.path).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        if let Some(mut input) = self.undo.stdin.take() {
            let _ = input.flush();
        }
        let _ = self.undo.wait();
    }
}

#[test]
fn a_frozen_disk_stops_neither_scrapes_nor_answers_nor_the_end() {
    let exporter = Exporter::page("a 1\n");
    let dir = tempfile::tempdir().unwrap();
    let Some(medium) = Medium::mount(dir.path()) else {
        return;
    };
    fs::write(
        dir.path().join("prometheus.yml"),
        scraping(&exporter, "200ms"),
    )
    .unwrap();
    let ferula = Ferula::start_in(dir, &[]);
    // ORDER: undone before the directory is removed.
    let medium = medium;
    let before = more_than(&ferula, 3.0);
    medium.freeze("-f");
    eventually("samples wait", || {
        ferula.metric(WAITING).filter(|n| *n > 5.0)
    });
    ferula.wait_for_log("the disk stands still");
    let frozen = more_than(&ferula, before + 10.0);
    assert_eq!(ferula.get("/api/v1/status/tsdb").status, 200);
    ferula.wait_until_up("up");
    assert_eq!(ferula.reload().status, 200);
    medium.freeze("-u");
    eventually("nothing waits", || {
        (ferula.metric(WAITING) == Some(0.0)).then_some(())
    });
    let healed = more_than(&ferula, frozen);
    medium.freeze("-f");
    eventually("samples wait again", || {
        ferula.metric(WAITING).filter(|n| *n > 5.0)
    });
    ferula.signal(Signal::TERM);
    eventually("nobody listens", || {
        TcpStream::connect(ferula.address).is_err().then_some(())
    });
    // Another one has the port, while the kernel still keeps the first.
    let port = format!("--web.listen-address={}", ferula.address);
    let second = Ferula::start_with("global: {}\n", &[&port]);
    TcpStream::connect(ferula.address).unwrap();
    ferula.wait_for_log("that wait in memory are lost");
    ferula.wait_for_log("Ferula ends");
    drop(second);
    medium.freeze("-u");
    let mut ferula = ferula;
    ferula.kill();
    ferula.start_again(&[]);
    more_than(&ferula, healed - 1.0);
    drop(ferula);
    drop(medium);
}
