//! Words of the provider in the log: short, without what could pretend to be a line or a secret of its own.
//!
//! Providers repeat what they were given: a code in an `error_description`, a token in an error page. Nothing that is long
//! and of the alphabet of such values is kept.

use std::fmt;

/// The longest that is shown, in characters.
const MAX: usize = 200;
/// The longest name that is shown, in characters: issuers are no longer.
const MAX_NAME: usize = 255;
/// Codes, tokens and secrets are at least as long; words of error codes are not.
const TOKEN: usize = 28;

/// What a provider said, fit for a log.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Said(String);

impl Said {
    /// What somebody calls themselves or another: an issuer, a client's id. No secret, and an operator has to write it as it is.
    pub(crate) fn name(text: &str) -> Self {
        Self(text.chars().take(MAX_NAME).map(|c| if c.is_control() { ' ' } else { c }).collect())
    }

    /// Whether it has a place for somebody's own name, as in `https://login.microsoftonline.com/{tenantid}/v2.0`.
    pub(crate) fn is_template(&self) -> bool {
        self.0.contains(['{', '}'])
    }

    /// Keeps printable ASCII and letters of other scripts; control characters become blanks.
    pub(crate) fn new(text: &str) -> Self {
        let cut: String = text.chars().take(MAX).collect();
        let clean: String = cut.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let is_of_token =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '/' | '=' | '.' | '~' | '%');
        let mut kept = String::new();
        let mut rest = clean.as_str();
        while let Some(first) = rest.chars().next() {
            let run_of_token = is_of_token(first);
            let end = rest.find(|c| is_of_token(c) != run_of_token).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            // What the cut may have shortened counts as long.
            let is_long = run.len() >= TOKEN || (after.is_empty() && text.chars().nth(MAX).is_some());
            kept.push_str(if run_of_token && is_long && !is_words(run) { "…" } else { run });
            rest = after;
        }
        Self(kept)
    }
}

/// `unsupported_token_endpoint_auth_method`, a host name: nothing but lower-case letters and what divides them.
fn is_words(run: &str) -> bool {
    run.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '-' | '.' | '/'))
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_and_what_looks_like_a_secret_is_not() {
        let code = "SplxlOBeZQQYbYS6WxSbIA8f3kLmNoPq";
        let long = "word ".repeat(100);
        for (name, text, expected) in [
            ("words", "The client does not exist", "The client does not exist".to_owned()),
            (
                "an error code",
                "AADSTS7000215: Invalid client secret",
                "AADSTS7000215: Invalid client secret".to_owned(),
            ),
            (
                "a long code of words",
                "unsupported_token_endpoint_auth_method",
                "unsupported_token_endpoint_auth_method".to_owned(),
            ),
            ("a code", &format!("code {code} is spent"), "code … is spent".to_owned()),
            ("a token of three parts", &format!("{code}.{code}.{code}"), "…".to_owned()),
            ("percent-encoded", &format!("bad%20{code}"), "…".to_owned()),
            ("lines and escapes", "one\r\ntwo\u{1b}[31m", "one  two [31m".to_owned()),
            ("other scripts", "Zugriff verweigert für Ünal", "Zugriff verweigert für Ünal".to_owned()),
            ("too much", &long, format!("{} ", long[..199].trim_end())),
            ("nothing", "", String::new()),
        ] {
            assert_eq!(Said::new(text).to_string(), expected, "{name}");
        }
        for name in [
            "https://sts.windows.net/7d2ac3a0-6b1f-4a5e-9c8d-2d4a1f1c7e11/",
            "0b2c9f7e-51fd-4c61-8a2f-6b1f3f0f2f55",
        ] {
            assert_eq!(Said::name(name).to_string(), name);
        }
        assert_eq!(Said::name("a\r\nb").to_string(), "a  b");
        assert_eq!(Said::name(&long).to_string().len(), 255);
        let cut = format!("{}{code}", "word ".repeat(36));
        assert!(!Said::new(&cut).to_string().contains("Splx"), "what the cut has shortened");
    }
}
