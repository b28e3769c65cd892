//! What a function is told by its environment.

use std::env;
use std::fmt;

use lambda_http::http::HeaderValue;
use reqwest::Url;
use tracing::level_filters::LevelFilter;

/// The configuration, read once at the start.
///
/// | variable | what it is |
/// |---|---|
/// | `ORDERS_TABLE` | name of the orders' table |
/// | `IDEMPOTENCY_TABLE` | name of the table of idempotency keys |
/// | `WEB_ORIGIN` | origin of the web UI, which browsers let use the API |
/// | `LOG_LEVEL` | `error`, `warn`, `info` (default), `debug`, `trace` or `off` |
///
/// The AWS SDK reads its own variables besides (region, credentials, endpoints).
#[derive(Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the data is.
    pub tables: Tables,
    /// Origin of the web UI, which browsers let use the API.
    pub web_origin: HeaderValue,
    /// From which level on lines are logged.
    pub log_level: LevelFilter,
}

/// Names of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// Of the orders.
    pub orders: String,
    /// Of the idempotency keys.
    pub idempotency: String,
}

/// Where a provider is, and what the simulator does in its place.
///
/// | variable | what it is |
/// |---|---|
/// | `{NAME}_URL` | where the provider is; empty or not set for the simulator |
/// | `{NAME}_FAILURES_PERCENT` | what share of orders the simulator refuses: 0 to 100 |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Where the provider is; none for the simulator.
    pub url: Option<Url>,
    /// What share of orders the simulator refuses.
    pub failures_percent: u8,
}

impl ProviderConfig {
    /// The configuration of the provider of that name (`PAYMENT`, `RESTAURANT`).
    pub fn from_environment(name: &str) -> Result<Self, ConfigError> {
        Self::from_variables(name, |name| env::var(name).ok())
    }

    fn from_variables(name: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let (url, percent) = (format!("{name}_URL"), format!("{name}_FAILURES_PERCENT"));
        let share = variable(&percent).and_then(|share| share.parse().ok()).filter(|share| *share <= 100);
        Ok(Self {
            url: match variable(&url).filter(|text| !text.is_empty()) {
                None => None,
                Some(text) => Some(
                    web_url(&text)
                        .ok_or_else(|| ConfigError::new(url, "must be an http or https URL, or be left out"))?,
                ),
            },
            failures_percent: share.ok_or_else(|| ConfigError::new(percent, "must be set: 0 to 100"))?,
        })
    }
}

/// That URL, if it can be asked: `localhost:8080` is a URL too, of a scheme that nobody can ask.
fn web_url(text: &str) -> Option<Url> {
    text.parse().ok().filter(|url: &Url| matches!(url.scheme(), "http" | "https"))
}

/// The value of a variable that must be set. Those that only some functions have:
///
/// | variable | what it is | who has it |
/// |---|---|---|
/// | `ORDERS_QUEUE_URL` | URL of the queue of submitted orders | `submit-order` |
/// | `STATE_MACHINE_ARN` | ARN of the state machine | `start-order` |
/// | `TOPIC_ARN` | ARN of the topic that tells how orders end | `complete-order`, `recover-order` |
pub fn required(variable: &str, what: &str) -> Result<String, ConfigError> {
    let value = env::var(variable).ok().filter(|value| !value.is_empty());
    value.ok_or_else(|| ConfigError::new(variable, format!("must be set: {what}")))
}

/// A variable that is missing or has a value that is not allowed. Ends the start of the function.
#[derive(PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct ConfigError {
    variable: String,
    problem: String,
}

impl ConfigError {
    fn new(variable: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { variable: variable.into(), problem: problem.into() }
    }
}

/// The same line as `Display`: what `main` returns is printed by its `Debug` form.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Config {
    /// The configuration that the process's environment holds.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let table = |name| {
            let value = variable(name).filter(|value| !value.is_empty());
            value.ok_or_else(|| ConfigError::new(name, "must be set: the name of a table"))
        };
        let log_level = match variable("LOG_LEVEL") {
            None => LevelFilter::INFO,
            Some(level) => level.parse().map_err(|_| {
                ConfigError::new(
                    "LOG_LEVEL",
                    format!("must be error, warn, info, debug, trace or off, and is {level:?}"),
                )
            })?,
        };
        let web_origin = variable("WEB_ORIGIN").filter(|value| !value.is_empty());
        let web_origin = web_origin.and_then(|value| value.parse().ok());
        Ok(Self {
            tables: Tables { orders: table("ORDERS_TABLE")?, idempotency: table("IDEMPOTENCY_TABLE")? },
            web_origin: web_origin.ok_or_else(|| ConfigError::new("WEB_ORIGIN", "must be set: an origin"))?,
            log_level,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_variables(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    const NEEDED: [(&str, &str); 3] =
        [("ORDERS_TABLE", "orders"), ("IDEMPOTENCY_TABLE", "keys"), ("WEB_ORIGIN", "https://orders.example.com")];

    #[test]
    fn the_level_alone_need_not_be_set() {
        let wished = Config {
            tables: Tables { orders: "orders".into(), idempotency: "keys".into() },
            web_origin: HeaderValue::from_static("https://orders.example.com"),
            log_level: LevelFilter::INFO,
        };
        assert_eq!(config(&NEEDED), Ok(wished));
        assert_eq!(config(&[&NEEDED[..], &[("LOG_LEVEL", "DEBUG")]].concat()).unwrap().log_level, LevelFilter::DEBUG);
    }

    #[test]
    fn a_bad_configuration_is_one_clear_line() {
        for (variables, line) in [
            (vec![], "ORDERS_TABLE must be set: the name of a table"),
            (vec![("ORDERS_TABLE", ""), NEEDED[1], NEEDED[2]], "ORDERS_TABLE must be set: the name of a table"),
            (vec![NEEDED[0], NEEDED[2]], "IDEMPOTENCY_TABLE must be set: the name of a table"),
            (vec![NEEDED[0], NEEDED[1]], "WEB_ORIGIN must be set: an origin"),
            (vec![NEEDED[0], NEEDED[1], ("WEB_ORIGIN", "a\nb")], "WEB_ORIGIN must be set: an origin"),
            (
                vec![NEEDED[0], NEEDED[1], NEEDED[2], ("LOG_LEVEL", "loud")],
                "LOG_LEVEL must be error, warn, info, debug, trace or off, and is \"loud\"",
            ),
        ] {
            assert_eq!(format!("{:?}", config(&variables).unwrap_err()), line);
        }
    }

    #[test]
    fn a_provider_is_at_its_url_or_simulated() {
        let provider = |url: &str, percent: &str| {
            ProviderConfig::from_variables("PAYMENT", |name| match name {
                "PAYMENT_URL" => Some(url.to_owned()),
                "PAYMENT_FAILURES_PERCENT" => Some(percent.to_owned()),
                _ => None,
            })
        };
        assert_eq!(provider("", "10"), Ok(ProviderConfig { url: None, failures_percent: 10 }));
        let url = "https://pay.example.com/v1";
        assert_eq!(provider(url, "0").unwrap().url, Some(url.parse().unwrap()));
        for (url, percent, line) in [
            ("pay", "10", "PAYMENT_URL must be an http or https URL, or be left out"),
            ("localhost:8080", "10", "PAYMENT_URL must be an http or https URL, or be left out"),
            ("", "101", "PAYMENT_FAILURES_PERCENT must be set: 0 to 100"),
            ("", "", "PAYMENT_FAILURES_PERCENT must be set: 0 to 100"),
        ] {
            assert_eq!(provider(url, percent).unwrap_err().to_string(), line);
        }
    }
}
