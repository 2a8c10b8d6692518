//! Makes content look like chance, so that bytes that never arrived, zeros, can be told from bytes that
//! were written ([`super::log_tail`]). It hides nothing.

/// Scrambles, or puts back, the bytes of entry `index`.
pub(super) fn scramble(index: u64, bytes: &[u8]) -> Vec<u8> {
    let mut state = index ^ 0x6869_7665_6d69_6e64;
    let mut out = bytes.to_vec();
    for eight in out.chunks_mut(8) {
        for (byte, key) in eight.iter_mut().zip(split_mix(&mut state).to_le_bytes()) {
            *byte ^= key;
        }
    }
    out
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
