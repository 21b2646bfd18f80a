//! Tests that each series gets the same from a reading thread as from reading in order.

use proptest::prelude::*;

use super::round_trip::{Step, step};
use super::*;

/// One value of a series: the kind of entry, its time and bits.
type Said = (u64, u8, TimestampMs, u64);

#[derive(Default)]
struct Ear {
    ids: HashMap<u32, u64>,
    said: Vec<Said>,
    rows_max: usize,
}

impl Ear {
    fn hear(&mut self, entry: &Entry<'_>) {
        match entry {
            Entry::Series { id, labels } => {
                let series = labels.to_labels().get("a_number").unwrap().parse().unwrap();
                self.ids.insert(*id, series);
            }
            Entry::Scrapes { ids, times, values } => {
                let ids: Vec<u32> = ids.iter().cloned().flatten().collect();
                self.rows_max = self.rows_max.max(times.len());
                assert_eq!(ids.len() * times.len(), values.len());
                for (id, column) in ids.iter().zip(values.chunks_exact(times.len())) {
                    for (t, v) in times.iter().zip(column) {
                        self.said.push((self.ids[id], 0, *t, v.to_bits()));
                    }
                }
            }
            Entry::Samples(samples) => self.samples(samples, 0),
            Entry::OutOfOrder(samples) => self.samples(samples, 1),
            _ => {}
        }
    }

    fn samples(&mut self, samples: &[Logged], kind: u8) {
        let ids = &self.ids;
        let said = |s: &Logged| (ids[&s.id], kind, s.t, s.v.to_bits());
        self.said.extend(samples.iter().map(said));
    }
}

/// Reads in both ways, by series. Also returns the most batches that came at once.
fn both(double: &Double) -> (Vec<Said>, Vec<Said>, usize) {
    let (mut in_order, mut ahead) = (Ear::default(), Ear::default());
    let one = replay(&double.dir(), None, &mut |entry| in_order.hear(&entry)).unwrap();
    let other = replay_ahead(&double.dir(), None, &mut |entry| ahead.hear(&entry)).unwrap();
    assert_eq!(one, other);
    in_order.said.sort_by_key(|said| said.0);
    ahead.said.sort_by_key(|said| said.0);
    (in_order.said, ahead.said, ahead.rows_max)
}

proptest! {
    #[test]
    fn any_log(steps in proptest::collection::vec(step(), 0..60), segment_bytes in 100..3000u32) {
        let double = Double::new();
        let mut wal = open(&double, segment_bytes);
        for step in &steps {
            let pending = |batch: &Vec<Told>| -> Vec<_> {
                batch.iter().copied().map(pending).collect()
            };
            match step {
                Step::Batch(batch) => wal.put(&pending(batch), &mut labels).unwrap(),
                Step::OutOfOrder(batch) => {
                    wal.put_out_of_order(&pending(batch), &mut labels).unwrap();
                }
                Step::Cut | Step::Again => {
                    wal.cut();
                }
            }
            wal.write().unwrap();
        }
        let (in_order, ahead, _) = both(&double);
        prop_assert_eq!(in_order, ahead);
    }
}

#[test]
fn scrapes_of_the_same_series_come_together() {
    let check = |shapes: &[std::ops::Range<u64>], expect: usize| {
        let double = Double::new();
        let mut wal = open(&double, 1 << 20);
        for round in 0..10 {
            for shape in shapes {
                let all = shape.clone().map(|series| (series, round, series + 7));
                log(&mut wal, &all.collect::<Vec<_>>()).unwrap();
            }
        }
        let (in_order, ahead, rows_max) = both(&double);
        assert_eq!(in_order, ahead);
        assert_eq!(rows_max, expect, "{shapes:?}");
    };
    check(std::slice::from_ref(&(0..100)), 10);
    check(&[0..100, 200..250, 100..200], 10);
    check(&[0..100, 50..150], 1);
    check(&[0..100, 50..51], 1);
    check(&[0..100, 200..300, 0..100], 16);
}
