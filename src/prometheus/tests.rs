//! Tests of round trips, and of blocks with changed bytes.

use proptest::prelude::*;

use super::block::SeriesReader;
use super::*;
use crate::model::{Labels, STALE_NAN_BITS, Sample};

type Data = Vec<(Labels, Vec<Sample>)>;

fn sample(t: i64, v: f64) -> Sample {
    Sample { t, v }
}

fn write(dir: &std::path::Path, data: &Data) -> BlockStats {
    let mut writer = PromBlockWriter::create(dir, Ulid::of(1, "test")).unwrap();
    for (labels, samples) in data {
        writer.add(labels, samples).unwrap();
    }
    writer.finish().unwrap().unwrap()
}

fn collect(reader: &mut SeriesReader<'_>) -> Data {
    let mut data = Data::new();
    while let Some((labels, samples)) = reader.next().unwrap() {
        data.push((labels, samples.to_vec()));
    }
    data
}

fn bits(data: &Data) -> Vec<(String, Vec<(i64, u64)>)> {
    let each = data.iter().map(|(labels, samples)| {
        let samples = samples.iter().map(|s| (s.t, s.v.to_bits())).collect();
        (labels.to_string(), samples)
    });
    each.collect()
}

fn some_data() -> Data {
    let mut data: Data = (0..40)
        .map(|i| {
            let i_text = i.to_string();
            let labels = Labels::from_pairs([("__name__", "m"), ("i", &i_text)]);
            let value = |k: i64| match i % 4 {
                0 => (k * 3) as f64,
                1 => 42.0,
                2 => f64::from_bits(0x1234_5678_9abc_def0_u64.rotate_left(k as u32)),
                _ => f64::from_bits(STALE_NAN_BITS),
            };
            let jitter = |k: i64| (k * k * 31) % 7;
            let samples = (0..300).map(|k| sample(1_000 + k * 15_000 + jitter(k), value(k)));
            (labels, samples.collect())
        })
        .collect();
    data.sort_by(|a, b| a.0.cmp(&b.0));
    data
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let data = some_data();
    let stats = write(dir.path(), &data);
    assert_eq!(
        (stats.series, stats.samples, stats.chunks),
        (40, 12_000, 120)
    );
    let path = dir.path().join(stats.ulid.to_string());
    let block = PromBlock::open(&path).unwrap();
    assert_eq!(block.meta.stats.num_samples, 12_000);
    assert_eq!(block.bytes, stats.bytes);
    let mut reader = block.series().unwrap();
    assert_eq!(bits(&collect(&mut reader)), bits(&data));
    assert_eq!(reader.damages.count, 0, "{:?}", reader.damages);
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing but the block is left");
}

#[test]
fn what_is_not_finished_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = PromBlockWriter::create(dir.path(), Ulid(7)).unwrap();
    let labels = |v| Labels::from_pairs([("a", v)]);
    writer.add(&labels("2"), &[sample(1, 1.0)]).unwrap();
    assert!(writer.add(&labels("1"), &[sample(1, 1.0)]).is_err());
    assert!(
        writer
            .add(&labels("3"), &[sample(1, 1.0), sample(1, 2.0)])
            .is_err()
    );
    drop(writer);
    let empty = PromBlockWriter::create(dir.path(), Ulid(8)).unwrap();
    assert_eq!(empty.finish().unwrap(), None);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_samples_come_back(
        raw in prop::collection::vec((1..u64::MAX / 400, any::<u64>(), any::<bool>()), 1..300),
        start in i64::MIN..0,
        small in any::<bool>(),
    ) {
        let (mut t, mut v) = (start, 0);
        let mut samples = Vec::new();
        for (step, value, same) in raw {
            t += if small { (step % 600_000) as i64 + 1 } else { step as i64 };
            v = if same { v } else { value };
            samples.push(sample(t, f64::from_bits(v)));
        }
        let mut data = Vec::new();
        super::xor::encode(&samples, &mut data);
        let mut back = Vec::new();
        prop_assert!(super::xor::decode(super::xor::XOR, &data, &mut back).is_some());
        let equal = |(a, b): (&Sample, &Sample)| a.t == b.t && a.v.to_bits() == b.v.to_bits();
        let same = samples.iter().zip(&back).all(equal);
        prop_assert!(same && samples.len() == back.len());
    }

    #[test]
    fn no_bytes_make_a_chunk_panic(
        encoding in 0..6u8,
        data in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut out = Vec::new();
        let _ = super::xor::decode(encoding, &data, &mut out);
    }

    #[test]
    fn no_change_of_bytes_makes_a_block_panic_or_lie(
        file in 0..4usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let data: Data = some_data().into_iter().take(6).collect();
        let path = dir.path().join(write(dir.path(), &data).ulid.to_string());
        let file = path.join(["index", "chunks/000001", "tombstones", "meta.json"][file]);
        let mut bytes = std::fs::read(&file).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&file, bytes).unwrap();
        if let Ok(block) = PromBlock::open(&path) {
            let mut reader = block.series().unwrap();
            let original = bits(&data);
            for (labels, samples) in bits(&collect(&mut reader)) {
                let found = original.iter().find(|(l, _)| *l == labels);
                let (_, all) = found.expect("a series of ours");
                prop_assert!(samples.iter().all(|s| all.contains(s)));
            }
        }
    }
}

/// Compares what other servers left with what they say about it. For manual work on this room.
#[test]
fn a_directory_of_a_real_prometheus() {
    let (Ok(from), Ok(to)) = (std::env::var("PROM_DATA"), std::env::var("PROM_OUT")) else {
        println!("skipped: PROM_DATA and PROM_OUT are not set");
        return;
    };
    let mut sink = PromSink::new(to.as_ref()).unwrap();
    let (_running, stop) = crate::stdx::stop::stop();
    let imported = import(from.as_ref(), &mut sink, &mut |_| {}, &stop).unwrap();
    println!("{imported:?}");
}

#[test]
fn blocks_of_open_metrics_are_cut_at_two_hours_and_made_once() {
    let text = "# TYPE c counter\nc_total{a=\"2\"} 2 7300\nc_total{a=\"1\"} 1 7100.5\n\
                c_total{a=\"1\"} 3 7200\nc_total{a=\"1\"} 0 1\n# EOF\n";
    let dir = tempfile::tempdir().unwrap();
    let options = CreateOptions {
        block_ms: compatible_range_ms(0),
        labels: vec![("x".to_owned(), "y".to_owned())],
    };
    let (_running, stop) = crate::stdx::stop::stop();
    let run = || {
        let mut made = Vec::new();
        let mut sink = PromSink::new(dir.path()).unwrap();
        let mut open = || Ok(Box::new(text.as_bytes()) as Box<dyn std::io::Read>);
        let mut finished =
            |stats: &BlockStats| made.push((stats.min_t, stats.max_t, stats.samples));
        create_blocks(
            &mut open,
            &mut sink,
            &options,
            &mut finished,
            &mut |_| {},
            &stop,
        )
        .unwrap();
        made
    };
    assert_eq!(run(), [(1_000, 7_100_501, 2), (7_200_000, 7_300_001, 2)]);
    assert_eq!(run(), []);
    let mut directory = PromDirectory::open(dir.path()).unwrap();
    assert_eq!(directory.rows().len(), 2);
    let all = [vec![]];
    let mut stream = directory.stream(i64::MIN, i64::MAX, &all, &stop).unwrap();
    let mut out = Vec::new();
    dump(&mut stream, DumpFormat::OpenMetrics, &mut out).unwrap();
    let expected = "c_total{a=\"1\",x=\"y\"} 0 1.000\nc_total{a=\"1\",x=\"y\"} 1 7100.500\n\
                    c_total{a=\"1\",x=\"y\"} 3 7200.000\nc_total{a=\"2\",x=\"y\"} 2 7300.000\n# EOF\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_long_range_of_times_is_whole_blocks() {
    for (max, range) in [
        (0, 1),
        (7_200_000, 1),
        (21_600_000, 3),
        (64_799_999, 3),
        (64_800_000, 9),
    ] {
        assert_eq!(compatible_range_ms(max), range * 7_200_000, "{max}");
    }
}

#[test]
fn bytes_do_not_change() {
    let dir = tempfile::tempdir().unwrap();
    let labels = Labels::from_pairs([("a", "b")]);
    let stats = write(
        dir.path(),
        &vec![(
            labels,
            vec![sample(1_000, 1.0), sample(2_000, 1.0), sample(3_001, 2.5)],
        )],
    );
    let path = dir.path().join(stats.ulid.to_string());
    let hex = |file: &str| -> String {
        let bytes = std::fs::read(path.join(file)).unwrap();
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    };
    assert_eq!(hex("tombstones"), "0130ba300100000000");
    assert_eq!(
        hex("chunks/000001"),
        "85bd40dd0100000014010003d00f3ff0000000000000e8074000e137ffa0ffb2cc86"
    );
    assert_eq!(
        hex("index"),
        "baaad700020000000900000003000161016242239b90000000000000000000000901010201d00fd10f08f445be1400000000000800000001000000025502add10000000800000001000000025502add10000000e00000002020000300201610162406e9ce2b300000000000000050000000000000016000000000000002e000000000000005000000000000000300000000000000050cdc7450f"
    );
}
