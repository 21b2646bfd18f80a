//! Opens a database on a directory as it was left.

use std::io::ErrorKind;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use super::bell::Bell;
use super::error::OpenError;
use super::foreign::{blocks_beside, prometheus_sign};
use super::log::Log;
use super::options::{Options, Place};
use super::quarantine::quarantine;
use super::replay::replay_into;
use super::shared::{Changes, Store, in_order, remove_logged};
use super::snapshot;
use crate::model::timestamp;
use crate::stdx::clock::Clock;
use crate::tsdb::block::{Block, BlockId, PageCache, unfinished};
use crate::tsdb::compact::obsolete;
use crate::tsdb::dir::{Dir, Disk, Lock, advice, is_read_only};
use crate::tsdb::exemplars::Exemplars;
use crate::tsdb::filenames::{BLOCKS_DIR, LOCK, WAL_DIR};
use crate::tsdb::head::{AHEAD_MAX_MS, Head};
use crate::tsdb::metrics::StoreMetrics;
use crate::tsdb::wal::{self, Wal};

/// Opens the blocks and replays the log into the head. Returns `None` in memory.
pub fn open_store(
    options: &Options,
    head: &Arc<Head>,
    exemplars: &Exemplars,
    bell: &Arc<Bell>,
) -> Result<Option<Store>, OpenError> {
    let metrics = Arc::new(StoreMetrics::new(&options.registry));
    let (dir, lock) = match &options.place {
        Place::Memory => return Ok(None),
        Place::Dir(dir) => (dir.clone(), None),
        Place::Path { path, lock } => {
            let io = OpenError::io("cannot open the data directory");
            let dir: Arc<dyn Dir> = Arc::new(Disk::open(path).map_err(io)?);
            refuse_foreign(&*dir, &path.display().to_string())?;
            let lock = lock.then(|| Lock::take(&path.join(LOCK))).transpose()?;
            let clean = lock.as_ref().map_or(-1.0, |l| f64::from(u8::from(l.clean)));
            metrics.clean_start.set(clean);
            (dir, lock)
        }
    };
    if lock.is_none() {
        refuse_foreign(&*dir, "the directory")?;
    }
    let began = options.clock.mono();
    let unwritable = prepare(&*dir, lock.as_ref())?;
    if let Some(block) = blocks_beside(&*dir).unwrap_or_default().first() {
        log::warn!(
            block = block;
            "blocks of Prometheus's format lie in the data directory, where nothing reads them: \
             move them to another directory, then stop, and take them over with `ferula tsdb import`"
        );
    }
    // NOTE: an unfinished snapshot that stays costs room, not the start.
    if let Err(error) = snapshot::remove_unfinished(&*dir) {
        log::error!("cannot remove a snapshot that was not finished: {error}");
    }
    let cache = Arc::new(PageCache::new(page_cache_bytes(options.head_budget)));
    let (blocks, last_id) = open_blocks(&dir, &cache, &metrics)?;
    let ends = blocks.iter().filter_map(|b| b.meta().wal).map(|w| w.1);
    let flushed = ends.max();
    for block in &blocks {
        let meta = block.meta();
        // NOTE: imported blocks say nothing about the head's time.
        if meta.wal.is_some() {
            head.saw(meta.max_t)?;
        }
    }
    head.set_blocks(in_order(blocks))?;
    let replayed = replay_into(&dir, flushed, head, Some(exemplars), &metrics)?;
    meet_future(head, &*options.clock)?;
    let wal = Wal::open(
        dir.clone(),
        wal::Options {
            segment_bytes: wal::SEGMENT_BYTES,
            after: flushed.map_or(0, |f| f.segment).max(replayed.end.segment),
            next_seq: replayed.next_seq,
            damaged: replayed.damaged.into_iter().collect(),
            clock: options.clock.clone(),
            registry: options.registry.clone(),
        },
    )
    .map_err(OpenError::io("cannot begin a segment of the log"))?;
    let took = options.clock.mono().saturating_sub(began);
    metrics.replay_duration.set(took.as_secs_f64());
    let segments = wal.segments();
    let log = Log::start(
        (wal, unwritable),
        options.log_patience,
        head.clone(),
        options.clock.clone(),
        bell.clone(),
        metrics.clone(),
    )
    .map_err(OpenError::io("cannot start a thread"))?;
    Ok(Some(Store {
        segments,
        exemplars: Mutex::default(),
        log,
        dir,
        cache,
        changes: Mutex::new(Changes { last_id }),
        merging: Mutex::default(),
        merging_wanted: AtomicBool::new(false),
        wal_held_bytes: options.wal_held_bytes,
        metrics,
        is_refusing: AtomicBool::new(false),
        flushed: Mutex::new(flushed.unwrap_or_default()),
        lock,
    }))
}

/// Makes what must be there and removes what a crash left. Returns why not, where the directory can
/// only be read: what is there is served then.
fn prepare(dir: &dyn Dir, lock: Option<&Lock>) -> Result<Option<String>, OpenError> {
    let prepared = || {
        for sub in [WAL_DIR, BLOCKS_DIR] {
            dir.create_dir(sub)
                .map_err(OpenError::io("cannot make a directory"))?;
        }
        dir.sync_dir("")
            .map_err(OpenError::io("cannot sync the data directory"))?;
        remove_leftovers(dir)
    };
    let why = match prepared() {
        Err(OpenError::Io { source, .. }) if is_read_only(&source) => {
            Some(format!("{source}{}", advice(&source)))
        }
        done => done.map(|()| lock.and_then(|lock| lock.unwritable.clone()))?,
    };
    if let Some(why) = &why {
        log::error!(
            "the data directory can only be read: what is there is served, and what is committed \
             waits in memory until the directory can be written, or is lost with the process ({why})"
        );
    }
    Ok(why)
}

/// Where there are samples from the future, the clock was set back, as far as can be seen now.
fn meet_future(head: &Head, clock: &dyn Clock) -> Result<(), OpenError> {
    let (newest, now) = (head.stats()?.max_t, clock.wall_ms());
    if newest > now {
        head.set_back_from(newest)?;
    }
    // NOTE: others' clocks may be ahead by this much.
    if newest > now.saturating_add(AHEAD_MAX_MS) {
        log::warn!(newest = timestamp::rfc3339(newest).as_str(),
            ahead_seconds = (newest - now) / 1000; "there are samples from the future");
    }
    Ok(())
}

/// LIMIT: an eighth of the head's budget, enough for the pages of a dashboard's range.
fn page_cache_bytes(head_budget: u64) -> usize {
    usize::try_from(head_budget / 8).unwrap_or(usize::MAX)
}

pub fn refuse_foreign(dir: &dyn Dir, path: &str) -> Result<(), OpenError> {
    let sign = prometheus_sign(dir).map_err(OpenError::io("cannot read the data directory"))?;
    match sign {
        Some(sign) => Err(OpenError::Prometheus {
            path: path.to_owned(),
            sign,
        }),
        None => Ok(()),
    }
}

/// Removes files that were being written when the last process ended.
pub fn remove_leftovers(dir: &dyn Dir) -> Result<(), OpenError> {
    for parent in ["", BLOCKS_DIR, WAL_DIR] {
        let list = dir
            .list(parent)
            .map_err(OpenError::io("cannot list files"))?;
        let files = list.into_iter().filter(|entry| !entry.is_dir);
        let names: Vec<String> = files.map(|entry| entry.name).collect();
        for name in unfinished(&names) {
            let path = format!("{parent}/{name}");
            let path = path.trim_start_matches('/');
            dir.remove(path)
                .map_err(OpenError::io("cannot remove an unfinished file"))?;
            log::info!(path = path; "removed a file that was not finished");
        }
    }
    Ok(())
}

type Opened = (Vec<Arc<Block>>, BlockId);

/// Opens all good blocks, except those that are merged into another. Also returns the greatest id
/// in use.
fn open_blocks(
    dir: &Arc<dyn Dir>,
    cache: &Arc<PageCache>,
    metrics: &StoreMetrics,
) -> Result<Opened, OpenError> {
    let list = match dir.list(BLOCKS_DIR) {
        // NOTE: in a directory that can only be read.
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        list => list.map_err(OpenError::io("cannot list blocks"))?,
    };
    let ids = list.iter().filter_map(|e| BlockId::from_file_name(&e.name));
    let mut last_id = BlockId(0);
    let mut blocks = Vec::new();
    for id in ids {
        last_id = last_id.max(id);
        match Block::open(dir, id, cache) {
            Ok(block) => {
                let sources = block.meta().sources;
                last_id = sources.into_iter().fold(last_id, BlockId::max);
                blocks.push(block);
            }
            Err(error) if error.is_damage() => {
                metrics.quarantined.inc();
                quarantine(&**dir, id, &error.to_string());
            }
            Err(error) => {
                metrics.reload_failures.inc();
                log::error!("a block is left out: {error}");
            }
        }
    }
    metrics.reloads.inc();
    // NOTE: a merged block is durable before its sources are removed.
    let metas: Vec<_> = blocks.iter().map(|block| block.meta()).collect();
    for id in obsolete(&metas) {
        blocks.retain(|block| block.id() != id);
        remove_logged(&**dir, id);
    }
    Ok((blocks, last_id))
}
