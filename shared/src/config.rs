//! What a function is told by its environment.

use std::env;
use std::fmt;

use tracing::level_filters::LevelFilter;

/// The configuration, read once at the start.
///
/// | variable | what it is |
/// |---|---|
/// | `ORDERS_TABLE` | name of the orders' table |
/// | `LOG_LEVEL` | `error`, `warn`, `info` (default), `debug`, `trace` or `off` |
///
/// The AWS SDK reads its own variables besides (region, credentials, endpoints).
#[derive(Debug, PartialEq, Eq)]
pub struct Config {
    /// Name of the orders' table.
    pub orders_table: String,
    /// From which level on lines are logged.
    pub log_level: LevelFilter,
}

/// A variable that is missing or has a value that is not allowed. Ends the start of the function.
#[derive(PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct ConfigError {
    variable: &'static str,
    problem: String,
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
        let orders_table = variable("ORDERS_TABLE").filter(|name| !name.is_empty()).ok_or_else(|| ConfigError {
            variable: "ORDERS_TABLE",
            problem: "must be set: the orders' table".into(),
        })?;
        let log_level = match variable("LOG_LEVEL") {
            None => LevelFilter::INFO,
            Some(level) => level.parse().map_err(|_| ConfigError {
                variable: "LOG_LEVEL",
                problem: format!("must be error, warn, info, debug, trace or off, and is {level:?}"),
            })?,
        };
        Ok(Self { orders_table, log_level })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_variables(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_table_is_needed_and_the_level_is_not() {
        assert_eq!(
            config(&[("ORDERS_TABLE", "orders")]),
            Ok(Config { orders_table: "orders".into(), log_level: LevelFilter::INFO })
        );
        assert_eq!(
            config(&[("ORDERS_TABLE", "orders"), ("LOG_LEVEL", "DEBUG")]).unwrap().log_level,
            LevelFilter::DEBUG
        );
    }

    #[test]
    fn a_bad_configuration_is_one_clear_line() {
        for (variables, line) in [
            (vec![], "ORDERS_TABLE must be set: the orders' table"),
            (vec![("ORDERS_TABLE", "")], "ORDERS_TABLE must be set: the orders' table"),
            (
                vec![("ORDERS_TABLE", "orders"), ("LOG_LEVEL", "loud")],
                "LOG_LEVEL must be error, warn, info, debug, trace or off, and is \"loud\"",
            ),
        ] {
            assert_eq!(format!("{:?}", config(&variables).unwrap_err()), line);
        }
    }
}
