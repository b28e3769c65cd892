//! Decisions of a run. Each follows from the seed, its subject and a number, and from nothing else: a run with the same
//! seed decides the same, as far as the same requests come.

use std::fmt::Display;

use sha2::{Digest, Sha256};

/// The seed of a run.
#[derive(Debug, Clone, Copy)]
pub struct Seed(pub u64);

impl Seed {
    /// A number from 0 up to 1 for the `number`th decision about this subject.
    pub fn draw(self, subject: impl Display, number: u64) -> f64 {
        f64::from(self.bits(subject, number)) / (f64::from(u32::MAX) + 1.0)
    }

    /// True in this share of the decisions.
    pub fn chance(self, share: f64, subject: impl Display, number: u64) -> bool {
        self.draw(subject, number) < share
    }

    /// A whole number below this limit.
    pub fn below(self, limit: u32, subject: impl Display, number: u64) -> u32 {
        u32::try_from((u64::from(self.bits(subject, number)) * u64::from(limit)) >> 32).unwrap_or_default()
    }

    fn bits(self, subject: impl Display, number: u64) -> u32 {
        let digest = Sha256::digest(format!("{}/{subject}/{number}", self.0));
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_repeat_and_have_their_share() {
        let seed = Seed(7);
        let of = |seed: Seed| (0..1000).map(|n| seed.chance(0.3, "a", n)).collect::<Vec<_>>();
        assert_eq!(of(seed), of(Seed(7)));
        assert_ne!(of(seed), of(Seed(8)));
        assert_ne!(seed.bits("a", 1), seed.bits("b", 1));
        let share = of(seed).into_iter().filter(|is| *is).count();
        assert!((250..350).contains(&share), "{share}");
        assert_eq!((0..1000).map(|n| seed.below(3, "a", n)).max(), Some(2));
    }
}
