//! What a function is told by its environment.

use std::env;
use std::fmt;

use tracing::level_filters::LevelFilter;

/// The configuration, read once at the start.
///
/// | variable | what it is |
/// |---|---|
/// | `ORDERS_TABLE` | name of the orders' table |
/// | `IDEMPOTENCY_TABLE` | name of the table of idempotency keys |
/// | `LOG_LEVEL` | `error`, `warn`, `info` (default), `debug`, `trace` or `off` |
///
/// The AWS SDK reads its own variables besides (region, credentials, endpoints).
#[derive(Debug, PartialEq, Eq)]
pub struct Config {
    /// Name of the orders' table.
    pub orders_table: String,
    /// Name of the table of idempotency keys.
    pub idempotency_table: String,
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
        let table = |name| {
            let value = variable(name).filter(|value| !value.is_empty());
            value.ok_or(ConfigError { variable: name, problem: "must be set: the name of a table".into() })
        };
        let log_level = match variable("LOG_LEVEL") {
            None => LevelFilter::INFO,
            Some(level) => level.parse().map_err(|_| ConfigError {
                variable: "LOG_LEVEL",
                problem: format!("must be error, warn, info, debug, trace or off, and is {level:?}"),
            })?,
        };
        Ok(Self { orders_table: table("ORDERS_TABLE")?, idempotency_table: table("IDEMPOTENCY_TABLE")?, log_level })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_variables(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    const TABLES: [(&str, &str); 2] = [("ORDERS_TABLE", "orders"), ("IDEMPOTENCY_TABLE", "keys")];

    #[test]
    fn the_tables_are_needed_and_the_level_is_not() {
        let wished =
            Config { orders_table: "orders".into(), idempotency_table: "keys".into(), log_level: LevelFilter::INFO };
        assert_eq!(config(&TABLES), Ok(wished));
        assert_eq!(config(&[&TABLES[..], &[("LOG_LEVEL", "DEBUG")]].concat()).unwrap().log_level, LevelFilter::DEBUG);
    }

    #[test]
    fn a_bad_configuration_is_one_clear_line() {
        for (variables, line) in [
            (vec![], "ORDERS_TABLE must be set: the name of a table"),
            (vec![("ORDERS_TABLE", ""), TABLES[1]], "ORDERS_TABLE must be set: the name of a table"),
            (vec![TABLES[0]], "IDEMPOTENCY_TABLE must be set: the name of a table"),
            (
                vec![TABLES[0], TABLES[1], ("LOG_LEVEL", "loud")],
                "LOG_LEVEL must be error, warn, info, debug, trace or off, and is \"loud\"",
            ),
        ] {
            assert_eq!(format!("{:?}", config(&variables).unwrap_err()), line);
        }
    }
}
