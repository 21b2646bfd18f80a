//! The progress of a long tool: one line on a terminal, rewritten.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use crate::prometheus::Progress;
use crate::stdx::clock::Clock;

/// LIMIT: the time between two lines, so that writing them costs nothing.
const EVERY: Duration = Duration::from_millis(200);

/// Writes nothing if nobody watches.
pub struct Meter<'a> {
    clock: &'a dyn Clock,
    out: Option<Box<dyn Write>>,
    next: Duration,
    /// The bytes of the current line.
    shown: usize,
}

impl<'a> Meter<'a> {
    /// Writes to standard error, if that is a terminal.
    pub fn new(clock: &'a dyn Clock) -> Meter<'a> {
        let stderr = io::stderr();
        let out = stderr.is_terminal().then(|| Box::new(stderr) as _);
        Meter::on(clock, out)
    }

    fn on(clock: &'a dyn Clock, out: Option<Box<dyn Write>>) -> Meter<'a> {
        Meter {
            clock,
            out,
            next: Duration::ZERO,
            shown: 0,
        }
    }

    pub fn show(&mut self, at: &Progress) {
        let now = self.clock.mono();
        if self.out.is_none() || now < self.next {
            return;
        }
        self.next = now + EVERY;
        let part = match at.parts {
            0 | 1 => String::new(),
            parts => format!("part {} of {parts}, ", parts.min(at.part + 1)),
        };
        let line = format!("{part}{} series, {} samples", at.series, at.samples);
        self.put(&line);
    }

    fn put(&mut self, line: &str) {
        let Some(out) = &mut self.out else {
            return;
        };
        let width = self.shown;
        // NOTE: a terminal that has gone away needs no progress.
        let _ = write!(out, "\r{line:width$}\r").and_then(|()| out.flush());
        self.shown = line.len();
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        if self.shown > 0 {
            self.put("");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::stdx::clock::ManualClock;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn one_line_now_and_then() {
        let (clock, screen) = (ManualClock::new(0), Screen::default());
        let mut meter = Meter::on(&clock, Some(Box::new(screen.clone())));
        for series in 1..100 {
            let (part, parts, samples) = (1, 3, 10);
            meter.show(&Progress {
                part,
                parts,
                series,
                samples,
            });
        }
        clock.advance(EVERY);
        meter.show(&Progress::default());
        drop(meter);
        let text = String::from_utf8(screen.0.lock().unwrap().clone()).unwrap();
        let first = "part 2 of 3, 1 series, 10 samples";
        let second = format!("{:width$}", "0 series, 0 samples", width = first.len());
        let last = " ".repeat("0 series, 0 samples".len());
        assert_eq!(text, format!("\r{first}\r\r{second}\r\r{last}\r"));
    }
}
