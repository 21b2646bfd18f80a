//! Decodes a file's bytes: UTF-8, or UTF-16 with a byte order mark, as in YAML.

const BOM: &[u8] = b"\xef\xbb\xbf";
const BOM_LITTLE: &[u8] = b"\xff\xfe";
const BOM_BIG: &[u8] = b"\xfe\xff";

/// Decodes the bytes.
///
/// # Errors
/// They are not UTF-8 or UTF-16. The text gives the line.
pub fn decode(bytes: Vec<u8>) -> Result<String, String> {
    if let Some(units) = bytes.strip_prefix(BOM_LITTLE) {
        return utf16(units, u16::from_le_bytes);
    }
    if let Some(units) = bytes.strip_prefix(BOM_BIG) {
        return utf16(units, u16::from_be_bytes);
    }
    let mut text = String::from_utf8(bytes).map_err(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        wrong(good, "invalid UTF-8")
    })?;
    if text.as_bytes().starts_with(BOM) {
        text.drain(..BOM.len());
    }
    Ok(text)
}

fn wrong(before: &[u8], what: &str) -> String {
    let line = 1 + memchr::memchr_iter(b'\n', before).count();
    format!("yaml: line {line}: {what}")
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let mut text = String::with_capacity(bytes.len() / 2);
    let pairs = bytes.chunks_exact(2);
    let half = !pairs.remainder().is_empty();
    let units = pairs.map(|pair| unit([pair[0], pair[1]]));
    for decoded in char::decode_utf16(units) {
        match decoded {
            Ok(c) => text.push(c),
            Err(e) => {
                let unit = e.unpaired_surrogate();
                let what = format!("unpaired surrogate {unit:#06x} in UTF-16");
                return Err(wrong(text.as_bytes(), &what));
            }
        }
    }
    if half {
        return Err(wrong(text.as_bytes(), "incomplete UTF-16 character"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_by_its_mark() {
        let check = |bytes: &[u8], expect: Result<&str, &str>| {
            let expect = expect.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(decode(bytes.to_vec()), expect, "{bytes:?}");
        };
        check(b"a: 1", Ok("a: 1"));
        check(b"\xef\xbb\xbfa", Ok("a"));
        check(b"\xff\xfea\0\xe9\0", Ok("aé"));
        check(b"\xfe\xff\0a\xd8\x3d\xde\x00", Ok("a😀"));
        check(b"\xff\xfe", Ok(""));
        check(b"a\n\xff", Err("yaml: line 2: invalid UTF-8"));
        check(
            b"\xff\xfea\0\n\0b",
            Err("yaml: line 2: incomplete UTF-16 character"),
        );
        check(
            b"\xff\xfea\0\n\0\0\xd8a\0",
            Err("yaml: line 2: unpaired surrogate 0xd800 in UTF-16"),
        );
        check(
            b"\xfe\xff\xdc\0",
            Err("yaml: line 1: unpaired surrogate 0xdc00 in UTF-16"),
        );
    }
}
