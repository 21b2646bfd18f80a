//! Texts in an order in which neighbours resemble each other, stored without what they share. An
//! answer's label sets take a tenth of their room.

use super::document::Parts;

#[derive(Default)]
pub struct Folded {
    spans: Vec<Span>,
    /// The texts' own parts, one behind the other.
    own: String,
    last: String,
    text_bytes: usize,
}

/// One text: what it shares with the one before at both ends, and its own part between.
struct Span {
    head: u32,
    own: u32,
    tail: u32,
}

impl Folded {
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn push(&mut self, text: &str) {
        let (old, new) = (self.last.as_bytes(), text.as_bytes());
        let same = |(a, b): &(&u8, &u8)| a == b;
        let head = old.iter().zip(new).take_while(same).count();
        let head = (0..=head).rev().find(|at| text.is_char_boundary(*at));
        let head = head.unwrap_or(0);
        let (old, new) = (old[head..].iter().rev(), new[head..].iter().rev());
        let tail = old.zip(new).take_while(same).count();
        let tail = (0..=tail).rev();
        let mut tail = tail.filter(|bytes| text.is_char_boundary(text.len() - bytes));
        let tail = tail.next().unwrap_or(0);
        let own = &text[head..text.len() - tail];
        self.own.push_str(own);
        // NOTE: label sets are limited far below 4 GiB.
        self.spans.push(Span {
            head: head as u32,
            own: own.len() as u32,
            tail: tail as u32,
        });
        self.text_bytes += text.len() + 1;
        text.clone_into(&mut self.last);
    }

    /// Yields the texts, with commas between them.
    pub fn unfold(mut self) -> Unfold {
        self.last.clear();
        Unfold {
            held: self.own.len() + self.spans.len() * size_of::<Span>(),
            spans: self.spans.into_iter(),
            own: self.own,
            own_at: 0,
            text: self.last,
            needs_comma: false,
            to_come: self.text_bytes,
        }
    }
}

pub struct Unfold {
    spans: std::vec::IntoIter<Span>,
    own: String,
    own_at: usize,
    /// The text written last.
    text: String,
    needs_comma: bool,
    held: usize,
    to_come: usize,
}

impl Parts for Unfold {
    fn write(&mut self, out: &mut String) -> bool {
        let Some(Span { head, own, tail }) = self.spans.next() else {
            self.held = 0;
            return false;
        };
        if std::mem::replace(&mut self.needs_comma, true) {
            out.push(',');
        }
        let own_end = self.own_at + own as usize;
        let own = &self.own[self.own_at..own_end];
        let tail_at = self.text.len() - tail as usize;
        self.text.replace_range(head as usize..tail_at, own);
        self.own_at = own_end;
        self.to_come = self.to_come.saturating_sub(self.text.len() + 1);
        out.push_str(&self.text);
        true
    }

    fn held(&self) -> usize {
        self.held
    }

    fn to_come(&self) -> usize {
        self.to_come
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_folded_unfolds() {
        let check = |texts: &[&str], own: &str| {
            let mut folded = Folded::default();
            for text in texts {
                folded.push(text);
            }
            assert_eq!(folded.own, own);
            let (mut unfold, mut out) = (folded.unfold(), String::new());
            assert_eq!(
                unfold.to_come(),
                texts.iter().map(|t| t.len() + 1).sum::<usize>()
            );
            while unfold.write(&mut out) {}
            assert_eq!(out, texts.join(","));
            assert_eq!((unfold.to_come(), unfold.held()), (0, 0));
        };
        check(&[], "");
        check(&["{}"], "{}");
        check(&["{a:1,z:9}", "{a:2,z:9}", "{b:2,z:9}"], "{a:1,z:9}2b");
        check(&["aa", "aaaa", "a", "aaa"], "aaaaaa");
        // Texts that differ within a character differ in all of it.
        check(&["<é>", "<è>", "<ĩ>", "<é>"], "<é>èĩé");
        check(&["", "x", "", "xy"], "xxy");
    }
}
