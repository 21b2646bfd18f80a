//! Splits a query into tokens. What a character means depends on the brackets around it.

use std::ops::Range;

use super::ast::BinaryOp;
use super::error::ParseError;
use super::token::{Kind, Token, keyword};
use crate::stdx::gofmt;

pub(super) struct Lexer<'q> {
    query: &'q str,
    pos: usize,
    paren_depth: usize,
    in_braces: bool,
    brackets: Brackets,
    /// A colon came since the bracket opened.
    had_colon: bool,
    /// A number came after an opening bracket, maybe an earlier one.
    had_duration: bool,
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
            had_colon: false,
            had_duration: false,
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
        Ok(Token { kind, text, start })
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
        let begins_number = c.is_ascii_digit() || (c == '.' && self.digit_follows());
        if self.brackets == Brackets::Opened && !begins_number && !is_duration_char(c) {
            let message = format!(
                "unexpected character in duration expression: {}",
                gofmt::quote_char(c)
            );
            return Err(self.error(start, message));
        }
        if is_letter(c) || (c == ':' && self.brackets == Brackets::Closed) {
            return self.word(start, c);
        }
        if begins_number {
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
                self.had_colon = false;
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
            ':' => self.colon(start)?,
            '@' => Kind::At,
            _ => return self.operator(start, c),
        };
        Ok(kind)
    }

    fn colon(&mut self, start: usize) -> Result<Kind, ParseError> {
        let message = match self.brackets {
            Brackets::Opened if !self.had_duration => {
                "unexpected colon before duration in duration expression"
            }
            Brackets::Opened if self.had_colon => {
                "unexpected repeated colon in duration expression"
            }
            Brackets::Filled if self.had_colon => {
                return Err(self.error(start, "unexpected colon ':'"));
            }
            _ => {
                self.had_colon = true;
                return Ok(Kind::Colon);
            }
        };
        // Prometheus gives the place after it.
        Err(self.error(start + 1, message))
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

    /// Reads the rest of an operator, after its first character.
    fn operator(&mut self, start: usize, c: char) -> Result<Kind, ParseError> {
        let op = match c {
            '*' => BinaryOp::Mul,
            '/' => BinaryOp::Div,
            '%' => BinaryOp::Mod,
            '+' => BinaryOp::Add,
            '-' => BinaryOp::Sub,
            '^' => BinaryOp::Pow,
            '<' if self.eat("=") => BinaryOp::LessEqual,
            '<' if self.eat("/") => BinaryOp::TrimUpper,
            '<' => BinaryOp::Less,
            '>' if self.eat("=") => BinaryOp::GreaterEqual,
            '>' if self.eat("/") => BinaryOp::TrimLower,
            '>' => BinaryOp::Greater,
            '=' if self.eat("=") => BinaryOp::Equal,
            '=' if self.peek() == Some('~') => {
                return Err(self.error(start, "unexpected character after '=': '~'"));
            }
            '=' => return Ok(Kind::Equal),
            '!' if self.eat("=") => return Ok(Kind::NotEqual),
            '!' => {
                let after = gofmt::quote_char(self.peek().unwrap_or(char::REPLACEMENT_CHARACTER));
                let message = format!("unexpected character after '!': {after}");
                return Err(self.error(start, message));
            }
            c => {
                let message = format!("unexpected character: {}", gofmt::quote_char(c));
                return Err(self.error(start, message));
            }
        };
        Ok(Kind::Operator(op))
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
                let after = gofmt::quote_char(self.peek().unwrap_or(char::REPLACEMENT_CHARACTER));
                let message = format!("unexpected character after '!' inside braces: {after}");
                Err(self.error(start, message))
            }
            '{' => Err(self.error(start, "unexpected left brace '{'")),
            '}' => {
                self.in_braces = false;
                Ok(Kind::RightBrace)
            }
            c => {
                let message = format!(
                    "unexpected character inside braces: {}",
                    gofmt::quote_char(c)
                );
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
            if let Some(keyword) = keyword(word).filter(|keyword| keyword.is_duration()) {
                return Ok(Kind::Keyword(keyword));
            }
            let message = match self.brackets {
                Brackets::Filled => {
                    format!(
                        "unexpected character: {}, expected ':'",
                        gofmt::quote_char(first)
                    )
                }
                _ => format!(
                    "unexpected character in duration expression: {}",
                    gofmt::quote_char(first)
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
            let blank = [' ', '\t', '\n', '\r'];
            if !keyword.is_fill() || self.rest().trim_start_matches(blank).starts_with('(') {
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

    /// Reads a number or a duration. Its value is determined later.
    fn number(&mut self, start: usize) -> Result<Kind, ParseError> {
        if self.brackets == Brackets::Opened {
            self.brackets = Brackets::Filled;
            self.had_duration = true;
        }
        let alnum = |c: Option<char>| c.is_some_and(|c| is_letter(c) || c.is_ascii_digit());
        if self.take_number() && !alnum(self.peek()) {
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

    /// Reads digits with at most one point and one exponent, and single underscores. Whether it has
    /// a value is determined later, as in Prometheus, whose errors depend on that.
    fn take_number(&mut self) -> bool {
        // NOTE: a point after a leading zero counts no more than one before all digits, as in
        // Prometheus.
        let hex = self.eat("0") && (self.eat("x") || self.eat("X"));
        if hex {
            self.eat("_");
        }
        let is_digit = |c: char| c.is_ascii_digit() || (hex && c.is_ascii_hexdigit());
        // NOTE: only one digit, so that the `e` of `0x1e` counts as an exponent, as in Prometheus.
        self.eat(".");
        self.eat_one_of(is_digit);
        let (mut point, mut exponent) = (false, false);
        loop {
            let bad = match self.peek() {
                Some('.') => {
                    self.pos += 1;
                    std::mem::replace(&mut point, true)
                        || self.eat_one_of(|c| "_.".contains(c))
                        || hex
                }
                Some('e' | 'E') => {
                    self.pos += 1;
                    std::mem::replace(&mut exponent, true) || {
                        self.eat_one_of(|c| "+-".contains(c));
                        self.ends_badly()
                    }
                }
                Some('_') => {
                    self.pos += 1;
                    self.ends_badly()
                }
                Some(c) if is_digit(c) => {
                    self.take_word(is_digit);
                    false
                }
                _ => return true,
            };
            if bad {
                return false;
            }
        }
    }

    /// Whether a character follows that may not follow an underscore or an exponent.
    fn ends_badly(&mut self) -> bool {
        self.eat_one_of(|c| "._eE".contains(c)) || self.peek().is_none()
    }

    fn eat_one_of(&mut self, is_one: impl Fn(char) -> bool) -> bool {
        let one = self.peek().filter(|c| is_one(*c));
        self.pos += one.map_or(0, char::len_utf8);
        one.is_some()
    }

    /// Reads the rest of a duration after its first number: `h30m`.
    fn take_units(&mut self) -> bool {
        let mut units = "smhdwy";
        loop {
            if !self.eat_one_of(|c| units.contains(c)) {
                return false;
            }
            // Wrong units, such as `hs`, are reported when the duration is read.
            self.eat("s");
            if !self.peek().is_some_and(|c| c.is_ascii_digit()) {
                return true;
            }
            self.take_word(|c| c.is_ascii_digit());
            units = "smhdw";
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
            // Bytes that are not UTF-8 became this character. Prometheus does not distinguish the
            // two either.
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

/// Whether a word between brackets may begin with it, before the first number.
fn is_duration_char(c: char) -> bool {
    "]:()+-*/%^,srmSRM".contains(c)
}
