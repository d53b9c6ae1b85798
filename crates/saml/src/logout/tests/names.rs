//! Whose sessions, and which.

use usher_core::provider::UpstreamSession;
use usher_lab::scripted::saml::{Authentication, NameId as Name, Response};

use super::*;
use crate::{
    names::{FORMAT_EMAIL, FORMAT_TRANSIENT},
    person,
    service::Service,
    testing::{assertion_signed, honest, policy, question, read as sign_in, service},
};

/// The session that an assertion opens for alice, as `change` has it.
fn opened(change: impl FnOnce(&mut Response)) -> Option<UpstreamSession> {
    let mut response = honest();
    authentications(&mut response)[0].session_index = Some("_session-1".to_owned());
    change(&mut response);
    let assertion = sign_in(&response.xml(&assertion_signed()).expect("a response")).expect("it counts");
    let (idp, policy) = (known(&IDP), policy());
    person::session(&assertion, &question(&idp, &policy))
}

fn authentications(response: &mut Response) -> &mut Vec<Authentication> {
    &mut response.assertion.as_mut().expect("an assertion").authentications
}

fn named(response: &mut Response) -> &mut Option<Name> {
    let assertion = response.assertion.as_mut().expect("an assertion");
    &mut assertion.subject.as_mut().expect("a subject").name
}

/// What a request with that name and those sessions is about.
fn meant(name: Name, sessions: &[&str]) -> Vec<EndedSession> {
    let mut request = IDP.log_out(SP, SLO, "", sessions, SECONDS);
    request.name = Named::Clear(name);
    let service: Service = service();
    let [redirect, post] = honestly(&request).map(|(_, callback)| {
        match service.logout(&callback, &known(&IDP), "_a", NOW, SKEW).expect("it counts") {
            BrowserLogout::Notice { notice, .. } => notice.sessions,
            BrowserLogout::Unheeded { reason, .. } => panic!("{reason}"),
            BrowserLogout::SignedOut(_) => panic!("it is a request"),
        }
    });
    assert_eq!(redirect, post);
    post
}

fn name() -> Name {
    let Named::Clear(name) = asked().name else { panic!("a name in clear") };
    name
}

fn one(session: Option<UpstreamSession>) -> Vec<EndedSession> {
    session.map(EndedSession::One).into_iter().collect()
}

fn group(session: Option<UpstreamSession>) -> Vec<EndedSession> {
    match session {
        Some(UpstreamSession::OfGroup { group, .. }) => vec![EndedSession::Group(group)],
        Some(UpstreamSession::Unique(_)) | None => panic!("a session of a group"),
    }
}

#[test]
fn a_request_is_about_the_sessions_it_names_or_all_of_the_persons() {
    assert_eq!(meant(name(), &["_session-1"]), one(opened(|_| {})));
    let three = meant(name(), &["_session-0", "_session-1", "_session-2"]);
    assert_eq!((three.len(), &three[1..2]), (3, &one(opened(|_| {}))[..]));
    assert_eq!(meant(name(), &[]), group(opened(|_| {})));
}

#[test]
fn a_name_is_the_same_person_only_if_all_of_it_is() {
    for (case, change, is_same) in [
        ("as it was given", (|_| {}) as fn(&mut Name), true),
        ("without qualifiers", |n| (n.name_qualifier, n.sp_name_qualifier) = (None, None), true),
        ("with an empty one", |n| n.name_qualifier = Some(String::new()), true),
        ("on lines of its own", |n| n.value = format!("\n  {}\n", n.value), true),
        ("somebody else's", |n| n.value = "bob-persistent".to_owned(), false),
        ("in capitals", |n| n.value = n.value.to_uppercase(), false),
        ("with a blank", |n| n.value.push(' '), false),
        ("of another format", |n| n.format = Some(FORMAT_EMAIL.to_owned()), false),
        ("of no format", |n| n.format = None, false),
        (
            "of another identity provider's people",
            |n| n.name_qualifier = Some("https://other".to_owned()),
            false,
        ),
        ("for another service", |n| n.sp_name_qualifier = Some("https://other".to_owned()), false),
        (
            "divided elsewhere",
            |n| {
                (n.name_qualifier, n.sp_name_qualifier) =
                    (n.sp_name_qualifier.clone(), n.name_qualifier.clone());
            },
            false,
        ),
    ] {
        let mut name = name();
        change(&mut name);
        assert_eq!(meant(name.clone(), &["_session-1"]) == one(opened(|_| {})), is_same, "{case}");
        assert_eq!(meant(name, &[]) == group(opened(|_| {})), is_same, "{case}, all of them");
    }
}

#[test]
fn one_persons_session_is_not_anothers_of_the_same_name() {
    let of =
        |name: &str| opened(|response| named(response).as_mut().expect("a name").value = name.to_owned());
    assert_eq!(of("alice-persistent"), opened(|_| {}));
    assert_ne!(of("bob-persistent"), opened(|_| {}));
    assert_ne!(group(of("bob-persistent")), group(opened(|_| {})));
}

#[test]
fn a_session_without_an_index_ends_with_all_of_the_persons_and_without_a_name_with_nothing() {
    let session = opened(|response| authentications(response)[0].session_index = None);
    assert_eq!(meant(name(), &[]), group(session.clone()));
    assert_ne!(meant(name(), &["_session-1"]), one(session));
    assert_eq!(opened(|response| *named(response) = None), None, "no request can name it");
}

#[test]
fn whatever_names_people_here_it_is_the_name_id_that_names_sessions() {
    let transient = |name: &mut Name| {
        (name.value, name.format) = ("_transient".to_owned(), Some(FORMAT_TRANSIENT.to_owned()));
    };
    let session = opened(|response| transient(named(response).as_mut().expect("a name")));
    let mut name = name();
    transient(&mut name);
    assert_eq!(meant(name, &["_session-1"]), one(session));
}

#[test]
fn a_long_index_is_kept_by_its_hash() {
    let long = "s".repeat(65);
    for index in ["s".repeat(64), long.clone(), "s".repeat(4000)] {
        let session = opened(|response| authentications(response)[0].session_index = Some(index.clone()));
        assert_eq!(one(session.clone()), meant(name(), &[&index]));
        let Some(UpstreamSession::OfGroup { group, session }) = session else { panic!("a session") };
        assert!(group.len() == 43 && session.len() <= 64, "{group} {session}");
    }
    assert_ne!(meant(name(), &[&long]), meant(name(), &[&format!("{long}s")]));
}
