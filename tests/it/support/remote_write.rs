//! A sender of remote write 1.0.

use std::io;
use std::net::SocketAddr;

use super::http::{Reply, send_raw};

pub fn varint(mut v: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
    out
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [
        &[number << 3 | 2],
        varint(bytes.len() as u64).as_slice(),
        bytes,
    ]
    .concat()
}

/// An exemplar: its labels, value and time.
pub type Exemplar<'a> = (&'a [(&'a str, &'a str)], f64, i64);

/// Makes a series' exemplars without samples, as senders send them.
pub fn exemplars(labels: &[(&str, &str)], exemplars: &[Exemplar<'_>]) -> Vec<u8> {
    let mut inner = label_fields(labels);
    for (labels, v, t) in exemplars {
        let mut exemplar = label_fields(labels);
        exemplar.push(0x11);
        exemplar.extend(v.to_le_bytes());
        exemplar.push(0x18);
        exemplar.extend(varint(*t as u64));
        inner.extend(field(3, &exemplar));
    }
    field(1, &inner)
}

fn label_fields(labels: &[(&str, &str)]) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in labels {
        let label = [field(1, name.as_bytes()), field(2, value.as_bytes())].concat();
        fields.extend(field(1, &label));
    }
    fields
}

pub fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Vec<u8> {
    let mut inner = label_fields(labels);
    for (t, v) in samples {
        let mut sample = vec![0x09];
        sample.extend(v.to_le_bytes());
        sample.push(0x10);
        sample.extend(varint(*t as u64));
        inner.extend(field(2, &sample));
    }
    field(1, &inner)
}

pub fn named(name: &str, samples: &[(i64, f64)]) -> Vec<u8> {
    series(&[("__name__", name)], samples)
}

/// Encodes Snappy of literals only.
pub fn snappy(raw: &[u8]) -> Vec<u8> {
    let mut out = varint(raw.len() as u64);
    for piece in raw.chunks(1 << 16) {
        out.push(61 << 2);
        out.extend(((piece.len() - 1) as u16).to_le_bytes());
        out.extend(piece);
    }
    out
}

pub fn post(address: SocketAddr, headers: &str, body: &[u8]) -> io::Result<Reply> {
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    send_raw(address, &[head.as_bytes(), body].concat())
}

pub const HEADERS: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
    X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
