//! Pages: the unit that is read, checked and cached.

use crate::stdx::cursor::Cursor;
use crate::stdx::varint::put_varint;

/// The CRC32C after the bytes of each page. It covers them and their offset.
pub const CRC_BYTES: usize = 4;

/// LIMIT: what a reader allocates for one page. The largest is the postings of one pair in a block
/// of millions of series.
pub const PAGE_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRef {
    pub offset: u64,
    /// The length, including the CRC.
    pub len: u32,
}

impl PageRef {
    pub fn end(self) -> u64 {
        self.offset.saturating_add(u64::from(self.len))
    }
}

/// Returns the CRC of a page's bytes at their offset, so that a page at a wrong place is noticed.
pub fn crc(offset: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&offset.to_le_bytes()), bytes)
}

/// Returns the bytes of a whole page, if they are good.
pub fn checked(offset: u64, page: &[u8]) -> Option<&[u8]> {
    let (bytes, sum) = page.split_at_checked(page.len().checked_sub(CRC_BYTES)?)?;
    (crc(offset, bytes).to_le_bytes() == sum).then_some(bytes)
}

pub fn put_pages(out: &mut Vec<u8>, pages: &[PageRef]) {
    put_varint(out, pages.len() as u64);
    let mut end = 0;
    for page in pages {
        put_page(out, &mut end, *page);
    }
}

/// Writes a page's place. Pages are in order of offsets, so the gap after the one before suffices.
pub fn put_page(out: &mut Vec<u8>, end: &mut u64, page: PageRef) {
    put_varint(out, page.offset - *end);
    put_varint(out, u64::from(page.len));
    *end = page.end();
}

pub fn get_pages(from: &mut Cursor<'_>) -> Option<Vec<PageRef>> {
    let count = from.size()?;
    let mut pages = Vec::with_capacity(count.min(from.rest().len()));
    let mut end = 0;
    for _ in 0..count {
        pages.push(get_page(from, &mut end)?);
    }
    Some(pages)
}

pub fn get_page(from: &mut Cursor<'_>, end: &mut u64) -> Option<PageRef> {
    let offset = end.checked_add(from.varint()?)?;
    let len = from.small()?;
    let page = PageRef { offset, len };
    *end = page.end();
    Some(page)
}
