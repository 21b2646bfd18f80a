//! The body of a form that `curl -F` sends: `multipart/form-data` (RFC 7578), read as in Go.

/// LIMIT: Go's.
const PARTS_MAX: usize = 1_000;
/// LIMIT: a part's headers. A name and a type take a hundred bytes.
const PART_HEAD_BYTES_MAX: usize = 8 << 10;
/// LIMIT: RFC 2046 5.1.1.
const BOUNDARY_BYTES_MAX: usize = 70;

/// Returns the names and values of a body of this content type; none if it has another type. Files
/// are left out.
///
/// # Errors
/// Why the body is not a form.
pub(super) fn fields(
    content_type: &str,
    body: &[u8],
) -> Result<Option<Vec<(String, String)>>, String> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Ok(None);
    }
    let boundary = parameter(parameters, "boundary").unwrap_or_default();
    if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX {
        return Err(format!(
            "multipart/form-data needs a boundary of 1 to {BOUNDARY_BYTES_MAX} characters in \
             Content-Type"
        ));
    }
    let mut parts = Parts {
        delimiter: format!("--{boundary}").into_bytes(),
        rest: body,
    };
    parts.skip_preamble()?;
    let mut fields = Vec::new();
    let mut count = 0;
    while let Some((head, data)) = parts.next()? {
        count += 1;
        if count > PARTS_MAX {
            return Err(format!(
                "multipart/form-data has more than {PARTS_MAX} parts"
            ));
        }
        if let Some(name) = name_of(head)? {
            fields.push((name, String::from_utf8_lossy(data).into_owned()));
        }
    }
    Ok(Some(fields))
}

/// The headers of a part, and its data.
type Part<'a> = (&'a [u8], &'a [u8]);

struct Parts<'a> {
    /// The delimiter, with its two dashes.
    delimiter: Vec<u8>,
    /// The rest, which begins after a line of the delimiter.
    rest: &'a [u8],
}

/// The meaning of a line of the delimiter.
enum Line {
    /// A part follows, after so many bytes.
    Part(usize),
    Last,
}

impl<'a> Parts<'a> {
    fn skip_preamble(&mut self) -> Result<(), String> {
        loop {
            match self.delimiter_at(self.rest) {
                Some(Line::Part(used)) => {
                    self.rest = self.rest.get(used..).unwrap_or_default();
                    return Ok(());
                }
                Some(Line::Last) => {
                    self.rest = &[];
                    return Ok(());
                }
                None => {}
            }
            let Some(end) = self.rest.iter().position(|b| *b == b'\n') else {
                return Err("multipart/form-data: its boundary is not in the body".to_owned());
            };
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
        }
    }

    /// Returns the next part's headers and data.
    fn next(&mut self) -> Result<Option<Part<'a>>, String> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (head, body) = split_head(self.rest)?;
        let mut at = 0;
        loop {
            // A delimiter is at the start of a line. The line break before it is not data.
            if let Some(line) = self.delimiter_at(body.get(at..).unwrap_or_default()) {
                let data = body.get(..at).unwrap_or_default();
                let data = data.strip_suffix(b"\n").unwrap_or(data);
                let data = data.strip_suffix(b"\r").unwrap_or(data);
                self.rest = match line {
                    Line::Part(used) => body.get(at + used..).unwrap_or_default(),
                    Line::Last => &[],
                };
                if matches!(line, Line::Part(_)) && self.rest.is_empty() {
                    return Err(cut_off());
                }
                return Ok(Some((head, data)));
            }
            let rest = body.get(at..).unwrap_or_default();
            let Some(end) = rest.iter().position(|b| *b == b'\n') else {
                return Err(cut_off());
            };
            at += end + 1;
        }
    }

    fn delimiter_at(&self, text: &[u8]) -> Option<Line> {
        let after = text.strip_prefix(&*self.delimiter)?;
        if after.starts_with(b"--") {
            return Some(Line::Last);
        }
        let end = after.iter().position(|b| *b == b'\n')?;
        let line = after.get(..end).unwrap_or_default();
        let used = self.delimiter.len() + end + 1;
        line.trim_ascii().is_empty().then_some(Line::Part(used))
    }
}

fn cut_off() -> String {
    "multipart/form-data: the body ends before its last boundary".to_owned()
}

/// Returns the headers of a part, and what follows their empty line.
fn split_head(part: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let mut at = 0;
    while at <= PART_HEAD_BYTES_MAX {
        let rest = part.get(at..).unwrap_or_default();
        let Some(end) = rest.iter().position(|b| *b == b'\n') else {
            return Err(cut_off());
        };
        if rest.get(..end).unwrap_or_default().trim_ascii().is_empty() {
            return Ok(part.split_at(at + end + 1));
        }
        at += end + 1;
    }
    Err(format!(
        "multipart/form-data: a part's headers are larger than {PART_HEAD_BYTES_MAX} bytes"
    ))
}

/// Returns the field's name; `None` for a file, and for anything that is not a field.
fn name_of(head: &[u8]) -> Result<Option<String>, String> {
    let head = String::from_utf8_lossy(head);
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.find_map(|(n, value)| n.trim().eq_ignore_ascii_case(name).then(|| value.trim()))
    };
    let coding = header("content-transfer-encoding").unwrap_or_default();
    if coding.eq_ignore_ascii_case("quoted-printable") {
        return Err("multipart/form-data: quoted-printable is not supported".to_owned());
    }
    let disposition = header("content-disposition").unwrap_or_default();
    let (kind, parameters) = disposition.split_once(';').unwrap_or((disposition, ""));
    if !kind.trim().eq_ignore_ascii_case("form-data") || parameter(parameters, "filename").is_some()
    {
        return Ok(None);
    }
    Ok(parameter(parameters, "name").filter(|name| !name.is_empty()))
}

/// Returns the value of a parameter of a header: `; name=value; other="quoted \" value"`.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = if let Some(quoted) = after.strip_prefix('"') {
            unquoted(quoted)?
        } else {
            let end = after.find(';').unwrap_or(after.len());
            let (value, next) = after.split_at(end);
            (value.trim().to_owned(), next)
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = next;
    }
}

/// Returns a quoted text without its quotes, and what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            // NOTE: some browsers send the paths of Windows, with single backslashes.
            '\\' if text.get(at + 1..)?.starts_with(['"', '\\']) => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=b";

    fn part(headers: &str, data: &str) -> String {
        format!("--b\r\n{headers}\r\n\r\n{data}\r\n")
    }

    fn field(name: &str, data: &str) -> String {
        part(
            &format!("Content-Disposition: form-data; name=\"{name}\""),
            data,
        )
    }

    fn check(kind: &str, body: &str, expect: &[(&str, &str)]) {
        let fields = fields(kind, body.as_bytes()).unwrap().unwrap();
        let got: Vec<_> = fields.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(got, expect, "{body:?}");
    }

    #[test]
    fn forms_are_read() {
        let two = [field("query", "up"), field("match[]", "a\r\nb")].concat();
        check(
            TYPE,
            &format!("{two}--b--\r\n"),
            &[("query", "up"), ("match[]", "a\r\nb")],
        );
        let upper = "Multipart/Form-Data; charset=x; Boundary=\"b\"";
        check(
            upper,
            &format!("preamble\r\n{two}--b--"),
            &[("query", "up"), ("match[]", "a\r\nb")],
        );
        check(TYPE, "--b--\r\n", &[]);
        check(TYPE, &format!("{}--b--", field("q", "")), &[("q", "")]);
        let bare = "--b\nContent-Disposition: form-data; name=q\n\nx\n--b--\n";
        check(TYPE, bare, &[("q", "x")]);
        // What only looks like a delimiter is data.
        check(
            TYPE,
            &format!("{}--b--", field("q", "--bc\r\nx--b")),
            &[("q", "--bc\r\nx--b")],
        );
        let others = [
            part(
                "Content-Disposition: form-data; name=f; filename=\"x\"",
                "file",
            ),
            part("Content-Disposition: attachment; name=a", "x"),
            part("X: y", "x"),
            part(
                "content-disposition: form-data; name=\"a\\\"b\"\r\nContent-Type: text/plain",
                "é",
            ),
        ];
        check(TYPE, &format!("{}--b--", others.concat()), &[("a\"b", "é")]);
        assert_eq!(fields("text/plain", b"--b"), Ok(None));
    }

    #[test]
    fn what_is_no_form_is_told() {
        let refuse = |kind: &str, body: &str, why: &str| {
            let error = fields(kind, body.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
        };
        refuse("multipart/form-data", "", "needs a boundary");
        refuse("multipart/form-data; boundary=\"\"", "", "needs a boundary");
        refuse(TYPE, "", "its boundary is not in the body");
        refuse(TYPE, "query=up", "its boundary is not in the body");
        refuse(TYPE, &field("q", "x"), "ends before its last boundary");
        refuse(TYPE, "--b\r\nContent-Dis", "ends before its last boundary");
        refuse(TYPE, &field("q", "x").repeat(1002), "more than 1000 parts");
        refuse(
            TYPE,
            &part(&format!("X: {}", "y".repeat(9 << 10)), ""),
            "larger than 8192",
        );
        let quoted = "Content-Disposition: form-data; name=q\r\n\
                      Content-Transfer-Encoding: quoted-printable";
        refuse(
            TYPE,
            &format!("{}--b--", part(quoted, "x")),
            "quoted-printable",
        );
    }
}
