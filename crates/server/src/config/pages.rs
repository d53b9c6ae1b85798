//! `pages`: whose the pages are, and where people find help.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Problems, fields::Fields as _};

/// A heading of a line or two, and a link of one.
const MAX_CHARACTERS: usize = 120;
/// What a help desk has: a page, an address, a telephone.
const HELP_SCHEMES: [&str; 4] = ["https", "http", "mailto", "tel"];

/// Whose the pages are, and where people find help.
#[derive(Clone, Debug, Default)]
pub struct PagesConfig {
    /// Above every page; the portal's host if there is none.
    pub organisation: Option<String>,
    /// Below every page, with the help desk's own words or ours.
    pub help_url: Option<Url>,
    /// Words of the link; without one, words alone.
    pub help_text: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawPages {
    /// What people call the organisation: it stands above every page. Default: the host of `public_base_url`.
    organisation: Option<String>,
    /// Where people find help: a page, or an address such as `mailto:help@ac.cdl` or `tel:+3212345`. It is linked below
    /// every page. Default: none.
    help_url: Option<String>,
    /// What the link says, in whatever languages people have, such as `Service Desk, extension 4711`; without `help_url` it stands
    /// there as text. Default: `Ask the help desk`.
    help_text: Option<String>,
}

impl RawPages {
    pub(super) fn validate(self, problems: &mut Problems) -> PagesConfig {
        PagesConfig {
            organisation: line("pages.organisation", self.organisation, problems),
            help_url: self.help_url.and_then(|raw| help_url(&raw, problems)),
            help_text: line("pages.help_text", self.help_text, problems),
        }
    }
}

fn line(path: &str, raw: Option<String>, problems: &mut Problems) -> Option<String> {
    let text = raw?.trim().to_owned();
    let is_good =
        !text.is_empty() && text.chars().count() <= MAX_CHARACTERS && !text.chars().any(char::is_control);
    if !is_good {
        problems.error(path, format!("must be one line of 1 to {MAX_CHARACTERS} characters"));
    }
    is_good.then_some(text)
}

fn help_url(raw: &str, problems: &mut Problems) -> Option<Url> {
    const PATH: &str = "pages.help_url";
    let url: Url =
        problems.parsed(PATH, raw, "an address such as https://help.ac.cdl/ or mailto:help@ac.cdl")?;
    if !HELP_SCHEMES.contains(&url.scheme()) {
        problems.error(PATH, "must begin with https:, mailto: or tel:");
        return None;
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_are_shown_is_one_line_and_help_is_somewhere_people_can_go() {
        let long = "x".repeat(MAX_CHARACTERS + 1);
        // (name, organisation, help_url, help_text, the key that is wrong)
        let cases = [
            ("nothing", None, None, None, None),
            (
                "everything",
                Some("Université du Canadialand"),
                Some("https://help.ac.cdl/"),
                Some("Help"),
                None,
            ),
            ("an address", None, Some("mailto:help@ac.cdl"), None, None),
            ("a telephone", None, Some("tel:+3212345"), None, None),
            ("words alone", None, None, Some("Extension 4711"), None),
            ("an empty name", Some("  "), None, None, Some("pages.organisation")),
            ("a long name", Some(long.as_str()), None, None, Some("pages.organisation")),
            ("two lines", None, None, Some("a\nb"), Some("pages.help_text")),
            ("no address", None, Some("help.ac.cdl"), None, Some("pages.help_url")),
            ("a script", None, Some("javascript:alert(1)"), None, Some("pages.help_url")),
            ("a file", None, Some("file:///etc/passwd"), None, Some("pages.help_url")),
        ];
        for (name, organisation, url, text, wrong) in cases {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let raw =
                RawPages { organisation: owned(organisation), help_url: owned(url), help_text: owned(text) };
            let mut problems = Problems::default();
            let config = raw.validate(&mut problems);
            let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
            assert_eq!(paths, Vec::from_iter(wrong), "{name}");
            if wrong.is_none() {
                assert_eq!(config.organisation.as_deref(), organisation, "{name}");
                assert_eq!(config.help_url.as_ref().map(Url::as_str), url, "{name}");
                assert_eq!(config.help_text.as_deref(), text, "{name}");
            }
        }
    }
}
