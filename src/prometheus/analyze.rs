//! `tsdb analyze`: the labels and metrics that have most of a block's series.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};

use super::list::go_duration;
use super::stream::{by_number, matches_any};
use super::xor;
use crate::model::names::METRIC_NAME;
use crate::model::{Labels, Matcher};
use crate::stdx::sort::sort;

/// The analysed parts of a block's series.
#[derive(Debug, Clone)]
pub struct SeriesSpan {
    pub labels: Labels,
    /// The range of its samples, both inclusive.
    pub min_t: i64,
    pub max_t: i64,
    /// The kind (as in Prometheus's chunks), number of samples and bytes of each chunk.
    pub chunks: Vec<(u8, u16, usize)>,
}

#[derive(Debug, Clone, Default)]
pub struct AnalyzeOptions {
    /// The number of lines in each list.
    pub limit: usize,
    /// Also analyses chunks.
    pub extended: bool,
    /// The selector as it was given; "" is all series.
    pub selector: String,
    pub matchers: Vec<Matcher>,
}

/// A block that is analysed.
#[derive(Debug, Clone)]
pub struct Analyzed {
    pub id: String,
    /// Inclusive.
    pub min_t: i64,
    /// Exclusive.
    pub max_t: i64,
    pub series: u64,
}

#[derive(Debug, Default)]
struct Count {
    series: u64,
    /// Milliseconds of the block's range in which its series have no samples.
    uncovered: u64,
}

/// Prints an analysis. `spans` gives every series of the block.
pub fn analyze<E: From<io::Error>>(
    block: &Analyzed,
    options: &AnalyzeOptions,
    spans: impl FnOnce(&mut dyn FnMut(SeriesSpan)) -> Result<(), E>,
    out: &mut dyn Write,
) -> Result<(), E> {
    let mut counts = Counts::default();
    let length = block.max_t.wrapping_sub(block.min_t) as u64;
    let is_filtered = !options.selector.is_empty();
    spans(&mut |span| {
        let selectors = std::slice::from_ref(&options.matchers);
        if !is_filtered || matches_any(selectors, &span.labels) {
            counts.add(span, length);
        }
    })?;
    writeln!(out, "Block ID: {}", block.id)?;
    writeln!(out, "Duration: {}", go_duration(length as i64))?;
    writeln!(out, "Total Series: {}", block.series)?;
    if is_filtered {
        writeln!(out, "Matcher: {}", options.selector)?;
    }
    counts.print(length, options.limit, is_filtered, out)?;
    if options.extended {
        counts.print_chunks(out)?;
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Counts {
    series: u64,
    entries: u64,
    pairs: HashMap<String, HashMap<String, Count>>,
    chunks: u64,
    floats: Chunks,
    histograms: Chunks,
}

#[derive(Debug, Default)]
struct Chunks {
    samples: Vec<usize>,
    bytes: Vec<usize>,
}

impl Counts {
    fn add(&mut self, span: SeriesSpan, length: u64) {
        let uncovered = length.wrapping_sub(span.max_t.wrapping_sub(span.min_t) as u64);
        for (name, value) in &span.labels {
            let values = self.pairs.entry(name.to_owned()).or_default();
            let count = values.entry(value.to_owned()).or_default();
            count.series += 1;
            count.uncovered = count.uncovered.wrapping_add(uncovered);
            self.entries += 1;
        }
        self.series += 1;
        for (kind, samples, bytes) in span.chunks {
            let of_kind = match kind {
                xor::XOR | xor::XOR2 => &mut self.floats,
                _ => &mut self.histograms,
            };
            of_kind.samples.push(usize::from(samples));
            of_kind.bytes.push(bytes);
            self.chunks += 1;
        }
    }

    fn print(
        &self,
        length: u64,
        limit: usize,
        is_filtered: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let part = |uncovered: u64| (uncovered as f64 / length as f64) as u64;
        let of_pairs = |number: &dyn Fn(&Count) -> u64| -> Vec<(u64, String)> {
            let pairs = self.pairs.iter().flat_map(|(name, values)| {
                let each = values.iter();
                each.map(move |(value, count)| (number(count), format!("{name}={value}")))
            });
            pairs.collect()
        };
        type Values = HashMap<String, Count>;
        let of_names = |number: &dyn Fn(&Values) -> u64| -> Vec<(u64, String)> {
            let names = self.pairs.iter();
            names
                .map(|(name, values)| (number(values), name.clone()))
                .collect()
        };
        let pairs: usize = self.pairs.values().map(HashMap::len).sum();
        writeln!(out, "Label names: {}", self.pairs.len())?;
        if is_filtered {
            writeln!(out, "Matched series: {}", self.series)?;
        }
        writeln!(out, "Postings (unique label pairs): {pairs}")?;
        writeln!(
            out,
            "Postings entries (total label pairs): {}",
            self.entries
        )?;
        let metrics = self.pairs.get(METRIC_NAME).into_iter().flatten();
        let metrics = metrics.map(|(name, count)| (count.series, name.clone()));
        let churn = |values: &Values| {
            let uncovered = values.values().map(|c| c.uncovered);
            part(uncovered.fold(0, u64::wrapping_add))
        };
        let bytes = |values: &Values| values.keys().map(|v| v.len() as u64).sum();
        for (title, list) in [
            (
                "Label pairs most involved in churning",
                of_pairs(&|c| part(c.uncovered)),
            ),
            ("Label names most involved in churning", of_names(&churn)),
            ("Most common label pairs", of_pairs(&|c| c.series)),
            (
                "Label names with highest cumulative label value length",
                of_names(&bytes),
            ),
            (
                "Highest cardinality labels",
                of_names(&|values| values.len() as u64),
            ),
            ("Highest cardinality metric names", metrics.collect()),
        ] {
            print_list(title, list, limit, out)?;
        }
        Ok(())
    }

    fn print_chunks(&mut self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\nCompaction analysis:\n")?;
        let (floats, histograms) = (&mut self.floats, &mut self.histograms);
        for (title, numbers) in [
            ("samples per float chunk", &mut floats.samples),
            ("bytes per float chunk", &mut floats.bytes),
            ("samples per histogram chunk", &mut histograms.samples),
            ("bytes per histogram chunk", &mut histograms.bytes),
            // Native histograms are not decoded.
            ("buckets per histogram chunk", &mut Vec::new()),
        ] {
            print_distribution(title, numbers, self.chunks as usize, out)?;
        }
        Ok(())
    }
}

fn print_list(
    title: &str,
    list: Vec<(u64, String)>,
    limit: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "\n{title}:")?;
    let mut list: BTreeSet<Ranked> = list.into_iter().map(Ranked).collect();
    for _ in 0..limit {
        let Some(Ranked((number, key))) = list.pop_first() else {
            break;
        };
        writeln!(out, "{number} {key}")?;
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
struct Ranked((u64, String));

impl Ord for Ranked {
    fn cmp(&self, other: &Ranked) -> std::cmp::Ordering {
        by_number(&self.0, &other.0)
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Ranked) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Prints some ten buckets of a round width, each with a bar of one mark per hundredth of all
/// chunks.
fn print_distribution(
    title: &str,
    numbers: &mut [usize],
    total: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    sort(numbers);
    let (Some(min), Some(max)) = (numbers.first(), numbers.last()) else {
        return writeln!(out, "{title}: N/A\n");
    };
    let mut step = 10;
    while step < (max - min) / 10 && step <= 10_000 {
        step *= 10;
    }
    let (start, end) = (min - min % step, max - max % step + step);
    let mut buckets = vec![0usize; (end - start) / step + 1];
    for number in &*numbers {
        buckets[(number - start) / step] += 1;
    }
    let average = numbers.iter().sum::<usize>() / numbers.len();
    writeln!(out, "{title} (min/avg/max): {min}/{average}/{max}")?;
    let width = |number: usize| number.to_string().len();
    let (left, right) = (width(end), width(end + step));
    let counts = width(buckets.iter().copied().max().unwrap_or(0));
    for (i, count) in buckets.iter().enumerate() {
        let (from, to) = (i * step + start + 1, (i + 1) * step + start);
        let bar = "#".repeat(100 * count / total.max(1));
        writeln!(out, "[{from:left$}, {to:right$}]: {count:counts$} {bar}")?;
    }
    writeln!(out)
}
