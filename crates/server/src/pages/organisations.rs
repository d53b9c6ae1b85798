//! "Where are you from?" as the template takes it.

use minijinja::{Value, context};
use usher_core::provider::{Organisation, Organisations};

use super::Locale;

/// The page's values, names in the person's language.
pub(super) fn context(page: &Organisations, locale: Locale) -> Value {
    let entry = |organisation: &Organisation| entry(organisation, locale);
    let found: Vec<_> = page.found.iter().take(Organisations::MAX_FOUND).map(entry).collect();
    let fields: Vec<_> = page.fields.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect();
    context! {
        action => page.search.as_str(),
        fields,
        search_field => Organisations::SEARCH,
        searched => page.searched.as_str(),
        last => page.last.as_ref().map(|(organisation, _)| entry(organisation)),
        forget => page.last.as_ref().map(|(_, forget)| forget.as_str()),
        more => page.total > found.len(),
        shown => found.len().to_string(),
        total => page.total.to_string(),
        found,
    }
}

fn entry(organisation: &Organisation, locale: Locale) -> Value {
    context! {
        url => organisation.url.as_str(),
        name => organisation.name(locale.code()),
        detail => organisation.detail.as_str(),
        logo => organisation.logo.as_ref().map(url::Url::as_str),
    }
}

/// Whether the page has images of others.
pub(crate) fn has_logos(page: &Organisations) -> bool {
    let last = page.last.iter().map(|(organisation, _)| organisation);
    page.found.iter().chain(last).any(|organisation| organisation.logo.is_some())
}
