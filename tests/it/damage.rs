//! The storage with damaged files: it gives what remains, and goes on.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::sender::{FLUSHES, Points, QUARANTINED, RECEIVE, SMALL_BUDGET, Sender};
use crate::support::{Ferula, eventually};

const WAL_CORRUPTIONS: &str = "prometheus_tsdb_wal_corruptions_total";

/// The damage to a file between a kill and a start.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    /// Changes the byte at so many thousandths of its length.
    Flip(usize),
    Cut(usize),
}

impl Damage {
    fn hit(self, path: &Path, from: usize) {
        let mut bytes = fs::read(path).unwrap();
        let at = |part: usize| from + (bytes.len() - 1 - from) * part / 1000;
        match self {
            Damage::Flip(part) => {
                let at = at(part);
                bytes[at] ^= 0x55;
            }
            Damage::Cut(part) => bytes.truncate(at(part)),
        }
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_damaged_log_gives_what_remains() {
    use Damage::{Cut, Flip};
    // What a kill in the midst of the last write could also leave is no corruption.
    let cases = [
        (Flip(0), true),
        (Flip(100), true),
        (Flip(500), true),
        (Flip(1000), false),
        (Cut(0), false),
        (Cut(500), false),
        (Cut(999), false),
    ];
    for (damage, is_counted) in cases {
        let (mut ferula, mut sender) = (started(&[RECEIVE]), Sender::new());
        sender.send_all(&ferula, 20);
        let segment = newest(&ferula.path("data/wal"));
        let (whole, sound) = (fs::metadata(&segment).unwrap().len(), sender.acked.clone());
        sender.send_all(&ferula, 20);
        ferula.kill();
        damage.hit(&segment, whole as usize);
        ferula.start_again(&[RECEIVE]);
        let found = sender.found(&ferula);
        holds_all(&found, &sound, &format!("{damage:?}: before the damage"));
        assert!(found.len() < sender.acked.len(), "{damage:?}: no damage");
        let count = ferula.metric(WAL_CORRUPTIONS).unwrap();
        assert_eq!(count > 0.0, is_counted, "{damage:?}: {}", ferula.log_text());
        goes_on(&mut ferula, &mut sender, found, &[RECEIVE]);
    }
}

/// Every start begins a segment. The second of three is damaged.
#[test]
fn segments_beside_a_damaged_one_remain() {
    use Damage::{Cut, Flip};
    for damage in [Flip(0), Flip(300), Flip(1000), Cut(0), Cut(700)] {
        let (mut ferula, mut sender) = (started(&[RECEIVE]), Sender::new());
        let mut beside = Points::new();
        let mut damaged = PathBuf::new();
        for generation in 0..3 {
            let before = std::mem::take(&mut sender.acked);
            sender.send_all(&ferula, 5);
            if generation == 1 {
                damaged = newest(&ferula.path("data/wal"));
            } else {
                beside.extend(sender.acked.clone());
            }
            sender.acked.extend(before);
            ferula.kill();
            if generation < 2 {
                ferula.start_again(&[RECEIVE]);
            }
        }
        damage.hit(&damaged, 0);
        ferula.start_again(&[RECEIVE]);
        let found = sender.found(&ferula);
        holds_all(&found, &beside, &format!("{damage:?}: beside it"));
        let skipped = ferula.metric("ferula_tsdb_wal_skipped_records_total");
        if damage == Flip(0) {
            assert_eq!(
                found, sender.acked,
                "a header tells nothing that records need"
            );
        } else {
            assert!(skipped > Some(0.0), "{damage:?}: {}", ferula.log_text());
            let corruptions = ferula.metric(WAL_CORRUPTIONS);
            assert!(corruptions > Some(0.0), "{damage:?}: {}", ferula.log_text());
        }
        goes_on(&mut ferula, &mut sender, found, &[RECEIVE]);
    }
}

/// What damage to a block costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cost {
    Nothing,
    /// Some samples of the block; which ones depends on the place.
    Part,
    /// The whole block, which goes to quarantine.
    Block,
}

#[test]
fn a_damaged_block_gives_what_remains() {
    use Damage::{Cut, Flip};
    let cases = [
        (Flip(0), Cost::Nothing),
        (Flip(100), Cost::Part),
        (Flip(300), Cost::Part),
        (Flip(500), Cost::Part),
        (Flip(700), Cost::Part),
        (Flip(1000), Cost::Nothing),
        (Cut(0), Cost::Block),
        (Cut(100), Cost::Block),
        (Cut(999), Cost::Nothing),
    ];
    for (damage, cost) in cases {
        let (mut ferula, mut sender) = (started(&[RECEIVE, SMALL_BUDGET]), Sender::new());
        sender.send_all(&ferula, 20);
        eventually("a block", || ferula.metric(FLUSHES).filter(|n| *n > 0.0));
        ferula.kill();
        let block = newest(&ferula.path("data/blocks"));
        ferula.start_again(&[RECEIVE]);
        let in_block = std::mem::take(&mut sender.acked);
        sender.send_all(&ferula, 5);
        ferula.kill();
        let in_log = sender.acked.clone();
        sender.acked.extend(in_block);
        damage.hit(&block, 0);
        ferula.start_again(&[RECEIVE]);
        let found = sender.found(&ferula);
        holds_all(&found, &in_log, &format!("{damage:?}: in the log"));
        if cost == Cost::Nothing {
            holds_all(&found, &sender.acked, &format!("{damage:?}"));
        }
        let is_gone = cost == Cost::Block;
        let quarantined = f64::from(u8::from(is_gone));
        assert_eq!(ferula.metric(QUARANTINED), Some(quarantined), "{damage:?}");
        let name = block.file_name().unwrap();
        let moved = ferula.path("data/quarantine").join(name);
        let places = (moved.exists(), block.exists());
        assert_eq!(places, (is_gone, !is_gone), "{damage:?}");
        goes_on(&mut ferula, &mut sender, found, &[RECEIVE]);
    }
}

#[track_caller]
fn holds_all(found: &Points, wanted: &Points, what: &str) {
    let missing = wanted.iter().find(|(at, v)| found.get(at) != Some(v));
    assert_eq!(missing, None, "{what}");
}

fn started(arguments: &[&str]) -> Ferula {
    Ferula::start_with("global: {}\n", arguments)
}

/// Checks that after damage, what was found and what comes next lasts.
#[track_caller]
fn goes_on(ferula: &mut Ferula, sender: &mut Sender, found: Points, arguments: &[&str]) {
    sender.acked = found;
    sender.send_all(ferula, 3);
    sender.check(ferula, "after damage");
    ferula.kill();
    ferula.start_again(arguments);
    sender.check(ferula, "after damage and a kill");
}

/// Returns the last finished file by name.
fn newest(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let finished = files.filter(|path| path.extension().is_some_and(|e| e != "tmp"));
    finished.max().unwrap()
}
