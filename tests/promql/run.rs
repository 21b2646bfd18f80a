//! Runs the commands of one script on a database in memory.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ferula::metrics::Registry;
use ferula::model::Sample;
use ferula::promql::{Answer, Engine, Features, Query, Settings, Times, Value, parse};
use ferula::stdx::clock::{Clock, RealClock};
use ferula::stdx::stop::stop;
use ferula::storage::{Appendable, Appender};
use ferula::tsdb::{Db, Options};

use crate::compare;
use crate::notation::Point;
use crate::script::{Command, Eval, Load};

/// The results of a script's evaluations.
#[derive(Debug, Default)]
pub struct Tally {
    pub passed: usize,
    native: usize,
    start_timestamps: usize,
    pub failed: Vec<String>,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.native += other.native;
        self.start_timestamps += other.start_timestamps;
        self.failed.extend(other.failed);
    }

    pub fn line(&self) -> String {
        format!(
            "{:5} passed {:4} failed {:4} skipped (native histograms) {:3} (start timestamps)",
            self.passed,
            self.failed.len(),
            self.native,
            self.start_timestamps
        )
    }

    pub fn judge(self) {
        assert!(self.failed.is_empty(), "\n{}", self.failed.join("\n"));
    }
}

pub fn run(name: &str, commands: &[Command], only: Option<usize>) -> Tally {
    let mut tally = Tally::default();
    for section in commands.split(|c| matches!(c, Command::Clear)) {
        let world = World::new(section);
        for command in section {
            match command {
                Command::Clear => {}
                Command::Load(load) => world.load(load),
                Command::Eval(eval) if only.is_some_and(|line| line != eval.line) => {}
                Command::Eval(_) if world.start_timestamps => tally.start_timestamps += 1,
                Command::Eval(eval) if world.is_native(eval) => tally.native += 1,
                Command::Eval(eval) => match world.eval(eval) {
                    Ok(()) => tally.passed += 1,
                    Err(what) => {
                        let (line, expr) = (eval.line, &eval.expr);
                        tally
                            .failed
                            .push(format!("{name}.test:{line}: {expr}\n    {what}"));
                    }
                },
            }
        }
    }
    tally
}

/// The state of one section.
struct World {
    db: Db,
    engine: Engine,
    start_timestamps: bool,
    /// The metrics with native histograms.
    native: HashSet<String>,
}

impl World {
    fn new(section: &[Command]) -> World {
        let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
        let mut options = Options::in_memory(clock.clone(), Registry::new());
        // Scripts load older samples after newer ones.
        options.out_of_order_window = Duration::from_secs(100 * 365 * 86_400);
        let features = Features {
            experimental_functions: true,
            extended_ranges: true,
            fill_modifiers: true,
            start_timestamps: true,
        };
        let settings = Settings {
            features,
            delays_names: true,
            // The same limit as in promqltest.
            samples_max: 10_000,
            ..Settings::default()
        };
        let loads = section.iter().filter_map(|c| match c {
            Command::Load(load) => Some(load),
            _ => None,
        });
        World {
            db: Db::open(options).unwrap(),
            engine: Engine::new(settings, clock, &Registry::new()),
            start_timestamps: loads.clone().any(|l| l.start_timestamps),
            native: loads.flat_map(native_names).collect(),
        }
    }

    fn load(&self, load: &Load) {
        let mut batch = Appender::default();
        for (i, (labels, points)) in load.series.iter().enumerate() {
            // Of two equal series in one load the later counts.
            let again = load.series[i + 1..].iter().any(|later| later.0 == *labels);
            if again || !points.iter().any(|p| matches!(p, Point::Float(_))) {
                continue;
            }
            let series = self.db.resolve(labels).unwrap();
            for (i, point) in points.iter().enumerate() {
                if let Point::Float(v) = point {
                    batch.append(series, i as i64 * load.interval_ms, *v);
                }
            }
        }
        batch.samples.sort_by_key(|s| s.t);
        let done = self.db.commit(&batch).unwrap();
        assert_eq!(
            done.appended + done.duplicate,
            batch.samples.len() as u64,
            "{done:?}"
        );
    }

    /// Whether native histograms could be part of the answer.
    fn is_native(&self, eval: &Eval) -> bool {
        let expected = eval.series.iter().flat_map(|s| &s.1);
        if expected.into_iter().any(|p| *p == Point::Native) {
            return true;
        }
        if self.native.is_empty() {
            return false;
        }
        let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let mut words = eval.expr.split(|c| !in_name(c));
        words.any(|w| w == "__name__" || self.native.contains(w)) || has_nameless(&eval.expr)
    }

    fn eval(&self, eval: &Eval) -> Result<(), String> {
        let times = if eval.is_range {
            Times::Range {
                start: eval.start,
                end: eval.end,
                step_ms: eval.step_ms,
            }
        } else {
            Times::At(eval.end)
        };
        let answer = match (self.ask(&eval.expr, times), &eval.fail) {
            (Err(error), Some(expected)) if expected.matches(&error) => return Ok(()),
            (Err(error), Some(expected)) => {
                return Err(format!("got the error {error:?}, expected {expected:?}"));
            }
            (Err(error), None) => return Err(format!("got the error {error:?}")),
            (Ok(answer), Some(expected)) => {
                return Err(format!("got {:?}, expected {expected:?}", answer.value));
            }
            (Ok(answer), None) => answer,
        };
        compare::answer(eval, &answer)?;
        let of_query = ["start()", "end()", "step()", "range()"];
        let fixed = eval.is_range || eval.range_vector || eval.ordered || eval.string.is_some();
        if fixed || of_query.iter().any(|f| eval.expr.contains(f)) {
            return Ok(());
        }
        self.middle_step(eval, &answer.value)
    }

    /// Checks that an instant query gives what a range query gives at the middle of three steps.
    fn middle_step(&self, eval: &Eval, instant: &Value) -> Result<(), String> {
        let times = Times::Range {
            start: eval.start - 60_000,
            end: eval.start + 60_000,
            step_ms: 60_000,
        };
        let answer = self.ask(&eval.expr, times);
        let answer = answer.map_err(|e| format!("as a range query: got the error {e:?}"))?;
        let Value::Matrix(matrix) = answer.value else {
            return Err("as a range query: got no matrix".to_owned());
        };
        let at = |samples: Vec<Sample>| samples.into_iter().find(|s| s.t == eval.start);
        let middle = matrix
            .into_iter()
            .filter_map(|(l, samples)| Some((l, at(samples)?)));
        let mut middle = middle.collect::<Vec<_>>();
        let value = match instant {
            Value::Scalar(_) => Value::Scalar(middle.pop().ok_or("as a range query: nothing")?.1),
            _ => Value::Vector(middle),
        };
        compare::value(eval, &value).map_err(|what| format!("as a range query: {what}"))
    }

    fn ask(&self, text: &str, times: Times) -> Result<Answer, String> {
        let settings = self.engine.settings();
        let expr = parse(text, &settings.features).map_err(|e| e.to_string())?;
        let (_never, cancel) = stop();
        let query = Query {
            text,
            expr: &expr,
            times,
            settings,
            cancel: &cancel,
            origin: None,
        };
        self.engine
            .answer(&self.db, &query)
            .map_err(|e| e.to_string())
    }
}

fn native_names(load: &Load) -> Vec<String> {
    let mut names = Vec::new();
    for (labels, points) in &load.series {
        let name = labels.metric_name();
        if points.contains(&Point::Native) {
            names.push(name.to_owned());
        }
        if load.with_nhcb {
            let suffixes = ["_bucket", "_count", "_sum"];
            let base = suffixes.iter().find_map(|s| name.strip_suffix(s));
            names.extend(base.map(str::to_owned));
        }
    }
    names
}

/// Whether there is a selector without a plain name, which may reach every series.
fn has_nameless(expr: &str) -> bool {
    let before = |at: usize| expr[..at].chars().next_back();
    expr.match_indices('{')
        .any(|(at, _)| before(at).is_none_or(|c| !c.is_ascii_alphanumeric() && !"_:\"".contains(c)))
}
