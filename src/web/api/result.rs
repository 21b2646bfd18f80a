//! A query's result as JSON, written in bounded pieces: its text takes up to twice the room of its
//! values, and is never there as a whole.

use std::vec::IntoIter;

use crate::model::{Labels, Sample};
use crate::promql::{Series, Value};
use crate::web::json;
use crate::web::server::{Pieces, Response};

/// LIMIT: bytes of text made at once, a sample or the labels of a series more or less.
const PIECE_BYTES: usize = 64 << 10;

/// LIMIT: an answer that is smaller is sent as a whole, with its length.
const WHOLE_BYTES: usize = 256 << 10;

/// An object of what a query found, and what is to be written of it yet.
#[derive(Debug)]
pub struct QueryResult {
    /// What is made already.
    front: Vec<u8>,
    rest: Rest,
    /// Of the series that is being written.
    samples: Option<IntoIter<Sample>>,
    needs_comma: bool,
    /// What stands behind the series.
    back: String,
    held: usize,
}

#[derive(Debug)]
enum Rest {
    Nothing,
    Vector(IntoIter<(Labels, Sample)>),
    Matrix(IntoIter<Series>),
}

impl QueryResult {
    /// `stats` is JSON.
    pub fn new(value: Value, stats: Option<&str>) -> QueryResult {
        let mut front = String::from("{\"resultType\":\"");
        let (held, rest, close) = match value {
            Value::Scalar(sample) => {
                front.push_str("scalar\",\"result\":");
                json::push_point(&mut front, &sample);
                (0, Rest::Nothing, "")
            }
            Value::Text(t, text) => {
                front.push_str("string\",\"result\":");
                json::push_text_point(&mut front, t, &text);
                (0, Rest::Nothing, "")
            }
            Value::Vector(vector) => {
                front.push_str("vector\",\"result\":[");
                let held = vector.iter().map(|(labels, _)| bytes_of(labels, 1)).sum();
                (held, Rest::Vector(vector.into_iter()), "]")
            }
            Value::Matrix(matrix) => {
                front.push_str("matrix\",\"result\":[");
                let bytes = |(labels, samples): &Series| bytes_of(labels, samples.capacity());
                let held = matrix.iter().map(bytes).sum();
                (held, Rest::Matrix(matrix.into_iter()), "]")
            }
        };
        let mut back = String::from(close);
        if let Some(stats) = stats {
            back.push_str(",\"stats\":");
            back.push_str(stats);
        }
        back.push('}');
        QueryResult {
            front: front.into_bytes(),
            rest,
            samples: None,
            needs_comma: false,
            back,
            held,
        }
    }

    /// What stands around the object.
    pub fn within(mut self, before: &str, after: &str) -> QueryResult {
        self.front.splice(0..0, before.bytes());
        self.back.push_str(after);
        self
    }

    pub fn into_response(mut self) -> Response {
        let mut body = Vec::new();
        while body.len() < WHOLE_BYTES {
            if !self.next(&mut body) {
                return Response::json(200, body);
            }
        }
        self.front = body;
        Response::pieces(200, self).header("Content-Type", "application/json")
    }

    /// Until the piece is full; whether there is more.
    fn write(&mut self, out: &mut String) -> bool {
        while out.len() < PIECE_BYTES {
            if !self.write_samples(out) && !self.write_series(out) {
                return false;
            }
        }
        true
    }

    /// The next series, or its beginning; false where there is none.
    fn write_series(&mut self, out: &mut String) -> bool {
        match &mut self.rest {
            Rest::Nothing => return false,
            Rest::Vector(all) => {
                let Some((labels, sample)) = all.next() else {
                    return false;
                };
                self.held = self.held.saturating_sub(bytes_of(&labels, 1));
                push_metric(out, &labels, &mut self.needs_comma);
                out.push_str(",\"value\":");
                json::push_point(out, &sample);
                out.push('}');
            }
            Rest::Matrix(all) => {
                let Some((labels, samples)) = all.next() else {
                    return false;
                };
                let bytes = bytes_of(&labels, samples.capacity());
                self.held = self.held.saturating_sub(bytes);
                push_metric(out, &labels, &mut self.needs_comma);
                out.push_str(",\"values\":[");
                self.needs_comma = false;
                self.samples = Some(samples.into_iter());
            }
        }
        true
    }

    /// Samples of the series that is begun; false where there is none.
    fn write_samples(&mut self, out: &mut String) -> bool {
        let Some(samples) = &mut self.samples else {
            return false;
        };
        while out.len() < PIECE_BYTES {
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

impl Pieces for QueryResult {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        if !self.front.is_empty() {
            out.append(&mut self.front);
            return true;
        }
        let mut text = String::with_capacity(PIECE_BYTES + (PIECE_BYTES >> 4));
        let more = self.write(&mut text);
        if !more {
            text.push_str(&self.back);
        }
        if out.is_empty() {
            *out = text.into_bytes();
        } else {
            out.extend_from_slice(text.as_bytes());
        }
        more
    }

    fn held(&self) -> usize {
        let at_hand = self.samples.as_ref().map_or(0, ExactSizeIterator::len);
        self.held + self.front.len() + at_hand * size_of::<Sample>()
    }
}

fn push_metric(out: &mut String, labels: &Labels, needs_comma: &mut bool) {
    if std::mem::replace(needs_comma, true) {
        out.push(',');
    }
    out.push_str("{\"metric\":");
    json::push_labels(out, labels);
}

fn bytes_of(labels: &Labels, samples: usize) -> usize {
    size_of::<Series>() + labels.heap_bytes() + samples * size_of::<Sample>()
}

#[cfg(test)]
mod tests {
    use super::*;
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

    /// The whole text, and the largest piece.
    fn text(result: QueryResult) -> (String, usize) {
        let response = result.within("<", ">").into_response();
        assert_eq!(response.headers[0].1, "application/json");
        let mut pieces = match response.body {
            Body::Bytes(bytes) => return (String::from_utf8(bytes.to_vec()).unwrap(), bytes.len()),
            Body::Pieces(pieces) => pieces,
            other => panic!("{other:?}"),
        };
        let (mut all, mut largest) = (Vec::new(), 0);
        loop {
            let (mut piece, held) = (Vec::new(), pieces.held());
            let more = pieces.next(&mut piece);
            assert!(pieces.held() <= held);
            // The first is what was made before it was known to be large.
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
            let (text, _) = text(QueryResult::new(value, stats));
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
            let (text, largest) = text(QueryResult::new(value, Some("7")));
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
