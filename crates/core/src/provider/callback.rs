//! A request to one of a provider's own paths, decoded, without any HTTP type.

use std::fmt;

use url::form_urlencoded;

/// The two methods a protocol's binding uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Parameters in the query.
    Get,
    /// Parameters in an `application/x-www-form-urlencoded` body.
    Post,
}

/// One request to a path under `/_usher/{kind}/{id}/`.
#[derive(Clone, Debug)]
pub struct Callback {
    /// How it was sent.
    pub method: Method,
    /// The path after `/_usher/{kind}/{id}/`, decoded once.
    pub tail: String,
    /// The query's parameters.
    pub query: Parameters,
    /// The form's parameters; empty for a GET.
    pub form: Parameters,
}

impl Callback {
    /// Decodes query and form once, as HTML forms do (WHATWG URL, `application/x-www-form-urlencoded`).
    #[must_use]
    pub fn new(method: Method, tail: impl Into<String>, raw_query: &str, raw_form: &str) -> Self {
        Self {
            method,
            tail: tail.into(),
            query: Parameters::parse(raw_query),
            form: Parameters::parse(raw_form),
        }
    }
}

/// Parameters in the order they came. A security protocol never reads "the first" or "the last" of a
/// repeated one: [`Parameters::one`] and [`Parameters::at_most_one`] refuse it.
#[derive(Clone, Default)]
pub struct Parameters {
    raw: String,
    pairs: Vec<(String, String)>,
}

/// Why a parameter could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// It is not there.
    #[error("the parameter `{0}` is missing")]
    Missing(&'static str),
    /// It is there more than once.
    #[error("the parameter `{0}` is repeated")]
    Repeated(&'static str),
}

impl Parameters {
    fn parse(raw: &str) -> Self {
        let pairs = form_urlencoded::parse(raw.as_bytes()).into_owned().collect();
        Self { raw: raw.to_owned(), pairs }
    }

    /// The value of `name`, which must be there exactly once.
    pub fn one(&self, name: &'static str) -> Result<&str, ParameterError> {
        self.at_most_one(name)?.ok_or(ParameterError::Missing(name))
    }

    /// The value of `name`, which must not be repeated.
    pub fn at_most_one(&self, name: &'static str) -> Result<Option<&str>, ParameterError> {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() { Err(ParameterError::Repeated(name)) } else { Ok(first) }
    }

    /// As received, before decoding: the SAML HTTP-Redirect binding signs exactly these bytes
    /// (SAML bindings 3.4.4.1).
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// All names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Names only: the values are tickets, codes and assertions.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pairs.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_once_or_not_at_all() {
        let callback = Callback::new(Method::Get, "callback", "ticket=a%26b+c&x=1&x=2&empty=", "");
        for (name, expected) in [
            ("ticket", Ok("a&b c")),
            ("empty", Ok("")),
            ("x", Err(ParameterError::Repeated("x"))),
            ("none", Err(ParameterError::Missing("none"))),
        ] {
            assert_eq!(callback.query.one(name), expected, "{name}");
        }
        assert_eq!(callback.query.at_most_one("none"), Ok(None));
        assert_eq!(callback.query.at_most_one("x"), Err(ParameterError::Repeated("x")));
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let callback = Callback::new(Method::Post, "acs", "a=query-secret", "SAMLResponse=form-secret");
        let shown = format!("{callback:?}");
        assert!(shown.contains("SAMLResponse"), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}
