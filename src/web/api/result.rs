//! A query's result as JSON.

use std::vec::IntoIter;

use super::document::{Document, Parts};
use crate::model::{Labels, Sample};
use crate::promql::{Series, Value};
use crate::web::json;

/// Writes a query's result as an object. `stats` is JSON.
pub fn result(value: Value, stats: Option<&str>) -> Document {
    let mut front = String::from("{\"resultType\":\"");
    let document = match value {
        Value::Scalar(sample) => {
            front.push_str("scalar\",\"result\":");
            json::push_point(&mut front, &sample);
            Document::from(front)
        }
        Value::Text(t, text) => {
            front.push_str("string\",\"result\":");
            json::push_text_point(&mut front, t, &text);
            Document::from(front)
        }
        Value::Vector(vector) => {
            front.push_str("vector\",\"result\":");
            let bytes_of = |(labels, _): &(Labels, Sample)| bytes_of(labels, 1);
            Document::from(front).list(vector, bytes_of, push_instant)
        }
        Value::Matrix(matrix) => {
            front.push_str("matrix\",\"result\":[");
            Document::from(front).parts(Matrix::new(matrix)).text("]")
        }
    };
    let document = match stats {
        Some(stats) => document.text(",\"stats\":").text(stats),
        None => document,
    };
    document.text("}")
}

/// LIMIT: less than a KiB of text, so that pieces have the intended size.
const SAMPLES_AT_ONCE: usize = 16;

/// A matrix. Some samples of a series are written at once.
struct Matrix {
    rest: IntoIter<Series>,
    /// The samples of the series that is being written.
    samples: Option<IntoIter<Sample>>,
    needs_comma: bool,
    held: usize,
}

impl Matrix {
    fn new(matrix: Vec<Series>) -> Matrix {
        let bytes = |(labels, samples): &Series| bytes_of(labels, samples.capacity());
        Matrix {
            held: matrix.iter().map(bytes).sum(),
            rest: matrix.into_iter(),
            samples: None,
            needs_comma: false,
        }
    }

    /// Writes the beginning of the next series. Returns false if there is none.
    fn write_series(&mut self, out: &mut String) -> bool {
        let Some((labels, samples)) = self.rest.next() else {
            return false;
        };
        let bytes = bytes_of(&labels, samples.capacity());
        self.held = self.held.saturating_sub(bytes);
        if std::mem::take(&mut self.needs_comma) {
            out.push(',');
        }
        push_metric(out, &labels);
        out.push_str(",\"values\":[");
        self.samples = Some(samples.into_iter());
        true
    }

    /// Writes samples of the current series. Returns false if there is none.
    fn write_samples(&mut self, out: &mut String) -> bool {
        let Some(samples) = &mut self.samples else {
            return false;
        };
        for _ in 0..SAMPLES_AT_ONCE {
            let Some(sample) = samples.next() else {
                out.push_str("]}");
                (self.samples, self.needs_comma) = (None, true);
                return true;
            };
            if std::mem::replace(&mut self.needs_comma, true) {
                out.push(',');
            }
            json::push_point(out, &sample);
        }
        true
    }
}

impl Parts for Matrix {
    fn write(&mut self, out: &mut String) -> bool {
        self.write_samples(out) || self.write_series(out)
    }

    fn held(&self) -> usize {
        let at_hand = self.samples.as_ref().map_or(0, ExactSizeIterator::len);
        self.held + at_hand * size_of::<Sample>()
    }
}

fn push_instant(out: &mut String, (labels, sample): (Labels, Sample)) {
    push_metric(out, &labels);
    out.push_str(",\"value\":");
    json::push_point(out, &sample);
    out.push('}');
}

fn push_metric(out: &mut String, labels: &Labels) {
    out.push_str("{\"metric\":");
    json::push_labels(out, labels);
}

fn bytes_of(labels: &Labels, samples: usize) -> usize {
    size_of::<Series>() + labels.heap_bytes() + samples * size_of::<Sample>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::api::document::{PIECE_BYTES, WHOLE_BYTES};
    use crate::web::server::Body;

    fn labels(n: usize) -> Labels {
        Labels::from_pairs([("n", &n.to_string())])
    }

    fn samples(count: usize) -> Vec<Sample> {
        let sample = |i| Sample {
            t: i as i64 * 500,
            v: i as f64,
        };
        (0..count).map(sample).collect()
    }

    /// Returns the whole text, and the size of the largest piece.
    fn text(result: Document) -> (String, usize) {
        let response = result.within("<", ">".to_owned()).into_response();
        assert_eq!(response.headers[0].1, "application/json");
        let mut pieces = match response.body {
            Body::Bytes(bytes) => return (String::from_utf8(bytes.to_vec()).unwrap(), bytes.len()),
            Body::Pieces(pieces) => pieces,
        };
        let (mut all, mut largest) = (Vec::new(), 0);
        loop {
            let held = pieces.held();
            let (piece, more) = pieces.next();
            assert!(pieces.held() <= held);
            // The first piece was made before the text was known to be large.
            largest = if all.is_empty() {
                0
            } else {
                piece.len().max(largest)
            };
            all.extend(piece);
            if !more {
                return (String::from_utf8(all).unwrap(), largest);
            }
        }
    }

    #[test]
    fn small_results() {
        let check = |value, stats, expect: &str| {
            let (text, _) = text(result(value, stats));
            assert_eq!(text, format!("<{expect}>"));
        };
        let one = samples(2)[1];
        check(
            Value::Scalar(one),
            None,
            r#"{"resultType":"scalar","result":[0.500,"1"]}"#,
        );
        check(
            Value::Text(1000, "<".to_owned()),
            Some("1"),
            r#"{"resultType":"string","result":[1,"\u003c"],"stats":1}"#,
        );
        check(
            Value::Vector(vec![]),
            Some("{}"),
            r#"{"resultType":"vector","result":[],"stats":{}}"#,
        );
        check(
            Value::Vector(vec![(labels(1), one), (Labels::empty(), one)]),
            None,
            r#"{"resultType":"vector","result":[{"metric":{"n":"1"},"value":[0.500,"1"]},{"metric":{},"value":[0.500,"1"]}]}"#,
        );
        check(
            Value::Matrix(vec![(labels(1), samples(2)), (labels(2), samples(1))]),
            Some("{}"),
            r#"{"resultType":"matrix","result":[{"metric":{"n":"1"},"values":[[0,"0"],[0.500,"1"]]},{"metric":{"n":"2"},"values":[[0,"0"]]}],"stats":{}}"#,
        );
    }

    #[test]
    fn large_results_come_in_pieces() {
        let one_long = Value::Matrix(vec![(labels(1), samples(100_000))]);
        let many = Value::Matrix((0..2_000).map(|n| (labels(n), samples(50))).collect());
        let vector = (0..30_000).map(|n| (labels(n), samples(1)[0])).collect();
        for (value, series, points) in [
            (one_long, 1, 100_000),
            (many, 2_000, 100_000),
            (Value::Vector(vector), 30_000, 30_000),
        ] {
            let (text, largest) = text(result(value, Some("7")));
            assert!(text.len() > 3 * WHOLE_BYTES, "{}", text.len());
            assert!(largest < PIECE_BYTES + 1_000, "{largest}");
            let json = text.strip_prefix('<').and_then(|t| t.strip_suffix('>'));
            let json: serde_json::Value = serde_json::from_str(json.unwrap()).unwrap();
            assert_eq!(json["stats"], 7);
            let result = json["result"].as_array().unwrap();
            let points_of = |s: &serde_json::Value| s["values"].as_array().map_or(1, Vec::len);
            assert_eq!(result.len(), series);
            assert_eq!(result.iter().map(points_of).sum::<usize>(), points);
        }
    }
}
