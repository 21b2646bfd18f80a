//! Tests that every value comes back unchanged, and that nothing makes the decoder panic.

use proptest::prelude::*;

use super::decode::{decode, decode_times};
use super::open::{Open, SAMPLES_MAX};
use super::{Corrupt, Gather, Pool};
use crate::model::{STALE_NAN_BITS, Sample};
use crate::storage::Times;

/// Encodes all samples in as many chunks as needed. The last is the copy of an open one.
fn encode(samples: &[(i64, u64)]) -> Vec<Vec<u8>> {
    let (mut chunks, mut closed) = (Vec::new(), Vec::new());
    let (mut open, mut pool) = (Open::default(), Pool::default());
    for (t, bits) in samples {
        if !open.append(&mut pool, *t, f64::from_bits(*bits)) {
            let (mut before, mut bytes) = (Vec::new(), Vec::new());
            open.copy_to(&pool, &mut before);
            let chunk = open.close(&mut pool);
            chunk.copy_to(&pool, &mut bytes);
            assert_eq!(bytes, before, "closing changes nothing");
            closed.push(chunk);
            chunks.push(bytes);
            assert!(open.append(&mut pool, *t, f64::from_bits(*bits)));
        }
        assert_eq!(
            (open.last_t(), open.last_v().to_bits()),
            (*t, *bits),
            "remembers the last"
        );
    }
    let mut bytes = Vec::new();
    open.copy_to(&pool, &mut bytes);
    if !open.is_empty() {
        assert_eq!(first_t(&bytes), open.first_t(&pool));
        chunks.push(bytes);
    }
    let mut gather = Gather::default();
    for chunk in &closed {
        chunk.add_to(&mut gather);
    }
    if !open.is_empty() {
        open.add_to(&mut gather);
    }
    gather.fetch(&pool);
    assert!(
        gather.chunks(0..gather.len()).eq(chunks.iter()),
        "copied together"
    );
    assert!(
        gather
            .chunks(chunks.len() / 2..chunks.len())
            .eq(&chunks[chunks.len() / 2..])
    );
    for chunk in closed {
        chunk.release(&mut pool);
    }
    chunks
}

fn first_t(bytes: &[u8]) -> i64 {
    i64::from_be_bytes(*bytes[2..].first_chunk().unwrap())
}

fn decoded(bytes: &[u8]) -> Result<Vec<(i64, u64)>, Corrupt> {
    let mut out: Vec<Sample> = Vec::new();
    decode(bytes, i64::MIN, i64::MAX, &mut out)?;
    assert_eq!(out.len(), usize::from(bytes[1]));
    check_range(bytes, i64::MIN, i64::MAX);
    // The range begins and ends at, before and after samples.
    for i in [0, out.len() / 3, out.len() / 2, out.len() - 1] {
        for near in -1..=1 {
            let t = out[i].t.saturating_add(near);
            check_range(bytes, i64::MIN, t);
            check_range(bytes, t, i64::MAX);
            check_range(bytes, t, t);
            check_range(bytes, t, out[out.len() / 2].t);
        }
    }
    Ok(out.iter().map(|s| (s.t, s.v.to_bits())).collect())
}

/// Checks that the samples in the range are appended, with values and without.
fn check_range(bytes: &[u8], start: i64, end: i64) {
    let mut all: Vec<Sample> = Vec::new();
    decode(bytes, i64::MIN, i64::MAX, &mut all).unwrap();
    let within = all.iter().filter(|s| start <= s.t && s.t <= end);
    let marker = |t| Sample {
        t,
        v: f64::from_bits(STALE_NAN_BITS),
    };
    let expected: Vec<_> = std::iter::once(marker(7)).chain(within.copied()).collect();
    let mut found = vec![marker(7)];
    decode(bytes, start, end, &mut found).unwrap();
    assert_eq!(bits(&found), bits(&expected), "{start} to {end}");
    let (mut times, mut expected_times) = (Times::default(), Times::default());
    times.extend(&[marker(7)]);
    expected_times.extend(&expected);
    decode_times(bytes, start, end, &mut times).unwrap();
    assert_eq!(times, expected_times, "{start} to {end}");
}

fn bits(samples: &[Sample]) -> Vec<(i64, u64)> {
    samples.iter().map(|s| (s.t, s.v.to_bits())).collect()
}

fn check_round_trip(samples: &[(i64, u64)]) {
    let chunks = encode(samples);
    let back: Vec<_> = chunks.iter().flat_map(|c| decoded(c).unwrap()).collect();
    assert_eq!(back, samples);
    for chunk in &chunks {
        assert!(chunk[1] <= SAMPLES_MAX);
        assert_eq!(first_t(chunk), decoded(chunk).unwrap()[0].0);
    }
}

/// Checks the bytes per sample of values every 15 s.
fn check_size(values: impl IntoIterator<Item = f64>, bytes_max: f64) {
    let samples: Vec<_> = values
        .into_iter()
        .enumerate()
        .map(|(i, v)| (1_700_000_000_000 + i as i64 * 15_000, v.to_bits()))
        .collect();
    check_round_trip(&samples);
    let bytes: usize = encode(&samples).iter().map(Vec::len).sum();
    let each = bytes as f64 / samples.len() as f64;
    assert!(each <= bytes_max, "{each} bytes a sample");
}

#[test]
fn sizes() {
    check_size((0..240).map(|_| 7.0), 0.4);
    check_size((0..240).map(|_| 7.5), 0.5);
    check_size((0..240).map(|_| f64::NAN), 0.5);
    check_size((0..240).map(|i| f64::from(i * 1000)), 0.4);
    check_size((0..240).map(|i| f64::from(i * 50 + i * i % 50)), 1.4);
    // An integer that goes and comes: once raw, then once more from zero.
    check_size(
        (0..240).map(|i| if i == 100 { f64::INFINITY } else { 3.0 }),
        0.5,
    );
    // Decimals, and sums of decimals with other numbers.
    check_size((0..240).map(|i| f64::from(i * i % 997) / 100.0), 1.9);
    check_size(
        (0..240).map(|i| 100.0 / 7.0 + f64::from(i * i % 997) / 1000.0),
        2.0,
    );
    check_size((0..240).map(|i| f64::from(i) * 0.123 + 5e4), 0.9);
    check_size((0..240).map(|i| if i < 100 { 3.0 } else { f64::NAN }), 0.45);
}

#[test]
fn special_values_in_all_orders() {
    let special = [
        0.0f64.to_bits(),
        (-0.0f64).to_bits(),
        1.0f64.to_bits(),
        (-3.5f64).to_bits(),
        STALE_NAN_BITS,
        0x7ff8_0000_0000_0001,
        0xffff_ffff_ffff_ffff,
        f64::INFINITY.to_bits(),
        f64::NEG_INFINITY.to_bits(),
        (2f64.powi(53)).to_bits(),
        (-(2f64.powi(53))).to_bits(),
        (2f64.powi(53) + 2.0).to_bits(),
        f64::MAX.to_bits(),
        f64::MIN_POSITIVE.to_bits(),
        1,
    ];
    for a in special {
        for b in special {
            for c in special {
                check_round_trip(&[(-1, a), (0, b), (1, c), (5, c), (6, a), (7, b)]);
            }
        }
    }
}

#[test]
fn times_that_have_no_place_are_refused() {
    let hour = 3_600_000;
    let (mut open, mut pool) = (Open::default(), Pool::default());
    assert!(open.append(&mut pool, 5, 1.0));
    for t in [5, 4, i64::MIN, 2 * hour, i64::MAX] {
        assert!(!open.append(&mut pool, t, 1.0), "{t}");
    }
    assert!(open.append(&mut pool, 2 * hour - 1, 1.0));
    check_round_trip(&[(i64::MIN, 1), (i64::MIN + 1, 2), (0, 3), (i64::MAX, 4)]);
}

#[test]
fn damage_is_told() {
    let whole = encode(&[(1, 2.5f64.to_bits()), (2, 3.5f64.to_bits())]).remove(0);
    for cut in 0..whole.len() {
        assert!(decoded(&whole[..cut]).is_err(), "{cut}");
    }
}

/// Values of every kind: small integers, any integer, neighbours in bits, any bits.
fn any_value() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (-100i64..100).prop_map(|i| (i as f64).to_bits()),
        2 => any::<i32>().prop_map(|i| f64::from(i).to_bits()),
        2 => any::<i64>().prop_map(|i| (i as f64).to_bits()),
        1 => (-1000i32..1000).prop_map(|i| (f64::from(i) / 8.0).to_bits()),
        4 => (-1000i32..1000).prop_map(|i| (f64::from(i) / 100.0).to_bits()),
        1 => (-1000i32..1000).prop_map(|i| (f64::from(i) / 1e5 + 1.0 / 7.0).to_bits()),
        1 => Just(STALE_NAN_BITS),
        1 => any::<u64>(),
    ]
}

fn any_step() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => Just(15_000i64),
        3 => 14_900i64..15_100,
        2 => 1i64..10_000_000,
        1 => 1i64..i64::MAX,
    ]
}

proptest! {
    #[test]
    fn decimals_come_back(
        digits in 1i32..12,
        base in prop_oneof![Just(0.0), any::<f64>()],
        steps in prop::collection::vec((-1000i32..1000, 0u8..50), 1..300),
    ) {
        let unit = 10f64.powi(digits);
        let values = steps.iter().map(|(n, odd)| match odd {
            0 => STALE_NAN_BITS,
            1 => (base * 1.1 + f64::from(*n)).to_bits(),
            _ => (base + f64::from(*n) / unit).to_bits(),
        });
        check_round_trip(&(0..).map(|i| i * 1000).zip(values).collect::<Vec<_>>());
    }

    #[test]
    fn all_samples_come_back(
        start in prop_oneof![any::<i64>(), -100_000i64..100_000],
        steps in prop::collection::vec((any_step(), any_value()), 1..600),
    ) {
        let mut t = start;
        let mut samples = Vec::new();
        for (step, v) in steps {
            samples.push((t, v));
            let Some(next) = t.checked_add(step) else { break };
            t = next;
        }
        check_round_trip(&samples);
    }

    #[test]
    fn repeating_at_once_writes_what_repeating_writes(
        values in prop::collection::vec(any_value(), 1..100),
        again in 0usize..4,
        delta in prop_oneof![Just(1_000u32), 1..3u32],
        n in 0u8..40,
    ) {
        let (mut once, mut each, mut pool) = (Open::default(), Open::default(), Pool::default());
        let last = values[values.len() - 1];
        let values = values.iter().copied().chain(std::iter::repeat_n(last, again));
        let mut times = (0..).map(|i| i * 1000);
        for (v, t) in values.zip(&mut times) {
            prop_assert!(once.append(&mut pool, t, f64::from_bits(v)));
            prop_assert!(each.append(&mut pool, t, f64::from_bits(v)));
        }
        if once.append_same(0, delta, n) {
            for _ in 0..n {
                let t = each.last_t() + i64::from(delta);
                prop_assert!(each.append(&mut pool, t, f64::from_bits(last)));
            }
        }
        let (mut a, mut b) = (Vec::new(), Vec::new());
        once.copy_to(&pool, &mut a);
        each.copy_to(&pool, &mut b);
        prop_assert_eq!(a, b);
        prop_assert_eq!(once.last_t(), each.last_t());
    }

    #[test]
    fn values_at_once_are_as_one_by_one(
        before in prop::collection::vec(any_value(), 1..100),
        values in prop::collection::vec(any_value(), 0..40),
        delta in prop_oneof![Just(1_000u32), 1..3u32],
    ) {
        let (mut once, mut each, mut pool) = (Open::default(), Open::default(), Pool::default());
        for (v, t) in before.iter().zip((0..).map(|i| i * 1000)) {
            once.append(&mut pool, t, f64::from_bits(*v));
            each.append(&mut pool, t, f64::from_bits(*v));
        }
        let values: Vec<_> = values.into_iter().map(f64::from_bits).collect();
        if once.append_steadily(&mut pool, 0, delta, &values) {
            for v in values {
                let t = each.last_t() + i64::from(delta);
                prop_assert!(each.append(&mut pool, t, v));
            }
        }
        let (mut a, mut b) = (Vec::new(), Vec::new());
        once.copy_to(&pool, &mut a);
        each.copy_to(&pool, &mut b);
        prop_assert_eq!(a, b);
        let newest = |open: &Open| (open.last_t(), open.last_v().to_bits());
        prop_assert_eq!(newest(&once), newest(&each));
    }

    #[test]
    fn no_bytes_make_it_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..400),
        mode in 0u8..4,
    ) {
        if let Some(first) = bytes.first_mut() {
            *first = mode;
        }
        let (mut out, mut times) = (Vec::new(), Times::default());
        let result = decode(&bytes, i64::MIN, i64::MAX, &mut out);
        prop_assert!(out.is_sorted_by(|a, b| a.t < b.t));
        prop_assert_eq!(decode_times(&bytes, i64::MIN, i64::MAX, &mut times), result);
        let mut expected = Times::default();
        expected.extend(&out);
        prop_assert_eq!(times, expected);
    }

    #[test]
    fn flipped_bits_make_no_panic(
        values in prop::collection::vec(any_value(), 1..100),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let samples: Vec<_> = values.iter().enumerate().map(|(i, v)| (i as i64, *v)).collect();
        let mut bytes = encode(&samples).remove(0);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = decode(&bytes, i64::MIN, i64::MAX, &mut Vec::new());
    }
}
