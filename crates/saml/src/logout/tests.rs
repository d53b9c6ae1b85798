//! Requests that count, and for every check one that fails it and nothing else.

mod answers;
mod attacks;
mod departures;
mod encrypted;
mod names;

use usher_core::{
    Callback,
    provider::{BrowserLogout, BrowserStep, EndedSession, Method},
};
use usher_lab::scripted::saml::{
    Detached, Digest, EcdsaForm, LogoutRequest as Asked, Named, SamlIdp, SamlKey, Signing, instant,
    percent_encoded,
};

use super::{
    received::{Binding, Received},
    *,
};
use crate::{
    hardening::harden,
    testing::{ACS, IDP, NOW, SECONDS, SKEW, SLO, SP, known, service},
};

/// Alice's first session is to end.
fn asked() -> Asked {
    IDP.log_out(SP, SLO, "alice-persistent", &["_session-1"], SECONDS)
}

fn by_query(query: &str) -> Callback {
    Callback::new(Method::Get, "slo", query, "")
}

fn by_form(xml: &str, relay_state: Option<&str>) -> Callback {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("SAMLRequest", &data_encoding::BASE64.encode(xml.as_bytes()));
    form.extend_pairs(relay_state.map(|state| ("RelayState", state)));
    Callback::new(Method::Post, "slo", "", &form.finish())
}

/// Signed by the identity provider, by one binding and by the other.
fn honestly(asked: &Asked) -> [(&'static str, Callback); 2] {
    let key = &IDP.keys[0];
    let plain = asked.xml(None).expect("a request");
    let query = Detached::with(key).query("SAMLRequest", &plain, Some("state")).expect("a query");
    let signed = asked.xml(Some(&Signing::with(key))).expect("a request");
    [("redirect", by_query(&query)), ("post", by_form(&signed, Some("state")))]
}

fn read_by(callback: &Callback, idp: &SamlIdp) -> Result<(Received, LogoutRequest), LogoutFault> {
    harden().expect("xmlsec can be used");
    let idp = known(idp);
    let received = receive(callback, sending::REQUEST, Root::LogoutRequest, &idp.keys)?;
    let request = LogoutRequest::read(
        &received,
        &Expected { now: NOW, skew: SKEW, slo: SLO, idp: &idp },
        service().opener(),
    )?;
    Ok((received, request))
}

fn read(callback: &Callback) -> Result<(Received, LogoutRequest), LogoutFault> {
    read_by(callback, &IDP)
}

/// Why it does not count.
fn refusal<T>(read: Result<T, LogoutFault>) -> String {
    read.map_or_else(|fault| format!("{fault:?}"), |_| "it counts".to_owned())
}

#[test]
fn every_honest_way_to_sign_and_send_counts() {
    let of = |keys: Vec<SamlKey>| SamlIdp { keys, ..IDP.clone() };
    let (p256, p384) = (SamlKey::p256().expect("a key"), SamlKey::p384().expect("a key"));
    let rollover =
        of(vec![p256.clone(), SamlKey::rsa(2048).expect("a key"), p384.clone(), IDP.keys[0].clone()]);
    let xml = asked().xml(None).expect("a request");
    for (name, key) in [("RSA", &IDP.keys[0]), ("P-256", &p256), ("P-384", &p384)] {
        for digest in [Digest::Sha256, Digest::Sha384, Digest::Sha512] {
            for form in [EcdsaForm::Der, EcdsaForm::Halves] {
                for encode in [
                    (|text| percent_encoded(text, false)) as fn(&str) -> String,
                    |text| percent_encoded(text, true),
                    |text| text.replace('+', "%2B").replace('#', "%23"),
                ] {
                    let signing = Detached { digest, form, encode, ..Detached::with(key) };
                    let query = signing.query("SAMLRequest", &xml, Some("/a b")).expect("a query");
                    let read = read_by(&by_query(&query), &rollover);
                    let case = format!("{name} {digest:?} {form:?}: {query}");
                    assert_eq!(refusal(read), "it counts", "{case}");
                }
            }
            let signed = asked().xml(Some(&Signing { digest, ..Signing::with(key) })).expect("a request");
            let read = read_by(&by_form(&signed, None), &rollover);
            assert_eq!(refusal(read), "it counts", "{name} {digest:?}");
        }
    }
}

#[test]
fn parameters_may_travel_in_any_order_and_beside_others() {
    let xml = asked().xml(None).expect("a request");
    let key = &IDP.keys[0];
    let sent = vec!["Signature", "SigAlg", "RelayState", "SAML"];
    let turned = Detached { sent, ..Detached::with(key) };
    let turned = turned.query("SAMLRequest", &xml, Some("state")).expect("a query");
    let plain = Detached::with(key).query("SAMLRequest", &xml, None).expect("a query");
    let deflate = percent_encoded("urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE", false);
    for (name, query, relay_state) in [
        ("turned round", turned.clone(), Some("state")),
        ("with one of its own", format!("lang=en&{turned}&x"), Some("state")),
        ("the encoding named", format!("{plain}&SAMLEncoding={deflate}"), None),
        ("no state", plain, None),
    ] {
        let (received, _) = read(&by_query(&query)).unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
        assert_eq!(
            (received.binding, received.relay_state.as_deref()),
            (Binding::Redirect, relay_state),
            "{name}"
        );
    }
}

#[test]
fn a_relay_state_goes_back_as_it_came_if_it_is_not_too_long() {
    let xml = asked().xml(None).expect("a request");
    let signed = asked().xml(Some(&Signing::with(&IDP.keys[0]))).expect("a request");
    for (name, state, is_good) in [
        ("empty", String::new(), true),
        ("odd characters", "a b+c&d=%41\"<é>\n".to_owned(), true),
        ("80 bytes", "é".repeat(40), true),
        ("an address", "é".repeat(512), true),
        ("longer", format!("{}x", "é".repeat(512)), false),
    ] {
        let query = Detached::with(&IDP.keys[0]).query("SAMLRequest", &xml, Some(&state)).expect("a query");
        for callback in [by_query(&query), by_form(&signed, Some(&state))] {
            match read(&callback) {
                Ok((read, _)) => {
                    assert_eq!((read.relay_state.as_deref(), is_good), (Some(&*state), true), "{name}");
                }
                Err(LogoutFault::RelayState) => assert!(!is_good, "{name}"),
                Err(fault) => panic!("{name}: {fault:?}"),
            }
        }
    }
    let bytes = Detached {
        encode: |text| text.replace('+', "%2B").replace("state", "%FF"),
        ..Detached::with(&IDP.keys[0])
    };
    let query = bytes.query("SAMLRequest", &xml, Some("state")).expect("a query");
    assert_eq!(refusal(read(&by_query(&query))), "RelayState", "no text would give it back");
}

type Change = fn(&mut Asked);

const ROWS: &[(&str, Change, Doubt)] = &[
    ("SAML 1.1", |r| r.version = "1.1".to_owned(), Doubt::Version),
    ("SAML 2.1", |r| r.version = "2.1".to_owned(), Doubt::Version),
    ("of six minutes ago", |r| r.issue_instant = instant(SECONDS - 360), Doubt::Old),
    ("of the future", |r| r.issue_instant = instant(SECONDS + 61), Doubt::Future),
    ("expired", |r| r.not_on_or_after = Some(instant(SECONDS - 60)), Doubt::Expired),
    (
        "for another service",
        |r| r.destination = Some("https://other.example/slo".to_owned()),
        Doubt::Destination,
    ),
    ("for our other door", |r| r.destination = Some(ACS.to_owned()), Doubt::Destination),
    ("with a slash more", |r| r.destination = Some(format!("{SLO}/")), Doubt::Destination),
    ("for nobody in particular", |r| r.destination = None, Doubt::Destination),
    (
        "of another identity provider",
        |r| r.issuer.as_mut().expect("an issuer").value = "https://other.example/idp".to_owned(),
        Doubt::Issuer,
    ),
    (
        "of something that is no entity",
        |r| r.issuer.as_mut().expect("an issuer").format = Some(crate::names::FORMAT_EMAIL.to_owned()),
        Doubt::Issuer,
    ),
    ("of nobody", |r| r.issuer = None, Doubt::Issuer),
    ("about nobody", |r| r.name = Named::Other(String::new()), Doubt::Nameless),
    (
        "about a BaseID",
        |r| {
            let namespace = crate::names::SAML;
            r.name = Named::Other(format!("<saml:BaseID xmlns:saml=\"{namespace}\"></saml:BaseID>"));
        },
        Doubt::Nameless,
    ),
    (
        "about 33 sessions",
        |r| r.sessions = (0..33).map(|number| number.to_string()).collect(),
        Doubt::Sessions,
    ),
];

#[test]
fn what_fails_one_check_is_refused_by_that_check() {
    for (name, change, expected) in ROWS {
        let mut request = asked();
        change(&mut request);
        for (binding, callback) in honestly(&request) {
            let fault = refusal(read(&callback));
            assert_eq!(fault, format!("Unproven({expected:?})"), "{name} by {binding}");
        }
    }
}

#[test]
fn every_doubt_has_a_row() {
    // Exhaustive: a new doubt does not compile before somebody has thought of its row.
    let is_elsewhere = |doubt: Doubt| match doubt {
        Doubt::Unsigned | Doubt::Algorithm | Doubt::Signature | Doubt::SignedTwice | Doubt::Unasked => true,
        Doubt::Version
        | Doubt::Old
        | Doubt::Future
        | Doubt::Destination
        | Doubt::Issuer
        | Doubt::Expired
        | Doubt::Nameless
        | Doubt::Sessions => false,
    };
    let mut rows: Vec<_> = ROWS.iter().map(|(_, _, doubt)| format!("{doubt:?}")).collect();
    assert!(ROWS.iter().all(|(_, _, doubt)| !is_elsewhere(*doubt)));
    rows.dedup();
    assert_eq!(rows.len(), 8, "{rows:?}");
}

#[test]
fn what_is_just_within_the_bounds_counts() {
    for (name, change) in [
        ("as old as it may be", (|r| r.issue_instant = instant(SECONDS - 359)) as Change),
        ("from a clock that is ahead", |r| r.issue_instant = instant(SECONDS + 60)),
        ("about to expire", |r| r.not_on_or_after = Some(instant(SECONDS - 59))),
        ("without an end", |r| r.not_on_or_after = None),
        ("an issuer that says what it is", |r| {
            r.issuer.as_mut().expect("an issuer").format = Some(crate::names::FORMAT_ENTITY.to_owned());
        }),
        ("extensions", |r| r.extensions = Some("<x:y xmlns:x=\"urn:x\"></x:y>".to_owned())),
        ("32 sessions", |r| r.sessions = (0..32).map(|number| number.to_string()).collect()),
    ] {
        let mut request = asked();
        change(&mut request);
        for (binding, callback) in honestly(&request) {
            assert_eq!(refusal(read(&callback)), "it counts", "{name} by {binding}");
        }
    }
}

#[test]
fn what_its_schema_does_not_have_is_refused() {
    for (name, change) in [
        ("something behind", (|r| r.more = "<x:y xmlns:x=\"urn:x\"></x:y>".to_owned()) as Change),
        ("text", |r| r.more = "text".to_owned()),
        ("no instant", |r| r.issue_instant = "now".to_owned()),
        ("an end that is none", |r| r.not_on_or_after = Some("soon".to_owned())),
        ("two names", |r| {
            let Named::Clear(name) = &r.name else { panic!("a name in clear") };
            r.name = Named::Other(name.xml(Some(crate::names::SAML)).repeat(2));
        }),
    ] {
        let mut request = asked();
        change(&mut request);
        for (binding, callback) in honestly(&request) {
            let fault = refusal(read(&callback));
            assert!(fault.starts_with("Schema("), "{name} by {binding}: {fault}");
        }
    }
}

#[test]
fn a_request_counts_once_whatever_it_is_about() {
    let idp = known(&IDP);
    let expected = Expected { now: NOW, skew: SKEW, slo: SLO, idp: &idp };
    let mut request = asked();
    let of = |request: &Asked| {
        let [one, other] =
            honestly(request).map(|(_, callback)| read(&callback).expect("it counts").1.one_time(&expected));
        assert_eq!(one, other, "by whichever binding");
        one
    };
    let first = of(&request);
    let too_old = NOW.plus(crate::response::check::MAX_AGE).plus(2 * SKEW);
    assert_eq!(first.until, too_old, "it is refused by then");
    request.sessions.clear();
    assert_eq!(of(&request), first);
    assert_ne!(of(&asked()).key, first.key);
}
