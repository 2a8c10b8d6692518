//! Damage, from a seed.

use hivemind_core::rng::Rng;

use super::corpus::Sample;

/// Octets that mean something to a decoder: ends, signs, and the marks of bincode's longer numbers.
const TELLING: [u8; 10] = [0, 1, 2, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfd, 0xff];

/// Damages `bytes` in one to four places. `others` are what parts are taken from.
pub(crate) fn mutate(bytes: &mut Vec<u8>, others: &[Sample], rng: &mut Rng) {
    for _ in 0..=rng.below(4) {
        once(bytes, others, rng);
    }
}

fn once(bytes: &mut Vec<u8>, others: &[Sample], rng: &mut Rng) {
    let place = |rng: &mut Rng, end: usize| rng.below(end as u64 + 1) as usize;
    let at = place(rng, bytes.len());
    let end = (at + place(rng, 12)).min(bytes.len());
    match rng.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
        1 if at < bytes.len() => bytes[at] = TELLING[place(rng, TELLING.len() - 1)],
        2 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(rng.below(5) as u8).wrapping_sub(2),
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..end)),
        5 => {
            let twice = bytes[at..end].to_vec();
            bytes.splice(at..at, twice);
        }
        // A number of 64 bits at its end, or close to it.
        6 => {
            let number = u64::MAX - rng.below(3);
            bytes.splice(at..at, [0xfd]);
            bytes.splice(at + 1..(at + 1 + rng.below(2) as usize).min(bytes.len()), number.to_le_bytes());
        }
        7 => {
            let other = &others[rng.below(others.len() as u64) as usize].bytes;
            let from = place(rng, other.len());
            let to = (from + place(rng, 40)).min(other.len());
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        _ => {
            let chance: Vec<u8> = (0..rng.below(9)).map(|_| rng.next() as u8).collect();
            bytes.splice(at..end, chance);
        }
    }
}
