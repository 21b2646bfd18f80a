//! Tests of blocks from the outside: round trips, selections, damage, power cuts.

mod damage;
mod elsewhere;

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{Labels, MatchOp, Matcher, STALE_NAN_BITS, Sample};
use crate::tsdb::dir::{Dir, Disk};

type Data = Vec<(Labels, Vec<Sample>)>;

fn disk() -> (tempfile::TempDir, Arc<dyn Dir>) {
    let root = tempfile::tempdir().unwrap();
    let dir: Arc<dyn Dir> = Arc::new(Disk::open(root.path()).unwrap());
    (root, dir)
}

fn small() -> Options {
    Options {
        int_column: 50,
        float_column: 20,
        page_bytes: 256,
        copies_percent: 100,
        copies_bytes: 0,
    }
}

fn write(dir: &Arc<dyn Dir>, id: u64, data: &Data) -> Option<BlockMeta> {
    write_as(dir, id, data, &small())
}

fn write_as(dir: &Arc<dyn Dir>, id: u64, data: &Data, options: &Options) -> Option<BlockMeta> {
    let mut writer = BlockWriter::create(dir.clone(), BlockId(id), options).unwrap();
    for (labels, samples) in data {
        writer.add(labels, samples).unwrap();
    }
    writer.finish(0, &[], None).unwrap()
}

fn open(dir: &Arc<dyn Dir>, id: u64) -> Arc<Block> {
    Block::open(dir, BlockId(id), &Arc::new(PageCache::new(1 << 20))).unwrap()
}

fn read(block: &Arc<Block>, matchers: &[Matcher], start: i64, end: i64) -> Data {
    let mut set = block.select(matchers, start, end).unwrap();
    let mut data = Data::new();
    while let Some(series) = set.next_series() {
        let series = series.unwrap();
        let mut samples = Vec::new();
        series.read_samples(start, end, &mut samples).unwrap();
        data.push((crate::storage::Series::labels(&series), samples));
    }
    data
}

fn bits(data: &Data) -> Vec<(Labels, Vec<(i64, u64)>)> {
    let bits = |samples: &Vec<Sample>| samples.iter().map(|s| (s.t, s.v.to_bits())).collect();
    data.iter().map(|(l, s)| (l.clone(), bits(s))).collect()
}

fn labels(i: usize) -> Labels {
    Labels::from_pairs([
        ("__name__", format!("m{}", i % 7)),
        ("host", format!("h{}", i / 7)),
        ("odd", if i % 2 == 1 { "yes" } else { "" }.to_owned()),
    ])
}

fn sample_data(series: usize, samples: i64) -> Data {
    let value = |i: usize, n: i64| match i % 5 {
        0 => 7.0,
        1 => (n * 3 + n % 4) as f64,
        2 => (n * 7919 % 1000) as f64 / 7.0,
        3 if n % 10 == 9 => f64::from_bits(STALE_NAN_BITS),
        _ => (n * i as i64) as f64 * 0.1,
    };
    // Some hosts are regular, others are not.
    let time = |i: usize, n: i64| {
        n * 15_000
            + if (i / 7).is_multiple_of(2) {
                0
            } else {
                n * n % 5
            }
    };
    let mut data: Data = (0..series)
        .map(|i| {
            let sample = |n| Sample {
                t: time(i, n),
                v: value(i, n),
            };
            (labels(i), (0..samples).map(sample).collect())
        })
        .collect();
    data.sort_by(|a, b| a.0.cmp(&b.0));
    data
}

#[test]
fn labels_of_many_pairs() {
    let (_root, dir) = disk();
    // More shared pairs than are remembered, and one that each series has alone.
    let labels = |i: usize| {
        Labels::from_pairs([
            ("a", format!("some {}", i / 5)),
            (
                "b",
                if i.is_multiple_of(3) {
                    String::new()
                } else {
                    (i * 7 % 1_300).to_string()
                },
            ),
            ("c", format!("{i} alone")),
            ("d", (i % 4).to_string()),
        ])
    };
    let mut data: Data = (0..6_500)
        .map(|i| (labels(i), vec![Sample { t: 1, v: 1.0 }]))
        .collect();
    data.sort_by(|a, b| a.0.cmp(&b.0));
    write_as(&dir, 1, &data, &Options::default()).unwrap();
    let block = open(&dir, 1);
    let check = |matcher: &[Matcher], keeps: &dyn Fn(&Labels) -> bool| {
        let expect: Data = { data.iter() }.filter(|(l, _)| keeps(l)).cloned().collect();
        assert!(read(&block, matcher, 0, 9) == expect, "{matcher:?}");
        let mut set = block.select(matcher, 0, 9).unwrap();
        for left in (0..expect.len()).rev() {
            crate::storage::SeriesSet::next(&mut set).unwrap().unwrap();
            assert_eq!(crate::storage::SeriesSet::left(&set), Some(left));
        }
    };
    check(&[], &|_| true);
    check(&[Matcher::equal("d", "3")], &|l| l.get("d") == Some("3"));
    check(&[Matcher::equal("b", "")], &|l| l.get("b").is_none());
    check(&[Matcher::equal("c", "63 alone")], &|l| {
        l.get("c") == Some("63 alone")
    });
}

#[test]
fn what_is_written_is_read() {
    let (_root, dir) = disk();
    let data = sample_data(300, 100);
    let meta = write(&dir, 1, &data).unwrap();
    let block = open(&dir, 1);
    assert_eq!(block.meta(), meta);
    assert_eq!((meta.series, meta.samples), (300, 30_000));
    assert_eq!(bits(&read(&block, &[], i64::MIN, i64::MAX)), bits(&data));
    let part: Data = { data.iter() }
        .map(|(l, s)| {
            let within = |s: &&Sample| (150_001..=600_000).contains(&s.t);
            (l.clone(), s.iter().filter(within).copied().collect())
        })
        .collect();
    assert_eq!(bits(&read(&block, &[], 150_001, 600_000)), bits(&part));
    assert!(read(&block, &[], 2_000_000, 3_000_000).is_empty());
    assert!(write(&dir, 2, &Data::new()).is_none());
    assert!(write(&dir, 3, &vec![(labels(1), Vec::new())]).is_none());
    assert_eq!(dir.list("blocks").unwrap().len(), 1);
}

#[test]
fn selections() {
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    let (_root, dir) = disk();
    let data = sample_data(400, 3);
    write(&dir, 1, &data);
    let block = open(&dir, 1);
    let check = |matchers: &[(MatchOp, &str, &str)]| {
        let matcher =
            |(op, name, value): &(MatchOp, &str, &str)| Matcher::new(*op, *name, *value).unwrap();
        let matchers: Vec<Matcher> = matchers.iter().map(matcher).collect();
        let matches =
            |l: &Labels| { matchers.iter() }.all(|m| m.matches(l.get(&m.name).unwrap_or("")));
        let expect: Data = { data.iter() }
            .filter(|(l, _)| matches(l))
            .cloned()
            .collect();
        let found = read(&block, &matchers, i64::MIN, i64::MAX);
        assert_eq!(bits(&found), bits(&expect), "{matchers:?}");
        for name in ["__name__", "host", "odd", "none"] {
            let mut values: Vec<&str> = expect.iter().filter_map(|(l, _)| l.get(name)).collect();
            values.sort_unstable();
            values.dedup();
            assert_eq!(
                block.label_values(name, &matchers).unwrap(),
                values,
                "{matchers:?}"
            );
        }
        let mut names: Vec<&str> = expect
            .iter()
            .flat_map(|(l, _)| l.iter().map(|(n, _)| n))
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(block.label_names(&matchers).unwrap(), names, "{matchers:?}");
    };
    check(&[]);
    check(&[(Equal, "__name__", "m3")]);
    check(&[(Equal, "__name__", "m9")]);
    check(&[(Equal, "__name__", "m3"), (Equal, "host", "h11")]);
    check(&[(Equal, "odd", "")]);
    check(&[(NotEqual, "odd", "")]);
    check(&[(NotEqual, "odd", "yes")]);
    check(&[(NotEqual, "host", "h7"), (Equal, "odd", "yes")]);
    check(&[(Equal, "none", "")]);
    check(&[(NotEqual, "none", "")]);
    check(&[(Regex, "host", "h1|h22|h333")]);
    check(&[(NotRegex, "host", "h1|h22|h333")]);
    check(&[(Regex, "host", "h1.+")]);
    check(&[(NotRegex, "host", "h1.+")]);
    check(&[(Regex, "host", ".*2")]);
    check(&[(Regex, "odd", "yes|")]);
    check(&[(NotRegex, "odd", "yes|")]);
    check(&[
        (Regex, "host", ".+"),
        (Regex, "__name__", "m[2-4]"),
        (NotEqual, "odd", "yes"),
    ]);
}

#[test]
fn order_is_demanded() {
    let (_root, dir) = disk();
    let mut writer = BlockWriter::create(dir.clone(), BlockId(1), &small()).unwrap();
    let at = |t| Sample { t, v: 0.0 };
    writer.add(&labels(2), &[at(1), at(2)]).unwrap();
    assert!(writer.add(&labels(1), &[at(1)]).is_err());
    assert!(writer.add(&labels(2), &[at(3)]).is_err());
    assert!(writer.add(&labels(3), &[at(3), at(3)]).is_err());
    drop(writer);
    assert!(dir.list("blocks").unwrap().is_empty());
}

#[test]
fn deletions() {
    let (_root, dir) = disk();
    let data = sample_data(20, 40);
    write(&dir, 1, &data);
    let block = open(&dir, 1);
    let m1 = [Matcher::equal("__name__", "m1")];
    assert_eq!(block.delete(&m1, 30_000, 100_000).unwrap(), 3);
    assert_eq!(block.delete(&m1, 90_000, 200_000).unwrap(), 3);
    assert_eq!(
        block
            .delete(&[Matcher::equal("__name__", "m9")], 0, 1_000)
            .unwrap(),
        0
    );
    assert_eq!(block.delete(&m1, i64::MIN, -1).unwrap(), 0);
    let mut expect = data.clone();
    for (labels, samples) in &mut expect {
        if labels.get("__name__") == Some("m1") {
            samples.retain(|s| !(30_000..=200_000).contains(&s.t));
        }
    }
    for block in [block, open(&dir, 1)] {
        assert_eq!(bits(&read(&block, &[], i64::MIN, i64::MAX)), bits(&expect));
        assert_eq!(block.meta().tombstones, 3);
    }
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<u64>().prop_map(f64::from_bits),
        4 => (-1000i64..1000).prop_map(|v| v as f64),
        2 => (-10_000i64..10_000).prop_map(|v| v as f64 / 100.0),
        1 => Just(f64::from_bits(STALE_NAN_BITS)),
        1 => Just(-0.0),
        1 => prop_oneof![Just(f64::INFINITY), Just(f64::MAX), Just(9_007_199_254_740_992.0)],
    ]
}

fn any_values() -> impl Strategy<Value = Vec<f64>> {
    prop_oneof![
        prop::collection::vec(any_value(), 1..200),
        prop::collection::vec((-1000i64..1000).prop_map(|v| v as f64), 1..200),
        prop::collection::vec((-1000i64..1000).prop_map(|v| v as f64 * 0.1), 1..200),
        (any_value(), 1..100usize).prop_map(|(v, n)| vec![v; n]),
        // Numbers, with stale markers here and there.
        prop::collection::vec(
            prop_oneof![
                9 => (0i64..100).prop_map(|v| v as f64),
                1 => Just(f64::from_bits(STALE_NAN_BITS)),
            ],
            1..200
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_bit_comes_back(
        columns in prop::collection::vec(any_values(), 1..6),
        steps in prop::collection::vec(1i64..100_000, 200),
        regular in any::<bool>(),
        first in prop_oneof![Just(-5_000i64), Just(1_700_000_000_000), Just(i64::MIN / 4)],
    ) {
        let (_root, dir) = disk();
        let data: Data = { columns.iter().enumerate() }
            .map(|(i, values)| {
                let mut t = first;
                let mut samples = Vec::new();
                for (v, step) in values.iter().zip(&steps) {
                    samples.push(Sample { t, v: *v });
                    t += if regular { 15_000 } else { *step };
                }
                (Labels::from_pairs([("i", i.to_string())]), samples)
            })
            .collect();
        write(&dir, 1, &data);
        let found = read(&open(&dir, 1), &[], i64::MIN, i64::MAX);
        prop_assert_eq!(bits(&found), bits(&data));
    }
}
