//! A request to one of a provider's own paths, decoded, without any HTTP type.

use std::{fmt, sync::Arc};

use url::form_urlencoded;

/// No protocol sends more, with what a provider adds of its own; each costs two allocations, and a form of 256 KiB could
/// have 100,000.
const MAX_PARAMETERS: usize = 64;

/// The two methods a protocol's binding uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Parameters in the query.
    Get,
    /// Parameters in an `application/x-www-form-urlencoded` body.
    Post,
}

/// One request to a path under `/_usher/{kind}/{id}/`. Clones share what was received.
#[derive(Clone)]
pub struct Callback {
    /// How it was sent.
    pub method: Method,
    /// The path after `/_usher/{kind}/{id}/`, decoded once.
    pub tail: String,
    /// The query as received, before decoding: the SAML HTTP-Redirect binding signs exactly these bytes (SAML bindings
    /// 3.4.4.1).
    pub raw_query: Arc<str>,
    /// The query's parameters.
    pub query: Parameters,
    /// The form's parameters; empty for a GET.
    pub form: Parameters,
}

/// A query or a form has more parameters than any protocol sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are more than {MAX_PARAMETERS} parameters")]
pub struct TooManyParameters;

impl Callback {
    /// Decodes query and form once, as HTML forms do (WHATWG URL, `application/x-www-form-urlencoded`).
    pub fn decode(
        method: Method,
        tail: impl Into<String>,
        raw_query: &str,
        raw_form: &str,
    ) -> Result<Self, TooManyParameters> {
        Ok(Self {
            method,
            tail: tail.into(),
            query: Parameters::parse(raw_query)?,
            form: Parameters::parse(raw_form)?,
            raw_query: raw_query.into(),
        })
    }

    /// The same of what a test wrote.
    ///
    /// # Panics
    ///
    /// If there are too many parameters.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn new(method: Method, tail: impl Into<String>, raw_query: &str, raw_form: &str) -> Self {
        Self::decode(method, tail, raw_query, raw_form).expect("a test has few parameters")
    }
}

/// Names only: the values are tickets, codes and assertions, and so is what was received.
impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, tail, raw_query: _, query, form } = self;
        f.debug_struct("Callback")
            .field("method", method)
            .field("tail", tail)
            .field("query", query)
            .field("form", form)
            .finish_non_exhaustive()
    }
}

/// Parameters in the order they came. A security protocol never reads "the first" or "the last" of a
/// repeated one: [`Parameters::one`] and [`Parameters::at_most_one`] refuse it.
#[derive(Clone)]
pub struct Parameters(Arc<[(String, String)]>);

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
    fn parse(raw: &str) -> Result<Self, TooManyParameters> {
        // Before anything is made of them.
        if raw.bytes().filter(|byte| *byte == b'&').count() >= MAX_PARAMETERS {
            return Err(TooManyParameters);
        }
        Ok(Self(form_urlencoded::parse(raw.as_bytes()).into_owned().collect()))
    }

    /// The value of `name`, which must be there exactly once.
    pub fn one(&self, name: &'static str) -> Result<&str, ParameterError> {
        self.at_most_one(name)?.ok_or(ParameterError::Missing(name))
    }

    /// The value of `name`, which must not be repeated.
    pub fn at_most_one(&self, name: &'static str) -> Result<Option<&str>, ParameterError> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() { Err(ParameterError::Repeated(name)) } else { Ok(first) }
    }

    /// All names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Names only: the values are tickets, codes and assertions.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
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
    fn more_parameters_than_a_protocol_has_are_not_decoded() {
        for (count, expected) in
            [(64, None), (65, Some(TooManyParameters)), (100_000, Some(TooManyParameters))]
        {
            let many = vec!["a=1"; count].join("&");
            for (query, form) in [(many.as_str(), ""), ("", many.as_str())] {
                let decoded = Callback::decode(Method::Post, "acs", query, form);
                assert_eq!(decoded.err(), expected, "{count}");
            }
        }
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let callback = Callback::new(Method::Post, "acs", "a=query-secret", "SAMLResponse=form-secret");
        let shown = format!("{callback:?}");
        assert!(shown.contains("SAMLResponse"), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}
