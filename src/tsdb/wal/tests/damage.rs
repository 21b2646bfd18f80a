//! Tests that damage costs what it held: all that is read was written, for that series at that
//! time.

use std::collections::HashSet;

use super::*;
use crate::tsdb::filenames::segment;

const ROUNDS: u64 = 4;
const TARGETS: u64 = 2;

/// Makes a log of two segments, with the end of each batch in it.
fn small_log() -> (Double, Vec<(Position, Vec<Told>)>) {
    let double = Double::new();
    let mut wal = open(&double, 1 << 20);
    let mut wrote = Vec::new();
    for round in 0..ROUNDS {
        for target in 0..TARGETS {
            let samples = scrape(target, round);
            wrote.push((log(&mut wal, &samples).unwrap(), samples));
        }
        if round == 1 {
            wal.cut();
        }
    }
    (double, wrote)
}

/// Reads a log that was changed in one segment from `at` on.
fn check(damaged: &Double, number: u32, at: usize, wrote: &[(Position, Vec<Told>)]) -> Replayed {
    let (heard, found) = read(damaged);
    let all: HashSet<_> = wrote.iter().flat_map(|(_, samples)| samples).collect();
    let heard: HashSet<_> = heard.samples.iter().collect();
    assert!(heard.is_subset(&all), "segment {number} damaged at {at}");
    for (end, samples) in wrote {
        if end.segment != number || end.offset as usize <= at {
            let there = samples.iter().all(|sample| heard.contains(sample));
            assert!(there, "segment {number} damaged at {at}: {end:?} is lost");
        }
    }
    found
}

#[test]
fn each_byte_and_region() {
    let (double, wrote) = small_log();
    let mut cases = 0;
    for number in 1..=2 {
        let path = segment(number);
        let good = double.bytes(&path).unwrap();
        let copy = double.copy();
        let mut with = |bytes: &[u8], at: usize| {
            cases += 1;
            copy.set_bytes(&path, bytes);
            check(&copy, number, at, &wrote)
        };
        for at in 0..good.len() {
            for mask in [1, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] ^= mask;
                let found = with(&bytes, at);
                // NOTE: a header that damage turned into another version is left alone.
                assert!(
                    found.skipped_bytes + found.torn_bytes > 0,
                    "{at}: {found:?}"
                );
            }
            let found = with(&good[..at], at);
            let whole = wrote.iter().any(|(end, _)| end.offset as usize == at);
            assert!(whole || found != with(&good, good.len()), "{at}");
            for len in [3, 64, 4096] {
                let mut bytes = good.clone();
                let end = good.len().min(at + len);
                bytes[at..end].fill(0);
                with(&bytes, at);
                bytes.copy_within(0..end - at, at);
                with(&bytes, at);
                // NOTE: a part that is missing altogether, and one that is there twice.
                bytes.drain(at..end);
                with(&bytes, at);
                let twice = [&good[..end], &good[at..]].concat();
                with(&twice, at);
            }
        }
    }
    println!("{cases} damaged logs were read");
}

#[test]
fn other_targets_are_read_on() {
    let (double, wrote) = small_log();
    let path = segment(1);
    let mut bytes = double.bytes(&path).unwrap();
    // The last byte of the first target's second batch.
    bytes[wrote[2].0.offset as usize - 1] ^= 1;
    double.set_bytes(&path, &bytes);
    let (heard, found) = read(&double);
    let missing: Vec<_> = scrape(0, 1).into_iter().collect();
    let all = wrote
        .iter()
        .flat_map(|(_, samples)| samples.iter().copied());
    let expect: Vec<_> = all.filter(|sample| !missing.contains(sample)).collect();
    assert_eq!(heard.samples, expect);
    assert_eq!((found.skipped_records, found.skipped_ranges), (1, 1));
    assert_eq!((found.unread_samples, found.damaged), (0, vec![1]));
}

#[test]
fn what_builds_on_damage_is_not_read_until_its_next_full_value() {
    let double = Double::new();
    let mut wal = open(&double, 1 << 20);
    let mut ends = Vec::new();
    for round in 0..300 {
        for target in 0..2 {
            ends.push(log(&mut wal, &scrape(target, round)).unwrap());
        }
    }
    let path = segment(1);
    let mut bytes = double.bytes(&path).unwrap();
    bytes[ends[20].offset as usize - 1] ^= 1;
    double.set_bytes(&path, &bytes);
    let (heard, found) = read(&double);
    let rounds = |target: u64| heard.samples.iter().filter(|s| s.0 == target * 100).count();
    assert_eq!((rounds(0), rounds(1)), (300 - 110, 300));
    assert_eq!(found.unread_samples, 109 * 8);
}

#[test]
fn damage_of_an_end_is_told_from_a_torn_one() {
    let (double, _) = small_log();
    for (number, damaged) in [(1, vec![1]), (2, vec![])] {
        let copy = double.copy();
        let path = segment(number);
        let mut bytes = copy.bytes(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        copy.set_bytes(&path, &bytes);
        let (_, found) = read(&copy);
        assert_eq!(found.damaged, damaged);
        assert_eq!(found.torn_bytes > 0, damaged.is_empty());
        assert_eq!(found.skipped_records, damaged.len() as u64);
    }
}

#[test]
fn a_segment_of_another_version_is_left_alone() {
    let (double, wrote) = small_log();
    let path = segment(1);
    let mut bytes = double.bytes(&path).unwrap();
    bytes[8] = 2;
    let check = crc32c::crc32c(&bytes[..36]);
    bytes[36..40].copy_from_slice(&check.to_le_bytes());
    double.set_bytes(&path, &bytes);
    let (heard, found) = read(&double);
    assert_eq!(found.unknown, [1]);
    assert_eq!(found.segments, 1);
    let expect: usize = wrote
        .iter()
        .filter(|w| w.0.segment == 2)
        .map(|w| w.1.len())
        .sum();
    assert_eq!(heard.samples.len(), expect);
}
