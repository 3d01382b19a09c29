//! The attacker: cachewalk-1 as fast as native code does it, several ways.

use sha2::{Digest, Sha256};
use windscreen::challenge::cachewalk::Walker;

const GOLDEN: u32 = 0x9E37_79B1;
const ROUNDS: u32 = 4096;
/// Has a challenge's length.
const CHALLENGE: &str = "c1~7f6c280b~logs~1024~1763840000000~e47119871cf9abe035174a4158b8a0b7~203.0.113.0/24~\
    62ce1ffad85b1c36ec83972c97b6678e0cf91633be7328c1101f5e859d7dded0";

type State = [u32; 1 << 15];
type Lanes = [u32; 8];

/// One way: its name, and what tries so many nonces from the first on and returns the exclusive or of their results.
pub struct Way {
    pub name: &'static str,
    pub search: Box<dyn FnMut(u32, u32) -> u32>,
}

/// Every way that this processor can go, the portable one first. Each has shown that its results are right.
pub fn ways() -> Vec<Way> {
    let mut walker = Walker::new(CHALLENGE);
    let portable = move |first, count| (first..first + count).fold(0, |all, nonce| all ^ walker.walk(nonce, ROUNDS));
    let mut ways = vec![
        Way { name: "portable Rust, as the gateway verifies", search: Box::new(portable) },
        Way { name: "two nonces in turns", search: interleaved::<2>() },
        Way { name: "four nonces in turns", search: interleaved::<4>() },
    ];
    vector::add(&mut ways);
    let expected = (ways[0].search)(3, 8);
    for way in &mut ways {
        assert_eq!((way.search)(3, 8), expected, "{}", way.name);
    }
    ways
}

/// Both ends of the function.
#[derive(Clone)]
struct Ends(Sha256);

impl Ends {
    fn new() -> Ends {
        let seed = Sha256::new().chain_update(b"cw1").chain_update(CHALLENGE).finalize();
        Ends(Sha256::new().chain_update(seed))
    }

    fn start(&self, nonce: u32) -> Lanes {
        let digest = self.0.clone().chain_update(nonce.to_be_bytes()).finalize();
        std::array::from_fn(|lane| u32::from_be_bytes(std::array::from_fn(|byte| digest[4 * lane + byte])))
    }

    fn end(lanes: Lanes) -> u32 {
        let bytes: [u8; 32] = std::array::from_fn(|byte| lanes[byte / 4].to_be_bytes()[byte % 4]);
        u32::from_be_bytes(Sha256::digest(bytes)[..4].try_into().unwrap())
    }
}

fn state() -> Box<State> {
    vec![0; 1 << 15].into_boxed_slice().try_into().unwrap()
}

#[inline(always)]
fn fill(mut x: Lanes, state: &mut State) -> Lanes {
    for (group, index) in state.chunks_exact_mut(8).zip((0u32..).step_by(8)) {
        x[0] = x[0].wrapping_add(index);
        for lane in 0..8 {
            x[lane] = x[lane].rotate_left(13).wrapping_mul(GOLDEN).wrapping_add(x[(lane + 1) % 8]);
            group[lane] = x[lane];
        }
    }
    x
}

#[inline(always)]
fn round(x: &mut Lanes, state: &mut State) {
    for lane in 0..8 {
        let index = (x[lane] >> 17) as usize;
        let old = state[index];
        x[lane] = (x[lane] ^ old).rotate_left(13).wrapping_mul(GOLDEN).wrapping_add(x[(lane + 1) % 8]);
        state[index] = x[lane] ^ old;
    }
}

/// Walks `N` nonces in turns, so that one goes on while another one waits for memory.
fn interleaved<const N: usize>() -> Box<dyn FnMut(u32, u32) -> u32> {
    let ends = Ends::new();
    let mut states: [Box<State>; N] = std::array::from_fn(|_| state());
    Box::new(move |first, count| {
        let mut all = 0;
        for nonce in (first..first + count).step_by(N) {
            let mut lanes: [Lanes; N] = std::array::from_fn(|at| fill(ends.start(nonce + at as u32), &mut states[at]));
            for _ in 0..ROUNDS {
                for (x, state) in lanes.iter_mut().zip(&mut states) {
                    round(x, state);
                }
            }
            all = lanes.into_iter().fold(all, |all, lanes| all ^ Ends::end(lanes));
        }
        all
    })
}

/// Vectors fill the state of the next nonce while one is walked: the best way known.
#[cfg(target_arch = "x86_64")]
mod vector {
    use super::*;
    use std::arch::x86_64::*;

    pub fn add(ways: &mut Vec<Way>) {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2") {
            ways.push(Way { name: "AVX2 fills while the one before is walked", search: search(avx2) });
        }
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
            ways.push(Way { name: "AVX-512 fills while the one before is walked", search: search(avx512) });
        }
    }

    /// Walks the first state from the lanes and fills the second one from the others. The lanes at the ends of both.
    type Both = unsafe fn(Lanes, &mut State, Lanes, &mut State) -> (Lanes, Lanes);

    fn search(both: Both) -> Box<dyn FnMut(u32, u32) -> u32> {
        let (ends, mut walked, mut filled) = (Ends::new(), state(), state());
        Box::new(move |first, count| {
            let mut next = fill(ends.start(first), &mut walked);
            let mut all = 0;
            for nonce in first..first + count {
                // SAFETY: `add` has asked whether the processor has the instructions.
                let (end, filled_to) = unsafe { both(next, &mut walked, ends.start(nonce + 1), &mut filled) };
                all ^= Ends::end(end);
                next = filled_to;
                std::mem::swap(&mut walked, &mut filled);
            }
            all
        })
    }

    macro_rules! both {
        ($name:ident, $features:literal) => {
            #[target_feature(enable = $features)]
            fn $name(mut x: Lanes, walked: &mut State, start: Lanes, filled: &mut State) -> (Lanes, Lanes) {
                // SAFETY: eight words are read, and `start` has eight.
                let mut y = unsafe { _mm256_loadu_si256(start.as_ptr().cast()) };
                let golden = _mm256_set1_epi32(GOLDEN.cast_signed());
                let up = _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0);
                let eight = _mm256_setr_epi32(8, 0, 0, 0, 0, 0, 0, 0);
                let mut index = _mm256_setzero_si256();
                for group in filled.chunks_exact_mut(8) {
                    y = _mm256_add_epi32(y, index);
                    index = _mm256_add_epi32(index, eight);
                    // With AVX-512 the compiler makes one instruction of it.
                    let rotated = _mm256_or_si256(_mm256_slli_epi32::<13>(y), _mm256_srli_epi32::<19>(y));
                    let product = _mm256_mullo_epi32(rotated, golden);
                    // The last lane adds the new value of the first.
                    let old = _mm256_permutevar8x32_epi32(y, up);
                    let new = _mm256_permutevar8x32_epi32(_mm256_add_epi32(product, old), up);
                    y = _mm256_add_epi32(product, _mm256_blend_epi32::<0x80>(old, new));
                    // SAFETY: eight words are written, and a group has eight.
                    unsafe { _mm256_storeu_si256(group.as_mut_ptr().cast(), y) };
                    round(&mut x, walked);
                }
                let mut end = [0; 8];
                // SAFETY: eight words are written, and `end` has eight.
                unsafe { _mm256_storeu_si256(end.as_mut_ptr().cast(), y) };
                (x, end)
            }
        };
    }
    both!(avx2, "avx2,bmi2");
    both!(avx512, "avx512f,avx512vl,bmi2");
}

#[cfg(not(target_arch = "x86_64"))]
mod vector {
    pub fn add(_: &mut Vec<super::Way>) {}
}

/// Microseconds of processor time per trial, for so many trials from `first` on.
pub fn measure(way: &mut Way, first: u32, trials: u32) -> f64 {
    let time = || super::processor_time(&std::fs::read_to_string("/proc/thread-self/stat").unwrap()).unwrap();
    let before = time();
    std::hint::black_box((way.search)(first, trials));
    (time() - before) / f64::from(trials)
}
