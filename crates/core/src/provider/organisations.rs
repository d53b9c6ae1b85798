//! "Where are you from?": what a provider that stands for many identity providers has its people asked.

use url::Url;

/// What a page that asks for somebody's organisation shows. All its links and its form lead to the provider's own endpoints,
/// and each names the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisations {
    /// Where the search form goes (GET), without a query. What is typed is its field [`Organisations::SEARCH`].
    pub search: Url,
    /// Name and value of each hidden field of that form.
    pub fields: Vec<(String, String)>,
    /// What was searched for; empty at first.
    pub searched: String,
    /// Where the person said they were from last time, and the link by which that is forgotten.
    pub last: Option<(Organisation, Url)>,
    /// Some of those that fit, the best first.
    pub found: Vec<Organisation>,
    /// How many fit.
    pub total: usize,
    /// The person wants their last choice to be forgotten.
    pub is_forgotten: bool,
}

impl Organisations {
    /// The field that holds what is searched for.
    pub const SEARCH: &str = "q";
    /// More entries on a page than anybody reads.
    pub const MAX_FOUND: usize = 20;
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// The link by which it is chosen.
    pub url: Url,
    /// What it is called, by language (BCP 47, lower case; empty if it is not said): at least one name.
    pub names: Vec<(String, String)>,
    /// What tells two of one name apart, such as a domain; may be empty.
    pub detail: String,
    /// An image, an `https:` or `data:` URL.
    pub logo: Option<Url>,
}

impl Organisation {
    /// What it is called in `language`, or else in English, or else at all.
    #[must_use]
    pub fn name(&self, language: &str) -> &str {
        let in_language = |wanted: &str| {
            self.names
                .iter()
                .find(|(tag, _)| tag.split('-').next() == Some(wanted))
                .map(|(_, name)| name.as_str())
        };
        let first = || self.names.first().map(|(_, name)| name.as_str());
        in_language(language).or_else(|| in_language("en")).or_else(first).unwrap_or(&self.detail)
    }
}

/// Where somebody said they were from: a word of the provider's own, which their browser keeps and brings back with the next
/// attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// `[A-Za-z0-9_-]`, at most 64 of them: it stands in a cookie as it is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let fits = (1..=64).contains(&text.len()) && text.chars().all(is_good);
        fits.then(|| Self(text.to_owned()))
    }

    /// As the provider wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_is_called_by_the_nearest_name() {
        let names = |names: &[(&str, &str)]| Organisation {
            url: Url::parse("https://portal.example/").expect("a URL"),
            names: names.iter().map(|(tag, name)| ((*tag).to_owned(), (*name).to_owned())).collect(),
            detail: "ac.cdl".to_owned(),
            logo: None,
        };
        for (name, of, language, expected) in [
            ("their language", names(&[("en", "Harbour"), ("fr", "Port")]), "fr", "Port"),
            ("a variant of it", names(&[("en", "Harbour"), ("fr-ca", "Port")]), "fr", "Port"),
            ("English", names(&[("de", "Hafen"), ("en", "Harbour")]), "fr", "Harbour"),
            ("any", names(&[("de", "Hafen"), ("fi", "Satama")]), "fr", "Hafen"),
            ("none", names(&[]), "fr", "ac.cdl"),
        ] {
            assert_eq!(of.name(language), expected, "{name}");
        }
    }

    #[test]
    fn an_origin_is_a_plain_word() {
        for (text, is_one) in
            [("aZ_-9", true), ("", false), ("a b", false), ("a;b", false), ("é", false), ("a=", false)]
        {
            assert_eq!(Origin::parse(text).is_some(), is_one, "{text}");
        }
        assert!(Origin::parse(&"x".repeat(64)).is_some() && Origin::parse(&"x".repeat(65)).is_none());
    }
}
