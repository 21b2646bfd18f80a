//! Reads a list of target groups in JSON as Go's `encoding/json` does: keys in any case, the last
//! of a repeated key, U+FFFD for invalid Unicode, and a syntax error before one of meaning.

use std::collections::BTreeMap;

use crate::stdx::gofmt;

/// LIMIT: Go's own. Only skipped values may nest at all, and they are skipped without recursion.
const DEPTH_MAX: usize = 10_000;

/// LIMIT: groups, targets and labels together. Each takes some hundred bytes, and may take three in
/// the file.
const VALUES_MAX: usize = 500_000;

const GROUPS: &str = "Go value of type []*targetgroup.Group";
const GROUP: &str = r#"Go value of type struct { Targets []string "json:\"targets\""; Labels model.LabelSet "json:\"labels\"" }"#;
const TARGETS: &str = "Go struct field .targets of type []string";
const TARGET: &str = "Go struct field .targets of type string";
const LABELS: &str = "Go struct field .labels of type map[model.LabelName]model.LabelValue";
const LABEL: &str = "Go struct field .labels of type model.LabelValue";

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct JsonGroup {
    pub targets: Vec<String>,
    pub labels: BTreeMap<String, String>,
}

/// Returns the groups; `None` for a null one.
///
/// # Errors
/// The first fault, in Go's words. A syntax error has its place.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Option<JsonGroup>>, String> {
    let mut json = Json {
        text,
        at: 0,
        depth: 0,
        values: 0,
        fault: None,
    };
    let mut groups = Vec::new();
    if json.begins(b'[', GROUPS)? {
        json.array(|json| {
            json.count()?;
            groups.push(json.group()?);
            Ok(())
        })?;
    }
    json.space();
    if json.peek().is_some() {
        return Err(json.invalid("after top-level value"));
    }
    json.fault.map_or(Ok(groups), Err)
}

struct Json<'t> {
    text: &'t [u8],
    at: usize,
    depth: usize,
    values: usize,
    /// The first error of meaning, which counts if there is no syntax error.
    fault: Option<String>,
}

impl Json<'_> {
    fn group(&mut self) -> Result<Option<JsonGroup>, String> {
        if !self.begins(b'{', GROUP)? {
            return Ok(None);
        }
        let mut group = JsonGroup::default();
        self.object(|json, key| match folded(&key).as_str() {
            "targets" => json.targets(&mut group.targets),
            "labels" => json.labels(&mut group.labels),
            _ => {
                json.fault(|| format!("json: unknown field {}", gofmt::quote(&key)));
                json.skip()
            }
        })?;
        Ok(Some(group))
    }

    /// Reads into the list that the key may have had before. A null keeps the text at its place, as
    /// in Go.
    fn targets(&mut self, targets: &mut Vec<String>) -> Result<(), String> {
        if !self.begins(b'[', TARGETS)? {
            targets.clear();
            return Ok(());
        }
        let mut len = 0;
        self.array(|json| {
            json.count()?;
            let target = json.text(TARGET)?;
            if len == targets.len() {
                targets.push(String::new());
            }
            if let Some(target) = target {
                targets[len] = target;
            }
            len += 1;
            Ok(())
        })?;
        targets.truncate(len);
        Ok(())
    }

    fn labels(&mut self, labels: &mut BTreeMap<String, String>) -> Result<(), String> {
        labels.clear();
        if !self.begins(b'{', LABELS)? {
            return Ok(());
        }
        self.object(|json, name| {
            json.count()?;
            let value = json.text(LABEL)?.unwrap_or_default();
            labels.insert(name, value);
            Ok(())
        })?;
        if labels.contains_key("") {
            self.fault(|| "\"\" is not a valid label name".to_owned());
        }
        Ok(())
    }

    /// Reads a text; `None` for anything else, which is a fault unless it is null.
    fn text(&mut self, wanted: &str) -> Result<Option<String>, String> {
        if self.begins(b'"', wanted)? {
            return self.string().map(Some);
        }
        Ok(None)
    }

    fn fault(&mut self, fault: impl FnOnce() -> String) {
        if self.fault.is_none() {
            self.fault = Some(fault());
        }
    }

    fn count(&mut self) -> Result<(), String> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(format!("more than {VALUES_MAX} groups, targets and labels"));
        }
        Ok(())
    }

    /// Whether a value of the wanted kind begins. Any other value is skipped, and is a fault unless
    /// it is null.
    fn begins(&mut self, wanted: u8, place: &str) -> Result<bool, String> {
        self.space();
        let found = match self.peek() {
            Some(b) if b == wanted => return Ok(true),
            Some(b'{') => "object",
            Some(b'[') => "array",
            Some(b'"') => "string",
            Some(b't' | b'f') => "bool",
            Some(b'n') => "",
            _ => "number",
        };
        self.skip()?;
        if !found.is_empty() {
            self.fault(|| format!("json: cannot unmarshal {found} into {place}"));
        }
        Ok(false)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, b: u8) -> bool {
        let eaten = self.peek() == Some(b);
        self.at += usize::from(eaten);
        eaten
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The syntax error at the next byte.
    fn invalid(&self, context: &str) -> String {
        let Some(b) = self.peek() else {
            return "unexpected end of JSON input".to_owned();
        };
        let before = &self.text[..self.at];
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        let column = 1 + before.iter().rev().take_while(|b| **b != b'\n').count();
        // Go shows a byte as the character of its number.
        let quoted = gofmt::quote(&char::from(b).to_string());
        let shown = match b {
            b'\'' => "\\'",
            b'"' => "\"",
            _ => quoted.trim_matches('"'),
        };
        format!("invalid character '{shown}' {context} (line {line}, column {column})")
    }

    fn enter(&mut self) -> Result<(), String> {
        if self.depth == DEPTH_MAX {
            return Err(self.invalid("exceeded max depth"));
        }
        self.at += 1;
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self, end: u8) -> bool {
        let left = self.eat(end);
        self.depth -= usize::from(left);
        left
    }

    fn array(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.enter()?;
        self.space();
        if self.leave(b']') {
            return Ok(());
        }
        loop {
            each(self)?;
            self.space();
            if self.leave(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(self.invalid("after array element"));
            }
        }
    }

    fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, String) -> Result<(), String>,
    ) -> Result<(), String> {
        self.enter()?;
        self.space();
        if self.leave(b'}') {
            return Ok(());
        }
        loop {
            let key = self.key()?;
            each(self, key)?;
            self.space();
            if self.leave(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(self.invalid("after object key:value pair"));
            }
        }
    }

    /// Reads a key and its colon.
    fn key(&mut self) -> Result<String, String> {
        self.space();
        if self.peek() != Some(b'"') {
            return Err(self.invalid("looking for beginning of object key string"));
        }
        let key = self.string()?;
        self.space();
        if !self.eat(b':') {
            return Err(self.invalid("after object key"));
        }
        Ok(key)
    }

    /// Skips any value.
    fn skip(&mut self) -> Result<(), String> {
        let mut open = Vec::new();
        loop {
            self.space();
            match self.peek() {
                Some(b @ (b'[' | b'{')) => {
                    self.enter()?;
                    self.space();
                    open.push(b);
                    // Adding 2 turns either bracket into the one that closes it.
                    if self.peek() != Some(b + 2) {
                        if b == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => drop(self.string()?),
                _ => self.scalar()?,
            }
            loop {
                let Some(b) = open.last() else {
                    return Ok(());
                };
                self.space();
                if self.leave(b + 2) {
                    open.pop();
                } else if !self.eat(b',') {
                    return Err(self.invalid(match b {
                        b'[' => "after array element",
                        _ => "after object key:value pair",
                    }));
                } else {
                    if *b == b'{' {
                        self.key()?;
                    }
                    break;
                }
            }
        }
    }

    fn scalar(&mut self) -> Result<(), String> {
        match self.peek() {
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.invalid("looking for beginning of value")),
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        for c in word.chars() {
            if !self.eat(c as u8) {
                return Err(self.invalid(&format!("in literal {word} (expecting '{c}')")));
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits("in numeric literal")?;
        }
        if self.eat(b'.') {
            self.digits("after decimal point in numeric literal")?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn digits(&mut self, context: &str) -> Result<(), String> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.invalid(context));
        }
        Ok(())
    }

    /// Reads a string from its opening quote.
    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            while matches!(self.peek(), Some(b) if b >= b' ' && b != b'"' && b != b'\\') {
                self.at += 1;
            }
            push_text(&mut out, &self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => self.escape(&mut out)?,
                _ => return Err(self.invalid("in string literal")),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), String> {
        self.at += 1;
        let c = match self.peek() {
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(b),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let unit = self.unit()?;
                out.push(self.rune(unit)?);
                return Ok(());
            }
            _ => return Err(self.invalid("in string escape code")),
        };
        self.at += 1;
        out.push(c);
        Ok(())
    }

    /// Reads the four digits after a `u`.
    fn unit(&mut self) -> Result<u32, String> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.invalid("in \\u hexadecimal character escape"));
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }

    /// Returns the character of a unit, together with the next unit if they are a pair. Half a pair
    /// gives U+FFFD.
    fn rune(&mut self, unit: u32) -> Result<char, String> {
        if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with(b"\\u") {
            let start = self.at;
            self.at += 1;
            let low = self.unit()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x10000 + ((unit - 0xd800) << 10 | (low - 0xdc00));
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = start;
        }
        Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

/// Appends text. Each byte that is not UTF-8 becomes U+FFFD.
fn push_text(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
}

/// Folds a key as Go compares it: without case, where `ſ` and the Kelvin sign are letters too.
fn folded(key: &str) -> String {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    key.chars().map(fold).collect()
}
