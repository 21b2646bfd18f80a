//! Copies several chunks at once.
//!
//! The links of a chunk lie anywhere in the pool, and each names the next. Following one chunk
//! after the other would wait for memory at every link. So the chains of all chunks are followed
//! together, and then copied.

use std::ops::Range;

use super::header::HEADER_BYTES;
use super::pool::{Chain, LINK_BYTES, Pool};

/// Chunks one after the other, ready for decoding once [`Gather::fetch`] was called.
#[derive(Debug, Default)]
pub struct Gather {
    pieces: Vec<Piece>,
    /// The links of all chains, one chain after the other.
    links: Vec<u32>,
    bytes: Vec<u8>,
    /// The bytes that the chunks will take.
    planned: usize,
}

#[derive(Debug)]
struct Piece {
    header: [u8; HEADER_BYTES],
    /// The link to follow next.
    link: u32,
    /// The bytes of the chain, in whole words.
    chain_bytes: u32,
    tail: [u8; 8],
    /// Where its links begin, and where it ends in `bytes`.
    links_at: u32,
    end: u32,
}

impl Gather {
    /// Makes one with room for short chunks.
    pub fn for_chunks(count: usize) -> Gather {
        Gather {
            pieces: Vec::with_capacity(count),
            links: Vec::with_capacity(count * 2),
            ..Gather::default()
        }
    }

    /// Empties it, and reserves room for `bytes`.
    pub fn clear(&mut self, bytes: usize) {
        self.pieces.clear();
        self.links.clear();
        self.bytes.clear();
        self.bytes.shrink_to(bytes);
        self.planned = 0;
    }

    /// The number of chunks.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// The bytes of all chunks together.
    pub fn planned_bytes(&self) -> usize {
        self.planned
    }

    /// Adds a chunk: the bytes before its chain, the chain's first bytes, and up to 8 more.
    pub(super) fn add(
        &mut self,
        header: [u8; HEADER_BYTES],
        (chain, chain_bytes): (&Chain, usize),
        more: &[u8],
    ) {
        let mut tail = [0; 8];
        { tail.iter_mut().zip(more) }.for_each(|(to, from)| *to = *from);
        let links_at = self.links.len();
        let links = chain_bytes.div_ceil(LINK_BYTES);
        self.links.resize(links_at + links, u32::MAX);
        self.planned += HEADER_BYTES + chain_bytes + more.len().min(tail.len());
        self.pieces.push(Piece {
            header,
            link: chain.first(),
            chain_bytes: chain_bytes as u32,
            tail,
            links_at: links_at as u32,
            end: self.planned as u32,
        });
    }

    /// Copies the added chunks, which must not have changed since.
    pub fn fetch(&mut self, pool: &Pool) {
        self.follow(pool);
        // NOTE: whole links are copied. The next chunk overwrites what they hold too much.
        self.bytes.resize(self.planned + LINK_BYTES, 0);
        let mut at = 0;
        for piece in &self.pieces {
            put(&mut self.bytes, at, &piece.header);
            let start = at + HEADER_BYTES;
            for (i, link) in self.links[piece.links()].iter().enumerate() {
                if let Some(link) = pool.link_bytes(*link) {
                    put(&mut self.bytes, start + i * LINK_BYTES, link);
                }
            }
            put(
                &mut self.bytes,
                start + piece.chain_bytes as usize,
                &piece.tail,
            );
            at = piece.end as usize;
        }
        self.bytes.truncate(self.planned);
    }

    fn follow(&mut self, pool: &Pool) {
        let longest = { self.pieces.iter() }
            .map(|piece| piece.links().len())
            .max();
        for i in 0..longest.unwrap_or(0) {
            for piece in self.pieces.iter_mut().filter(|p| i < p.links().len()) {
                self.links[piece.links_at as usize + i] = piece.link;
                piece.link = pool.link_after(piece.link);
            }
        }
    }

    /// Yields the chunks with these numbers.
    pub fn chunks(&self, range: Range<usize>) -> impl Iterator<Item = &[u8]> {
        let mut from = { range.start.checked_sub(1) }.map_or(0, |before| self.pieces[before].end);
        self.pieces[range].iter().map(move |piece| {
            let chunk = &self.bytes[from as usize..piece.end as usize];
            from = piece.end;
            chunk
        })
    }
}

impl Piece {
    fn links(&self) -> Range<usize> {
        let at = self.links_at as usize;
        at..at + (self.chain_bytes as usize).div_ceil(LINK_BYTES)
    }
}

#[inline]
fn put<const N: usize>(bytes: &mut [u8], at: usize, what: &[u8; N]) {
    bytes[at..at + N].copy_from_slice(what);
}
