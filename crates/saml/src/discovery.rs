//! Where people are from: the identity provider they choose, on the server's page or at a discovery service
//! (<https://docs.oasis-open.org/security/saml/Post2.0/sstc-saml-idp-discovery.pdf>, section 2.4).
//!
//! Neither says who anybody is. A choice is a link below our own endpoints with the attempt's handle, which counts in the browser that
//! has the attempt's cookie; it names an identity provider of the federation's metadata or nobody.

use url::Url;
use usher_core::{
    Callback, Handle,
    provider::{Organisation, Organisations, Origin, ParameterError},
};

use crate::federation::{Federation, IndexError, Key, Listed};

/// The path below the endpoints.
pub(crate) const DISCO: &str = "disco";
/// The field with the attempt's handle.
pub(crate) const ATTEMPT: &str = "attempt";
/// The field with the key of an identity provider.
const CHOSEN: &str = "from";
/// The field by which a choice is forgotten.
const FORGET: &str = "forget";
/// What a discovery service calls its choice, unless it is told otherwise (section 2.4.1, `returnIDParam`).
const ENTITY_ID: &str = "entityID";

/// What somebody did on the page, or at the discovery service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// They are from there.
    Key(Key),
    /// The same in a discovery service's words.
    EntityId(String),
    /// They search; nothing, if the service has no choice to tell.
    Search { typed: String, is_forgotten: bool },
}

/// A link that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsaid {
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    #[error("`from` is no key of an identity provider")]
    Key,
}

impl Said {
    pub(crate) fn read(callback: &Callback) -> Result<Self, Unsaid> {
        let one = |name| callback.query.at_most_one(name);
        let (chosen, entity_id) = (one(CHOSEN)?, one(ENTITY_ID)?);
        let (typed, forget) = (one(Organisations::SEARCH)?, one(FORGET)?);
        match (chosen, entity_id.filter(|entity_id| !entity_id.is_empty())) {
            (Some(key), _) => Key::parse(key).map(Self::Key).ok_or(Unsaid::Key),
            (None, Some(entity_id)) => Ok(Self::EntityId(entity_id.to_owned())),
            (None, None) => Ok(Self::Search {
                typed: typed.unwrap_or_default().to_owned(),
                is_forgotten: forget.is_some(),
            }),
        }
    }
}

/// The page, for one attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page<'a> {
    /// Where [`DISCO`] is.
    pub(crate) disco: &'a Url,
    pub(crate) handle: &'a Handle,
    pub(crate) typed: &'a str,
    /// What the browser remembers.
    pub(crate) origin: Option<&'a Origin>,
    pub(crate) is_forgotten: bool,
}

impl Page<'_> {
    /// What it shows. This reads files and searches megabytes.
    pub(crate) fn organisations(&self, federation: &Federation) -> Result<Organisations, IndexError> {
        let (found, total) = federation.search(self.typed, Organisations::MAX_FOUND)?;
        let origin =
            self.origin.filter(|_| !self.is_forgotten).and_then(|origin| Key::parse(origin.as_str()));
        let last = match origin {
            Some(key) => {
                federation.find_listed(key)?.map(|member| (self.organisation(member), self.link(FORGET, "1")))
            }
            None => None,
        };
        Ok(Organisations {
            search: self.disco.clone(),
            fields: vec![(ATTEMPT.to_owned(), self.handle.to_string())],
            searched: self.typed.to_owned(),
            last,
            found: found.into_iter().map(|member| self.organisation(member)).collect(),
            total,
            is_forgotten: self.is_forgotten,
        })
    }

    fn organisation(&self, listed: Listed) -> Organisation {
        let Listed { entity_id, shown } = listed;
        let key = String::from(Key::of(&entity_id));
        let names = if shown.names.is_empty() {
            vec![(String::new(), name_of(&shown.detail, &entity_id))]
        } else {
            shown.names
        };
        Organisation { url: self.link(CHOSEN, &key), names, detail: shown.detail, logo: shown.logo }
    }

    fn link(&self, name: &str, value: &str) -> Url {
        let mut url = self.disco.clone();
        url.query_pairs_mut().append_pair(ATTEMPT, self.handle.as_str()).append_pair(name, value);
        url
    }
}

fn name_of(detail: &str, entity_id: &str) -> String {
    (if detail.is_empty() { entity_id } else { detail }).to_owned()
}

/// What is remembered of a choice.
pub(crate) fn origin(key: Key) -> Origin {
    Origin::parse(&String::from(key)).expect("base64url of 16 bytes is a word")
}

/// Where a discovery service asks instead of us (section 2.4.1).
pub(crate) fn at_service(service: &Url, entity_id: &str, disco: &Url, handle: &Handle) -> Url {
    let mut back = disco.clone();
    back.query_pairs_mut().append_pair(ATTEMPT, handle.as_str());
    let mut url = service.clone();
    url.query_pairs_mut().append_pair("entityID", entity_id).append_pair("return", back.as_str());
    url
}

#[cfg(test)]
mod tests {
    use usher_core::provider::Method;

    use super::*;

    #[test]
    fn a_link_says_one_thing() {
        let key = Key::of("https://idp.ac.cdl/idp");
        let chosen = format!("from={}", String::from(key));
        let search = |typed: &str, is_forgotten| Ok(Said::Search { typed: typed.to_owned(), is_forgotten });
        for (name, query, expected) in [
            ("a choice", chosen.as_str(), Ok(Said::Key(key))),
            ("a choice of nobody", "from=x", Err(Unsaid::Key)),
            ("an empty choice", "from=", Err(Unsaid::Key)),
            ("two choices", "from=x&from=y", Err(Unsaid::Parameter(ParameterError::Repeated("from")))),
            ("a service's", "entityID=urn%3Ax", Ok(Said::EntityId("urn:x".to_owned()))),
            (
                "a service's two",
                "entityID=a&entityID=b",
                Err(Unsaid::Parameter(ParameterError::Repeated("entityID"))),
            ),
            ("a service without one", "entityID=", search("", false)),
            ("a search", "q=harbour", search("harbour", false)),
            ("forget it", "forget=1", search("", true)),
            ("nothing", "", search("", false)),
        ] {
            assert_eq!(Said::read(&Callback::new(Method::Get, DISCO, query, "")), expected, "{name}");
        }
    }

    #[test]
    fn a_discovery_service_is_told_who_asks_and_where_to_send_people() {
        let handle = Handle::parse("AAAAAAAAAAAAAAAAAAAAAA").expect("a handle");
        let disco = Url::parse("https://matrix.ac.cdl/_usher/saml/corp/disco").expect("a URL");
        let service = Url::parse("https://wayf.cdl/ds?lang=fr").expect("a URL");
        let url = at_service(&service, "https://sp/?a&b", &disco, &handle);
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            pairs,
            [
                pair("lang", "fr"),
                pair("entityID", "https://sp/?a&b"),
                pair("return", "https://matrix.ac.cdl/_usher/saml/corp/disco?attempt=AAAAAAAAAAAAAAAAAAAAAA"),
            ]
        );
    }
}
