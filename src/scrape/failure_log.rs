//! `scrape_failure_log_file`: a line of JSON per failed scrape (reference section 5.8).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::json;

use crate::model::{TimestampMs, timestamp};
use crate::stdx::locked::locked;

/// One file, which several jobs may share. It is opened when a configuration is applied. A reload
/// makes new ones, so that a file that was moved away is opened anew.
#[derive(Debug)]
pub(super) struct FailureLog {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Closed,
    Open(File),
    /// Opening or writing failed, which was logged. It is left alone until the next reload.
    Broken,
}

impl FailureLog {
    pub fn new(path: &Path) -> FailureLog {
        FailureLog {
            path: path.to_owned(),
            state: Mutex::new(State::Closed),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file now, so that a failure is logged when it is configured.
    pub fn open(&self) {
        let mut state = locked(&self.state);
        self.try_append(&mut state, b"");
    }

    /// Writes a failure. It never fails a scrape.
    pub fn write(&self, t: TimestampMs, message: &str, job: &str, target: &str) {
        let line = format!(
            "{{\"time\":{},\"level\":\"ERROR\",\"msg\":{},\"job_name\":{},\"target\":{}}}\n",
            json!(timestamp::rfc3339(t)),
            json!(message),
            json!(job),
            json!(target),
        );
        // NOTE: after a panic the file is as good as before it.
        let mut state = locked(&self.state);
        self.try_append(&mut state, line.as_bytes());
    }

    fn try_append(&self, state: &mut State, line: &[u8]) {
        if let Err(e) = self.append(state, line) {
            *state = State::Broken;
            let path = self.path.display();
            log::error!("can't write the scrape failure log {path} (scrape_failure_log_file): {e}");
        }
    }

    fn append(&self, state: &mut State, line: &[u8]) -> io::Result<()> {
        if let State::Closed = state {
            *state = State::Open(
                OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(&self.path)?,
            );
        }
        match state {
            State::Open(file) => file.write_all(line),
            State::Closed | State::Broken => Ok(()),
        }
    }
}
