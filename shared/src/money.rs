//! Amounts of money, and the price of an order.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::environment::{self, EnvironmentError};
use crate::order::{Invalid, OrderContent};

/// An amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(example = json!({"amount": 3000, "currency": "EUR"})))]
pub struct Money {
    /// Amount in the currency's minor units: cents of a euro.
    pub amount: u64,
    /// Currency of the amount.
    pub currency: Currency,
}

/// A currency: three capital letters (ISO 4217).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = "^[A-Z]{3}$", example = "EUR"))]
pub struct Currency([u8; 3]);

impl TryFrom<String> for Currency {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(letters) if letters.iter().all(u8::is_ascii_uppercase) => Ok(Self(letters)),
            _ => Err(Invalid::new("must be three capital letters, such as EUR")),
        }
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.to_string()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| fmt::Write::write_char(f, char::from(*letter)))
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Prices of orders: one price for everything. A menu of the restaurant would take its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pricing {
    /// Price of one unit.
    pub unit_price: Money,
}

impl Pricing {
    /// The function's prices.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `UNIT_PRICE` | price of one unit, in minor units: 1 to 1000000000 |
    /// | `CURRENCY` | currency of all prices, such as `EUR` |
    pub fn from_environment() -> Result<Self, EnvironmentError> {
        let price = environment::required("UNIT_PRICE", "a price in minor units")?;
        let currency = environment::required("CURRENCY", "three capital letters, such as EUR")?;
        Self::parse(&price, currency)
    }

    fn parse(price: &str, currency: String) -> Result<Self, EnvironmentError> {
        let amount = price.parse().ok().filter(|amount| (1..=1_000_000_000).contains(amount));
        let amount = amount.ok_or_else(|| EnvironmentError::new("UNIT_PRICE", "must be 1 to 1000000000"))?;
        let currency = currency.try_into();
        let currency = currency.map_err(|error: Invalid| EnvironmentError::new("CURRENCY", error.to_string()))?;
        Ok(Self { unit_price: Money { amount, currency } })
    }

    /// Price of an order with that content.
    #[must_use]
    pub fn total(&self, content: &OrderContent) -> Money {
        // At most 1000 units of at most 10^9.
        Money { amount: u64::from(content.quantity.get()) * self.unit_price.amount, ..self.unit_price }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn a_total_is_the_quantity_times_the_unit_price() {
        let pricing = Pricing::parse("250", "EUR".into()).unwrap();
        let total = serde_json::to_string(&pricing.total(&fixtures::content(3))).unwrap();
        assert_eq!(total, r#"{"amount":750,"currency":"EUR"}"#);
        let dearest = Pricing::parse("1000000000", "EUR".into()).unwrap();
        assert_eq!(dearest.total(&fixtures::content(1000)).amount, 1_000_000_000_000);
    }

    #[test]
    fn a_bad_price_is_one_clear_line() {
        for (price, currency, line) in [
            ("0", "EUR", "UNIT_PRICE must be 1 to 1000000000"),
            ("1.5", "EUR", "UNIT_PRICE must be 1 to 1000000000"),
            ("1000000001", "EUR", "UNIT_PRICE must be 1 to 1000000000"),
            ("250", "euro", "CURRENCY must be three capital letters, such as EUR"),
            ("250", "eur", "CURRENCY must be three capital letters, such as EUR"),
        ] {
            assert_eq!(Pricing::parse(price, currency.to_owned()).unwrap_err().to_string(), line);
        }
    }
}
