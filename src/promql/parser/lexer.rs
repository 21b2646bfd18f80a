//! Words, one after another. What a character means depends on the brackets around it.

use std::ops::Range;

use super::error::ParseError;
use super::token::{Keyword, Kind, Token, keyword};
use crate::stdx::gofmt;

pub(super) struct Lexer<'q> {
    query: &'q str,
    pos: usize,
    paren_depth: usize,
    in_braces: bool,
    brackets: Brackets,
}

#[derive(PartialEq, Clone, Copy)]
enum Brackets {
    Closed,
    /// Before the first number.
    Opened,
    /// After it.
    Filled,
}

impl<'q> Lexer<'q> {
    pub fn new(query: &'q str) -> Lexer<'q> {
        Lexer {
            query,
            pos: 0,
            paren_depth: 0,
            in_braces: false,
            brackets: Brackets::Closed,
        }
    }

    pub fn next(&mut self) -> Result<Token<'q>, ParseError> {
        self.skip_blanks();
        let start = self.pos;
        let kind = if self.in_braces {
            self.inside_braces(start)?
        } else {
            self.statement(start)?
        };
        let text = self.query.get(start..self.pos).unwrap_or("");
        let span = start..self.pos;
        Ok(Token { kind, text, span })
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blank = |c| !matches!(c, ' ' | '\t' | '\n' | '\r');
            self.pos += rest.find(blank).unwrap_or(rest.len());
            let rest = self.rest();
            if self.brackets == Brackets::Opened || !rest.starts_with('#') {
                return;
            }
            self.pos += rest.find(['\n', '\r']).unwrap_or(rest.len());
        }
    }

    fn rest(&self) -> &'q str {
        self.query.get(self.pos..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, text: &str) -> bool {
        let eaten = self.rest().starts_with(text);
        if eaten {
            self.pos += text.len();
        }
        eaten
    }

    fn error(&self, start: usize, message: impl Into<String>) -> ParseError {
        let span: Range<usize> = start..self.query.len();
        ParseError::new(self.query, span, message)
    }

    fn statement(&mut self, start: usize) -> Result<Kind, ParseError> {
        let Some(c) = self.peek() else {
            return self.end(start);
        };
        if self.brackets == Brackets::Opened && !is_duration_char(c) {
            let message = format!("unexpected character in duration expression: {}", quote(c));
            return Err(self.error(start, message));
        }
        if is_letter(c) || (c == ':' && self.brackets == Brackets::Closed) {
            return self.word(start, c);
        }
        if c.is_ascii_digit() || (c == '.' && self.digit_follows()) {
            return self.number(start);
        }
        if matches!(c, '"' | '\'' | '`') {
            return self.string(start, c);
        }
        self.pos += c.len_utf8();
        let kind = match c {
            '(' => {
                self.paren_depth += 1;
                Kind::LeftParen
            }
            ')' => {
                let message = "unexpected right parenthesis ')'";
                let depth = self.paren_depth.checked_sub(1);
                // Prometheus gives the place after it.
                self.paren_depth = depth.ok_or_else(|| self.error(start + 1, message))?;
                Kind::RightParen
            }
            '{' => {
                self.in_braces = true;
                Kind::LeftBrace
            }
            '[' => {
                if self.brackets != Brackets::Closed {
                    return Err(self.error(start, "unexpected left bracket '['"));
                }
                self.brackets = Brackets::Opened;
                Kind::LeftBracket
            }
            ']' => {
                if self.brackets == Brackets::Closed {
                    return Err(self.error(start, "unexpected right bracket ']'"));
                }
                self.brackets = Brackets::Closed;
                Kind::RightBracket
            }
            ',' => Kind::Comma,
            ':' if self.brackets == Brackets::Opened => {
                let message = "unexpected colon before duration in duration expression";
                return Err(self.error(start + 1, message));
            }
            ':' => Kind::Colon,
            '@' => Kind::At,
            _ => return self.operator(start, c),
        };
        Ok(kind)
    }

    fn end(&self, start: usize) -> Result<Kind, ParseError> {
        let message = if self.brackets == Brackets::Opened {
            "unexpected end of input in duration expression"
        } else if self.paren_depth > 0 {
            "unclosed left parenthesis"
        } else if self.brackets == Brackets::Filled {
            "unclosed left bracket"
        } else {
            return Ok(Kind::End);
        };
        Err(self.error(start, message))
    }

    /// After the first character of an operator.
    fn operator(&mut self, start: usize, c: char) -> Result<Kind, ParseError> {
        match c {
            '*' | '/' | '%' | '+' | '-' | '^' => {}
            '<' | '>' => {
                let _ = self.eat("=") || self.eat("/");
            }
            '=' if self.eat("=") => {}
            '=' if self.peek() == Some('~') => {
                return Err(self.error(start, "unexpected character after '=': '~'"));
            }
            '=' => return Ok(Kind::Equal),
            '!' if self.eat("=") => return Ok(Kind::NotEqual),
            '!' => {
                let after = quote(self.peek().unwrap_or(char::REPLACEMENT_CHARACTER));
                let message = format!("unexpected character after '!': {after}");
                return Err(self.error(start, message));
            }
            c => {
                let message = format!("unexpected character: {}", quote(c));
                return Err(self.error(start, message));
            }
        }
        Ok(Kind::Operator)
    }

    fn inside_braces(&mut self, start: usize) -> Result<Kind, ParseError> {
        let Some(c) = self.peek() else {
            return Err(self.error(start, "unexpected end of input inside braces"));
        };
        if is_letter(c) {
            self.take_word(|c| is_letter(c) || c.is_ascii_digit());
            return Ok(Kind::Identifier);
        }
        if matches!(c, '"' | '\'' | '`') {
            return self.string(start, c);
        }
        self.pos += c.len_utf8();
        match c {
            ',' => Ok(Kind::Comma),
            '=' if self.eat("~") => Ok(Kind::EqualRegex),
            '=' => Ok(Kind::Equal),
            '!' if self.eat("~") => Ok(Kind::NotEqualRegex),
            '!' if self.eat("=") => Ok(Kind::NotEqual),
            '!' => {
                let after = quote(self.peek().unwrap_or(char::REPLACEMENT_CHARACTER));
                let message = format!("unexpected character after '!' inside braces: {after}");
                Err(self.error(start, message))
            }
            '{' => Err(self.error(start, "unexpected left brace '{'")),
            '}' => {
                self.in_braces = false;
                Ok(Kind::RightBrace)
            }
            c => {
                let message = format!("unexpected character inside braces: {}", quote(c));
                Err(self.error(start, message))
            }
        }
    }

    fn take_word(&mut self, is_part: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.pos += rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    }

    fn word(&mut self, start: usize, first: char) -> Result<Kind, ParseError> {
        if self.brackets != Brackets::Closed {
            self.take_word(is_letter);
            let word = self.query.get(start..self.pos).unwrap_or("");
            let known = ["step", "range", "max_of", "min_of"];
            if known.iter().any(|k| k.eq_ignore_ascii_case(word)) {
                return Ok(Kind::Keyword(Keyword::Other));
            }
            let message = match self.brackets {
                Brackets::Filled => {
                    format!("unexpected character: {}, expected ':'", quote(first))
                }
                _ => format!(
                    "unexpected character in duration expression: {}",
                    quote(first)
                ),
            };
            return Err(self.error(start, message));
        }
        self.take_word(|c| is_letter(c) || c.is_ascii_digit() || c == ':');
        let word = self.query.get(start..self.pos).unwrap_or("");
        if word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan") {
            return Ok(Kind::Number);
        }
        if let Some(keyword) = keyword(word) {
            let is_fill = word
                .get(..4)
                .is_some_and(|w| w.eq_ignore_ascii_case("fill"));
            if !is_fill || self.rest().trim_start().starts_with('(') {
                return Ok(Kind::Keyword(keyword));
            }
        }
        Ok(if word.contains(':') {
            Kind::MetricIdentifier
        } else {
            Kind::Identifier
        })
    }

    fn digit_follows(&self) -> bool {
        self.rest()
            .as_bytes()
            .get(1)
            .is_some_and(u8::is_ascii_digit)
    }

    /// A number or a duration. What they are worth is found out later.
    fn number(&mut self, start: usize) -> Result<Kind, ParseError> {
        if self.brackets == Brackets::Opened {
            self.brackets = Brackets::Filled;
        }
        let well_formed = self.take_number();
        let alnum = |c: Option<char>| c.is_some_and(|c| is_letter(c) || c.is_ascii_digit());
        if well_formed && !alnum(self.peek()) {
            return Ok(Kind::Number);
        }
        if self.take_units() {
            let Some(wrong) = self.peek().filter(|c| alnum(Some(*c))) else {
                return Ok(Kind::Duration);
            };
            self.pos += wrong.len_utf8();
        }
        let text = self.query.get(start..self.pos).unwrap_or("");
        let message = format!("bad number or duration syntax: {}", gofmt::quote(text));
        Err(self.error(start, message))
    }

    /// Digits with at most one point and one exponent, and single underscores. Whether it is worth
    /// anything is found out later, as in Prometheus, whose errors differ for it.
    fn take_number(&mut self) -> bool {
        let hex = self.eat("0x") || self.eat("0X");
        let is_digit = |c: char| {
            if hex {
                c.is_ascii_hexdigit()
            } else {
                c.is_ascii_digit()
            }
        };
        let (mut point, mut exponent) = (false, false);
        loop {
            self.take_word(is_digit);
            let Some(c) = self.peek().filter(|c| "._eE".contains(*c)) else {
                return true;
            };
            self.pos += 1;
            let not_after = match c {
                '.' if hex || std::mem::replace(&mut point, true) => return false,
                '.' => "_.",
                '_' => "._eE",
                _ if std::mem::replace(&mut exponent, true) => return false,
                _ => {
                    let _ = self.eat("+") || self.eat("-");
                    "._eE"
                }
            };
            match self.peek() {
                Some(next) if not_after.contains(next) => {
                    self.pos += 1;
                    return false;
                }
                None if c != '.' => return false,
                _ => {}
            }
        }
    }

    /// The rest of a duration after its first number: `h30m`.
    fn take_units(&mut self) -> bool {
        loop {
            let Some(unit) = self.peek().filter(|c| "smhdwy".contains(*c)) else {
                return false;
            };
            self.pos += unit.len_utf8();
            // Units that are none, such as `hs`, are told when the duration is read.
            self.eat("s");
            if !self.peek().is_some_and(|c| c.is_ascii_digit()) {
                return true;
            }
            self.take_word(|c| c.is_ascii_digit());
        }
    }

    fn string(&mut self, start: usize, quote: char) -> Result<Kind, ParseError> {
        const BAD: &str = "invalid UTF-8 rune";
        self.pos += 1;
        if quote == '`' {
            let Some(len) = self.rest().find(['`', char::REPLACEMENT_CHARACTER]) else {
                return Err(self.error(start, "unterminated raw string"));
            };
            self.pos += len;
            return if self.eat("`") {
                Ok(Kind::String)
            } else {
                Err(self.error(start, BAD))
            };
        }
        loop {
            let Some(c) = self.peek().filter(|c| *c != '\n') else {
                return Err(self.error(start, "unterminated quoted string"));
            };
            self.pos += c.len_utf8();
            if c == quote {
                return Ok(Kind::String);
            }
            // What is not UTF-8 came in as this; Prometheus tells it from itself as little.
            if c == char::REPLACEMENT_CHARACTER {
                return Err(self.error(start, BAD));
            }
            if c == '\\' {
                super::literal::skip_escape(self.query, &mut self.pos, quote)
                    .map_err(|message| self.error(start, message))?;
            }
        }
    }
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

/// What may begin a word between brackets, before the first number.
fn is_duration_char(c: char) -> bool {
    c.is_ascii_digit() || "]:().+-*/%^,".contains(c) || "srmSRM".contains(c)
}

/// Go's `%q` of a character.
fn quote(c: char) -> String {
    match c {
        '\'' => "'\\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => {
            let text = gofmt::quote(c.encode_utf8(&mut [0; 4]));
            format!("'{}'", text.trim_matches('"'))
        }
    }
}
