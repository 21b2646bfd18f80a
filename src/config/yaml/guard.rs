//! Refuses texts before the scanner sees them.

use super::node::SyntaxError;

/// LIMIT: the scanner's work grows with the square of the open brackets (100,000 take it 16 s).
/// Real files have some ten.
const BRACKETS_MAX: i64 = 2_000;

/// LIMIT: the same for `- - - -` and `? ? ? ?` on one line.
const DASHES_MAX: usize = 200;

const BINARY: &str = "!!binary";

/// Counts brackets without regard to quotes, so that a text with many unmatched ones in strings is
/// refused too.
pub fn check(text: &str) -> Result<(), SyntaxError> {
    let mut open = 0;
    for (i, line) in text.lines().enumerate() {
        open += brackets(line);
        let marks = |b: &u8| matches!(b, b'-' | b'?' | b' ' | b'\t');
        let dashes = line
            .bytes()
            .take_while(marks)
            .filter(|b| matches!(b, b'-' | b'?'));
        if open > BRACKETS_MAX {
            return Err(SyntaxError::at(i + 1, "more than 2000 open brackets"));
        }
        if !line.starts_with("---") && dashes.count() > DASHES_MAX {
            return Err(SyntaxError::at(
                i + 1,
                "more than 200 nested lists in one line",
            ));
        }
        if let Some(message) = binary_fault(line) {
            return Err(SyntaxError::at(i + 1, message));
        }
    }
    Ok(())
}

fn brackets(line: &str) -> i64 {
    line.bytes()
        .map(|b| match b {
            b'[' | b'{' => 1,
            b']' | b'}' => -1,
            _ => 0,
        })
        .sum()
}

/// Finds `!!binary` in the text, since the parser hides tags. Prometheus accepts it only if it
/// decodes to UTF-8, which nobody writes, so all are refused.
fn binary_fault(line: &str) -> Option<String> {
    let at = line.find(BINARY)?;
    let (before, after) = (line.get(..at)?, line.get(at + BINARY.len()..)?);
    let is_tag = before.is_empty() || before.ends_with([' ', '\t', '[', '{', ',']);
    if !is_tag || before.contains(['#', '"', '\'']) || !after.starts_with([' ', '\t']) {
        return None;
    }
    let after = after.trim();
    let quoted = |q| after.strip_prefix(q).and_then(|rest| rest.split(q).next());
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(after);
    use base64::Engine as _;
    Some(
        match base64::engine::general_purpose::STANDARD.decode(value) {
            Err(_) => "!!binary value contains invalid base64 data".to_owned(),
            Ok(bytes) if std::str::from_utf8(&bytes).is_err() => {
                let quoted = crate::stdx::gofmt::quote_bytes(&bytes);
                format!("{quoted} is not a valid label value")
            }
            Ok(_) => "!!binary is not supported, write the text itself".to_owned(),
        },
    )
}
