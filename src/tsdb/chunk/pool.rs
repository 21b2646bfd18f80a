//! Memory for the bits of all chunks: chained links of a few words.
//!
//! A buffer per chunk would be moved to a larger place a dozen times, each series at its own pace.
//! The holes that this leaves cost more than what a chain wastes (measured: 75 bytes per series at
//! 60 samples, 200 at 240). Closing a chunk copies nothing, and a dropped chunk's links serve the
//! next. NOTE: the pool never shrinks; its size is that of the head at its fullest.

/// LIMIT: words in a link, which fill a cache line. On average half a link per chunk is empty, and
/// each link costs 4 bytes more. Links half as long save 18 bytes per series at 60 samples, cost 19
/// at 480, and take a third longer to read.
const WORDS: usize = 8;
pub(super) const LINK_BYTES: usize = WORDS * 8;

/// Words as bytes, the highest first, as they are decoded.
type Link = [[u8; 8]; WORDS];

/// The index that means no link.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub struct Pool {
    links: Vec<Link>,
    /// The link that follows each link, in its chain or among the free ones.
    next: Vec<u32>,
    free: u32,
    /// The number of links that chains hold.
    used: usize,
}

/// Some words of one chunk. Dropping it without [`Pool::release`] loses its links.
#[derive(Debug)]
pub struct Chain {
    first: u32,
    last: u32,
}

impl Chain {
    /// Returns its first link.
    pub(super) fn first(&self) -> u32 {
        self.first
    }
}

impl Default for Chain {
    fn default() -> Chain {
        Chain {
            first: NONE,
            last: NONE,
        }
    }
}

impl Default for Pool {
    fn default() -> Pool {
        Pool {
            links: Vec::new(),
            next: Vec::new(),
            free: NONE,
            used: 0,
        }
    }
}

impl Pool {
    /// Adds a word to a chain that has `len` of them.
    #[inline]
    pub fn push(&mut self, chain: &mut Chain, len: usize, word: u64) {
        if len.is_multiple_of(WORDS) {
            self.link(chain);
        }
        self.links[chain.last as usize][len % WORDS] = word.to_be_bytes();
    }

    fn link(&mut self, chain: &mut Chain) {
        let link = self.free_link();
        if chain.first == NONE {
            chain.first = link;
        } else {
            self.next[chain.last as usize] = link;
        }
        chain.last = link;
    }

    fn free_link(&mut self) -> u32 {
        self.used += 1;
        if self.free != NONE {
            let link = self.free;
            self.free = std::mem::replace(&mut self.next[link as usize], NONE);
            return link;
        }
        if self.links.len() == self.links.capacity() {
            let more = (self.links.len() / 8).max(2);
            self.links.reserve_exact(more);
            self.next.reserve_exact(more);
        }
        self.links.push(Link::default());
        self.next.push(NONE);
        self.links.len() as u32 - 1
    }

    /// Appends the first `len` bytes of a chain to `out`.
    pub fn copy_to(&self, chain: &Chain, len: usize, out: &mut Vec<u8>) {
        let end = out.len() + len;
        out.reserve(len.next_multiple_of(LINK_BYTES));
        let mut link = chain.first;
        // NOTE: whole links, since a copy of known length takes a few instructions.
        while out.len() < end
            && let Some(words) = self.links.get(link as usize)
        {
            out.extend_from_slice(words.as_flattened());
            link = self.next[link as usize];
        }
        out.truncate(end);
    }

    /// Returns a link's bytes.
    #[inline]
    pub(super) fn link_bytes(&self, link: u32) -> Option<&[u8; LINK_BYTES]> {
        self.links
            .get(link as usize)?
            .as_flattened()
            .try_into()
            .ok()
    }

    /// Returns the link that follows.
    #[inline]
    pub(super) fn link_after(&self, link: u32) -> u32 {
        self.next.get(link as usize).copied().unwrap_or(NONE)
    }

    pub fn first(&self, chain: &Chain) -> Option<u64> {
        let words = self.links.get(chain.first as usize)?;
        Some(u64::from_be_bytes(words[0]))
    }

    /// Takes back a chain of `len` words.
    pub fn release(&mut self, chain: &mut Chain, len: usize) {
        if chain.first != NONE {
            self.used -= len.div_ceil(WORDS);
            self.next[chain.last as usize] = std::mem::replace(&mut self.free, chain.first);
            *chain = Chain::default();
        }
    }

    /// The bytes of links in use, which dropping all chunks would free.
    pub fn used_bytes(&self) -> usize {
        self.used * (size_of::<Link>() + 4)
    }

    pub fn heap_bytes(&self) -> usize {
        self.links.capacity() * size_of::<Link>() + self.next.capacity() * 4
    }
}
