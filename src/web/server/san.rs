//! Reads the subject alternative names of a certificate: the part of X.509 that
//! `client_allowed_sans` needs.
//!
//! RFC 5280 4.1 and 4.2.1.6. The certificate's signature was verified before.

use std::net::{Ipv4Addr, Ipv6Addr};

const SEQUENCE: u8 = 0x30;
const OBJECT_ID: u8 = 0x06;
const OCTETS: u8 = 0x04;
const EXTENSIONS: u8 = 0xa3;
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP: u8 = 0x87;
/// The identifier 2.5.29.17.
const SAN_ID: &[u8] = &[0x55, 0x1d, 0x11];

/// Returns DNS names, e-mail addresses, URIs and IP addresses, and skips what it cannot read.
pub(super) fn alternative_names(certificate: &[u8]) -> Vec<String> {
    extension(certificate, SAN_ID)
        .and_then(|value| inner(value, SEQUENCE))
        .map(|names| elements(names).filter_map(name).collect())
        .unwrap_or_default()
}

fn name((tag, value): (u8, &[u8])) -> Option<String> {
    match tag {
        DNS | EMAIL | URI => std::str::from_utf8(value).ok().map(str::to_owned),
        IP => match value.len() {
            4 => <[u8; 4]>::try_from(value)
                .ok()
                .map(|b| Ipv4Addr::from(b).to_string()),
            16 => <[u8; 16]>::try_from(value)
                .ok()
                .map(|b| Ipv6Addr::from(b).to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn extension<'a>(certificate: &'a [u8], id: &[u8]) -> Option<&'a [u8]> {
    let signed = inner(inner(certificate, SEQUENCE)?, SEQUENCE)?;
    let (_, wrapped) = elements(signed).find(|(tag, _)| *tag == EXTENSIONS)?;
    elements(inner(wrapped, SEQUENCE)?).find_map(|(_, extension)| {
        let mut parts = elements(extension);
        let is_wanted = parts.next()? == (OBJECT_ID, id);
        let (_, value) = parts.find(|(tag, _)| *tag == OCTETS)?;
        is_wanted.then_some(value)
    })
}

/// Returns the value of the first element, which must have this tag.
fn inner(der: &[u8], tag: u8) -> Option<&[u8]> {
    let (first, value) = elements(der).next()?;
    (first == tag).then_some(value)
}

/// Yields the elements as tag and value, until one cannot be read.
fn elements(mut der: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [tag, length, rest @ ..] = der else {
            return None;
        };
        let (length, rest) = match usize::from(*length) {
            short @ 0..0x80 => (short, rest),
            long => {
                let (bytes, rest) = rest.split_at_checked(long - 0x80)?;
                if bytes.len() > 3 {
                    return None;
                }
                let length = bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b));
                (length, rest)
            }
        };
        let (value, rest) = rest.split_at_checked(length)?;
        der = rest;
        Some((*tag, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_certificate() {
        let names = ["a.example", "127.0.0.1", "::1"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names.to_vec()).unwrap();
        assert_eq!(alternative_names(made.cert.der()), names);
    }

    #[test]
    fn damaged_certificates_have_no_names() {
        let made = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        let der = made.cert.der().to_vec();
        for cut in 0..der.len() {
            assert!(alternative_names(&der[..cut]).is_empty());
        }
    }
}
