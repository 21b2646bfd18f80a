//! Who may ask: the web configuration, read again when its file changes, and basic authentication.

use std::collections::VecDeque;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::stdx::clock::Clock;
use crate::web::web_config::{RateLimit, WebConfig};

use super::headers::Headers;
use super::response::Response;
use crate::stdx::locked::locked;

/// LIMIT: a changed certificate is noticed after a second. Looking costs a few stat(2).
const RECHECK: Duration = Duration::from_secs(1);
/// LIMIT: bcrypt takes a core for tens of milliseconds on a Pi. Strangers get at most two at once.
const VERIFYING_MAX: usize = 2;
/// LIMIT: verified passwords, and failed ones. With more users than that, some are verified more
/// often.
const VERDICTS_MAX: usize = 128;

pub(super) struct Access {
    path: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    verdicts: Mutex<Verdicts>,
    verifying: AtomicUsize,
    bucket: Mutex<Bucket>,
}

/// The state of `rate_limit`: how many requests may come at once, and since when.
#[derive(Default)]
struct Bucket {
    /// What is missing from a full burst.
    taken: f64,
    at: Duration,
}

struct State {
    config: Arc<WebConfig>,
    checked: Duration,
    /// The prints of the configuration's file and of those that it names.
    prints: Vec<Option<Print>>,
    /// Different prints, seen at the last look.
    changed: Option<Vec<Option<Print>>>,
}

/// What shows that a file has changed.
type Print = (Option<SystemTime>, u64);

/// Passwords that were tried. The keys are hashes with random keys of this process, so that no
/// password stays in memory and nobody can force a collision.
struct Verdicts {
    hashers: [RandomState; 2],
    good: VecDeque<[u64; 2]>,
    bad: VecDeque<[u64; 2]>,
}

impl Access {
    pub fn load(path: Option<PathBuf>, clock: Arc<dyn Clock>) -> Result<Access, Vec<String>> {
        let config = match &path {
            Some(path) => WebConfig::load(path)?,
            None => WebConfig::default(),
        };
        let prints = path
            .as_deref()
            .map(|path| prints(path, &config))
            .unwrap_or_default();
        Ok(Access {
            state: Mutex::new(State {
                config: Arc::new(config),
                checked: clock.mono(),
                prints,
                changed: None,
            }),
            path,
            clock,
            verdicts: Mutex::new(Verdicts {
                hashers: [RandomState::new(), RandomState::new()],
                good: VecDeque::new(),
                bad: VecDeque::new(),
            }),
            verifying: AtomicUsize::new(0),
            bucket: Mutex::default(),
        })
    }

    /// Returns the configuration as last read. It touches no disk.
    pub fn snapshot(&self) -> Arc<WebConfig> {
        locked(&self.state).config.clone()
    }

    /// Returns the configuration, which it reads again if its files have changed. A broken one is
    /// logged once, and the last good one stays.
    pub fn current(&self) -> Arc<WebConfig> {
        let Some(path) = &self.path else {
            return self.snapshot();
        };
        let now = self.clock.mono();
        let mut state = locked(&self.state);
        let (config, old) = (state.config.clone(), state.prints.clone());
        if now < state.checked + RECHECK {
            return config;
        }
        state.checked = now;
        // ORDER: the disk is read without the lock. The others go on with what they have.
        drop(state);
        let new = prints(path, &config);
        if new == old || !self.is_settled(&new) {
            return config;
        }
        let loaded = WebConfig::load(path);
        let mut state = locked(&self.state);
        match loaded {
            Ok(loaded) => {
                log::info!(path = path.display().to_string().as_str();
                    "web configuration read again");
                state.prints = prints(path, &loaded);
                state.config = Arc::new(loaded);
            }
            Err(errors) => {
                log::error!(path = path.display().to_string().as_str(),
                    err = errors.join("; ").as_str();
                    "the changed web configuration is not usable; the last good one stays");
                state.prints = new;
            }
        }
        state.config.clone()
    }

    /// Whether changed files are complete. A file that is being written may be valid and lack its
    /// users. So it is read only after it has rested for a second, or between two looks if the
    /// clocks disagree.
    fn is_settled(&self, new: &[Option<Print>]) -> bool {
        let now = UNIX_EPOCH + Duration::from_millis(self.clock.wall_ms().max(0) as u64);
        let rests = |print: &Print| {
            let modified = print.0.and_then(|at| now.duration_since(at).ok());
            modified.is_some_and(|age| age >= RECHECK)
        };
        let mut state = locked(&self.state);
        let seen = state.changed.as_deref() == Some(new);
        state.changed = Some(new.to_vec());
        seen || new.iter().flatten().all(rests)
    }

    /// Returns the answer for a client that may not ask. `is_trusted` is the management worker, of
    /// which there is one, so it needs no limit.
    pub fn deny(
        &self,
        config: &WebConfig,
        headers: &Headers,
        is_trusted: bool,
    ) -> Option<Response> {
        if config
            .rate_limit
            .is_some_and(|limit| !self.takes_turn(limit))
        {
            return Some(Response::text(429, "Too Many Requests\n"));
        }
        let users = &config.users;
        // A stranger's password is compared with some user's hash, so that it takes as long as a
        // known user's.
        let any = users.values().next()?;
        let allowed = match credentials(headers) {
            None => Some(false),
            Some((user, password)) => {
                let known = users.get(&user);
                let hash = known.unwrap_or(any);
                let verdict = self.verify(&user, &password, hash, is_trusted);
                verdict.map(|good| good && known.is_some())
            }
        };
        match allowed {
            Some(true) => None,
            Some(false) => Some(
                Response::text(401, "Unauthorized\n")
                    .header("X-Content-Type-Options", "nosniff")
                    .header("WWW-Authenticate", "Basic"),
            ),
            None => Some(
                Response::text(503, "too many passwords are being verified\n")
                    .header("Retry-After", "1"),
            ),
        }
    }

    fn takes_turn(&self, limit: RateLimit) -> bool {
        let now = self.clock.mono();
        let mut bucket = locked(&self.bucket);
        let passed = now.saturating_sub(bucket.at).as_secs_f64();
        let taken = (bucket.taken - passed / limit.interval.as_secs_f64()).max(0.0);
        let has_room = taken + 1.0 <= f64::from(limit.burst);
        *bucket = Bucket {
            taken: if has_room { taken + 1.0 } else { taken },
            at: now,
        };
        has_room
    }

    /// Returns `None` if too many are being verified.
    fn verify(&self, user: &str, password: &[u8], hash: &str, is_trusted: bool) -> Option<bool> {
        let key = {
            let verdicts = locked(&self.verdicts);
            let key = verdicts.key(user, password, hash);
            if let Some(known) = verdicts.known(key) {
                return Some(known);
            }
            key
        };
        if self.verifying.fetch_add(1, Relaxed) >= VERIFYING_MAX && !is_trusted {
            self.verifying.fetch_sub(1, Relaxed);
            return None;
        }
        let good = bcrypt::verify(password, hash).unwrap_or(false);
        self.verifying.fetch_sub(1, Relaxed);
        locked(&self.verdicts).learn(key, good);
        Some(good)
    }
}

impl Verdicts {
    fn key(&self, user: &str, password: &[u8], hash: &str) -> [u64; 2] {
        [0, 1].map(|i| self.hashers[i].hash_one((user, password, hash)))
    }

    fn known(&self, key: [u64; 2]) -> Option<bool> {
        if self.good.contains(&key) {
            Some(true)
        } else {
            self.bad.contains(&key).then_some(false)
        }
    }

    /// Stores a verdict. Guesses cannot push out good passwords.
    fn learn(&mut self, key: [u64; 2], good: bool) {
        let list = if good { &mut self.good } else { &mut self.bad };
        if list.contains(&key) {
            return;
        }
        if list.len() == VERDICTS_MAX {
            list.pop_front();
        }
        list.push_back(key);
    }
}

/// Reads the credentials (RFC 7617).
fn credentials(headers: &Headers) -> Option<(String, Vec<u8>)> {
    let value = headers.get("authorization")?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|b| *b == b':')?;
    let (user, password) = decoded.split_at_checked(colon)?;
    let user = std::str::from_utf8(user).ok()?.to_owned();
    Some((user, password.get(1..)?.to_vec()))
}

fn prints(path: &Path, config: &WebConfig) -> Vec<Option<Print>> {
    let files = std::iter::once(path).chain(config.files.iter().map(PathBuf::as_path));
    let prints = files.map(|file| {
        let metadata = fs::metadata(file).ok()?;
        Some((metadata.modified().ok(), metadata.len()))
    });
    prints.collect()
}
