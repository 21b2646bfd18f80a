//! A query's cost, as the API and the query log write it.

use crate::stdx::gofmt::push_api_float;

/// A query's cost (`stats=all`).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Statistics {
    /// Samples that the steps used. A sample in several windows counts for each.
    pub queryable_samples: u64,
    /// Stored samples that any step used. A sample in several windows counts once.
    pub read_samples: u64,
    /// Samples that were decoded, whether a step used them or not. It measures work, and is not
    /// shown.
    pub decoded_samples: u64,
    /// The most samples held at once.
    pub peak_samples: u64,
    /// In seconds.
    pub queue_time: f64,
    pub prepare_time: f64,
    pub eval_time: f64,
    pub sort_time: f64,
}

impl Statistics {
    /// Preparing, evaluating and sorting, in seconds.
    pub fn total_eval_time(&self) -> f64 {
        self.prepare_time + self.eval_time + self.sort_time
    }

    /// Writes Prometheus's JSON, with times in seconds.
    pub fn json(&self) -> String {
        let total = self.total_eval_time();
        let timings = [
            ("evalTotalTime", total),
            ("resultSortTime", self.sort_time),
            ("queryPreparationTime", self.prepare_time),
            ("innerEvalTime", self.eval_time),
            ("execQueueTime", self.queue_time),
            ("execTotalTime", self.queue_time + total),
        ];
        let samples = [
            ("totalQueryableSamples", self.queryable_samples as f64),
            ("samplesRead", self.read_samples as f64),
            ("peakSamples", self.peak_samples as f64),
        ];
        let mut out = String::from("{\"timings\":");
        push_numbers(&mut out, &timings);
        out.push_str(",\"samples\":");
        push_numbers(&mut out, &samples);
        out.push('}');
        out
    }
}

/// Writes an object of numbers. NOTE: the names need no escapes.
fn push_numbers(out: &mut String, numbers: &[(&str, f64)]) {
    for (i, (name, number)) in numbers.iter().enumerate() {
        out.push(if i == 0 { '{' } else { ',' });
        out.push('"');
        out.push_str(name);
        out.push_str("\":");
        push_api_float(out, *number);
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json() {
        let statistics = Statistics {
            queryable_samples: 20,
            read_samples: 8,
            decoded_samples: 30,
            peak_samples: 9,
            queue_time: 0.25,
            prepare_time: 0.125,
            eval_time: 0.5,
            sort_time: 0.000_000_5,
        };
        let expect = "{\"timings\":{\"evalTotalTime\":0.6250005,\"resultSortTime\":5e-07,\
            \"queryPreparationTime\":0.125,\"innerEvalTime\":0.5,\"execQueueTime\":0.25,\
            \"execTotalTime\":0.8750005},\"samples\":{\"totalQueryableSamples\":20,\
            \"samplesRead\":8,\"peakSamples\":9}}";
        assert_eq!(statistics.json(), expect);
    }
}
