//! Medians and their spread.

use serde::Serialize;

/// A figure over several rounds: its median, and the quartiles as the spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// The value in the middle.
    pub median: f64,
    /// A quarter of the values are lower.
    pub low: f64,
    /// A quarter of the values are higher.
    pub high: f64,
}

impl Summary {
    /// None without values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let at = |part| quantile(values, part);
        Some(Self { median: at(0.5)?, low: at(0.25)?, high: at(0.75)? })
    }
}

/// The value that this part of the values does not exceed, between two of them by their distance.
pub fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    #[expect(clippy::cast_precision_loss, reason = "there are few values")]
    let position = part * last as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position in the list")]
    let below = position as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * position.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_quartiles_need_no_order() {
        let summary = Summary::of(&[5.0, 1.0, 4.0, 2.0, 3.0]).unwrap();
        assert_eq!(summary, Summary { median: 3.0, low: 2.0, high: 4.0 });
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn a_quantile_between_two_values_is_between_them() {
        assert_eq!(quantile(&[1.0, 2.0], 0.5), Some(1.5));
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.99), Some(2.98));
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
    }
}
