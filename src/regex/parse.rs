//! Parses Go's syntax into `regex_syntax::hir` in one pass without recursion.
//!
//! The syntax is that of <https://pkg.go.dev/regexp/syntax> in its Perl mode.

use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Hir, Look, Repetition};

use super::error::{self, Error};
use super::{class, class::Flags};

/// LIMIT: Go's own. It bounds the copies of a repetition, and the product of nested ones.
const REPEAT_MAX: u32 = 1000;

/// LIMIT: the height of a tree, and the number of groups open at once. Go stops at 1000. But making
/// an automaton recurses with about 1 KiB a level, and scrape loops, which compile the patterns of
/// relabelling, have stacks of 128 KiB to 256 KiB. Patterns in the field stay below 20.
const HEIGHT_MAX: u32 = 80;

/// LIMIT: about the number of automaton states, each of tens of bytes. Go stops at 3.3 million, but
/// a small machine has no 128 MB for one pattern.
const COST_MAX: u64 = 1 << 20;

/// LIMIT: parts of the tree, each of which takes 100 to 500 bytes. Characters that follow one
/// another are one part. A list of ten thousand hosts, each with a `.*`, has 40,000.
const PARTS_MAX: u32 = 1 << 17;

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct Parsed {
    pub hir: Hir,
    /// The names by group; the first group is the whole match.
    pub names: Vec<Option<String>>,
    /// The approximate number of states of its automaton.
    pub cost: u64,
    /// The depth of nesting.
    pub height: u32,
}

/// Reads `text`. `dot_newline` says whether `.` matches a line feed at the outset.
pub(super) fn parse(text: &str, dot_newline: bool) -> Result<Parsed, Error> {
    let flags = Flags {
        dot_newline,
        ..Flags::default()
    };
    let mut parser = Parser {
        text,
        pos: 0,
        flags,
        groups: vec![Group::default()],
        names: vec![None],
        cost: 0,
        parts: 0,
    };
    parser.pattern()?;
    let root = match (parser.groups.pop(), parser.groups.is_empty()) {
        (Some(root), true) => root.into_node(),
        _ => return Err(Error::new(error::MISSING_PAREN, text)),
    };
    parser.check(&root)?;
    Ok(Parsed {
        hir: root.hir,
        names: parser.names,
        cost: root.cost,
        height: root.height,
    })
}

struct Parser<'t> {
    text: &'t str,
    pos: usize,
    flags: Flags,
    /// The groups that are open, the whole pattern first.
    groups: Vec<Group>,
    names: Vec<Option<String>>,
    /// The cost of all atoms so far, each counted once.
    cost: u64,
    /// The parts of the tree so far.
    parts: u32,
}

/// A group that is being read.
#[derive(Default)]
struct Group {
    capture: Option<u32>,
    flags_outside: Flags,
    branches: Vec<Node>,
    items: Vec<Node>,
    /// Characters after the last item.
    run: String,
}

#[derive(PartialEq, Clone, Copy)]
enum Kind {
    Concat,
    Alternation,
    Other,
}

/// A parsed part, with what the limits need to know about it.
struct Node {
    hir: Hir,
    kind: Kind,
    height: u32,
    /// The largest product of counted repetitions on any path down the tree.
    copies: u32,
    cost: u64,
}

impl Node {
    fn atom(hir: Hir, cost: u64) -> Node {
        Node {
            hir,
            kind: Kind::Other,
            height: 1,
            copies: 1,
            cost,
        }
    }

    /// Joins several parts into one. A part of the same kind is taken apart and so adds no height.
    fn join(mut parts: Vec<Node>, kind: Kind) -> Node {
        if parts.len() == 1
            && let Some(only) = parts.pop()
        {
            return only;
        }
        let height = |part: &Node| part.height + u32::from(part.kind != kind);
        let (height, copies, cost) = (
            parts.iter().map(height).max().unwrap_or(1),
            parts.iter().map(|p| p.copies).max().unwrap_or(1),
            parts.iter().map(|p| p.cost + 1).sum(),
        );
        let hirs = parts.into_iter().map(|part| part.hir).collect();
        let hir = match kind {
            Kind::Alternation => Hir::alternation(hirs),
            _ => Hir::concat(hirs),
        };
        Node {
            hir,
            kind,
            height,
            copies,
            cost,
        }
    }
}

impl Group {
    /// Makes an item of the characters after the last one.
    fn end_run(&mut self) {
        if !self.run.is_empty() {
            let cost = self.run.chars().map(|c| cost_of(c) + 1).sum::<u64>() - 1;
            let text = std::mem::take(&mut self.run).into_bytes();
            self.items.push(Node::atom(Hir::literal(text), cost));
        }
    }

    fn end_branch(&mut self) {
        self.end_run();
        let items = std::mem::take(&mut self.items);
        self.branches.push(Node::join(items, Kind::Concat));
    }

    fn into_node(mut self) -> Node {
        self.end_branch();
        Node::join(self.branches, Kind::Alternation)
    }
}

/// The cost of a character's automaton.
fn cost_of(c: char) -> u64 {
    if c.is_ascii() { 1 } else { 4 }
}

impl<'t> Parser<'t> {
    fn pattern(&mut self) -> Result<(), Error> {
        // The start of the operator before, if it was a repetition, since repetitions cannot be
        // stacked.
        let mut last_repeat = None;
        while let Some(c) = self.peek() {
            let start = self.pos;
            self.pos += c.len_utf8();
            let mut repeat = None;
            match c {
                '*' => repeat = Some((0, None)),
                '+' => repeat = Some((1, None)),
                '?' => repeat = Some((0, Some(1))),
                '{' => match self.counts(start)? {
                    Some(counts) => repeat = Some(counts),
                    None => self.push_char('{')?,
                },
                '(' => self.open(start)?,
                ')' => self.close()?,
                '|' => {
                    self.count_part()?;
                    self.group().end_branch();
                }
                '^' if self.flags.multi_line => self.push_look(Look::StartLF)?,
                '^' => self.push_look(Look::Start)?,
                '$' if self.flags.multi_line => self.push_look(Look::EndLF)?,
                '$' => self.push_look(Look::End)?,
                '.' => self.push_class(class::dot(self.flags.dot_newline))?,
                '[' => {
                    let (set, end, cost) = class::bracketed(self.text, start, self.flags)?;
                    self.pos = end;
                    self.cost += cost;
                    self.push_class(set)?;
                }
                '\\' => self.escape(start)?,
                c => self.push_char(c)?,
            }
            if let Some((min, max)) = repeat {
                self.repeat(start, last_repeat, min, max)?;
            }
            last_repeat = repeat.map(|_| start);
        }
        Ok(())
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.pos..).unwrap_or("")
    }

    fn from(&self, start: usize) -> &'t str {
        self.text.get(start..self.pos).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, c: char) -> bool {
        let eaten = self.peek() == Some(c);
        if eaten {
            self.pos += c.len_utf8();
        }
        eaten
    }

    fn group(&mut self) -> &mut Group {
        if self.groups.is_empty() {
            self.groups.push(Group::default());
        }
        let last = self.groups.len() - 1;
        &mut self.groups[last]
    }

    fn check(&self, node: &Node) -> Result<(), Error> {
        if node.height > HEIGHT_MAX {
            return Err(Error::new(error::NESTING_DEPTH, self.text));
        }
        if node.cost > COST_MAX || self.cost > COST_MAX {
            return Err(Error::new(error::LARGE, self.text));
        }
        Ok(())
    }

    fn count_part(&mut self) -> Result<(), Error> {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(Error::new(error::MANY_PARTS, self.text));
        }
        Ok(())
    }

    fn push(&mut self, node: Node) -> Result<(), Error> {
        self.count_part()?;
        self.check(&node)?;
        let group = self.group();
        group.end_run();
        group.items.push(node);
        Ok(())
    }

    fn push_look(&mut self, look: Look) -> Result<(), Error> {
        self.push(Node::atom(Hir::look(look), 1))
    }

    fn push_char(&mut self, c: char) -> Result<(), Error> {
        self.push_code(u32::from(c))
    }

    /// Pushes a code point. It may be a surrogate, which Go can spell and no text contains.
    fn push_code(&mut self, code: u32) -> Result<(), Error> {
        let mut set = ClassUnicode::empty();
        class::push_range(&mut set, code, code);
        if self.flags.fold_case {
            set.case_fold_simple();
        }
        let is_alone = set
            .ranges()
            .iter()
            .map(ClassUnicodeRange::len)
            .sum::<usize>()
            == 1;
        let Some(c) = char::from_u32(code).filter(|_| is_alone) else {
            return self.push_class(set);
        };
        self.cost += cost_of(c);
        if self.cost > COST_MAX {
            return Err(Error::new(error::LARGE, self.text));
        }
        if self.group().run.is_empty() {
            self.count_part()?;
        }
        self.group().run.push(c);
        Ok(())
    }

    fn push_class(&mut self, set: ClassUnicode) -> Result<(), Error> {
        let ranges = set.ranges().len() as u64;
        let cost = if set.is_ascii() { 1 } else { 2 * ranges + 2 };
        self.cost += cost.max(ranges);
        self.push(Node::atom(Hir::class(Class::Unicode(set)), cost))
    }

    /// Reads the counts after `{` at `start`; `None` where the brace stands for itself.
    fn counts(&mut self, start: usize) -> Result<Option<(u32, Option<u32>)>, Error> {
        let Some((min, max, end)) = counts(self.text, self.pos) else {
            return Ok(None);
        };
        self.pos = end;
        if min > REPEAT_MAX || max.is_some_and(|max| max > REPEAT_MAX || min > max) {
            return Err(Error::new(error::INVALID_REPEAT_SIZE, self.from(start)));
        }
        Ok(Some((min, max)))
    }

    /// Repeats the item before the operator at `start`.
    fn repeat(
        &mut self,
        start: usize,
        last_repeat: Option<usize>,
        min: u32,
        max: Option<u32>,
    ) -> Result<(), Error> {
        let lazy = self.eat('?') != self.flags.swap_greed;
        if let Some(last) = last_repeat {
            return Err(Error::new(error::INVALID_REPEAT_OP, self.from(last)));
        }
        let group = self.group();
        if let Some(last) = group.run.pop() {
            group.end_run();
            group.run.push(last);
            group.end_run();
        }
        let Some(sub) = group.items.pop() else {
            let at = self.from(start);
            return Err(Error::new(error::MISSING_REPEAT_ARGUMENT, at));
        };
        let copies = match max {
            Some(max) => max.saturating_mul(sub.copies),
            None => min.max(1).saturating_mul(sub.copies),
        };
        let counted = min >= 2 || max.is_some_and(|max| max >= 2);
        if counted && copies > REPEAT_MAX {
            return Err(Error::new(error::INVALID_REPEAT_SIZE, self.from(start)));
        }
        let times = u64::from(max.unwrap_or(min).max(1));
        let node = Node {
            kind: Kind::Other,
            height: sub.height + 1,
            copies,
            cost: times.saturating_mul(sub.cost + 1),
            hir: Hir::repetition(Repetition {
                min,
                max,
                greedy: !lazy,
                sub: Box::new(sub.hir),
            }),
        };
        self.push(node)
    }

    fn enter(&mut self, capture: Option<u32>) -> Result<(), Error> {
        if self.groups.len() > HEIGHT_MAX as usize {
            return Err(Error::new(error::NESTING_DEPTH, self.text));
        }
        self.groups.push(Group {
            capture,
            flags_outside: self.flags,
            ..Group::default()
        });
        Ok(())
    }

    fn enter_capture(&mut self, name: Option<String>) -> Result<(), Error> {
        self.names.push(name);
        self.enter(Some((self.names.len() - 1) as u32))
    }

    /// Opens the group whose `(` is at `start`.
    fn open(&mut self, start: usize) -> Result<(), Error> {
        let rest = self.rest();
        let Some(special) = rest.strip_prefix('?') else {
            return self.enter_capture(None);
        };
        for opening in ["P<", "<"] {
            // Go looks for a name only where something follows the opening.
            if let Some(named) = special.strip_prefix(opening)
                && !named.is_empty()
            {
                let at = self.pos + 1 + opening.len();
                return self.open_named(start, at, named);
            }
        }
        self.pos += 1;
        self.set_flags(start)
    }

    fn open_named(&mut self, start: usize, at: usize, named: &str) -> Result<(), Error> {
        let Some(len) = named.find('>') else {
            let rest = self.text.get(start..).unwrap_or("");
            return Err(Error::new(error::INVALID_NAMED_CAPTURE, rest));
        };
        let (name, _) = named.split_at(len);
        self.pos = at + len + 1;
        let word = |b: u8| b == b'_' || b.is_ascii_alphanumeric();
        if name.is_empty() || !name.bytes().all(word) {
            let at = self.from(start);
            return Err(Error::new(error::INVALID_NAMED_CAPTURE, at));
        }
        self.enter_capture(Some(name.to_owned()))
    }

    /// Reads the flags after `(?` at `start`; a `:` after them opens a group.
    fn set_flags(&mut self, start: usize) -> Result<(), Error> {
        let (mut flags, mut on, mut seen) = (self.flags, true, false);
        while let Some(c) = self.peek() {
            self.pos += c.len_utf8();
            match c {
                'i' => flags.fold_case = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_newline = on,
                'U' => flags.swap_greed = on,
                '-' if on => on = false,
                ':' | ')' if on || seen => {
                    if c == ':' {
                        self.enter(None)?;
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            }
            seen = c != '-';
        }
        Err(Error::new(error::INVALID_PERL_OP, self.from(start)))
    }

    fn close(&mut self) -> Result<(), Error> {
        if self.groups.len() < 2 {
            return Err(Error::new(error::UNEXPECTED_PAREN, self.text));
        }
        let Some(group) = self.groups.pop() else {
            return Ok(());
        };
        self.flags = group.flags_outside;
        let capture = group.capture;
        let mut node = group.into_node();
        if let Some(index) = capture {
            node.height += 1;
            node.cost += 2;
            node.kind = Kind::Other;
            node.hir = Hir::capture(Capture {
                index,
                name: None,
                sub: Box::new(node.hir),
            });
        }
        self.push(node)
    }

    /// Reads what follows a `\` at `start`.
    fn escape(&mut self, start: usize) -> Result<(), Error> {
        let look = match self.peek() {
            Some('A') => Look::Start,
            Some('z') => Look::End,
            Some('b') => Look::WordAscii,
            Some('B') => Look::WordAsciiNegate,
            Some('Q') => return self.quoted(),
            Some('C') => {
                self.pos += 1;
                return Err(Error::new(error::INVALID_ESCAPE, self.from(start)));
            }
            _ => {
                if let Some((set, end)) = class::escaped(self.text, start, self.flags)? {
                    self.pos = end;
                    return self.push_class(set);
                }
                let (code, end) = class::escaped_char(self.text, start)?;
                self.pos = end;
                return self.push_code(code);
            }
        };
        self.pos += 1;
        self.push_look(look)
    }

    /// Reads from the `Q` of `\Q` up to `\E` or the end; all of it stands for itself.
    fn quoted(&mut self) -> Result<(), Error> {
        self.pos += 1;
        let rest = self.rest();
        let (quoted, ends) = match rest.split_once("\\E") {
            Some((quoted, _)) => (quoted, 2),
            None => (rest, 0),
        };
        self.pos += quoted.len() + ends;
        quoted.chars().try_for_each(|c| self.push_char(c))
    }
}

/// Reads `n}`, `n,}` or `n,m}` at `pos`. Returns the counts and where they end. A number that is
/// too large becomes the largest there is.
fn counts(text: &str, pos: usize) -> Option<(u32, Option<u32>, usize)> {
    let rest = text.get(pos..)?;
    let body_len = rest.find(|c: char| c != ',' && !c.is_ascii_digit())?;
    let (body, brace) = rest.split_at(body_len);
    if !brace.starts_with('}') {
        return None;
    }
    let (min, max) = match body.split_once(',') {
        None => {
            let n = count(body)?;
            (n, Some(n))
        }
        Some((min, "")) => (count(min)?, None),
        Some((min, max)) => (count(min)?, Some(count(max)?)),
    };
    Some((min, max, pos + body.len() + 1))
}

fn count(digits: &str) -> Option<u32> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !plain || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some(digits.parse().unwrap_or(u32::MAX))
}
