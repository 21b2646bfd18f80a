//! Tests of power cuts and failing writes: synced data is there, and nothing that was not written.

use super::*;
use crate::tsdb::dir::double::{Choice, Fault};

/// What a caller of the log knows.
#[derive(Debug, Default)]
struct Known {
    /// Samples whose batch was logged.
    logged: Vec<Told>,
    /// Samples that were tried, in order.
    tried: Vec<Told>,
    /// How many of the logged samples came before a successful sync.
    durable: usize,
}

fn work(double: &Double) -> Known {
    let mut known = Known::default();
    let Ok(mut wal) = Wal::open(double.dir(), options(700)) else {
        return known;
    };
    let segments = wal.segments();
    let mut certain = true;
    for round in 0..12 {
        for target in 0..2 {
            let samples = scrape(target, round);
            known.tried.extend(&samples);
            if log(&mut wal, &samples).is_ok() {
                known.logged.extend(samples);
            }
        }
        if round % 3 == 2 {
            // NOTE: what a failed sync left uncertain stays so.
            certain &= segments.sync().is_ok();
            if certain {
                known.durable = known.logged.len();
            }
        }
        if round == 7 {
            wal.cut();
        }
    }
    known
}

/// Whether all of `part` is in `whole`, in that order.
fn is_within(part: &[Told], whole: &[Told]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|sample| whole.any(|other| other == sample))
}

#[test]
fn a_power_cut_at_each_operation() {
    let double = Double::new();
    work(&double);
    let (operations, syncs) = (double.operations(), double.sync_points().len());
    assert!(syncs > 8, "{syncs}");
    let mut cuts = 0;
    for at in 0..=operations {
        let double = Double::new();
        double.fault(at, Fault::PowerCut);
        let known = work(&double);
        let choices = [Choice::Nothing, Choice::Everything];
        let seeds = (0..40).map(Choice::Seed);
        for choice in choices.into_iter().chain(seeds) {
            cuts += 1;
            let after = double.crash(choice);
            let (heard, found) = read(&after);
            let durable = &known.logged[..known.durable];
            assert!(
                is_within(durable, &heard.samples),
                "{at} {choice:?}: {found:?}"
            );
            assert!(is_within(&heard.samples, &known.tried), "{at} {choice:?}");
            // The log goes on, and what was there stays.
            let next_seq = found.next_seq;
            let mut wal = Wal::open(
                after.dir(),
                Options {
                    next_seq,
                    ..options(700)
                },
            )
            .unwrap();
            log(&mut wal, &scrape(9, 0)).unwrap();
            let (again, _) = read(&after);
            let expect = [heard.samples, scrape(9, 0)].concat();
            assert_eq!(again.samples, expect);
        }
    }
    println!("{operations} operations, {syncs} of them syncs: {cuts} power cuts");
}

#[test]
fn an_operation_fails() {
    let double = Double::new();
    work(&double);
    for at in 0..double.operations() {
        for fault in [Fault::Error, Fault::NoSpace] {
            let double = Double::new();
            double.fault(at, fault);
            let known = work(&double);
            let (heard, found) = read(&double);
            assert_eq!(heard.samples, known.logged, "{at} {fault:?}");
            assert_eq!(
                (found.skipped_records, found.skipped_bytes),
                (0, 0),
                "{at}: {found:?}"
            );
            let lost = known.tried.len() - known.logged.len();
            assert!(lost <= 8 || at == 0, "{at}: {lost}");
            // Two faults: undoing the half record fails too.
            let double = Double::new();
            double.fault(at, fault);
            double.fault(at + 1, fault);
            let known = work(&double);
            let (heard, _) = read(&double);
            assert!(is_within(&known.logged, &heard.samples), "{at} {fault:?}");
            assert!(is_within(&heard.samples, &known.tried), "{at} {fault:?}");
        }
    }
}

#[test]
fn a_disk_that_is_full_heals() {
    let double = Double::new();
    let mut wal = open(&double, 1 << 20);
    log(&mut wal, &scrape(0, 0)).unwrap();
    double.set_free(Some(20));
    for round in 1..5 {
        assert!(log(&mut wal, &scrape(0, round)).is_err());
    }
    double.set_free(None);
    log(&mut wal, &scrape(0, 5)).unwrap();
    let (heard, found) = read(&double);
    assert_eq!(heard.samples, [scrape(0, 0), scrape(0, 5)].concat());
    assert_eq!(
        (found.segments, found.torn_bytes, found.skipped_records),
        (2, 0, 0)
    );
}

#[test]
fn after_a_failed_sync_the_writer_leaves_its_segment() {
    let double = Double::new();
    let mut wal = open(&double, 1 << 20);
    let segments = wal.segments();
    let end = log(&mut wal, &scrape(0, 0)).unwrap();
    let before = segments.durable();
    double.fault(double.operations(), Fault::Error);
    assert!(segments.sync().is_err());
    assert_eq!(segments.durable(), before);
    let next = log(&mut wal, &scrape(0, 1)).unwrap();
    assert!(next.segment > end.segment);
    assert_eq!(segments.sync().unwrap(), next);
}
