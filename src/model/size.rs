//! Sizes in bytes as the configuration writes them: `512MB`, `1GiB`. A unit is required; units are
//! powers of two.

const UNITS: [(&str, u32); 7] = [
    ("B", 0),
    ("K", 10),
    ("M", 20),
    ("G", 30),
    ("T", 40),
    ("P", 50),
    ("E", 60),
];

/// Reads a size. `KB` and `KiB` are the same 1,024 bytes.
///
/// # Errors
/// Gives Prometheus's text for a number without a known unit (`units: unknown unit  in 100`).
pub fn parse(text: &str) -> Result<u64, String> {
    if text == "0" {
        return Ok(0);
    }
    let digits = text
        .bytes()
        .take_while(|b| b.is_ascii_digit() || *b == b'.')
        .count();
    let (number, unit) = text.split_at(digits);
    let shift = UNITS.iter().find_map(|(name, shift)| {
        let rest = unit.strip_prefix(name)?;
        (rest.is_empty() && *name == "B" || *name != "B" && (rest == "B" || rest == "iB"))
            .then_some(*shift)
    });
    let Some(shift) = shift else {
        return Err(format!("units: unknown unit {unit} in {text}"));
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("units: invalid {text}"))?;
    let bytes = number * (1u64 << shift) as f64;
    if bytes > i64::MAX as f64 {
        return Err(format!("units: {text} is more than 8EB"));
    }
    Ok(bytes as u64)
}

/// Writes the size in the largest unit that divides it (`512MiB`), as Prometheus prints its
/// configuration.
pub fn format(bytes: u64) -> String {
    let (unit, shift) = UNITS
        .iter()
        .rev()
        .find(|(_, s)| bytes >= 1 << s && bytes.is_multiple_of(1 << s))
        .unwrap_or(&UNITS[0]);
    let suffix = if *shift == 0 { "" } else { "iB" };
    format!("{}{unit}{suffix}", bytes >> shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("15MB"), Ok(15 << 20));
        assert_eq!(parse("1.5KiB"), Ok(1536));
        assert_eq!(parse("7B"), Ok(7));
        assert_eq!(parse("100"), Err("units: unknown unit  in 100".to_owned()));
        assert!(parse("1XB").is_err());
        assert_eq!(format(15 << 20), "15MiB");
        assert_eq!(format(1000), "1000B");
        assert_eq!(format(0), "0B");
    }
}
