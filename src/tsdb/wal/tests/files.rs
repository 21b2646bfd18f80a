//! Tests of segments: their length, their holders, and readers beside the writer.

use super::*;
use crate::tsdb::filenames::segment;

fn at(segment: u32) -> Position {
    Position { segment, offset: 0 }
}

/// Makes segments from 1 to `n - 1`, with the writer at the beginning of `n`.
fn segments(double: &Double, n: u32) -> Wal {
    let mut wal = open(double, 1 << 20);
    for round in 1..n {
        log(&mut wal, &scrape(0, round.into())).unwrap();
        wal.cut();
    }
    assert_eq!(wal.position(), at(n));
    wal
}

#[test]
fn limits() {
    let check = |definitions, expect| assert_eq!(segment_limit(1000, definitions), expect);
    check(0, 1000);
    check(100, 1000);
    check(101, 1010);
    check(5 << 20, 50 << 20);
    check(u64::MAX, 1 << 30);
}

#[test]
fn a_segment_has_no_file_before_its_first_record() {
    let double = Double::new();
    let mut wal = open(&double, 1 << 20);
    assert_eq!((wal.cut(), wal.cut()), (at(1), at(1)));
    assert_eq!(double.bytes(&segment(1)), None);
    assert_eq!(wal.segments().sync().unwrap(), at(1));
    let end = log(&mut wal, &scrape(0, 0)).unwrap();
    assert_eq!(
        end.offset as usize,
        double.bytes(&segment(1)).unwrap().len()
    );
    assert_eq!(wal.segments().bytes(), u64::from(end.offset));
    let after = Options {
        after: 7,
        ..options(100)
    };
    assert_eq!(Wal::open(double.dir(), after).unwrap().position(), at(8));
    assert_eq!(open(&double, 100).position(), at(2));
}

#[test]
fn what_is_held_stays() {
    let check = |holds: &[u32], drop: u32, held_max: u64, expect: (u32, u32)| {
        let double = Double::new();
        let wal = segments(&double, 6);
        let segments = wal.segments();
        let _holds: Vec<_> = holds.iter().map(|n| segments.hold("x", at(*n))).collect();
        let before = segments.bytes();
        let done = segments.drop_before(at(drop), held_max).unwrap();
        assert_eq!(
            (done.segments, done.held),
            expect,
            "{holds:?} {drop} {held_max}"
        );
        assert_eq!(before - done.bytes, segments.bytes());
        assert_eq!(done.held_times.is_some(), expect.1 > 0);
        assert_eq!(double.bytes(&segment(expect.0)), None);
        assert!(expect.0 == 5 || double.bytes(&segment(expect.0 + 1)).is_some());
    };
    check(&[], 1, 0, (0, 0));
    check(&[], 4, 0, (3, 0));
    check(&[], 100, 0, (5, 0));
    check(&[3], 6, u64::MAX, (2, 0));
    check(&[3, 2], 6, u64::MAX, (1, 0));
    check(&[3], 6, 0, (5, 3));
    check(&[3], 5, 0, (4, 2));
    check(&[9], 3, u64::MAX, (2, 0));
}

#[test]
fn a_hold_advances_and_ends() {
    let double = Double::new();
    let wal = segments(&double, 6);
    let segments = wal.segments();
    let dropped = || segments.drop_before(at(6), u64::MAX).unwrap().segments;
    let hold = segments.hold("x", at(2));
    assert_eq!(dropped(), 1);
    hold.advance(at(4));
    hold.advance(at(3));
    assert_eq!(segments.holds(), [("x".to_owned(), at(4))]);
    assert_eq!(dropped(), 2);
    drop(hold);
    assert_eq!(dropped(), 2);
}

#[test]
fn a_reader_follows_the_writer_and_may_be_left_and_taken_up() {
    let double = Double::new();
    let mut wal = open(&double, 900);
    let segments = wal.segments();
    let mut reader = segments.read(Position::default());
    let mut heard = Heard::default();
    let mut expect = Vec::new();
    for round in 0..60 {
        assert!(!reader.next(&mut |_| panic!("nothing is there")).unwrap());
        for target in 0..=round % 3 {
            let samples = scrape(target, round);
            log(&mut wal, &samples).unwrap();
            expect.extend(samples);
        }
        if round % 5 == 4 {
            reader = segments.read(reader.position());
            heard.ids.clear();
        }
        if round % 7 == 3 {
            wal.cut();
        }
        while reader.next(&mut |entry| heard.hear(&entry)).unwrap() {}
        assert_eq!(heard.samples, expect, "{round}");
    }
    assert!(wal.position().segment > 8);
    assert_eq!(reader.position(), wal.position());
    assert_eq!(reader.lost(), Lost::default());
}

#[test]
fn a_reader_goes_on_after_segments_that_were_dropped() {
    let double = Double::new();
    let wal = segments(&double, 6);
    let segments = wal.segments();
    segments.drop_before(at(4), 0).unwrap();
    let mut reader = segments.read(at(2));
    let mut heard = Heard::default();
    while reader.next(&mut |entry| heard.hear(&entry)).unwrap() {}
    assert_eq!(heard.samples, [scrape(0, 4), scrape(0, 5)].concat());
}
