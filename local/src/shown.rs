//! Values as a person reads them.

use std::fmt::Display;
use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use shared::money::Money;

/// Currencies whose minor unit is not a hundredth (ISO 4217): those without one, and those of thousandths.
const WHOLE: [&str; 16] =
    ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"];
const THOUSANDTHS: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

/// An amount in units of its currency, such as `30.00 EUR`.
pub fn money(Money { amount, currency }: Money) -> String {
    let name = currency.to_string();
    let digits = match name.as_str() {
        whole if WHOLE.contains(&whole) => return format!("{amount} {name}"),
        fine if THOUSANDTHS.contains(&fine) => 3,
        _ => 2,
    };
    let unit = 10_u64.pow(digits);
    format!("{}.{:0width$} {name}", amount / unit, amount % unit, width = digits as usize)
}

/// A duration in its two largest units, such as `3 h 5 min`.
pub fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// An instant in that time zone, to the millisecond.
pub fn time<Z: TimeZone<Offset: Display>>(at: DateTime<Utc>, zone: &Z) -> String {
    at.with_timezone(zone).format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// The beginning of a text, in one line.
pub fn shortened(text: &str, max_chars: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= max_chars {
        return line;
    }
    line.chars().take(max_chars - 3).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_amount_has_the_digits_of_its_currency() {
        for (amount, currency, shown) in
            [(3000, "EUR", "30.00 EUR"), (5, "EUR", "0.05 EUR"), (3000, "JPY", "3000 JPY"), (3007, "KWD", "3.007 KWD")]
        {
            let amount = serde_json::from_value(json!({"amount": amount, "currency": currency})).unwrap();
            assert_eq!(money(amount), shown);
        }
    }

    #[test]
    fn an_age_has_two_units_at_most() {
        for (seconds, shown) in [(59, "59 s"), (90, "1 min"), (3700, "1 h 1 min"), (90_000, "1 d 1 h")] {
            assert_eq!(age(Duration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn a_long_text_is_cut_and_has_no_line_breaks() {
        assert_eq!(shortened("a\n  b", 5), "a b");
        assert_eq!(shortened("東京東京東京", 5), "東京...");
    }
}
