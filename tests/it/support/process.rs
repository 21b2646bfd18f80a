//! The program under test: starts, queries, signals and ends it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::http::{Reply, get, request};
use super::{eventually, skipped, within};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ferula");

/// A running program in a directory of its own.
pub struct Ferula {
    pub dir: TempDir,
    pub address: SocketAddr,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

/// How a program ended.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }
}

/// Runs the program until it ends by itself.
pub fn run_to_end(dir: &Path, arguments: &[&str]) -> Finished {
    let output = Command::new(PROGRAM)
        .current_dir(dir)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Finished {
        status: output.status,
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

impl Ferula {
    /// Starts it with this configuration and waits until it is ready.
    pub fn start(config: &str) -> Ferula {
        Ferula::start_with(config, &[])
    }

    pub fn start_with(config: &str, arguments: &[&str]) -> Ferula {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        Ferula::start_in(dir, arguments)
    }

    /// Starts it with all paths below `prefix`.
    pub fn start_below(prefix: &str, config: &str, arguments: &[&str]) -> Ferula {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let launched = launch(dir.path(), arguments);
        Ferula::launched(dir, launched, prefix)
    }

    /// Starts it with `data` on a medium of its own, of so many KiB. `first` is a shell command
    /// that runs before it. Returns `None` if the system forbids such a medium.
    pub fn start_on_medium(config: &str, kib: u32, first: &str) -> Option<Ferula> {
        let mut unshare = Command::new("unshare");
        unshare.args(["-r", "-m", "true"]).stderr(Stdio::null());
        if !unshare.status().is_ok_and(|status| status.success()) {
            skipped("`unshare -r -m` does not work here");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let script =
            format!("mkdir data; mount -t tmpfs -o size={kib}k none data; {first}; exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["-r", "-m", "sh", "-c", &script, "sh", PROGRAM]);
        let launched = launch_by(command, dir.path(), &[]);
        Some(Ferula::launched(dir, launched, ""))
    }

    /// Returns the path of a file as the program sees it, on a medium that only it has.
    pub fn path_inside(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid()));
        let path = self.path(name);
        root.join(path.strip_prefix("/").unwrap())
    }

    /// Starts it in a directory that already has a `prometheus.yml`.
    pub fn start_in(dir: TempDir, arguments: &[&str]) -> Ferula {
        let launched = launch(dir.path(), arguments);
        Ferula::launched(dir, launched, "")
    }

    fn launched(dir: TempDir, (child, log): Launched, prefix: &str) -> Ferula {
        let mut ferula = Ferula {
            dir,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            child,
            log,
        };
        ferula.wait_until_ready(prefix);
        ferula
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again in the same directory, after a kill, and does not wait.
    pub fn launch_again(&mut self, arguments: &[&str]) {
        (self.child, self.log) = launch(self.dir.path(), arguments);
    }

    pub fn start_again(&mut self, arguments: &[&str]) {
        self.launch_again(arguments);
        self.wait_until_ready("");
    }

    fn wait_until_ready(&mut self, prefix: &str) {
        let (child, log) = (&mut self.child, &self.log);
        self.address = eventually("the log names the address", || {
            assert!(
                child.try_wait().unwrap().is_none(),
                "it ended: {:#?}",
                log.lock().unwrap()
            );
            log.lock().unwrap().iter().find_map(|line| listening(line))
        });
        eventually("ready", || {
            let path = format!("{prefix}/-/ready");
            self.try_get(&path).filter(|r| r.status == 200)
        });
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn try_get(&self, path: &str) -> Option<Reply> {
        get(self.address, path).ok()
    }

    pub fn get(&self, path: &str) -> Reply {
        get(self.address, path).unwrap_or_else(|e| panic!("GET {path}: {e}; {}", self.log_text()))
    }

    pub fn post(&self, path: &str) -> Reply {
        request(self.address, "POST", path, "").unwrap()
    }

    /// Returns the result of an instant query.
    pub fn query(&self, expr: &str) -> Vec<Value> {
        let body = form_urlencoded(&[("query", expr)]);
        let reply = request(self.address, "POST", "/api/v1/query", &body).unwrap();
        assert_eq!(reply.status, 200, "{expr}: {}", reply.body);
        reply.json()["data"]["result"].as_array().cloned().unwrap()
    }

    /// Returns the values of an instant query, as numbers, in order of labels.
    pub fn values(&self, expr: &str) -> Vec<f64> {
        let value = |series: &Value| series["value"][1].as_str().unwrap().parse().unwrap();
        self.query(expr).iter().map(value).collect()
    }

    /// Waits until the last scrape of each of these targets has succeeded. On a busy machine one
    /// may run out of time now and then.
    pub fn wait_until_up(&self, up: &str) {
        eventually(&format!("{up} is 1"), || {
            let values = self.values(up);
            (!values.is_empty() && values.iter().all(|v| *v == 1.0)).then_some(())
        });
    }

    /// Whether no scrape has failed so far. One that ran out of time ends series rightly.
    pub fn was_always_up(&self) -> bool {
        let worst = self.values("min_over_time(up[10m])");
        worst.iter().all(|v| *v == 1.0)
    }

    /// Returns the raw points `(seconds, value)` of every series of a range selector.
    pub fn points(&self, expr: &str) -> Vec<Vec<(f64, String)>> {
        let points = |series: &Value| {
            let values = series["values"].as_array().unwrap().iter();
            values
                .map(|p| (p[0].as_f64().unwrap(), p[1].as_str().unwrap().to_owned()))
                .collect()
        };
        self.query(expr).iter().map(points).collect()
    }

    /// Returns a value of the program's own metrics. `series` is written as in the exposition.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let page = self.get("/metrics").body;
        let line = page
            .lines()
            .find(|l| l.rsplit_once(' ').is_some_and(|(s, _)| s == series))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    pub fn targets(&self) -> Vec<Value> {
        let json = self.get("/api/v1/targets?state=active").json();
        json["data"]["activeTargets"].as_array().cloned().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub fn reload(&self) -> Reply {
        self.post("/-/reload")
    }

    /// Returns the threads' names.
    pub fn threads(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid()))
            .unwrap()
            .flatten();
        let mut names: Vec<String> = tasks
            .filter_map(|t| fs::read_to_string(t.path().join("comm")).ok())
            .map(|n| n.trim().to_owned())
            .collect();
        names.sort();
        names
    }

    /// Returns the most memory that was ever resident.
    pub fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse().unwrap()
    }

    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .unwrap()
            .count()
    }

    pub fn log_text(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    pub fn wait_for_log(&self, piece: &str) {
        eventually(&format!("the log holds {piece:?}"), || {
            self.log_text().contains(piece).then_some(())
        });
    }

    /// Waits for the end.
    pub fn wait(mut self) -> Finished {
        let status = eventually("the program ends", || self.child.try_wait().unwrap());
        let stderr = within(super::DEADLINE, "its log is read", || {
            // The reader has the last line once the pipe is closed.
            (Arc::strong_count(&self.log) == 1).then(|| self.log_text())
        });
        Finished {
            status,
            stdout: String::new(),
            stderr,
        }
    }
}

/// A child, and the place of its log.
type Launched = (Child, Arc<Mutex<Vec<String>>>);

fn launch(dir: &Path, arguments: &[&str]) -> Launched {
    launch_by(Command::new(PROGRAM), dir, arguments)
}

fn launch_by(mut command: Command, dir: &Path, arguments: &[&str]) -> Launched {
    // The flag may stand once, in either form.
    let lifecycle =
        (!arguments.contains(&"--no-web.enable-lifecycle")).then_some("--web.enable-lifecycle");
    let mut child = command
        .current_dir(dir)
        .arg("--web.listen-address=127.0.0.1:0")
        .args(lifecycle)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    collect(child.stderr.take().unwrap(), log.clone());
    (child, log)
}

impl Drop for Ferula {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn form_urlencoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

#[expect(clippy::disallowed_methods, reason = "ends with the program's output")]
fn collect(stderr: impl std::io::Read + Send + 'static, log: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            log.lock().unwrap().push(line);
        }
    });
}

fn listening(line: &str) -> Option<SocketAddr> {
    let rest = line.split("msg=\"Listening on\"").nth(1)?;
    rest.split("address=")
        .nth(1)?
        .split(' ')
        .next()?
        .parse()
        .ok()
}
