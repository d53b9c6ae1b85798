//! A provider that stands for a federation of two identity providers, which share a key: what tells them apart is what is checked.

use tempfile::TempDir;
use usher_core::provider::{Organisations, Origin};
use usher_lab::scripted::saml::{
    SamlIdp,
    federation::{Issue, aggregate},
    instant,
};

use super::*;
use crate::federation::Filter;

mod logout;

const HARBOUR: &str = "https://harbour.example/idp";
const HILL: &str = "https://hill.example/idp";

struct Federation {
    corp: Corp,
    _directory: TempDir,
}

fn idp(entity_id: &str) -> SamlIdp {
    SamlIdp { entity_id: entity_id.to_owned(), ..IDP.clone() }
}

impl Federation {
    async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let federation = Self::unread(change, None);
        federation.corp.provider.refresh(&federation.corp.ctx()).await;
        federation
    }

    fn unread(change: impl FnOnce(&mut Settings), until: Option<u64>) -> Self {
        Self::of(&[idp(HARBOUR), idp(HILL)], change, until)
    }

    fn of(members: &[SamlIdp], change: impl FnOnce(&mut Settings), until: Option<u64>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("federation.xml");
        let members: String = members.iter().map(|idp| idp.member("").expect("an entity")).collect();
        let valid_until = until.map(instant);
        let mut settings = settings(our_keys());
        settings.is_federation = true;
        change(&mut settings);
        let issue = Issue { valid_until, ..Issue::signed_with(Signing::with(&IDP.keys[0])) };
        std::fs::write(&path, aggregate(&members, &issue).expect("metadata")).expect("a file");
        let source = Source {
            whose: Whose::Many(Filter::default()),
            place: Place::File { path, first: None, stamp: None },
            signers: known(&IDP).keys,
            cache_dir: None,
            signs_requests: settings.signs_requests,
        };
        let corp = Corp::with(source, |own| *own = settings);
        Self { corp, _directory: directory }
    }

    async fn page(&self, demand: &Demand) -> (Organisations, ProviderState) {
        shown(self.corp.provider.begin(&self.corp.ctx(), demand).await.expect("a challenge"))
    }

    async fn say(&self, demand: &Demand, state: &ProviderState, link: &Url) -> Result<Outcome, &'static str> {
        let callback = Callback::new(Method::Get, DISCO, link.query().unwrap_or_default(), "");
        assert_eq!(self.corp.provider.handle(&callback).expect("a handle"), demand.handle);
        let said = self.corp.provider.complete(&self.corp.ctx(), demand, state.clone(), &callback).await;
        said.map_err(|error| error.kind())
    }

    /// Somebody says that they are from there, on the page that they are shown first.
    async fn choose(&self, demand: &Demand, entity_id: &str) -> (Asked, ProviderState) {
        let (page, state) = self.page(demand).await;
        match self.say(demand, &state, &link_to(&page, entity_id)).await {
            Ok(Outcome::From(origin, challenge)) => {
                assert_eq!(Some(origin), Origin::parse(&String::from(Key::of(entity_id))));
                assert_eq!(challenge.returns_by, ReturnTrip::CrossSitePost);
                assert!(challenge.state.as_str().len() <= ProviderState::MAX_BYTES);
                (asked(&challenge.step), challenge.state)
            }
            outcome => panic!("{outcome:?}"),
        }
    }
}

/// What an identity provider of that name answers for its Alice.
fn answer(entity_id: &str, asked: &Asked) -> Callback {
    let response = idp(entity_id).answer(asked, "alice", &[], SECONDS);
    let protection = Protection { response: Some(Signing::with(&IDP.keys[0])), ..Protection::default() };
    posted(&response.xml(&protection).expect("a response"), &asked.relay_state)
}

fn shown(challenge: Challenge) -> (Organisations, ProviderState) {
    assert_eq!(challenge.returns_by, ReturnTrip::Navigation);
    match challenge.step {
        BrowserStep::Ask(page) => (*page, challenge.state),
        step => panic!("{step:?}"),
    }
}

fn link_to(page: &Organisations, entity_id: &str) -> Url {
    let host = Url::parse(entity_id).expect("a URL").host_str().expect("a host").to_owned();
    page.found.iter().find(|found| found.name("en") == host).expect("an organisation").url.clone()
}

#[test]
fn what_is_checked_against_the_metadata_is_bounded_and_nothing_else() {
    for (scopes, attribute, expected) in [
        (ScopeCheck::Strict, "eduPersonScopedAffiliation", true),
        (ScopeCheck::Strict, "urn:oid:1.3.6.1.4.1.5923.1.1.1.9", true),
        (ScopeCheck::Strict, "mail", false),
        (ScopeCheck::Off, "eduPersonScopedAffiliation", false),
        (ScopeCheck::AsMetadataSays, "eduPersonScopedAffiliation", false),
    ] {
        let federation = Federation::unread(|settings| settings.naming.scopes = scopes, None);
        assert_eq!(federation.corp.provider.bounds_values_of(attribute), expected, "{scopes:?} {attribute}");
    }
}

#[tokio::test]
async fn people_of_one_name_at_two_identity_providers_are_two_people() {
    let federation = Federation::start(|_| ()).await;
    assert_eq!(federation.corp.provider.issuer(), None);
    for entity_id in [HARBOUR, HILL] {
        let demand = federation.corp.demand(Freshness::AnySession);
        let (asked, state) = federation.choose(&demand, entity_id).await;
        let proof = federation.corp.bring(&demand, state, &answer(entity_id, &asked)).await;
        let identity = proof.expect("a proof").identity;
        assert_eq!((identity.issuer.as_str(), identity.subject.as_str()), (entity_id, "alice"));
    }
}

#[tokio::test]
async fn nobody_answers_for_another_identity_provider() {
    let federation = Federation::start(|_| ()).await;
    let demand = federation.corp.demand(Freshness::AnySession);
    let (page, unasked) = federation.page(&demand).await;
    let (asked, state) = federation.choose(&demand, HARBOUR).await;
    let honest = answer(HARBOUR, &asked);
    let alone = ProviderState::new(
        state.as_str().replace(&format!(",\"idp\":\"{}\"", String::from(Key::of(HARBOUR))), ""),
    );
    assert_ne!(alone.as_str(), state.as_str());
    let mut elsewhere = state.as_str().to_owned();
    elsewhere = elsewhere.replace(&String::from(Key::of(HARBOUR)), &String::from(Key::of("urn:nobody")));
    for (name, state, callback, expected) in [
        ("another of the federation, by the same key", state.clone(), answer(HILL, &asked), "unverified"),
        ("before anybody was asked", unasked, honest.clone(), "unverified"),
        ("by a state of one identity provider", alone, honest.clone(), "unverified"),
        ("by one that has left", ProviderState::new(elsewhere), honest.clone(), "unavailable"),
    ] {
        assert_eq!(federation.corp.bring(&demand, state, &callback).await.err(), Some(expected), "{name}");
    }
    assert!(federation.corp.bring(&demand, state.clone(), &honest).await.is_ok());
    // They went back, and chose another.
    let other = federation.say(&demand, &state, &link_to(&page, HILL)).await.expect("another choice");
    let Outcome::From(_, challenge) = other else { panic!("{other:?}") };
    let asked = super::asked(&challenge.step);
    let late = federation.corp.bring(&demand, challenge.state.clone(), &honest).await;
    assert_eq!(late.err(), Some("unverified"));
    assert!(federation.corp.bring(&demand, challenge.state, &answer(HILL, &asked)).await.is_ok());
}

#[tokio::test]
async fn the_page_finds_remembers_and_forgets() {
    let federation = Federation::start(|_| ()).await;
    let mut demand = federation.corp.demand(Freshness::AnySession);
    let (page, state) = federation.page(&demand).await;
    assert_eq!((page.total, page.found.len(), page.last), (2, 2, None));
    let search = |typed: &str| {
        let mut url = page.search.clone();
        url.query_pairs_mut().extend_pairs(&page.fields).append_pair(Organisations::SEARCH, typed);
        url
    };
    let continued = |outcome| match outcome {
        Ok(Outcome::Continue(challenge)) => shown(challenge).0,
        outcome => panic!("{outcome:?}"),
    };
    let found = continued(federation.say(&demand, &state, &search("hill")).await);
    assert_eq!(
        (found.total, found.searched.as_str(), found.found[0].name("en")),
        (1, "hill", "hill.example")
    );
    demand.hints.origin = Origin::parse(&String::from(Key::of(HILL)));
    let (page, state) = federation.page(&demand).await;
    let (last, forget) = page.last.expect("what was chosen last");
    assert_eq!(last.name("en"), "hill.example");
    let forgotten = continued(federation.say(&demand, &state, &forget).await);
    assert_eq!((forgotten.last, forgotten.is_forgotten), (None, true));
    for word in ["x", &String::from(Key::of("urn:nobody"))] {
        demand.hints.origin = Origin::parse(word);
        assert_eq!(federation.page(&demand).await.0.last, None, "{word}");
    }
}

#[tokio::test]
async fn whoever_is_known_is_sent_home_without_being_asked() {
    let federation = Federation::start(|_| ()).await;
    let demand = Demand { issuer: Issuer::parse(HILL).ok(), ..federation.corp.demand(Freshness::Since(NOW)) };
    let (asked, state) = federation.corp.begin(&demand).await;
    assert!(asked.is_forced);
    let proof = federation.corp.bring(&demand, state.clone(), &answer(HILL, &asked)).await;
    assert_eq!(proof.expect("a proof").identity.issuer.as_str(), HILL);
    // A link of the page that they were not shown.
    let mut link = Url::parse(&format!("{ENDPOINTS}{DISCO}")).expect("a URL");
    link.query_pairs_mut()
        .append_pair("attempt", demand.handle.as_str())
        .append_pair("from", &String::from(Key::of(HARBOUR)));
    let said = federation.say(&demand, &state, &link).await;
    let Ok(Outcome::Continue(challenge)) = said else { panic!("{said:?}") };
    let asked = super::asked(&challenge.step);
    let harbours = federation.corp.bring(&demand, challenge.state, &answer(HARBOUR, &asked)).await;
    assert_eq!(harbours.err(), Some("unverified"), "they were sent to the hill again");
    let gone = Demand { issuer: Issuer::parse("urn:gone").ok(), ..demand };
    let begun = federation.corp.provider.begin(&federation.corp.ctx(), &gone).await;
    assert_eq!(begun.err().map(|error| error.kind()), Some("unavailable"));
}

#[tokio::test]
async fn a_discovery_service_may_ask_instead() {
    let service = Url::parse("https://wayf.example/ds").expect("a URL");
    let federation = Federation::start(|settings| settings.discovery_service = Some(service)).await;
    let demand = federation.corp.demand(Freshness::AnySession);
    let challenge =
        federation.corp.provider.begin(&federation.corp.ctx(), &demand).await.expect("a challenge");
    let BrowserStep::Redirect(sent) = &challenge.step else { panic!("{:?}", challenge.step) };
    assert_eq!((sent.host_str(), challenge.returns_by), (Some("wayf.example"), ReturnTrip::Navigation));
    let back = sent.query_pairs().find(|(name, _)| name == "return").expect("where to").1.into_owned();
    let back = |chosen: &str| {
        let mut url = Url::parse(&back).expect("a URL");
        url.query_pairs_mut().append_pair("entityID", chosen);
        url
    };
    match federation.say(&demand, &challenge.state, &back(HARBOUR)).await {
        Ok(Outcome::From(_, challenge)) => assert!(asked(&challenge.step).sp.ends_with("/metadata")),
        outcome => panic!("{outcome:?}"),
    }
    for (name, chosen) in [("one that does not count here", "https://other.example/idp"), ("none", "")] {
        match federation.say(&demand, &challenge.state, &back(chosen)).await {
            Ok(Outcome::Continue(challenge)) => assert_eq!(shown(challenge).0.total, 2, "{name}"),
            outcome => panic!("{name}: {outcome:?}"),
        }
    }
    let metadata =
        federation.corp.provider.document(&federation.corp.ctx(), METADATA).await.expect("a document");
    let metadata = String::from_utf8(metadata.body).expect("UTF-8");
    assert!(metadata.contains(&format!("Location=\"{ENDPOINTS}{DISCO}\"")), "{metadata}");
}

#[tokio::test]
async fn nobody_is_sent_where_only_signed_requests_are_taken_by_a_usher_that_signs_none() {
    let members = [idp(HARBOUR), SamlIdp { wants_signed_requests: true, ..idp(HILL) }];
    for (name, has_keys) in [("without keys", false), ("with keys", true)] {
        let settings = |own: &mut Settings| {
            if !has_keys {
                *own = Settings { is_federation: true, ..settings(Vec::new()) };
            }
        };
        let federation = Federation::of(&members, settings, None);
        federation.corp.provider.refresh(&federation.corp.ctx()).await;
        let mut demand = federation.corp.demand(Freshness::AnySession);
        demand.hints.origin = Origin::parse(&String::from(Key::of(HILL)));
        let (page, state) = federation.page(&demand).await;
        assert_eq!(
            (page.total, page.last.is_some()),
            (1 + usize::from(has_keys), has_keys),
            "{name}: offered"
        );
        let link = |name: &str, value: &str| {
            let mut link = page.search.clone();
            link.query_pairs_mut().extend_pairs(&page.fields).append_pair(name, value);
            link
        };
        // What they kept of an earlier page, and what a discovery service says.
        let kept = federation.say(&demand, &state, &link("from", &String::from(Key::of(HILL)))).await;
        let told = federation.say(&demand, &state, &link("entityID", HILL)).await;
        let home = Demand { issuer: Issuer::parse(HILL).ok(), ..demand.clone() };
        let begun = federation.corp.provider.begin(&federation.corp.ctx(), &home).await;
        let begun = begun.map(drop).map_err(|error| error.kind());
        if has_keys {
            assert!(matches!((kept, told), (Ok(Outcome::From(..)), Ok(Outcome::From(..)))), "{name}");
            assert_eq!(begun, Ok(()), "{name}");
        } else {
            assert_eq!(kept.err(), Some("malformed"), "{name}: as one that there is not");
            let Ok(Outcome::Continue(challenge)) = told else { panic!("{name}: {told:?}") };
            assert_eq!(shown(challenge).0.total, 1, "{name}: they are asked by us");
            assert_eq!(begun, Err("unavailable"), "{name}");
        }
    }
}

#[tokio::test]
async fn links_of_the_page_are_endpoints_of_a_federation_alone() {
    let federation = Federation::start(|_| ()).await;
    assert_eq!(federation.corp.provider.endpoint(Method::Get, DISCO), Some(Endpoint::Answer));
    assert_eq!(federation.corp.provider.endpoint(Method::Post, DISCO), None);
    let corp = Corp::start().await;
    assert_eq!(corp.provider.endpoint(Method::Get, DISCO), None);
    let demand = federation.corp.demand(Freshness::AnySession);
    let (page, state) = federation.page(&demand).await;
    let mut nobody = link_to(&page, HILL);
    nobody.set_query(Some(&format!(
        "attempt={}&from={}",
        demand.handle,
        String::from(Key::of("urn:nobody"))
    )));
    assert_eq!(federation.say(&demand, &state, &nobody).await.err(), Some("malformed"));
}

#[tokio::test]
async fn nobody_signs_in_before_the_metadata_is_there_or_after_it_has_expired() {
    let federation = Federation::unread(|_| (), Some(SECONDS + 1));
    let demand = federation.corp.demand(Freshness::AnySession);
    let tried = async |name: &str, ctx: &Ctx<'_>, expected: Option<&'static str>| {
        let begun = federation.corp.provider.begin(ctx, &demand).await;
        assert_eq!(begun.err().map(|error| error.kind()), expected, "{name}");
        let probe = federation.corp.provider.probe(ctx).await;
        assert_eq!(probe.err().map(|error| error.kind()), expected, "{name}");
    };
    let now = federation.corp.ctx();
    tried("not yet", &now, Some("unavailable")).await;
    federation.corp.provider.refresh(&now).await;
    tried("there", &now, None).await;
    let (asked, state) = federation.choose(&demand, HILL).await;
    let later = Ctx { now: NOW.plus(Duration::from_secs(1)), ..now };
    tried("over", &later, Some("unavailable")).await;
    let late = answer(HILL, &asked);
    let completed = federation.corp.provider.complete(&later, &demand, state, &late).await;
    assert_eq!(completed.err().map(|error| error.kind()), Some("unavailable"));
}
