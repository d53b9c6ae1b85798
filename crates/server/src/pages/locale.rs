//! The person's language, by `Accept-Language` (RFC 9110 section 12.5.4), and the words in it (Project Fluent).

use std::sync::LazyLock;

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use minijinja::{Error, ErrorKind, value::Kwargs};
use unic_langid::{LanguageIdentifier, langid};

/// A language Usher speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locale {
    /// English, and what everybody else is given.
    #[default]
    English,
    /// French.
    French,
}

type Bundle = FluentBundle<FluentResource>;

static ENGLISH: LazyLock<Bundle> = LazyLock::new(|| bundle(langid!("en"), include_str!("locales/en.ftl")));
static FRENCH: LazyLock<Bundle> =
    LazyLock::new(|| bundle(langid!("fr"), &french_spaces(include_str!("locales/fr.ftl"))));

fn bundle(language: LanguageIdentifier, source: &str) -> Bundle {
    let resource =
        FluentResource::try_new(source.to_owned()).expect("the words of this build are well-formed");
    let mut bundle = FluentBundle::new_concurrent(vec![language]);
    // Names stand in elements of their own (`<bdi>` where they could be right-to-left).
    bundle.set_use_isolating(false);
    bundle.add_resource(resource).expect("no word of this build stands twice");
    bundle
}

/// French sets a space before these, at which no line ends: a full one before a colon, a narrow one before the others.
fn french_spaces(words: &str) -> String {
    words
        .replace(" :", "\u{a0}:")
        .replace(" ;", "\u{202f};")
        .replace(" ?", "\u{202f}?")
        .replace(" !", "\u{202f}!")
}

impl Locale {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::French];

    /// The best of ours for an `Accept-Language` header; English if it asks for nothing we have.
    #[must_use]
    pub fn negotiate(header: Option<&str>) -> Self {
        let ranges = header.unwrap_or_default().split(',').filter_map(|range| {
            let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let weight: f32 = weight.trim().strip_prefix("q=")?.parse().ok()?;
            let language = tag.trim().split('-').next()?.to_ascii_lowercase();
            let locale = Self::ALL.into_iter().find(|locale| locale.code() == language)?;
            (weight > 0.0).then_some((weight, locale))
        });
        // The first of the heaviest: `max_by` would take the last.
        ranges.fold((0.0, Self::default()), |best, range| if range.0 > best.0 { range } else { best }).1
    }

    /// Its language tag, for `<html lang>`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }

    fn bundle(self) -> &'static Bundle {
        match self {
            Self::English => &ENGLISH,
            Self::French => &FRENCH,
        }
    }

    /// Whether the words have a message of that id.
    #[must_use]
    pub fn has_message(self, id: &str) -> bool {
        self.bundle().has_message(id)
    }

    pub(super) fn message(self, id: &str, arguments: &Kwargs) -> Result<String, Error> {
        let missing = || Error::new(ErrorKind::InvalidOperation, format!("no message {id}"));
        let message =
            self.bundle().get_message(id).and_then(|message| message.value()).ok_or_else(missing)?;
        let mut values = FluentArgs::new();
        for name in arguments.args() {
            values.set(name.to_owned(), FluentValue::from(arguments.get::<String>(name)?));
        }
        let mut errors = Vec::new();
        let text = self.bundle().format_pattern(message, Some(&values), &mut errors);
        if errors.is_empty() { Ok(text.into_owned()) } else { Err(missing()) }
    }
}
