//! cachewalk-1, a cache-hard function: 128 KiB of state walked with data-dependent reads and writes, which native code
//! does hardly better than a browser. SHA-256 stands at both ends, so that the walk itself only needs to have no
//! shortcut. All arithmetic is on `u32` and wraps.
//!
//! Browsers do the same by `assets/`: solver.js, cachewalk.wat and cachewalk-simd.wat. `tests/vectors/cachewalk.txt`
//! binds them all.

use sha2::{Digest, Sha256};

/// Words of state.
const WORDS: usize = 1 << 15;
const GOLDEN: u32 = 0x9E37_79B1;

/// Walks for one challenge. The state is kept, so that many nonces allocate once.
pub struct Walker {
    /// Has taken in the seed.
    seeded: Sha256,
    state: Box<[u32]>,
}

impl Walker {
    /// A walker for the nonces of `challenge`.
    pub fn new(challenge: &str) -> Self {
        let seed = Sha256::new().chain_update(b"cw1").chain_update(challenge).finalize();
        Walker { seeded: Sha256::new().chain_update(seed), state: vec![0; WORDS].into_boxed_slice() }
    }

    /// The result for one nonce. `rounds` is the length of the walk in groups of eight steps.
    pub fn walk(&mut self, nonce: u32, rounds: u32) -> u32 {
        let start = self.seeded.clone().chain_update(nonce.to_be_bytes()).finalize();
        let mut x = [0u32; 8];
        for (word, bytes) in x.iter_mut().zip(start.chunks_exact(4)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        let state = &mut self.state;
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
    pub fn solves(&mut self, nonce: u32, rounds: u32, difficulty: u32) -> bool {
        u64::from(self.walk(nonce, rounds)) < (1 << 32) / u64::from(difficulty.max(1))
    }
}

/// Finds `count` solutions by trying nonces from zero: what a browser does, for tests and the command-line client.
pub fn solve(challenge: &str, count: usize, rounds: u32, difficulty: u32) -> Vec<u32> {
    let mut walker = Walker::new(challenge);
    (0..=u32::MAX).filter(|nonce| walker.solves(*nonce, rounds, difficulty)).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vectors_hold() {
        let vectors = include_str!("../../tests/vectors/cachewalk.txt");
        for line in vectors.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split(' ').collect();
            let [challenge, rounds, nonce, result] = <[&str; 4]>::try_from(fields).unwrap();
            let walked = Walker::new(challenge).walk(nonce.parse().unwrap(), rounds.parse().unwrap());
            assert_eq!(format!("{walked:08x}"), result, "{line}");
        }
    }

    #[test]
    fn a_walker_forgets_the_nonces_before() {
        let mut walker = Walker::new("test-challenge-0");
        assert_eq!([0, 1, 0].map(|nonce| walker.walk(nonce, 4096)), [0xaf3b_7525, 0x03ee_5629, 0xaf3b_7525]);
    }
}
