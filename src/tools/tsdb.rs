//! Runs `ferula tsdb`, on directories of ours and of Prometheus's format.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::intake::{Intake, Totals};
use super::ours;
use super::progress::Meter;
use crate::cli::{Analyze, CreateBlocks, Dump, Export, Import, List, TsdbTool};
use crate::model::{Matcher, TimestampMs, timestamp};
use crate::prometheus::{
    AnalyzeOptions, Analyzed, BlockRow, BlockStats, CreateOptions, DumpFormat, Progress,
    PromDirectory, PromError, PromSink, QuerierStream, Range, SeriesSpan, analyze,
    compatible_range_ms, create_blocks, dump, export, import, print_blocks,
};
use crate::promql;
use crate::stdx::clock::{Clock as _, RealClock};
use crate::stdx::stop::Stop;
use crate::storage::Queryable as _;
use crate::tsdb::Offline;

/// Prometheus's retention, if neither flags nor the configuration give one.
const RETENTION_DAYS: i64 = 15;

/// Prints what was found or done.
///
/// # Errors
/// What keeps it from its work.
pub fn run(tool: &TsdbTool, stop: &Stop) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let result = match tool {
        TsdbTool::List(arguments) => list(arguments, &mut out),
        TsdbTool::Analyze(arguments) => analyze_block(arguments, &mut out),
        TsdbTool::Dump(arguments) => dump_samples(arguments, stop, &mut out),
        TsdbTool::CreateBlocks(arguments) => backfill(arguments, stop, &mut out),
        TsdbTool::Import(arguments) => take_over(arguments, stop, &mut out),
        TsdbTool::Export(arguments) => give(arguments, stop, &mut out),
    };
    match out.flush() {
        Ok(()) => result,
        // A reader that has gone away does not need the rest.
        Err(_) => Ok(()),
    }
}

fn list(arguments: &List, out: &mut dyn Write) -> Result<()> {
    let rows = if Offline::is_ours(&arguments.path) {
        ours::rows(&Offline::open(&arguments.path)?)?
    } else {
        PromDirectory::open(&arguments.path)?.rows()
    };
    print_blocks(&rows, true, arguments.human_readable, out)?;
    Ok(())
}

fn analyze_block(arguments: &Analyze, out: &mut dyn Write) -> Result<()> {
    let options = AnalyzeOptions {
        limit: arguments.limit,
        extended: arguments.extended,
        matchers: match arguments.selector.as_str() {
            "" => Vec::new(),
            selector => parse(selector)?,
        },
        selector: arguments.selector.clone(),
    };
    if Offline::is_ours(&arguments.path) {
        return analyze_ours(arguments, &options, out);
    }
    let block = PromDirectory::open(&arguments.path)?.block(&arguments.block)?;
    let analyzed = Analyzed {
        id: block.meta.ulid.clone(),
        min_t: block.meta.min_time,
        max_t: block.meta.max_time,
        series: block.meta.stats.num_series,
    };
    let spans = |take: &mut dyn FnMut(_)| {
        watched(take, |take| block.spans(arguments.extended, take))?;
        Ok(())
    };
    analyze::<anyhow::Error>(&analyzed, &options, spans, out)
}

/// Shows how many series have been visited.
fn watched<E>(
    take: &mut dyn FnMut(SeriesSpan),
    spans: impl FnOnce(&mut dyn FnMut(SeriesSpan)) -> Result<(), E>,
) -> Result<(), E> {
    let clock = RealClock::new();
    let mut meter = Meter::new(&clock);
    let mut at = Progress::default();
    spans(&mut |span| {
        at.series += 1;
        at.samples += span.chunks.iter().map(|c| u64::from(c.1)).sum::<u64>();
        meter.show(&at);
        take(span);
    })
}

fn analyze_ours(arguments: &Analyze, options: &AnalyzeOptions, out: &mut dyn Write) -> Result<()> {
    let ours = Offline::open(&arguments.path)?;
    let block = match arguments.block.as_str() {
        "" => ours::block(&ours, "").context("no blocks found")?,
        id => { ours::block(&ours, id) }.with_context(|| format!("block {id} not found"))?,
    };
    let analyzed = Analyzed {
        id: block.id.to_string(),
        min_t: block.min_t,
        max_t: block.max_t.saturating_add(1),
        series: block.series,
    };
    let spans = |take: &mut dyn FnMut(_)| {
        watched(take, |take| ours::spans(&ours, block.id, take))?;
        Ok(())
    };
    analyze::<anyhow::Error>(&analyzed, options, spans, out)
}

fn dump_samples(arguments: &Dump, stop: &Stop, out: &mut dyn Write) -> Result<()> {
    let selectors = arguments.selectors.iter().map(|text| parse(text));
    let selectors: Vec<Vec<Matcher>> = selectors.collect::<Result<_>>()?;
    let format = match arguments.format.as_str() {
        "openmetrics" => DumpFormat::OpenMetrics,
        "seriesjson" => DumpFormat::SeriesJson,
        _ => DumpFormat::Prom,
    };
    let (min, max) = (arguments.min_time, arguments.max_time);
    if Offline::is_ours(&arguments.path) {
        let ours = Offline::open(&arguments.path)?;
        let querier = ours.querier(min, max)?;
        let mut stream = QuerierStream::new(&*querier, min, max, &selectors)?;
        dump(&mut stream, format, out)?;
        return Ok(());
    }
    let mut directory = PromDirectory::open(&arguments.path)?;
    let mut stream = directory.stream(min, max, &selectors, stop)?;
    dump(&mut stream, format, out)?;
    Ok(())
}

fn backfill(arguments: &CreateBlocks, stop: &Stop, out: &mut dyn Write) -> Result<()> {
    let longest = i64::try_from(arguments.block_duration_max.as_millis())?;
    let options = CreateOptions {
        block_ms: compatible_range_ms(longest),
        labels: arguments.labels.clone(),
    };
    // NOTE: read first, since opening a directory makes it.
    let mut open = reader(&arguments.input)?;
    let clock = Arc::new(RealClock::new());
    let mut meter = Meter::new(&*clock);
    let mut show = |at: &Progress| meter.show(at);
    if Offline::is_ours(&arguments.path) {
        let mut intake = Intake::open(&arguments.path, clock.clone())?;
        let made = create_blocks(
            &mut open,
            &mut intake,
            &options,
            &mut |_| {},
            &mut show,
            stop,
        );
        drop(meter);
        told(made)?;
        return tell_backfilled(&intake.totals(), arguments, clock.wall_ms(), out);
    }
    let mut sink = PromSink::new(&arguments.path)?;
    let mut with_header = true;
    let mut print = |stats: &BlockStats| {
        if !arguments.quiet {
            let row = BlockRow::from(stats);
            let _ = print_blocks(&[row], with_header, arguments.human_readable, out);
            with_header = false;
        }
    };
    let made = create_blocks(&mut open, &mut sink, &options, &mut print, &mut show, stop);
    drop(meter);
    told(made)
}

fn told(made: Result<(), PromError>) -> Result<()> {
    match made {
        Err(PromError::Sink(e)) => Err(anyhow::anyhow!(e.to_string())),
        made => made.context("block creation"),
    }
}

/// Returns a function that opens the file anew.
fn reader(input: &Path) -> Result<impl FnMut() -> io::Result<Box<dyn io::Read>> + '_> {
    let meta = std::fs::metadata(input).with_context(|| format!("open {}", input.display()))?;
    anyhow::ensure!(
        meta.is_file(),
        "{}: the input is read several times and must be a file",
        input.display()
    );
    Ok(move || Ok(Box::new(std::fs::File::open(input)?) as Box<dyn io::Read>))
}

fn tell_backfilled(
    made: &Totals,
    arguments: &CreateBlocks,
    now: TimestampMs,
    out: &mut dyn Write,
) -> Result<()> {
    if arguments.quiet {
        return Ok(());
    }
    let (blocks, samples) = (made.blocks, made.samples);
    let path = arguments.path.display();
    writeln!(out, "made {blocks} blocks of {samples} samples in {path}")?;
    match made.oldest {
        Some(oldest) => tell_retention(oldest, now, out),
        None => Ok(()),
    }
}

fn take_over(arguments: &Import, stop: &Stop, out: &mut dyn Write) -> Result<()> {
    let (from, to) = (&arguments.from, &arguments.to);
    if Offline::is_ours(from) {
        anyhow::bail!("{} is a data directory of ferula already", from.display());
    }
    if !from.is_dir() {
        anyhow::bail!("{}: there is no such directory", from.display());
    }
    let clock = Arc::new(RealClock::new());
    let mut intake = Intake::open(to, clock.clone())?;
    let mut meter = Meter::new(&*clock);
    let imported = import(from, &mut intake, &mut |at| meter.show(at), stop)?;
    drop(meter);
    for what in imported.damages.told.iter().chain(&imported.lost_blocks) {
        log::warn!("{what}");
    }
    let left_out = imported
        .damages
        .count
        .saturating_sub(imported.damages.told.len() as u64);
    if left_out > 0 {
        log::warn!("{left_out} more damages");
    }
    if let Some(what) = imported.damages.histograms() {
        log::warn!("{what}");
    }
    writeln!(
        out,
        "imported {} samples of {} series from {} sources into {}; {} were imported before",
        imported.samples,
        imported.series,
        imported.sources,
        to.display(),
        imported.passed_over
    )?;
    if let Some(oldest) = imported.oldest {
        tell_retention(oldest, clock.wall_ms(), out)?;
    }
    if !imported.lost_blocks.is_empty() {
        anyhow::bail!("{} blocks could not be read", imported.lost_blocks.len());
    }
    Ok(())
}

/// Warns if the first start would remove what was imported with effort.
fn tell_retention(oldest: TimestampMs, now: TimestampMs, out: &mut dyn Write) -> Result<()> {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let time = timestamp::rfc3339(oldest);
    writeln!(out, "the oldest sample is of {time}")?;
    let days = now.saturating_sub(oldest).div_euclid(DAY_MS);
    if days >= RETENTION_DAYS {
        // NOTE: the flags of the daemon are not known here.
        let enough = days + 1 + RETENTION_DAYS;
        log::warn!(
            "the daemon removes samples older than --storage.tsdb.retention.time, {RETENTION_DAYS}d \
             by default: to keep those of {time}, start it with \
             --storage.tsdb.retention.time={enough}d or more"
        );
    }
    Ok(())
}

fn give(arguments: &Export, stop: &Stop, out: &mut dyn Write) -> Result<()> {
    let from: &Path = &arguments.from;
    if !Offline::is_ours(from) {
        anyhow::bail!("{} is no data directory of ferula", from.display());
    }
    let ours = Offline::open(from)?;
    let (first, last) = ours.range()?.context("there are no samples")?;
    let (first, last) = (first.max(arguments.min_time), last.min(arguments.max_time));
    let block_ms = compatible_range_ms(0);
    let mut rows: Vec<BlockRow> = Vec::new();
    let mut kept = 0;
    let clock = RealClock::new();
    let mut meter = Meter::new(&clock);
    let mut at = Progress {
        parts: usize::try_from(last.div_euclid(block_ms) - first.div_euclid(block_ms) + 1)?,
        ..Progress::default()
    };
    // NOTE: a querier for each, so that blocks of other times are not searched each time.
    for number in first.div_euclid(block_ms)..=last.div_euclid(block_ms) {
        let begin = number.saturating_mul(block_ms);
        let end = last.min(begin.saturating_add(block_ms - 1));
        let start = first.max(begin);
        at.part = usize::try_from(number - first.div_euclid(block_ms))?;
        if !ours.may_have(start, end)? {
            continue;
        }
        let range = Range {
            start,
            end,
            block_ms,
        };
        let querier = ours.querier(start, end)?;
        let (mut series, mut samples) = (0, 0);
        let mut show = |of_block: &Progress| {
            (series, samples) = (of_block.series, of_block.samples);
            meter.show(&Progress {
                series: at.series + series,
                samples: at.samples + samples,
                ..at
            });
        };
        let exported = export(&*querier, &arguments.to, range, &mut show, stop)?;
        at.series += series;
        at.samples += samples;
        rows.extend(exported.blocks.iter().map(BlockRow::from));
        kept += exported.kept;
    }
    drop(meter);
    print_blocks(&rows, true, false, out)?;
    if kept > 0 {
        writeln!(out, "{kept} blocks were there already")?;
    }
    Ok(())
}

fn parse(selector: &str) -> Result<Vec<Matcher>> {
    promql::parse_selector(selector).map_err(|e| anyhow::anyhow!("{e}"))
}
