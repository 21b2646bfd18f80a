//! The commands of a script: `load`, `clear`, `eval`.

use ferula::model::{Labels, TimestampMs};

use crate::notation::{self, Point};

#[derive(Debug)]
pub enum Command {
    Load(Load),
    Clear,
    Eval(Box<Eval>),
}

#[derive(Debug)]
pub struct Load {
    pub interval_ms: i64,
    pub series: Vec<(Labels, Vec<Point>)>,
    /// Native histograms are made from the classic ones too.
    pub with_nhcb: bool,
    /// Samples have start timestamps, which are ignored so far.
    pub start_timestamps: bool,
}

#[derive(Debug, Default)]
pub struct Eval {
    pub line: usize,
    pub expr: String,
    /// In an instant query, unless a range vector is expected, `start` and `end` are its time.
    pub start: TimestampMs,
    pub end: TimestampMs,
    pub step_ms: i64,
    pub is_range: bool,
    pub range_vector: bool,
    pub ordered: bool,
    pub fail: Option<Text>,
    pub warn: Vec<Text>,
    pub info: Vec<Text>,
    pub no_warn: bool,
    pub no_info: bool,
    pub string: Option<String>,
    pub scalar: Option<f64>,
    pub series: Vec<(Labels, Vec<Point>)>,
}

#[derive(Debug, Clone)]
pub enum Text {
    Any,
    Exactly(String),
    Matching(String),
}

/// Reads a script.
///
/// # Errors
/// The line, and what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Command>, String> {
    let clean = |line: &'_ str| -> String {
        let line = line.trim();
        if line.starts_with('#') { "" } else { line }.to_owned()
    };
    let lines: Vec<String> = text.lines().map(clean).collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let first = at;
        at += 1;
        let line = &lines[first];
        if line.is_empty() {
            continue;
        }
        let wrong = |what: String| format!("{}: {what}", first + 1);
        if word(line).0 == "clear" {
            commands.push(Command::Clear);
            continue;
        }
        while at < lines.len() && !lines[at].is_empty() {
            at += 1;
        }
        let block = &lines[first + 1..at];
        if line.starts_with("load") {
            commands.push(Command::Load(load(line, block).map_err(wrong)?));
        } else if line.starts_with("eval") {
            let eval = eval(first + 1, line, block).map_err(wrong)?;
            commands.push(Command::Eval(Box::new(eval)));
        } else {
            return Err(wrong(format!("no command: {line:?}")));
        }
    }
    Ok(commands)
}

/// Returns the first word, and what follows the blanks after it.
fn word(text: &str) -> (&str, &str) {
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

fn millis(text: &str) -> Result<i64, String> {
    Ok(ferula::model::duration::parse(text)?.as_millis() as i64)
}

fn load(line: &str, block: &[String]) -> Result<Load, String> {
    let (command, interval) = word(line);
    let mut load = Load {
        interval_ms: millis(interval)?,
        series: Vec::new(),
        with_nhcb: command == "load_with_nhcb",
        start_timestamps: false,
    };
    for line in block {
        if word(line).0.ends_with("@st") {
            load.start_timestamps = true;
        } else {
            load.series.push(notation::series(line)?);
        }
    }
    Ok(load)
}

fn eval(number: usize, line: &str, block: &[String]) -> Result<Eval, String> {
    let (command, rest) = word(line);
    let mut eval = Eval {
        line: number,
        ordered: command == "eval_ordered",
        fail: (command == "eval_fail").then_some(Text::Any),
        ..Eval::default()
    };
    match command {
        "eval_warn" => eval.warn.push(Text::Any),
        "eval_info" => eval.info.push(Text::Any),
        _ => {}
    }
    let (kind, mut rest) = word(rest);
    let mut time = |keyword: &str| -> Result<i64, String> {
        let (found, after) = word(rest);
        if found != keyword {
            return Err(format!("{keyword:?} expected, got {found:?}"));
        }
        let (value, after) = word(after);
        rest = after;
        millis(value)
    };
    if kind == "range" {
        eval.is_range = true;
        (eval.start, eval.end, eval.step_ms) = (time("from")?, time("to")?, time("step")?);
    } else {
        eval.start = time("at")?;
        eval.end = eval.start;
    }
    rest.clone_into(&mut eval.expr);
    for line in block {
        if let Some(scalar) = notation::number(line) {
            eval.scalar = Some(scalar);
        } else if !expectation(&mut eval, line)? {
            eval.series.push(notation::series(line)?);
        }
    }
    Ok(eval)
}

/// Reads an expectation. Returns false if the line is none.
fn expectation(eval: &mut Eval, line: &str) -> Result<bool, String> {
    let (first, rest) = word(line);
    match first {
        "expected_fail_message" => eval.fail = Some(Text::Exactly(rest.to_owned())),
        "expected_fail_regexp" => eval.fail = Some(Text::Matching(rest.to_owned())),
        "expect" => expect(eval, rest)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn expect(eval: &mut Eval, line: &str) -> Result<(), String> {
    let (kind, rest) = word(line);
    let text = || {
        if let Some(text) = rest.strip_prefix("msg:") {
            Text::Exactly(text.trim().to_owned())
        } else if let Some(text) = rest.strip_prefix("regex:") {
            Text::Matching(text.trim().to_owned())
        } else {
            Text::Any
        }
    };
    match kind {
        "fail" => eval.fail = Some(text()),
        "warn" => eval.warn.push(text()),
        "info" => eval.info.push(text()),
        "no_warn" => eval.no_warn = true,
        "no_info" => eval.no_info = true,
        "ordered" => eval.ordered = true,
        "string" => eval.string = Some(notation::literal(rest)?.0),
        "range" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let ["vector", "from", start, "to", end, "step", step] = words[..] else {
                return Err(format!("bad range vector: {line:?}"));
            };
            (eval.start, eval.end, eval.step_ms) = (millis(start)?, millis(end)?, millis(step)?);
            eval.range_vector = true;
        }
        _ => return Err(format!("nothing to expect: {line:?}")),
    }
    Ok(())
}
