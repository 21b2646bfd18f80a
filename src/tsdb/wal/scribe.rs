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
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::format::HEADER_BYTES;
use crate::stdx::limits::THREAD_STACK;
use crate::stdx::locked::locked;
use crate::stdx::thread::{Thread, panic_message, spawn};
use crate::tsdb::dir::{Dir, File};
use crate::tsdb::filenames::WAL_DIR;

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

#[derive(Debug)]
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

/// What the writer and the thread hand each other.
///
/// NOTE: a channel does the same, but its receivers yield the processor several times before they
/// sleep, and wake under its lock: at each commit that cost more than the write.
#[derive(Debug, Default)]
struct Desk {
    tray: Mutex<Tray>,
    /// Rung when there is a job, or none will come any more.
    asked: Condvar,
    /// Rung when there is a result, if the writer waits for it.
    answered: Condvar,
}

#[derive(Debug, Default)]
struct Tray {
    job: Option<Job>,
    done: Option<Done>,
    writer_waits: bool,
    is_closed: bool,
}

impl Desk {
    fn ask(&self, job: Job) {
        locked(&self.tray).job = Some(job);
        self.asked.notify_one();
    }

    /// Waits for a job. Returns nothing when none will come any more.
    fn next(&self) -> Option<Job> {
        let idle = |tray: &mut Tray| tray.job.is_none() && !tray.is_closed;
        let tray = self.asked.wait_while(locked(&self.tray), idle);
        tray.unwrap_or_else(PoisonError::into_inner).job.take()
    }

    fn answer(&self, done: Done) {
        let mut tray = locked(&self.tray);
        tray.done = Some(done);
        let writer_waits = tray.writer_waits;
        drop(tray);
        if writer_waits {
            self.answered.notify_one();
        }
    }

    /// Waits for a result, so long at most.
    fn result(&self, patience: Duration) -> Option<Done> {
        let mut tray = locked(&self.tray);
        if tray.done.is_none() {
            tray.writer_waits = true;
            let open = |tray: &mut Tray| tray.done.is_none();
            let waited = self.answered.wait_timeout_while(tray, patience, open);
            tray = waited.unwrap_or_else(PoisonError::into_inner).0;
            tray.writer_waits = false;
        }
        tray.done.take()
    }
}

/// The writer's side of the desk: no job comes after its end.
#[derive(Debug)]
struct Asker(Arc<Desk>);

impl Drop for Asker {
    fn drop(&mut self) {
        locked(&self.0.tray).is_closed = true;
        self.0.asked.notify_one();
    }
}

#[derive(Debug)]
pub(super) struct Scribe {
    // ORDER: its end ends the thread, which is then joined.
    asker: Asker,
    patience: Duration,
    /// The result of an operation that nobody waits for any more is still to come.
    overdue: bool,
    _thread: Thread,
}

impl Scribe {
    /// # Errors
    /// The system has no thread for it.
    pub fn start(dir: Arc<dyn Dir>, patience: Duration) -> io::Result<Scribe> {
        let desk = Arc::new(Desk::default());
        let asker = Asker(desk.clone());
        let thread = spawn("wal-write", THREAD_STACK, move || {
            while let Some(job) = desk.next() {
                let done = catch_unwind(AssertUnwindSafe(|| work(&*dir, job)));
                desk.answer(done.unwrap_or_else(Done::Panicked));
            }
        })?;
        Ok(Scribe {
            asker,
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
        self.asker.0.ask(job);
        Ok(())
    }

    pub fn wait(&mut self) -> io::Result<Done> {
        match self.asker.0.result(self.patience) {
            Some(Done::Panicked(payload)) => resume_unwind(payload),
            Some(done) => Ok(done),
            None => {
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
            && let Some(late) = self.asker.0.result(Duration::ZERO)
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
