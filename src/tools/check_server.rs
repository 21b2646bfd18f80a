//! Runs `ferula check healthy`, `ready` and `web-config`: for containers, which have no curl, and
//! for changes of the server's TLS or users.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};

use super::query::{client_settings, server_url};
use crate::cli::CheckServer;
use crate::metrics::Registry;
use crate::net::{Client, ClientSettings, Env, FetchRequest};
use crate::stdx::clock::{Clock, RealClock};
use crate::web::WebConfig;

/// Less than supervisors give a health check (30 s in containers).
const TIMEOUT: Duration = Duration::from_secs(20);

/// LIMIT: the answer is a line.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Returns the answer of a healthy server.
///
/// # Errors
/// It cannot be reached, or answers anything but 200.
pub fn server(arguments: &CheckServer) -> Result<String> {
    let settings = match &arguments.http_config {
        Some(file) => client_settings(file)?,
        None => ClientSettings::default(),
    };
    let server = server_url(&arguments.server)?;
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let client = Client::new(&settings, "check", &Env::new(clock, &Registry::new()))?;
    let answer = client.fetch(&FetchRequest {
        method: "GET",
        url: &format!("{server}{}", arguments.path),
        headers: &[],
        body: None,
        timeout: TIMEOUT,
        body_limit: ANSWER_BYTES_MAX,
    })?;
    if answer.status != 200 {
        bail!("check failed: URL={server}, status={}", answer.status);
    }
    let text = String::from_utf8_lossy(&answer.body);
    Ok(format!("  SUCCESS: {}\n", text.trim_end()))
}

/// Returns the verdict on each file, and whether all are good.
pub fn web_configs(files: &[PathBuf]) -> (String, bool) {
    let (mut out, mut good) = (String::new(), true);
    for file in files {
        let verdict = match WebConfig::load(file) {
            Ok(_) => "SUCCESS".to_owned(),
            Err(errors) => {
                good = false;
                format!("FAILED: {}", errors.join("; "))
            }
        };
        // NOTE: writing to a string does not fail.
        let _ = writeln!(out, "{} {verdict}", file.display());
    }
    (out, good)
}
