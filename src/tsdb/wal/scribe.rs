//! The thread `wal-write`: what the writer asks of the disk happens there, and the writer waits for
//! it so long at most.
//!
//! A medium may stand still: a write then neither fails nor returns, and whoever made it is held by
//! the kernel. That must be nobody who scrapes, answers or stops. While one operation is overdue
//! the next fail at once; when it has returned after all, its result is of no use any more, and
//! what is asked then is tried.

use std::any::Any;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::format::HEADER_BYTES;
use crate::stdx::limits::THREAD_STACK;
use crate::stdx::thread::{Thread, panic_message, spawn};
use crate::tsdb::dir::{Dir, File};
use crate::tsdb::filenames::WAL_DIR;

/// LIMIT: jobs and results, of each one: the writer has one operation under way.
const AT_ONCE: usize = 1;

#[derive(Debug)]
pub(super) enum Job {
    /// Makes a segment with its header, and opens it a second time.
    Create {
        path: String,
        header: [u8; HEADER_BYTES],
    },
    Append {
        file: Box<dyn File>,
        bytes: Vec<u8>,
    },
    /// Takes back what is behind `len` of a segment whose write failed; of an empty one the file.
    TakeBack {
        path: String,
        len: u32,
    },
}

pub(super) enum Done {
    Created(io::Result<(Box<dyn File>, Box<dyn File>)>),
    Appended {
        file: Box<dyn File>,
        bytes: Vec<u8>,
        result: io::Result<()>,
    },
    /// Whether the file is gone.
    TakenBack(bool),
    /// With a mistake of ours, which is the writer's.
    Panicked(Box<dyn Any + Send>),
}

#[derive(Debug)]
pub(super) struct Scribe {
    // ORDER: the sender ends the thread, which is then joined.
    jobs: Sender<Job>,
    done: Receiver<Done>,
    patience: Duration,
    /// The result of an operation that nobody waits for any more is still to come.
    overdue: bool,
    _thread: Thread,
}

impl Scribe {
    /// # Errors
    /// The system has no thread for it.
    pub fn start(dir: Arc<dyn Dir>, patience: Duration) -> io::Result<Scribe> {
        let (jobs, inbox) = bounded(AT_ONCE);
        let (results, done) = bounded(AT_ONCE);
        let thread = spawn("wal-write", THREAD_STACK, move || {
            for job in inbox {
                let done = catch_unwind(AssertUnwindSafe(|| work(&*dir, job)));
                if results.send(done.unwrap_or_else(Done::Panicked)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Scribe {
            jobs,
            done,
            patience,
            overdue: false,
            _thread: thread,
        })
    }

    /// Begins an operation, for whose end [`Scribe::wait`] waits.
    ///
    /// # Errors
    /// The one before is overdue: nothing is begun.
    pub fn begin(&mut self, job: Job) -> io::Result<()> {
        if self.stands_still() {
            return Err(self.late());
        }
        self.jobs.send(job).map_err(|_| gone())
    }

    pub fn wait(&mut self) -> io::Result<Done> {
        match self.done.recv_timeout(self.patience) {
            Ok(Done::Panicked(payload)) => resume_unwind(payload),
            Ok(done) => Ok(done),
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
            Err(RecvTimeoutError::Timeout) => {
                self.overdue = true;
                Err(self.late())
            }
        }
    }

    pub fn ask(&mut self, job: Job) -> io::Result<Done> {
        self.begin(job)?;
        self.wait()
    }

    /// Whether an operation is overdue.
    pub fn stands_still(&mut self) -> bool {
        if self.overdue
            && let Ok(late) = self.done.try_recv()
        {
            self.overdue = false;
            if let Done::Panicked(payload) = late {
                log::error!("a late write panicked: {}", panic_message(&*payload));
            }
        }
        self.overdue
    }

    fn late(&self) -> io::Error {
        let text = format!(
            "{WAL_DIR}: the disk stands still: no answer in {:?}",
            self.patience
        );
        io::Error::new(ErrorKind::TimedOut, text)
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread wal-write has ended")
}

fn work(dir: &dyn Dir, job: Job) -> Done {
    match job {
        Job::Create { path, header } => Done::Created(create(dir, &path, &header)),
        Job::Append { mut file, bytes } => {
            let result = file.append(&bytes);
            Done::Appended {
                file,
                bytes,
                result,
            }
        }
        Job::TakeBack { path, len } if len as usize <= HEADER_BYTES => {
            Done::TakenBack(dir.remove(&path).is_ok())
        }
        Job::TakeBack { path, len } => {
            let _ = dir.truncate(&path, len.into());
            Done::TakenBack(false)
        }
    }
}

fn create(dir: &dyn Dir, path: &str, header: &[u8]) -> io::Result<(Box<dyn File>, Box<dyn File>)> {
    let create = || {
        let mut file = match dir.create(path) {
            // NOTE: somebody has removed the directory while we run.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                dir.create_dir(WAL_DIR)?;
                dir.create(path)
            }
            file => file,
        }?;
        file.append(header)?;
        Ok((file, dir.open(path)?))
    };
    let made: io::Result<_> = create();
    if made.is_err() {
        // NOTE: at worst an empty segment stays, which is read as one.
        let _ = dir.remove(path);
    }
    made
}
