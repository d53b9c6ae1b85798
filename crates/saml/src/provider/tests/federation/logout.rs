//! Single logout in a federation: whoever is a member speaks for its own people, and for nobody else's.

use usher_core::provider::{EndedSession, LogoutNotice, UpstreamSession};
use usher_lab::scripted::saml::{Detached, LogoutRequest, Named, percent_encoded};

use super::*;
use crate::{
    person::session,
    response::assertion::NameId,
    testing::{SLO as OUR_SLO, SP, STRANGER},
};

/// A member with a key of its own; the two others share one.
const FOREST: &str = "https://forest.example/idp";

fn member(entity_id: &str) -> SamlIdp {
    match entity_id {
        FOREST => SamlIdp { keys: vec![STRANGER.clone()], ..idp(FOREST) },
        _ => idp(entity_id),
    }
}

async fn start() -> Federation {
    let federation = Federation::of(&[HARBOUR, HILL, FOREST].map(member), |_| (), None);
    federation.corp.provider.refresh(&federation.corp.ctx()).await;
    federation
}

/// What `entity_id` asks about its own Alice.
fn asked_by(entity_id: &str) -> LogoutRequest {
    member(entity_id).log_out(SP, OUR_SLO, "alice", &["1"], SECONDS)
}

/// `request` as its issuer signs it, by one binding and by the other; `change` is made afterwards.
fn sent(request: &LogoutRequest, signer: &str, change: impl Fn(&str) -> String) -> [Callback; 2] {
    let key = &member(signer).keys[0];
    let plain = request.xml(None).expect("a request");
    let query = |xml: &str| Detached::with(key).query("SAMLRequest", xml, None).expect("a query");
    let message = |query: &str| query.split('&').next().expect("the message").to_owned();
    let honest = query(&plain);
    let query = honest.replacen(&message(&honest), &message(&query(&change(&plain))), 1);
    let posted = change(&request.xml(Some(&Signing::with(key))).expect("a request"));
    let form = percent_encoded(&BASE64.encode(posted.as_bytes()), false);
    [
        Callback::new(Method::Get, SLO, &query, ""),
        Callback::new(Method::Post, SLO, "", &format!("SAMLRequest={form}")),
    ]
}

fn honestly(request: &LogoutRequest, signer: &str) -> [Callback; 2] {
    sent(request, signer, str::to_owned)
}

async fn notice(federation: &Federation, callback: &Callback) -> Result<LogoutNotice, &'static str> {
    let provider = &federation.corp.provider;
    match provider.browser_logout(&federation.corp.ctx(), callback, None).await {
        Ok(BrowserLogout::Notice { notice, .. }) => Ok(notice),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.kind()),
    }
}

/// The session of Alice that `entity_id` gave her.
fn session_at(entity_id: &str) -> EndedSession {
    let name = NameId {
        value: "alice".to_owned(),
        format: Some(crate::names::FORMAT_PERSISTENT.to_owned()),
        name_qualifier: None,
        sp_name_qualifier: None,
    };
    let (group, session) = (session::group(&name, entity_id, SP), session::index("1"));
    EndedSession::One(UpstreamSession::OfGroup { group, session })
}

#[tokio::test]
async fn each_member_ends_sessions_of_its_own_people() {
    let federation = start().await;
    for entity_id in [HARBOUR, HILL, FOREST] {
        for callback in honestly(&asked_by(entity_id), entity_id) {
            let heard = notice(&federation, &callback).await.expect(entity_id);
            assert_eq!(heard.issuer.as_str(), entity_id);
            assert_eq!(heard.sessions, [session_at(entity_id)], "{entity_id}");
        }
    }
}

#[tokio::test]
async fn a_member_that_asks_to_end_a_session_of_anothers_ends_nothing_of_it() {
    let federation = start().await;
    let hills = session_at(HILL);
    let qualified = |entity_id: &str| {
        let mut request = asked_by(FOREST);
        let Named::Clear(name) = &mut request.name else { panic!("a name in clear") };
        name.name_qualifier = Some(entity_id.to_owned());
        request
    };
    for (name, request) in [("by its own name", asked_by(FOREST)), ("by the other's", qualified(HILL))] {
        for callback in honestly(&request, FOREST) {
            let heard = notice(&federation, &callback).await.expect(name);
            // The server looks for sessions of this issuer alone.
            assert_eq!(heard.issuer.as_str(), FOREST, "{name}");
            assert_eq!(heard.sessions == [hills.clone()], name == "by the other's", "{name}");
        }
    }
    for callback in honestly(&asked_by(HILL), FOREST) {
        assert_eq!(notice(&federation, &callback).await.err(), Some("unverified"), "in the other's name");
    }
}

#[tokio::test]
async fn an_issuer_is_known_and_stands_in_what_was_signed() {
    let federation = start().await;
    let issued = |from: &'static str, to: &'static str| move |xml: &str| xml.replacen(from, to, 1);
    let of = |entity_id: &str| SamlIdp { entity_id: entity_id.to_owned(), ..member(HARBOUR) };
    let unknown = of("https://nobody.example/idp").log_out(SP, OUR_SLO, "alice", &[], SECONDS);
    let mut nameless = asked_by(HARBOUR);
    nameless.issuer = None;
    for (name, callbacks, expected) in [
        ("nobody of the federation", honestly(&unknown, HARBOUR), "unverified"),
        ("no issuer", honestly(&nameless, HARBOUR), "malformed"),
        // The key that would verify the rest is the same.
        ("another by the same key", sent(&asked_by(HARBOUR), HARBOUR, issued(HARBOUR, HILL)), "unverified"),
        ("another by another key", sent(&asked_by(HARBOUR), HARBOUR, issued(HARBOUR, FOREST)), "unverified"),
        ("a stranger's own", sent(&asked_by(FOREST), FOREST, issued(FOREST, HARBOUR)), "unverified"),
        ("made unknown", sent(&asked_by(HILL), HILL, issued(HILL, "urn:nobody")), "unverified"),
    ] {
        for callback in callbacks {
            let heard = notice(&federation, &callback).await;
            assert_eq!(heard.err(), Some(expected), "{name} {:?}", callback.method);
        }
    }
    let unread = Federation::unread(|_| (), None);
    for callback in honestly(&asked_by(HARBOUR), HARBOUR) {
        assert_eq!(notice(&unread, &callback).await.err(), Some("unavailable"), "no metadata yet");
    }
}
