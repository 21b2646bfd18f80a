//! Tests that batches read together give what they give one by one, even if one of them is invalid.

use super::super::batch::{self, BatchHead, Columns};
use super::super::decoder::{Counts, Decoder};
use super::super::definition::DefinitionWriter;
use super::super::entry::Order;
use super::super::format;
use super::super::value::Last;
use super::*;

/// The last target is scraped in some rounds only.
const IDS: [std::ops::Range<u32>; 3] = [0..5, 5..8, 3..7];
const ROUNDS: u32 = 20;

/// Makes kind and payload of records: definitions, then scrapes of targets in turn.
fn records(full: u32, third: u32) -> Vec<(u8, Vec<u8>)> {
    let mut lasts = [Last::default(); 8];
    let mut newest = [0; 8];
    let mut definitions = Vec::new();
    let mut writer = DefinitionWriter::default();
    for id in 0..8 {
        let labels = labels(SeriesRef(id)).unwrap();
        writer.put(&mut definitions, id as u32, &labels);
    }
    let mut all = vec![(format::SERIES, definitions)];
    for round in 0..ROUNDS {
        for ids in IDS.into_iter().take(if round % third == 2 { 3 } else { 2 }) {
            let seq = all.len() as u32;
            let ids: Vec<u32> = ids.collect();
            let mut columns = Columns::default();
            for (i, id) in ids.iter().enumerate() {
                let last = &mut lasts[*id as usize];
                if round == full {
                    *last = Last::default();
                }
                let v = [7.0, f64::from(round * id), 0.1 * f64::from(round), f64::NAN][i % 4];
                columns.push(i, last, v);
            }
            let head = BatchHead {
                back: match ids.iter().map(|id| newest[*id as usize]).max() {
                    Some(newest) if newest > 0 && round != full => seq - newest,
                    _ => 0,
                },
                full: round == full,
            };
            for id in &ids {
                newest[*id as usize] = seq;
            }
            let times = ids.iter().map(|_| i64::from(round) * 1000);
            let mut payload = Vec::new();
            batch::write(&mut payload, head, &ids, times, &columns);
            all.push((format::SAMPLES, payload));
        }
    }
    all
}

/// Returns the values of each series, the counts, and the most batches that came at once.
fn read(records: &[(u8, Vec<u8>)], order: Order) -> (Vec<(u32, TimestampMs, u64)>, Counts, usize) {
    let (mut said, mut rows_max) = (Vec::new(), 0);
    let mut sink = |entry: Entry<'_>| match entry {
        Entry::Scrapes { ids, times, values } => {
            rows_max = rows_max.max(times.len());
            let columns = values.chunks_exact(times.len());
            for (id, column) in ids.iter().cloned().flatten().zip(columns) {
                let told = times.iter().zip(column);
                said.extend(told.map(|(t, v)| (id, *t, v.to_bits())));
            }
        }
        Entry::Samples(samples) => said.extend(samples.iter().map(|s| (s.id, s.t, s.v.to_bits()))),
        _ => {}
    };
    let mut decoder = Decoder::new(order);
    for (seq, (kind, payload)) in records.iter().enumerate() {
        decoder.record(*kind, seq as u32, payload, 100, true, &mut sink);
    }
    decoder.flush(&mut sink);
    said.sort_by_key(|said| said.0);
    (said, decoder.counts, rows_max)
}

#[test]
fn a_batch_that_cannot_be_read() {
    let (said, _, rows_max) = read(&records(3, 100), Order::BySeries);
    assert_eq!((said.len(), rows_max), (8 * ROUNDS as usize + 4, 16));
    for (full, third) in [(3, 100), (ROUNDS, 100), (ROUNDS, 6)] {
        let good = records(full, third);
        for at in 1..good.len() {
            for cut in 0..good[at].1.len() {
                let mut records = good.clone();
                records[at].1.truncate(cut);
                let (said, counts, _) = read(&records, Order::AsLogged);
                let (again, counted, _) = read(&records, Order::BySeries);
                assert_eq!((said, counts), (again, counted), "record {at} cut at {cut}");
            }
        }
    }
}
