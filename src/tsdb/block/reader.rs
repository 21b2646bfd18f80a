//! An open block: its footer is in memory, everything else is read on demand.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::footer::{self, Footer, HEADER_BYTES, HEADER_MAGIC, TRAILER_BYTES, TRAILER_MAGIC};
use super::page::{self, PAGE_BYTES_MAX, PageRef};
use super::tombstones::{self, Tombstones};
use super::{BlockError, BlockId, BlockMeta, PageCache};
use crate::stdx::locked::locked;
use crate::tsdb::dir::{Dir, File};

/// LIMIT: the bytes at the end of a file that are searched for a whole trailer if the last one is
/// damaged.
const SEARCH_BYTES: u64 = 8 << 20;

/// LIMIT: damaged pages that are remembered, so that each is logged once.
const DAMAGED_MAX: usize = 1_024;

/// The number of bytes of a file that are copied at once.
const COPY_BYTES: usize = 128 << 10;

/// An open block. It holds its file open, so that a removed one can still be read. A query goes on
/// without damaged parts. [`Block::damaged_pages`] counts them, and the log names each once.
#[derive(Debug)]
pub struct Block {
    pub(super) id: BlockId,
    pub(super) dir: Arc<dyn Dir>,
    pub(super) footer: Footer,
    pub(super) file_no: u64,
    pub(super) tombstones: Mutex<Arc<Tombstones>>,
    /// ORDER: taken before `tombstones`, by those who change them.
    pub(super) deleting: Mutex<()>,
    file: Box<dyn File>,
    cache: Arc<PageCache>,
    /// By offset; the value says whether the copy was bad or missing too.
    damaged: Mutex<BTreeMap<u64, bool>>,
}

impl Block {
    pub fn open(
        dir: &Arc<dyn Dir>,
        id: BlockId,
        cache: &Arc<PageCache>,
    ) -> Result<Arc<Block>, BlockError> {
        let fail = |source| BlockError::Io { id, source };
        let file = dir.open(&id.path()).map_err(fail)?;
        let mut footer = read_footer(id, &*file)?;
        footer.meta.bytes = file.len().map_err(fail)?;
        footer.shrink();
        let tombstones = tombstones::read(dir, id)?;
        Ok(Arc::new(Block {
            id,
            dir: dir.clone(),
            footer,
            file_no: PageCache::new_file(),
            tombstones: Mutex::new(Arc::new(tombstones)),
            deleting: Mutex::default(),
            file,
            cache: cache.clone(),
            damaged: Mutex::default(),
        }))
    }

    pub fn id(&self) -> BlockId {
        self.id
    }

    /// Puts the file, even if its name is gone, and its tombstones into `to`. `link` tries to link
    /// the file; if it returns false the content is copied. The caller syncs the directory.
    pub fn put_into(&self, to: &dyn Dir, link: impl FnOnce() -> bool) -> Result<(), BlockError> {
        let fail = |source| BlockError::Io {
            id: self.id,
            source,
        };
        if !link() {
            self.copy_to(to).map_err(fail)?;
        }
        let tombstones = self.tombstones();
        if tombstones.ranges() > 0 {
            tombstones::write(to, self.id, &tombstones)?;
        }
        Ok(())
    }

    fn copy_to(&self, to: &dyn Dir) -> io::Result<()> {
        // ORDER: written under a temporary name first. The final name may be a link to the store's
        // file, if linking worked but reported an error, and that file must not be written.
        let tmp = self.id.tmp_path();
        let mut out = to.create(&tmp)?;
        let mut buffer = vec![0; COPY_BYTES];
        let mut at = 0;
        loop {
            match self.file.read_at(at, &mut buffer)? {
                0 => {
                    out.sync()?;
                    return to.rename(&tmp, &self.id.path());
                }
                n => {
                    out.append(buffer.get(..n).unwrap_or_default())?;
                    at += n as u64;
                }
            }
        }
    }

    pub fn meta(&self) -> BlockMeta {
        let mut meta = self.footer.meta.clone();
        meta.tombstones = self.tombstones().ranges();
        meta
    }

    /// The bytes of memory that it holds while open, without pages in the cache.
    pub fn resident_bytes(&self) -> usize {
        size_of::<Block>() + self.footer.resident_bytes()
    }

    /// The number of pages found damaged so far.
    pub fn damaged_pages(&self) -> usize {
        self.lock_damaged().len()
    }

    /// The number of damaged pages without a good copy. What they held is missing from answers.
    pub fn lost_pages(&self) -> usize {
        self.lock_damaged().values().filter(|lost| **lost).count()
    }

    pub(super) fn tombstones(&self) -> Arc<Tombstones> {
        // NOTE: what is under the lock is replaced whole.
        locked(&self.tombstones).clone()
    }

    /// Returns a page without its CRC, which is checked.
    pub(super) fn page(&self, page: PageRef, part: &'static str) -> Result<Page, BlockError> {
        let key = (self.file_no, page.offset);
        if let Some(bytes) = self.cache.get(key) {
            return Ok(Page(bytes));
        }
        match read_page(self.id, &*self.file, page, part) {
            Ok(bytes) => {
                let bytes: Arc<[u8]> = bytes.into();
                self.cache.put(key, bytes.clone());
                Ok(Page(bytes))
            }
            Err(error) => {
                let copy = self.footer.copy_of(page);
                let copied = copy.map(|copy| read_page(self.id, &*self.file, copy, part));
                let is_lost = !matches!(copied, Some(Ok(_)));
                self.note_damage(&error, page.offset, is_lost);
                let bytes: Arc<[u8]> = copied.unwrap_or(Err(error))?.into();
                self.cache.put(key, bytes.clone());
                Ok(Page(bytes))
            }
        }
    }

    /// The error for a page that is invalid though its CRC is right.
    pub(super) fn nonsense(&self, part: &'static str, page: PageRef) -> BlockError {
        let error = BlockError::Damaged {
            id: self.id,
            part,
            offset: page.offset,
        };
        self.note_damage(&error, page.offset, true);
        error
    }

    fn note_damage(&self, error: &BlockError, offset: u64, is_lost: bool) {
        if !error.is_damage() {
            return;
        }
        let mut damaged = self.lock_damaged();
        if damaged.len() < DAMAGED_MAX && damaged.insert(offset, is_lost).is_none() {
            self.cache.count_damaged();
            log::error!("{error}");
        }
    }

    fn lock_damaged(&self) -> MutexGuard<'_, BTreeMap<u64, bool>> {
        // NOTE: a set of numbers is never half changed.
        locked(&self.damaged)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.cache.forget(self.file_no);
    }
}

/// A page as it is on disk, with its CRC checked.
#[derive(Debug, Clone)]
pub struct Page(Arc<[u8]>);

impl Page {
    pub fn bytes(&self) -> &[u8] {
        let len = self.0.len().saturating_sub(page::CRC_BYTES);
        self.0.get(..len).unwrap_or_default()
    }
}

fn read_page(
    id: BlockId,
    file: &dyn File,
    page: PageRef,
    part: &'static str,
) -> Result<Vec<u8>, BlockError> {
    let damaged = || BlockError::Damaged {
        id,
        part,
        offset: page.offset,
    };
    if page.len as usize > PAGE_BYTES_MAX {
        return Err(damaged());
    }
    let mut bytes = vec![0; page.len as usize];
    match read_full(file, page.offset, &mut bytes) {
        Ok(true) if page::checked(page.offset, &bytes).is_some() => Ok(bytes),
        Ok(_) => Err(damaged()),
        Err(source) => Err(BlockError::Io { id, source }),
    }
}

/// Fills `buffer`. Returns whether the file was long enough.
pub fn read_full(file: &dyn File, offset: u64, mut buffer: &mut [u8]) -> io::Result<bool> {
    let mut at = offset;
    while !buffer.is_empty() {
        match file.read_at(at, buffer)? {
            0 => return Ok(false),
            n => {
                at += n as u64;
                buffer = buffer.get_mut(n..).unwrap_or_default();
            }
        }
    }
    Ok(true)
}

/// Finds the footer by the last trailer, or else by the last whole one.
fn read_footer(id: BlockId, file: &dyn File) -> Result<Footer, BlockError> {
    let fail = |source| BlockError::Io { id, source };
    let len = file.len().map_err(fail)?;
    let mut found = None;
    let mut search = TRAILER_BYTES as u64;
    while found.is_none() {
        let start = len.saturating_sub(search);
        let mut end = vec![0; (len - start) as usize];
        if !read_full(file, start, &mut end).map_err(fail)? {
            break;
        }
        found = whole_footer(id, file, &end).transpose()?;
        if start == 0 || search >= SEARCH_BYTES {
            break;
        }
        search = (search * 64).min(SEARCH_BYTES);
    }
    if let Some(footer) = found {
        return Ok(footer);
    }
    let mut header = [0; HEADER_BYTES as usize];
    let whole = read_full(file, 0, &mut header).map_err(fail)?;
    let (magic, rest) = header.split_at(HEADER_MAGIC.len());
    let version = rest.first_chunk().map_or(0, |v| u32::from_le_bytes(*v));
    Err(if !whole || magic != HEADER_MAGIC {
        let reason = "it has neither header nor footer";
        BlockError::NotABlock { id, reason }
    } else if version != footer::VERSION {
        BlockError::Version { id, version }
    } else {
        BlockError::Damaged {
            id,
            part: "footer",
            offset: len,
        }
    })
}

/// Finds the last whole footer in the bytes that end a file.
fn whole_footer(
    id: BlockId,
    file: &dyn File,
    mut end: &[u8],
) -> Option<Result<Footer, BlockError>> {
    let magics = memchr::memmem::FinderRev::new(TRAILER_MAGIC);
    while let Some(at) = magics.rfind(end) {
        let stop = at + TRAILER_MAGIC.len();
        let trailer = stop
            .checked_sub(TRAILER_BYTES)
            .and_then(|start| end.get(start..stop));
        match trailer.and_then(|bytes| footer::get_trailer(id, bytes)) {
            Some(Err(error)) => return Some(Err(error)),
            Some(Ok(trailer)) if u64::from(trailer.len) <= footer::FOOTER_BYTES_MAX => {
                let mut bytes = vec![0; trailer.len as usize];
                match read_full(file, trailer.offset, &mut bytes) {
                    Err(source) => return Some(Err(BlockError::Io { id, source })),
                    Ok(true) if footer::sum(trailer.offset, &bytes) == trailer.crc => {
                        if let Some(footer) = Footer::decode(id, &bytes) {
                            return Some(Ok(footer));
                        }
                    }
                    Ok(_) => {}
                }
            }
            _ => {}
        }
        end = end.get(..at).unwrap_or_default();
    }
    None
}
