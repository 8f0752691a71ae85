//! The memory that argon2 fills, kept from one check to the next.
//!
//! An allocator keeps what one thread freed for that thread. Checks run on ever other threads, so memory that every check
//! allocates for itself grows with the number of threads, not with the number of checks at once, and does not come back.

use argon2::Block;
use parking_lot::Mutex;

use crate::accounts::AccountsError;

/// As many buffers as checks ever ran at once: a new one is made only while all others are in use.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<Block>>>);

impl Buffers {
    /// A buffer of `blocks` KiB. It goes back, wiped, when it is dropped.
    pub(super) fn take(&self, blocks: usize) -> Result<Buffer<'_>, AccountsError> {
        let mut kept = self.take_kept(blocks);
        if kept.len() < blocks {
            // The small one is freed before the large one is made, so that a check never holds both.
            kept = Vec::new();
            kept.try_reserve_exact(blocks)
                .map_err(|_| AccountsError::unavailable("there is no memory for a password check"))?;
            kept.resize(blocks, Block::new());
        }
        Ok(Buffer {
            kept,
            used: blocks,
            home: self,
        })
    }

    /// The smallest buffer that is large enough, so that few grow; else the largest one, so that no more are kept than run.
    fn take_kept(&self, blocks: usize) -> Vec<Block> {
        let mut free = self.0.lock();
        let sizes = || free.iter().map(Vec::len).enumerate();
        let best = sizes()
            .filter(|(_, size)| *size >= blocks)
            .min_by_key(|(_, size)| *size)
            .or_else(|| sizes().max_by_key(|(_, size)| *size))
            .map(|(at, _)| at);
        best.map(|at| free.swap_remove(at)).unwrap_or_default()
    }
}

/// A buffer in use.
pub(super) struct Buffer<'a> {
    kept: Vec<Block>,
    used: usize,
    home: &'a Buffers,
}

impl Buffer<'_> {
    /// The blocks that were asked for, or more.
    pub(super) fn blocks(&mut self) -> &mut [Block] {
        &mut self.kept
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        // What was derived from a password must not lie about for as long as the process lives.
        self.kept
            .iter_mut()
            .take(self.used)
            .for_each(|block| *block = Block::new());
        self.home.0.lock().push(std::mem::take(&mut self.kept));
    }
}
