//! Media types in `Content-Type`.

/// A media type (RFC 9110, 8.3.1): its type and its parameters. The libraries for it refuse an empty parameter or white
/// space before one, which 5.6.6 allows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MediaType<'a> {
    /// Type and subtype, as they are written.
    pub essence: &'a str,
    parameters: Vec<(&'a str, String)>,
}

impl<'a> MediaType<'a> {
    /// Parses the value of the header; none if it is no media type.
    pub fn parse(value: &'a str) -> Option<Self> {
        let (essence, mut rest) = split_at_any(value.trim_matches(OWS), [';', ' ', '\t']);
        let (kind, subtype) = essence.split_once('/')?;
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        let mut parameters = Vec::new();
        loop {
            rest = rest.trim_start_matches(OWS);
            if rest.is_empty() {
                return Some(Self { essence, parameters });
            }
            rest = rest.strip_prefix(';')?.trim_start_matches(OWS);
            if rest.is_empty() || rest.starts_with(';') {
                continue;
            }
            let (name, value) = rest.split_once('=')?;
            let (value, after) = if let Some(quoted) = value.strip_prefix('"') {
                unquoted(quoted)?
            } else {
                let (token, after) = split_at_any(value, [';', ' ', '\t']);
                (is_token(token).then(|| token.to_owned())?, after)
            };
            parameters.push((is_token(name).then_some(name)?, value));
            rest = after;
        }
    }

    /// Values of the parameters of that name.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.parameters.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Optional white space (RFC 9110, 5.6.3).
const OWS: [char; 2] = [' ', '\t'];

fn split_at_any(text: &str, ends: [char; 3]) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// Returns true for a token (RFC 9110, 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The text of a quoted string (RFC 9110, 5.6.4) after its first quote, and the rest after its last one.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((place, c)) = characters.next() {
        match c {
            '"' => return Some((value, &text[place + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_has_parameters_white_space_and_quoted_strings() {
        for (value, charset) in [
            ("application/json", None),
            (" application/json\t", None),
            ("application/json;", None),
            ("application/json;; ;", None),
            ("application/json ; charset=utf-8", Some("utf-8")),
            ("application/json\t;\t;CharSet=utf-8\t", Some("utf-8")),
            (r#"application/json;a="x;y\",charset=z";charset="u\tf-8";b=c"#, Some("utf-8")),
        ] {
            let parsed = MediaType::parse(value).unwrap_or_else(|| panic!("{value}"));
            assert_eq!((parsed.essence, parsed.values("charset").next()), ("application/json", charset), "{value}");
        }
    }

    #[test]
    fn anything_else_is_no_media_type() {
        for value in [
            "",
            "json",
            "/json",
            "application/",
            "application/json/x",
            "application/json charset=utf-8",
            "application/json, application/json",
            "application/json;charset",
            "application/json;charset=",
            "application/json;charset =utf-8",
            "application/json;charset= utf-8",
            "application/json;charset=utf-8 x",
            r#"application/json;charset="utf-8"#,
            r#"application/json;charset="utf-8"x"#,
            r#"application/json;charset="utf-8\"#,
            "application/jsön",
        ] {
            assert_eq!(MediaType::parse(value), None, "{value}");
        }
    }
}
