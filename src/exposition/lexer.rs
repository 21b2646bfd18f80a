//! The tokens of both formats. What a byte means depends on its place in the line, so the lexer has
//! a state. The place where it gives up is part of an error's text, so it stops at the first byte
//! that fits nothing.

use super::protocol::Format;

pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    format: Format,
    state: State,
    /// The position of the last token's first byte.
    pub(super) start: usize,
    /// The position after the last token, or of the byte that fits no token.
    pub(super) at: usize,
}

/// The lexer's place within a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    LineStart,
    MetaName,
    MetaText,
    Labels,
    LabelValue,
    Value,
    Timestamp,
    Exemplar,
    ExemplarValue,
    ExemplarTimestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Invalid,
    Eof,
    Linebreak,
    Help,
    Type,
    Unit,
    /// The whole `# EOF`.
    EofWord,
    Text,
    Comment,
    MetricName,
    Quoted,
    BraceOpen,
    BraceClose,
    LabelName,
    LabelValue,
    Comma,
    Equal,
    Timestamp,
    Value,
}

impl Token {
    /// The token's name in error texts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Token::Invalid => "INVALID",
            Token::Eof => "EOF",
            Token::Linebreak => "LINEBREAK",
            Token::Help => "HELP",
            Token::Type => "TYPE",
            Token::Unit => "UNIT",
            Token::EofWord => "EOFWORD",
            Token::Text => "TEXT",
            Token::Comment => "COMMENT",
            Token::MetricName => "MNAME",
            Token::Quoted => "QSTRING",
            Token::BraceOpen => "BOPEN",
            Token::BraceClose => "BCLOSE",
            Token::LabelName => "LNAME",
            Token::LabelValue => "LVALUE",
            Token::Comma => "COMMA",
            Token::Equal => "EQUAL",
            Token::Timestamp => "TIMESTAMP",
            Token::Value => "VALUE",
        }
    }
}

impl<'a> Lexer<'a> {
    pub(super) fn new(bytes: &'a [u8], format: Format, at: usize, state: State) -> Lexer<'a> {
        Lexer {
            bytes,
            format,
            state,
            start: at,
            at,
        }
    }

    /// Returns the last token's bytes.
    pub(super) fn text(&self) -> &'a [u8] {
        self.bytes.get(self.start..self.at).unwrap_or(&[])
    }

    /// Returns the bytes from `from` to the next byte, inclusive, as error texts show them.
    pub(super) fn seen(&self, from: usize) -> Vec<u8> {
        let mut seen = super::error::excerpt(self.between(from, self.at + 1));
        if self.format == Format::Text && self.at >= self.bytes.len() {
            seen.push(b'\n');
        }
        seen
    }

    /// Returns the bytes from `from` to the cursor.
    pub(super) fn since(&self, from: usize) -> &'a [u8] {
        self.between(from, self.at)
    }

    /// Returns the bytes in this range, or as many of them as there are.
    pub(super) fn between(&self, from: usize, to: usize) -> &'a [u8] {
        let to = to.min(self.bytes.len());
        self.bytes.get(from..to).unwrap_or(&[])
    }

    pub(super) fn is_open_metrics(&self) -> bool {
        self.format == Format::OpenMetrics
    }

    pub(super) fn token(&mut self) -> Token {
        // In the Prometheus format blanks may stand between any tokens. Before a help text, the
        // text's own rule says what a blank is.
        if self.format == Format::Text && self.state != State::MetaText {
            self.skip(is_blank);
        }
        if self.at >= self.end() {
            return Token::Eof;
        }
        self.start = self.at;
        match (self.state, self.format) {
            (State::LineStart, Format::Text) => self.line_start_text(),
            (State::LineStart, Format::OpenMetrics) => self.line_start_open_metrics(),
            (State::MetaName, _) => self.meta_name(),
            (State::MetaText, Format::Text) => self.meta_text(),
            (State::MetaText, Format::OpenMetrics) => self.meta_text_open_metrics(),
            (State::Labels | State::Exemplar, _) => self.label(),
            (State::LabelValue, _) => self.label_value(),
            (State::Value, Format::Text) => self.value(),
            (State::Value, Format::OpenMetrics) => self.value_open_metrics(),
            (State::Timestamp, Format::Text) => self.timestamp(),
            (State::Timestamp, Format::OpenMetrics) => self.timestamp_open_metrics(),
            (State::ExemplarValue, _) => self.exemplar_value(),
            (State::ExemplarTimestamp, _) => self.exemplar_timestamp(),
        }
    }

    /// The end of the input. The Prometheus format reads as if a line break followed the body.
    fn end(&self) -> usize {
        self.bytes.len() + usize::from(self.format == Format::Text)
    }

    /// Returns the byte at the cursor. At the end that is a NUL, with which no token begins.
    fn peek(&self) -> u8 {
        match self.bytes.get(self.at) {
            Some(byte) => *byte,
            None if self.at < self.end() => b'\n',
            None => 0,
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    fn skip(&mut self, is: impl Fn(u8) -> bool) {
        let rest = self.rest();
        self.at += rest.iter().position(|b| !is(*b)).unwrap_or(rest.len());
    }

    /// Takes the byte at the cursor as a token of its own.
    fn one(&mut self, token: Token, state: State) -> Token {
        self.at += 1;
        self.state = state;
        token
    }

    /// Moves behind `word`, or to the first byte that differs.
    fn word(&mut self, word: &[u8]) -> bool {
        let same = self.rest().iter().zip(word).take_while(|(a, b)| a == b);
        let same = same.count();
        self.at += same;
        same == word.len()
    }

    fn name(&mut self, token: Token, state: State) -> Token {
        match token {
            Token::LabelName => self.skip(|b| is_label_start(b) || b.is_ascii_digit()),
            _ => self.skip(|b| is_metric_start(b) || b.is_ascii_digit()),
        }
        self.state = state;
        token
    }

    fn line_start_text(&mut self) -> Token {
        match self.peek() {
            // A NUL at a line's start ends the body, for Prometheus as well.
            0 => self.one(Token::Eof, State::LineStart),
            b'\n' => self.one(Token::Linebreak, State::LineStart),
            b'{' => self.one(Token::BraceOpen, State::Labels),
            b'#' => self.hash(),
            byte if is_metric_start(byte) => self.name(Token::MetricName, State::Value),
            _ => Token::Invalid,
        }
    }

    /// Reads a comment, or the keyword in it that makes it metadata.
    fn hash(&mut self) -> Token {
        self.at += 1;
        let bare = !is_blank(self.peek());
        self.skip(is_blank);
        let keyword = [("HELP", Token::Help), ("TYPE", Token::Type)]
            .into_iter()
            .find(|(word, _)| {
                let after = self.rest().strip_prefix(word.as_bytes());
                after.is_some_and(|after| after.first().is_some_and(|b| is_blank(*b)))
            });
        if let (false, Some((word, token))) = (bare, keyword) {
            self.at += word.len();
            self.skip(is_blank);
            self.state = State::MetaName;
            return token;
        }
        // A NUL within a comment is like any other byte, unless it comes first or no blank follows
        // the hash.
        let rest = self.rest();
        let stop = if bare || rest.first() == Some(&0) {
            memchr::memchr2(b'\n', 0, rest)
        } else {
            memchr::memchr(b'\n', rest)
        };
        self.at += stop.unwrap_or(rest.len());
        self.state = State::LineStart;
        if self.peek() == 0 {
            Token::Eof
        } else {
            Token::Comment
        }
    }

    fn line_start_open_metrics(&mut self) -> Token {
        match self.peek() {
            b'{' => return self.one(Token::BraceOpen, State::Labels),
            byte if is_metric_start(byte) => return self.name(Token::MetricName, State::Value),
            b'#' => {}
            _ => return Token::Invalid,
        }
        if !self.word(b"# ") {
            return Token::Invalid;
        }
        let (word, token, state) = match self.peek() {
            b'H' => (b"HELP ".as_slice(), Token::Help, State::MetaName),
            b'T' => (b"TYPE ".as_slice(), Token::Type, State::MetaName),
            b'U' => (b"UNIT ".as_slice(), Token::Unit, State::MetaName),
            b'E' => (b"EOF".as_slice(), Token::EofWord, State::LineStart),
            _ => return Token::Invalid,
        };
        if !self.word(word) {
            return Token::Invalid;
        }
        if token == Token::EofWord && self.peek() == b'\n' {
            self.at += 1;
        }
        self.state = state;
        token
    }

    fn meta_name(&mut self) -> Token {
        match self.peek() {
            b'"' => self.quoted(true, false, Token::MetricName, State::MetaText),
            byte if is_metric_start(byte) => self.name(Token::MetricName, State::MetaText),
            _ => Token::Invalid,
        }
    }

    /// Reads the rest of the line. A rest of blanks only counts as empty.
    fn meta_text(&mut self) -> Token {
        let rest = self.rest();
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or(rest);
        if line.first() == Some(&0) {
            self.state = State::LineStart;
            return Token::Text;
        }
        self.at += end;
        if line.iter().all(|b| is_blank(*b)) {
            self.start = self.at;
        }
        self.state = State::LineStart;
        Token::Text
    }

    /// Reads a space and the rest of the line, with its line break.
    fn meta_text_open_metrics(&mut self) -> Token {
        if !self.word(b" ") {
            return Token::Invalid;
        }
        let rest = self.rest();
        let Some(end) = memchr::memchr(b'\n', rest) else {
            self.at += rest.len();
            return Token::Invalid;
        };
        self.at += end + 1;
        self.state = State::LineStart;
        Token::Text
    }

    /// Reads a token within the braces of a series or of an exemplar.
    fn label(&mut self) -> Token {
        let inside = self.state;
        let exemplar = inside == State::Exemplar;
        let (value, after) = if exemplar {
            (State::ExemplarValue, State::ExemplarValue)
        } else {
            (State::LabelValue, State::Value)
        };
        match self.peek() {
            b'"' => self.quoted(!exemplar, false, Token::Quoted, inside),
            b',' => self.one(Token::Comma, inside),
            b'=' => self.one(Token::Equal, value),
            b'}' => self.one(Token::BraceClose, after),
            byte if is_label_start(byte) => self.name(Token::LabelName, inside),
            _ => Token::Invalid,
        }
    }

    fn label_value(&mut self) -> Token {
        match self.peek() {
            b'"' => {
                let newlines = self.format == Format::Text;
                self.quoted(newlines, true, Token::LabelValue, State::Labels)
            }
            _ => Token::Invalid,
        }
    }

    /// Reads a string in double quotes, in which line breaks and NULs may be allowed.
    fn quoted(&mut self, newlines: bool, nuls: bool, token: Token, state: State) -> Token {
        self.at += 1;
        loop {
            let rest = self.rest();
            let end = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            let plain = rest.get(..end).unwrap_or(rest);
            let fault = [(newlines, b'\n'), (nuls, 0)].into_iter();
            let fault = fault.filter(|(allowed, _)| !allowed);
            if let Some(fault) = fault.filter_map(|(_, b)| memchr::memchr(b, plain)).min() {
                self.at += fault;
                return Token::Invalid;
            }
            self.at += end;
            match rest.get(end) {
                Some(b'"') => return self.one(token, state),
                Some(_) => self.at += 1,
                None => {
                    self.at = self.end();
                    return Token::Invalid;
                }
            }
            // The byte after a backslash is any but a line break.
            if nuls {
                self.skip(|b| b == 0);
            }
            match self.peek() {
                b'\n' | 0 => return Token::Invalid,
                _ => self.at += 1,
            }
        }
    }

    fn value(&mut self) -> Token {
        match self.peek() {
            b'{' => self.one(Token::BraceOpen, State::Labels),
            b'\n' | 0 => Token::Invalid,
            _ => {
                self.skip(|b| !matches!(b, b'{' | b' ' | b'\t' | b'\n' | 0));
                self.state = State::Timestamp;
                Token::Value
            }
        }
    }

    fn timestamp(&mut self) -> Token {
        match self.peek() {
            b'\n' => self.one(Token::Linebreak, State::LineStart),
            b'0'..=b'9' => {
                self.skip(|b| b.is_ascii_digit());
                Token::Timestamp
            }
            _ => Token::Invalid,
        }
    }

    fn value_open_metrics(&mut self) -> Token {
        match self.peek() {
            b'{' => self.one(Token::BraceOpen, State::Labels),
            _ => self.spaced(Token::Value, State::Timestamp),
        }
    }

    /// Reads a space and what follows it, up to the next space or the line's end.
    fn spaced(&mut self, token: Token, state: State) -> Token {
        if !self.word(b" ") || matches!(self.peek(), b' ' | b'\n' | 0) {
            return Token::Invalid;
        }
        self.skip(|b| !matches!(b, b' ' | b'\n' | 0));
        self.state = state;
        token
    }

    fn timestamp_open_metrics(&mut self) -> Token {
        if self.peek() == b'\n' {
            return self.one(Token::Linebreak, State::LineStart);
        }
        if !self.rest().starts_with(b" # ") {
            return self.spaced(Token::Timestamp, State::Timestamp);
        }
        self.at += 3;
        match self.peek() {
            b'{' => self.one(Token::Comment, State::Exemplar),
            _ => Token::Invalid,
        }
    }

    fn exemplar_value(&mut self) -> Token {
        match self.peek() {
            b'"' => self.quoted(false, false, Token::LabelValue, State::Exemplar),
            _ => self.spaced(Token::Value, State::ExemplarTimestamp),
        }
    }

    fn exemplar_timestamp(&mut self) -> Token {
        match self.peek() {
            b'\n' => self.one(Token::Linebreak, State::LineStart),
            _ => self.spaced(Token::Timestamp, State::ExemplarTimestamp),
        }
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_metric_start(byte: u8) -> bool {
    is_label_start(byte) || byte == b':'
}

fn is_label_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}
