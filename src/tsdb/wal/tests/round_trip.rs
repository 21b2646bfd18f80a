//! Tests that what is logged is read back, bit for bit.

use proptest::prelude::*;

use super::*;
use crate::model::STALE_NAN_BITS;
use crate::tsdb::exemplars::Named;
use crate::tsdb::wal::value::Last;
use crate::tsdb::wal::varint::Bytes;

fn bits() -> impl Strategy<Value = u64> {
    let special = [
        0.0,
        -0.0,
        1.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN_POSITIVE,
        9_007_199_254_740_992.0,
        -9_007_199_254_740_993.0,
        9.3e18,
    ];
    let special: Vec<u64> = special.iter().map(|v| v.to_bits()).collect();
    prop_oneof![
        any::<u64>(),
        proptest::sample::select(special),
        Just(STALE_NAN_BITS),
        (-1000i64..1000).prop_map(|v| (v as f64).to_bits()),
        (-100_000i64..100_000).prop_map(|v| (v as f64 / 1000.0).to_bits()),
        any::<f64>().prop_map(f64::to_bits),
    ]
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Batch(Vec<Told>),
    OutOfOrder(Vec<Told>),
    Cut,
    Again,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let batch = || {
        let own = proptest::collection::vec((0..40u64, any::<i64>(), bits()), 0..40);
        let alike = (
            0..30u64,
            0..20u64,
            any::<i64>(),
            proptest::collection::vec(bits(), 20),
        );
        let alike = alike.prop_map(|(from, len, t, bits)| {
            let samples = (from..from + len).zip(bits);
            samples.map(|(series, bits)| (series, t, bits)).collect()
        });
        prop_oneof![1 => own, 4 => alike]
    };
    prop_oneof![
        12 => batch().prop_map(Step::Batch),
        2 => batch().prop_map(Step::OutOfOrder),
        1 => Just(Step::Cut),
        1 => Just(Step::Again),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_exemplars_or_none(bytes in proptest::collection::vec(0..40_u8, 0..200)) {
        if let Some(read) = crate::tsdb::wal::exemplar::read(&bytes) {
            prop_assert!(read.len() * 12 <= bytes.len());
        }
    }

    #[test]
    fn any_value_of_one_series(bits in proptest::collection::vec(bits(), 0..200)) {
        let (mut write, mut read) = (Last::default(), Last::default());
        for bits in bits {
            let mut out = Vec::new();
            let tag = write.encode(f64::from_bits(bits), &mut out);
            let mut bytes = Bytes(&out);
            let v = read.decode(tag, &mut bytes).unwrap();
            prop_assert_eq!(v.to_bits(), bits);
            prop_assert!(bytes.0.is_empty());
        }
    }

    #[test]
    fn any_log(steps in proptest::collection::vec(step(), 0..60), segment_bytes in 100..3000u32) {
        let double = Double::new();
        let mut wal = open(&double, segment_bytes);
        // Samples, and out-of-order samples, by segment.
        let mut wrote: Vec<(u32, [Vec<Told>; 2])> = Vec::new();
        for step in &steps {
            let (batch, kind) = match step {
                Step::Batch(batch) => (batch, 0),
                Step::OutOfOrder(batch) => (batch, 1),
                Step::Cut => {
                    wal.cut();
                    continue;
                }
                Step::Again => {
                    let next_seq = read(&double).1.next_seq;
                    let options = Options { next_seq, ..options(segment_bytes) };
                    wal = Wal::open(double.dir(), options).unwrap();
                    continue;
                }
            };
            let samples: Vec<_> = batch.iter().copied().map(pending).collect();
            match kind {
                0 => wal.put(&samples, &mut labels).unwrap(),
                _ => wal.put_out_of_order(&samples, &mut labels).unwrap(),
            }
            let end = wal.write().unwrap();
            let mut both = [Vec::new(), Vec::new()];
            both[kind].clone_from(batch);
            wrote.push((end.segment, both));
        }
        for from in 0..=wal.position().segment {
            let start = Position { segment: from, offset: 0 };
            let (heard, found) = read_from(&double, Some(start));
            let expect = |kind: usize| -> Vec<Told> {
                let of = wrote.iter().filter(|(segment, _)| *segment >= from);
                of.flat_map(|(_, both)| both[kind].iter().copied()).collect()
            };
            prop_assert_eq!(&heard.samples, &expect(0));
            prop_assert_eq!(&heard.out_of_order, &expect(1));
            let skipped = found.skipped_bytes + found.skipped_records;
            prop_assert_eq!((skipped, found.torn_bytes), (0, 0));
        }
    }
}

#[test]
fn full_values_come_again_within_a_segment() {
    let double = Double::new();
    let mut wal = open(&double, 1 << 20);
    let mut expect = Vec::new();
    for round in 0..1000 {
        for target in 0..3 {
            let samples = scrape(target, round);
            log(&mut wal, &samples).unwrap();
            expect.extend(samples);
        }
    }
    let (heard, _) = read(&double);
    assert_eq!(heard.samples, expect);
    assert_eq!(wal.position().segment, 1);
}

#[test]
fn a_batch_may_be_larger_than_a_record() {
    let double = Double::new();
    let mut wal = open(&double, 1 << 20);
    let many: Vec<Told> = (0..250_000).map(|n| (n % 10, n as i64, n << 40)).collect();
    log(&mut wal, &many).unwrap();
    let (heard, found) = read(&double);
    assert!(heard.samples == many);
    assert_eq!((found.samples, found.records), (250_000, 4));
    assert!(wal.heap_bytes() < 100_000, "{}", wal.heap_bytes());
}

#[test]
fn series_without_labels_are_left_out() {
    let double = Double::new();
    let mut wal = open(&double, 1 << 20);
    let samples: Vec<_> = scrape(0, 0).into_iter().map(pending).collect();
    let mut some = |series: SeriesRef| (series.0 % 3 != 1).then(|| labels(series)).flatten();
    wal.put(&samples, &mut some).unwrap();
    wal.write().unwrap();
    let (heard, _) = read(&double);
    let expect: Vec<_> = scrape(0, 0).into_iter().filter(|s| s.0 % 3 != 1).collect();
    assert_eq!(heard.samples, expect);
}

#[test]
fn exemplars() {
    let exemplar = |pairs: &[(&str, &str)], v: f64, t, timed| Exemplar {
        labels: Labels::from_pairs(pairs.iter().copied()),
        v,
        t,
        timed,
    };
    let all = [
        (3, exemplar(&[("trace_id", "abc")], 0.1, 5, true)),
        (
            1,
            exemplar(&[("trace_id", "abd"), ("z", "é")], -0.0, 4, false),
        ),
        (3, exemplar(&[], f64::INFINITY, i64::MIN, true)),
        (3, exemplar(&[("a", "1")], f64::MAX, i64::MAX, true)),
    ];
    let named = |(series, exemplar): &(u64, Exemplar)| Named {
        series: SeriesRef(*series),
        labels: labels(SeriesRef(*series)).unwrap(),
        exemplar: exemplar.clone(),
    };
    let double = Double::new();
    let mut wal = open(&double, 1 << 20);
    let mut expect = Vec::new();
    for n in 0..3_000 {
        log(&mut wal, &scrape(0, n)).unwrap();
        // NOTE: a batch of several records too, and a segment that begins with exemplars.
        let times = if n == 7 { 1_000 } else { 1 };
        let some: Vec<_> = std::iter::repeat_n(&all, times).flatten().collect();
        let named: Vec<_> = some.iter().map(|e| named(e)).collect();
        wal.put_exemplars(&named).unwrap();
        wal.write().unwrap();
        expect.extend(some.into_iter().cloned());
        if n % 700 == 0 {
            wal.cut();
            wal.put_exemplars(&named).unwrap();
            wal.write().unwrap();
            expect.extend(all.iter().cloned());
        }
    }
    wal.put_exemplars(&[]).unwrap();
    wal.write().unwrap();
    let (heard, found) = read(&double);
    assert_eq!((found.skipped_records, found.skipped_bytes), (0, 0));
    assert_eq!(heard.samples.len(), 3_000 * 8);
    assert_eq!(heard.exemplars, expect);
}
