//! Environment variables of a function.
//!
//! Each module that needs variables reads them itself, in a `from_environment` whose doc comment lists them, once, at the
//! start of the function. A bad value ends the start with one line that names the variable. (The Lambda runtime
//! reads variables of its own besides.)

use std::{env, fmt};

/// A variable that is missing, or has a value that is not allowed.
#[derive(PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct EnvironmentError {
    variable: String,
    problem: String,
}

impl EnvironmentError {
    /// `problem` follows the variable's name: "must be set: ...".
    pub fn new(variable: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { variable: variable.into(), problem: problem.into() }
    }
}

/// The same line as `Display`, because an error that `main` returns is printed in its `Debug` form.
impl fmt::Debug for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Value of a variable; none if it is empty or not set.
pub(crate) fn optional(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

/// Value of a variable that must be set. `meaning` says what to set it to: "the name of a table".
pub(crate) fn required(variable: &str, meaning: &str) -> Result<String, EnvironmentError> {
    optional(variable).ok_or_else(|| EnvironmentError::new(variable, format!("must be set: {meaning}")))
}

/// Returns true if `ENVIRONMENT` allows URLs without TLS: in `local` and `dev`, but not in `prod`.
pub(crate) fn allows_http() -> Result<bool, EnvironmentError> {
    parse_environment(optional("ENVIRONMENT").as_deref())
}

fn parse_environment(text: Option<&str>) -> Result<bool, EnvironmentError> {
    match text {
        Some("local" | "dev") => Ok(true),
        Some("prod") => Ok(false),
        _ => Err(EnvironmentError::new("ENVIRONMENT", "must be local, dev or prod")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_variable_is_one_clear_line() {
        let error = required("NOT_SET_ANYWHERE", "the name of a table").unwrap_err();
        assert_eq!(format!("{error:?}"), "NOT_SET_ANYWHERE must be set: the name of a table");
        assert_eq!(optional("NOT_SET_ANYWHERE"), None);
    }

    #[test]
    fn http_is_for_local_and_dev_only() {
        let allowed = ["local", "dev", "prod"].map(|text| parse_environment(Some(text)).unwrap());
        assert_eq!(allowed, [true, true, false]);
        for other in [None, Some("test")] {
            let error = parse_environment(other).unwrap_err();
            assert_eq!(error.to_string(), "ENVIRONMENT must be local, dev or prod");
        }
    }
}
