//! Tests the decoder against `prost`: the same result for valid bytes, and no panic for others.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::messages::{Exemplar, Histogram, Label, Metadata, Sample, TimeSeries, WriteRequest};
use crate::remote::labels;
use crate::remote::series::{SeriesMessage, WriteRequest as Reading, next_label};
use crate::remote::wire::{Reader, WireError};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What the decoder finds in a series.
#[derive(Debug, Default, PartialEq)]
struct Found {
    labels: Pairs,
    /// The time, and the value's bits.
    samples: Vec<(i64, u64)>,
    exemplars: Vec<(Pairs, u64, i64)>,
    histograms: usize,
}

fn decode(raw: &[u8]) -> Result<(Vec<Found>, u64), WireError> {
    let mut request = Reading::new(raw);
    let mut found = Vec::new();
    let mut joined = Vec::new();
    while let Some((at, message)) = request.next_series()? {
        assert_eq!(
            raw.get(at as usize..at as usize + message.len()),
            Some(message)
        );
        let series = SeriesMessage::look_through(message)?;
        let mut one = Found {
            histograms: series.histograms as usize,
            ..Found::default()
        };
        let fields = series.labels(&mut joined)?;
        let _ = labels::read(fields)?;
        let mut reader = Reader::new("TimeSeries", fields);
        while let Some((name, value)) = next_label(&mut reader)? {
            one.labels.push((name.to_vec(), value.to_vec()));
        }
        let mut samples = series.samples();
        while let Some(sample) = samples.next()? {
            one.samples.push((sample.t, sample.v.to_bits()));
        }
        assert_eq!(one.samples.len(), series.samples as usize);
        let mut exemplars = series.exemplars();
        while let Some(exemplar) = exemplars.next()? {
            let mut reader = Reader::new("Exemplar", &exemplar.labels);
            let mut pairs = Pairs::new();
            while let Some((name, value)) = next_label(&mut reader)? {
                pairs.push((name.to_vec(), value.to_vec()));
            }
            let bits = exemplar.v.to_bits();
            one.exemplars.push((pairs, bits, exemplar.t));
        }
        assert_eq!(one.exemplars.len(), series.exemplars as usize);
        found.push(one);
    }
    Ok((found, request.metadata))
}

fn expected(request: &WriteRequest) -> Vec<Found> {
    let one = |series: &TimeSeries| Found {
        labels: pairs(&series.labels),
        samples: series
            .samples
            .iter()
            .map(|s| (s.timestamp, s.value.to_bits()))
            .collect(),
        exemplars: { series.exemplars.iter() }
            .map(|e| (pairs(&e.labels), e.value.to_bits(), e.timestamp))
            .collect(),
        histograms: series.histograms.len(),
    };
    request.timeseries.iter().map(one).collect()
}

fn pairs(labels: &[Label]) -> Pairs {
    let pair = |l: &Label| (l.name.clone(), l.value.clone());
    labels.iter().map(pair).collect()
}

fn label() -> impl Strategy<Value = Label> {
    (vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..200))
        .prop_map(|(name, value)| Label { name, value })
}

fn sample() -> impl Strategy<Value = Sample> {
    (any::<u64>(), any::<i64>()).prop_map(|(bits, timestamp)| Sample {
        value: f64::from_bits(bits),
        timestamp,
    })
}

fn time_series() -> impl Strategy<Value = TimeSeries> {
    let exemplar =
        (vec(label(), 0..3), any::<f64>(), any::<i64>()).prop_map(|(l, value, t)| Exemplar {
            labels: l,
            // NOTE: prost leaves out a negative zero.
            value: value + 0.0,
            timestamp: t,
        });
    let histogram =
        (any::<u64>(), any::<f64>(), any::<i64>()).prop_map(|(count, sum, t)| Histogram {
            count,
            sum,
            timestamp: t,
        });
    (
        vec(label(), 0..6),
        vec(sample(), 0..5),
        vec(exemplar, 0..3),
        vec(histogram, 0..2),
    )
        .prop_map(|(labels, samples, exemplars, histograms)| TimeSeries {
            labels,
            samples,
            exemplars,
            histograms,
        })
}

fn request() -> impl Strategy<Value = WriteRequest> {
    let metadata =
        (any::<i32>(), ".{0,9}", ".{0,9}", ".{0,9}").prop_map(|(kind, family, help, unit)| {
            Metadata {
                kind,
                family,
                help,
                unit,
            }
        });
    (vec(time_series(), 0..5), vec(metadata, 0..3)).prop_map(|(timeseries, metadata)| {
        WriteRequest {
            timeseries,
            metadata,
        }
    })
}

proptest! {
    #[test]
    fn reads_what_prost_writes(request in request()) {
        let (found, metadata) = decode(&request.encode_to_vec()).unwrap();
        prop_assert_eq!(found, expected(&request));
        prop_assert_eq!(metadata, request.metadata.len() as u64);
    }

    #[test]
    fn any_bytes_end(bytes in vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
    }

    /// One byte of a request changed, or its end cut off: if `prost` reads it, so does this
    /// decoder.
    #[test]
    fn damage_ends(
        request in request(),
        at in any::<usize>(),
        to in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut raw = request.encode_to_vec();
        if !raw.is_empty() {
            let at = at % raw.len();
            if cut { raw.truncate(at) } else { raw[at] = to }
        }
        let found = decode(&raw);
        if let Ok(read) = WriteRequest::decode(&*raw) {
            prop_assert_eq!(found.unwrap().0, expected(&read));
        }
    }

    /// The fields of a series may come in any order. Those of one kind keep theirs.
    #[test]
    fn fields_stand_in_any_order(series in time_series(), seed in any::<u64>()) {
        let alone = |one: TimeSeries| one.encode_to_vec();
        let mut rest = series.clone();
        let mut message = Vec::new();
        let mut draw = seed;
        while !(rest.labels.is_empty() && rest.samples.is_empty()) {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let label = draw >> 63 == 0 && !rest.labels.is_empty() || rest.samples.is_empty();
            let mut one = TimeSeries::default();
            if label { one.labels.push(rest.labels.remove(0)) }
            else { one.samples.push(rest.samples.remove(0)) }
            message.extend(alone(one));
        }
        message.extend(alone(rest));
        let mut raw = Vec::new();
        prost::encoding::bytes::encode(1, &message, &mut raw);
        let read = WriteRequest::decode(&*raw).unwrap();
        let whole = WriteRequest { timeseries: vec![series], metadata: Vec::new() };
        prop_assert_eq!(expected(&read), expected(&whole));
        prop_assert_eq!(decode(&raw).unwrap().0, expected(&read));
    }
}

fn check(raw: &[u8], expect: &str) {
    let text = decode(raw).map_or_else(|e| e.to_string(), |(found, _)| found.len().to_string());
    assert_eq!(text, expect, "{raw:02x?}");
}

#[test]
fn faults_have_prometheus_s_texts() {
    let within = |inner: &[u8]| [&[0x0a, inner.len() as u8], inner].concat();
    check(b"", "0");
    check(&within(b""), "1");
    check(
        b"\x08\x01",
        "proto: wrong wireType = 0 for field Timeseries",
    );
    check(b"\x18\x01", "proto: wrong wireType = 0 for field Metadata");
    check(
        &within(b"\x08\x01"),
        "proto: wrong wireType = 0 for field Labels",
    );
    check(
        &within(&within(b"\x08\x01")),
        "proto: wrong wireType = 0 for field Name",
    );
    check(
        &within(b"\x12\x02\x08\x01"),
        "proto: wrong wireType = 0 for field Value",
    );
    check(
        &within(b"\x12\x02\x12\x00"),
        "proto: wrong wireType = 2 for field Timestamp",
    );
    check(
        &within(b"\x10\x01"),
        "proto: wrong wireType = 0 for field Samples",
    );
    check(
        &within(b"\x18\x01"),
        "proto: wrong wireType = 0 for field Exemplars",
    );
    check(b"\x7f\x01", "proto: illegal wireType 7");
    check(b"\x7b\x08\x01\x7c", "0");
    check(b"\x7b\x08\x01", "unexpected EOF");
    check(
        b"\x7c",
        "proto: WriteRequest: wiretype end group for non-group",
    );
    check(
        b"\x00\x00",
        "proto: WriteRequest: illegal tag 0 (wire type 0)",
    );
    check(
        &within(b"\x00\x00"),
        "proto: TimeSeries: illegal tag 0 (wire type 0)",
    );
    check(b"\x0a\x05", "unexpected EOF");
    check(
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        "proto: negative length found during unmarshaling",
    );
    check(&[0xff; 11], "proto: integer overflow");
}

fn labels_of(pairs: &[(&[u8], &[u8])]) -> String {
    let label = |(name, value): &(&[u8], &[u8])| Label {
        name: name.to_vec(),
        value: value.to_vec(),
    };
    let series = TimeSeries {
        labels: pairs.iter().map(label).collect(),
        ..TimeSeries::default()
    };
    let found = labels::read(&series.encode_to_vec()).unwrap();
    found.map_or_else(|_| "invalid".to_owned(), |l| l.to_string())
}

#[test]
fn which_labels_a_series_may_have() {
    let check = |pairs: &[(&[u8], &[u8])], expect: &str| assert_eq!(labels_of(pairs), expect);
    let name: (&[u8], &[u8]) = (b"__name__", b"m");
    check(&[], "invalid");
    check(&[(b"a", b"b")], "invalid");
    check(&[(b"__name__", b"")], "invalid");
    check(&[name], r#"{__name__="m"}"#);
    check(
        &[(b"z", b"1"), name, (b"a", b"2")],
        r#"{__name__="m", a="2", z="1"}"#,
    );
    check(&[name, (b"a", b"")], r#"{__name__="m"}"#);
    check(&[name, (b"", b"x")], "invalid");
    check(&[name, (b"a", b"1"), (b"a", b"1")], "invalid");
    check(&[name, (b"a", b""), (b"a", b"1")], "invalid");
    check(&[name, name], "invalid");
    check(&[name, (b"a", b"\xff")], "invalid");
    check(&[name, (b"\xff", b"a")], "invalid");
    check(
        &[(b"__name__", "\u{fc}.x".as_bytes())],
        "{__name__=\"\u{fc}.x\"}",
    );
}
