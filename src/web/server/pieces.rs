//! Bodies that are made piece by piece, as fast as the client takes them. A large text never exists
//! as a whole, and a slow client occupies no worker.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::metrics::Histogram;
use crate::stdx::thread::panic_message;

/// Makes a body.
pub trait Pieces: Send {
    /// Returns the next piece, some ten KiB, and whether there is more.
    fn next(&mut self) -> (Vec<u8>, bool);

    /// The approximate bytes of memory held.
    fn held(&self) -> usize;

    /// The approximate bytes to come. For text it is up to twice the memory of its values.
    fn to_come(&self) -> usize {
        self.held().saturating_mul(2)
    }
}

/// A body that is being sent.
pub(super) struct PieceBody {
    pieces: Box<dyn Pieces>,
    packer: Option<GzEncoder<Vec<u8>>>,
    sent: usize,
    /// The bytes made since the last call, before they were packed.
    made: usize,
    /// Gets the final size of the body.
    pub size: Option<Histogram>,
}

/// The result of asking a body for a piece.
pub(super) enum Step {
    /// There is more.
    Piece(Vec<u8>),
    Last(Vec<u8>),
    /// The rest cannot be made. The client must see that it is missing.
    Broken,
}

impl PieceBody {
    pub fn new(pieces: Box<dyn Pieces>) -> PieceBody {
        PieceBody {
            pieces,
            packer: None,
            sent: 0,
            made: 0,
            size: None,
        }
    }

    pub fn compressed(mut self) -> PieceBody {
        self.packer = Some(GzEncoder::new(Vec::new(), Compression::fast()));
        self
    }

    pub fn held(&self) -> usize {
        self.pieces.held()
    }

    pub fn to_come(&self) -> usize {
        self.pieces.to_come()
    }

    pub fn take_made(&mut self) -> usize {
        std::mem::take(&mut self.made)
    }

    /// Takes a step. A piece is never empty, unless it is the last.
    pub fn step(&mut self) -> Step {
        loop {
            // NOTE: a panic affects only this answer, and no more pieces are asked for after it.
            let made = catch_unwind(AssertUnwindSafe(|| self.pieces.next()));
            let (piece, more) = match made {
                Ok(made) => made,
                Err(payload) => {
                    log::error!(panic = panic_message(&*payload).as_str();
                        "an answer broke off by a panic");
                    return Step::Broken;
                }
            };
            self.made += piece.len();
            let Some(piece) = self.packed(piece, more) else {
                return Step::Broken;
            };
            self.sent += piece.len();
            if !more {
                return Step::Last(piece);
            }
            if !piece.is_empty() {
                return Step::Piece(piece);
            }
        }
    }

    /// Packs a piece. NOTE: writing to memory does not fail.
    fn packed(&mut self, piece: Vec<u8>, more: bool) -> Option<Vec<u8>> {
        let Some(packer) = &mut self.packer else {
            return Some(piece);
        };
        packer.write_all(&piece).ok()?;
        if !more {
            packer.try_finish().ok()?;
        }
        Some(std::mem::take(packer.get_mut()))
    }
}

impl Drop for PieceBody {
    fn drop(&mut self) {
        if let Some(size) = &self.size {
            size.observe(self.sent as f64);
        }
    }
}
