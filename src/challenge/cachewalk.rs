//! cachewalk-1, a cache-hard function: 128 KiB of state walked with data-dependent reads and writes, which native code
//! does hardly better than a browser. SHA-256 stands at both ends, so that the walk itself only needs to have no
//! shortcut. All arithmetic is on `u32` and wraps.

use sha2::{Digest, Sha256};

/// Words of state.
const WORDS: usize = 1 << 15;
const GOLDEN: u32 = 0x9E37_79B1;

/// The state, kept between calls so that checking two solutions allocates once.
pub struct Walker(Box<[u32]>);

impl Default for Walker {
    fn default() -> Self {
        Walker(vec![0; WORDS].into_boxed_slice())
    }
}

impl Walker {
    /// The result for one nonce. `rounds` is the length of the walk in groups of eight steps.
    pub fn walk(&mut self, challenge: &str, nonce: u32, rounds: u32) -> u32 {
        let seed = Sha256::new().chain_update(b"cw1").chain_update(challenge).finalize();
        let start = Sha256::new().chain_update(seed).chain_update(nonce.to_be_bytes()).finalize();
        let mut x = [0u32; 8];
        for (word, bytes) in x.iter_mut().zip(start.chunks_exact(4)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        let state = &mut self.0;
        for (group, index) in state.chunks_exact_mut(8).zip((0u32..).step_by(8)) {
            x[0] = x[0].wrapping_add(index);
            for lane in 0..8 {
                x[lane] = x[lane].rotate_left(13).wrapping_mul(GOLDEN).wrapping_add(x[(lane + 1) % 8]);
                group[lane] = x[lane];
            }
        }
        for _ in 0..rounds {
            for lane in 0..8 {
                let index = (x[lane] >> 17) as usize % WORDS;
                let old = state[index];
                x[lane] = (x[lane] ^ old).rotate_left(13).wrapping_mul(GOLDEN).wrapping_add(x[(lane + 1) % 8]);
                state[index] = x[lane] ^ old;
            }
        }
        let mut end = Sha256::new();
        for word in x {
            end.update(word.to_be_bytes());
        }
        let end = end.finalize();
        u32::from_be_bytes([end[0], end[1], end[2], end[3]])
    }

    /// Whether `nonce` is a solution: one in `difficulty` is.
    pub fn solves(&mut self, challenge: &str, nonce: u32, rounds: u32, difficulty: u32) -> bool {
        u64::from(self.walk(challenge, nonce, rounds)) < (1 << 32) / u64::from(difficulty.max(1))
    }
}

/// Finds `count` solutions by trying nonces from zero: what a browser does, for tests and the command-line client.
pub fn solve(challenge: &str, count: usize, rounds: u32, difficulty: u32) -> Vec<u32> {
    let mut walker = Walker::default();
    (0..=u32::MAX).filter(|nonce| walker.solves(challenge, *nonce, rounds, difficulty)).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vectors_hold() {
        let mut walker = Walker::default();
        let vectors = [(0, 0xaf3b_7525), (1, 0x03ee_5629), (2, 0xb7db_0c20), (3, 0xcdba_fcb4), (u32::MAX, 0xc92a_0968)];
        for (nonce, result) in vectors {
            assert_eq!(walker.walk("test-challenge-0", nonce, 4096), result, "nonce {nonce}");
        }
    }
}
