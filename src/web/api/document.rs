//! JSON text that is made in bounded pieces as its reader takes it. It takes up to twice the memory
//! of its values, and a long text never exists as a whole.

use std::collections::VecDeque;
use std::vec::IntoIter;

use crate::web::server::{Pieces, Response};

/// LIMIT: bytes of text made at once, give or take a part.
pub const PIECE_BYTES: usize = 64 << 10;

/// LIMIT: a smaller answer is sent as a whole, with its length.
pub const WHOLE_BYTES: usize = 256 << 10;

/// What is still to be written.
#[derive(Default)]
pub struct Document(VecDeque<Segment>);

enum Segment {
    Text(String),
    Parts(Box<dyn Parts>),
}

/// Values that become text one after another.
///
/// NOTE: the thread that serves all connections makes a slow reader's text, so nothing may wait
/// here.
pub trait Parts: Send {
    /// Appends the next part. Returns false if there is none.
    fn write(&mut self, out: &mut String) -> bool;

    /// The approximate bytes of memory still held.
    fn held(&self) -> usize;

    /// The approximate bytes of text to come.
    fn to_come(&self) -> usize {
        self.held().saturating_mul(2)
    }
}

impl Document {
    pub fn text(mut self, text: impl Into<String>) -> Document {
        self.0.push_back(Segment::Text(text.into()));
        self
    }

    pub fn parts(mut self, parts: impl Parts + 'static) -> Document {
        self.0.push_back(Segment::Parts(Box::new(parts)));
        self
    }

    /// Makes a document of items, which `push` writes, with commas between them. `bytes_of`
    /// estimates an item's memory in bytes.
    pub fn items<T: Send + 'static>(
        self,
        items: Vec<T>,
        bytes_of: fn(&T) -> usize,
        push: impl FnMut(&mut String, T) + Send + 'static,
    ) -> Document {
        self.parts(Items {
            held: items.iter().map(bytes_of).sum(),
            items: items.into_iter(),
            bytes_of,
            push,
            needs_comma: false,
        })
    }

    /// Does as [`Document::items`], in brackets.
    pub fn list<T: Send + 'static>(
        self,
        items: Vec<T>,
        bytes_of: fn(&T) -> usize,
        push: impl FnMut(&mut String, T) + Send + 'static,
    ) -> Document {
        self.text("[").items(items, bytes_of, push).text("]")
    }

    /// Adds text before and after it.
    pub fn within(mut self, before: &str, after: String) -> Document {
        self.0.push_front(Segment::Text(before.to_owned()));
        self.text(after)
    }

    pub fn into_response(mut self) -> Response {
        let mut front = String::new();
        if !self.write(&mut front, WHOLE_BYTES) {
            return Response::json(200, front);
        }
        self.0.push_front(Segment::Text(front));
        Response::pieces(200, self).header("Content-Type", "application/json")
    }

    /// Writes until `out` has so many bytes. Returns whether there is more.
    fn write(&mut self, out: &mut String, bytes: usize) -> bool {
        while out.len() < bytes
            && let Some(segment) = self.0.front_mut()
        {
            let is_written = match segment {
                Segment::Text(text) => {
                    out.push_str(text);
                    true
                }
                Segment::Parts(parts) => !parts.write(out),
            };
            if is_written {
                self.0.pop_front();
            }
        }
        !self.0.is_empty()
    }

    fn sum(&self, of: impl Fn(&dyn Parts) -> usize) -> usize {
        let bytes = self.0.iter().map(|segment| match segment {
            Segment::Text(text) => text.len(),
            Segment::Parts(parts) => of(&**parts),
        });
        bytes.sum()
    }
}

impl From<String> for Document {
    fn from(json: String) -> Document {
        Document::default().text(json)
    }
}

impl Pieces for Document {
    fn next(&mut self) -> (Vec<u8>, bool) {
        let mut text = String::with_capacity(PIECE_BYTES + (PIECE_BYTES >> 4));
        let more = self.write(&mut text, PIECE_BYTES);
        (text.into_bytes(), more)
    }

    fn held(&self) -> usize {
        self.sum(|parts| parts.held())
    }

    fn to_come(&self) -> usize {
        self.sum(|parts| parts.to_come())
    }
}

struct Items<T, F> {
    items: IntoIter<T>,
    bytes_of: fn(&T) -> usize,
    push: F,
    held: usize,
    needs_comma: bool,
}

impl<T: Send, F: FnMut(&mut String, T) + Send> Parts for Items<T, F> {
    fn write(&mut self, out: &mut String) -> bool {
        let Some(item) = self.items.next() else {
            return false;
        };
        self.held = self.held.saturating_sub((self.bytes_of)(&item));
        if std::mem::replace(&mut self.needs_comma, true) {
            out.push(',');
        }
        (self.push)(out, item);
        true
    }

    fn held(&self) -> usize {
        self.held
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes to write", self.held())
    }
}
