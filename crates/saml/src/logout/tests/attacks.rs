//! What people send who would like others to be logged out.

use std::time::{Duration, Instant};

use data_encoding::BASE64;
use usher_lab::scripted::saml::compressed;

use super::*;
use crate::{
    logout::MAX_MESSAGE,
    names::{DS, SAML, SAMLP},
    testing::STRANGER,
};

/// Nothing of this may take long.
const AT_ONCE: Duration = Duration::from_secs(5);

fn plain() -> String {
    asked().xml(None).expect("a request")
}

fn detached() -> Detached {
    Detached::with(&IDP.keys[0])
}

fn query(signing: &Detached) -> String {
    signing.query("SAMLRequest", &plain(), Some("state")).expect("a query")
}

/// `query` with the value of `name` replaced.
fn with(query: &str, name: &str, value: &str) -> String {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((own, _)) if own == name => format!("{name}={value}"),
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

fn without(query: &str, name: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.starts_with(&format!("{name}=")));
    pairs.collect::<Vec<_>>().join("&")
}

fn value<'a>(query: &'a str, name: &str) -> &'a str {
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    pair.expect("it is there")
}

#[test]
fn a_query_that_the_identity_provider_did_not_sign_as_it_stands_is_refused() {
    let good = query(&detached());
    assert_eq!(refusal(read(&by_query(&good))), "it counts");
    let bobs = IDP.log_out(SP, SLO, "bob-persistent", &["_session-1"], SECONDS).xml(None).expect("a request");
    let of_bob = detached().query("SAMLRequest", &bobs, Some("state")).expect("a query");
    let sha1 = Detached { digest: Digest::Sha1, ..detached() };
    let ecdsa_sha1 = percent_encoded("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1", false);
    let hmac = percent_encoded("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", false);
    let ecdsa = percent_encoded("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", false);
    let sha512 = percent_encoded("http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", false);
    let signing = |signed: &[&'static str]| query(&Detached { signed: signed.to_vec(), ..detached() });
    let answer = detached().query("SAMLResponse", &plain(), Some("state")).expect("a query");
    let upper = value(&good, "Signature").to_owned();
    for (name, query, expected) in [
        ("unsigned", without(&without(&good, "Signature"), "SigAlg"), "Unsigned"),
        ("without the signature", without(&good, "Signature"), "Unsigned"),
        ("without the algorithm", without(&good, "SigAlg"), "Unsigned"),
        ("an empty signature", with(&good, "Signature", ""), "Signature"),
        ("a signature that is no base64", with(&good, "Signature", "%21"), "Signature"),
        ("another key", query(&Detached::with(&STRANGER)), "Signature"),
        ("somebody else's request", with(&good, "SAMLRequest", value(&of_bob, "SAMLRequest")), "Signature"),
        ("another state", with(&good, "RelayState", "other"), "Signature"),
        ("the state taken away", without(&good, "RelayState"), "Signature"),
        ("the state spelled otherwise", with(&good, "RelayState", "%73tate"), "Signature"),
        (
            "a state put in",
            format!("{}&RelayState=x", detached().query("SAMLRequest", &plain(), None).expect("a query")),
            "Signature",
        ),
        ("SHA-1", query(&sha1), "Algorithm"),
        (
            "SHA-1 under another name",
            query(&Detached {
                method: Some("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256".to_owned()),
                ..sha1
            }),
            "Signature",
        ),
        ("ECDSA with SHA-1", with(&good, "SigAlg", &ecdsa_sha1), "Algorithm"),
        ("HMAC", with(&good, "SigAlg", &hmac), "Algorithm"),
        ("no algorithm", with(&good, "SigAlg", ""), "Algorithm"),
        ("another algorithm of the same key", with(&good, "SigAlg", &sha512), "Signature"),
        ("an algorithm of another kind of key", with(&good, "SigAlg", &ecdsa), "Signature"),
        ("signed in another order", signing(&["SigAlg", "RelayState", "SAML"]), "Signature"),
        ("the state signed in front", signing(&["RelayState", "SAML", "SigAlg"]), "Signature"),
        ("the message alone signed", signing(&["SAML"]), "Signature"),
        ("the algorithm not signed", signing(&["SAML", "RelayState"]), "Signature"),
        ("all but the message signed", signing(&["RelayState", "SigAlg"]), "Signature"),
        ("an answer made a request", answer.replacen("SAMLResponse=", "SAMLRequest=", 1), "Signature"),
    ] {
        let refused = refusal(read(&by_query(&query)));
        assert_eq!(refused, format!("Unproven({expected})"), "{name}");
    }
    assert!(upper.contains('%'), "it was encoded: {upper}");
}

#[test]
fn parameters_that_could_be_read_in_two_ways_are_not_read() {
    let good = query(&detached());
    let request = value(&good, "SAMLRequest");
    for (name, query, expected) in [
        (
            "the message twice",
            format!("{good}&SAMLRequest={request}"),
            "Parameter(Repeated(\"SAMLRequest\"))",
        ),
        ("in front", format!("SAMLRequest=x&{good}"), "Parameter(Repeated(\"SAMLRequest\"))"),
        (
            "spelled in two ways",
            format!("{good}&%53AMLRequest={request}"),
            "Parameter(Repeated(\"SAMLRequest\"))",
        ),
        ("the state twice", format!("{good}&RelayState=state"), "Parameter(Repeated(\"RelayState\"))"),
        ("the algorithm twice", format!("{good}&SigAlg=x"), "Parameter(Repeated(\"SigAlg\"))"),
        ("the signature twice", format!("{good}&Signature=x"), "Parameter(Repeated(\"Signature\"))"),
        ("an empty one more", format!("{good}&Signature"), "Parameter(Repeated(\"Signature\"))"),
        ("no message", without(&good, "SAMLRequest"), "Parameter(Missing(\"SAMLRequest\"))"),
        ("its name encoded", good.replacen("SAMLRequest=", "%53AMLRequest=", 1), "OddName"),
        ("the state's name encoded", good.replacen("RelayState=", "Relay%53tate=", 1), "OddName"),
        ("an answer beside it", format!("{good}&SAMLResponse=x"), "Both"),
        ("another encoding", format!("{good}&SAMLEncoding=urn:x"), "Method"),
    ] {
        assert_eq!(refusal(read(&by_query(&query))), expected, "{name}");
    }
}

#[test]
fn what_is_too_much_is_not_unpacked() {
    let bomb = format!("{}{}", plain(), " ".repeat(100 * 1024 * 1024));
    let bomb = BASE64.encode(&compressed(&bomb));
    assert!(bomb.len() < 200_000, "{}", bomb.len());
    let just = format!("{}{}", plain(), " ".repeat(MAX_MESSAGE));
    let just = BASE64.encode(&compressed(&just));
    let ten_megabytes = "A".repeat(10 * 1024 * 1024);
    let stranger = Detached::with(&STRANGER);
    let of =
        |signing: &Detached, message: &str| signing.query_of("SAMLRequest", message, None).expect("a query");
    let rows = [
        ("a bomb", by_query(&of(&stranger, &bomb)), "Unproven(Signature)"),
        ("a bomb of the identity provider's", by_query(&of(&detached(), &bomb)), "Gate(TooComplex)"),
        ("a little too much", by_query(&of(&detached(), &just)), "Gate(TooComplex)"),
        ("ten megabytes", by_query(&of(&stranger, &ten_megabytes)), "Unproven(Signature)"),
        (
            "ten megabytes of state",
            by_query(&with(&query(&detached()), "RelayState", &ten_megabytes)),
            "RelayState",
        ),
        (
            "ten megabytes of signature",
            by_query(&with(&query(&detached()), "Signature", &ten_megabytes)),
            "Unproven(Signature)",
        ),
        ("a form of ten megabytes", by_form(&ten_megabytes, None), "Gate(TooComplex)"),
        (
            "a form of more than a message has",
            by_form(&format!("{}{}", plain(), " ".repeat(MAX_MESSAGE)), None),
            "Gate(TooComplex)",
        ),
        (
            "what is not compressed",
            by_query(&of(&detached(), &BASE64.encode(plain().as_bytes()))),
            "Encoding",
        ),
        ("what is cut", by_query(&of(&detached(), &BASE64.encode(&compressed(&plain())[..100]))), "Encoding"),
        ("what is no base64", by_query(&of(&detached(), "!")), "Encoding"),
        ("nothing", by_query(&of(&detached(), "")), "Encoding"),
        (
            "what is no text",
            by_query(&of(&detached(), &BASE64.encode(&[0x01, 0x01, 0x00, 0xFE, 0xFF, 0xFF]))),
            "Encoding",
        ),
        ("a form that is no base64", Callback::new(Method::Post, "slo", "", "SAMLRequest=%21"), "Encoding"),
    ];
    // What is sent is made for longer than it is refused.
    let began = Instant::now();
    for (name, callback, expected) in rows {
        assert_eq!(refusal(read(&callback)), expected, "{name}");
    }
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

#[test]
fn a_message_with_a_signature_of_its_own_does_not_come_in_a_query() {
    let signed = asked().xml(Some(&Signing::with(&IDP.keys[0]))).expect("a request");
    let query = detached().query("SAMLRequest", &signed, None).expect("a query");
    assert_eq!(refusal(read(&by_query(&query))), "Unproven(SignedTwice)");
    let query = without(&without(&query, "Signature"), "SigAlg");
    assert_eq!(refusal(read(&by_query(&query))), "Unproven(Unsigned)", "the query's own is what counts");
}

#[test]
fn a_form_that_the_identity_provider_did_not_sign_is_refused() {
    let key = Signing::with(&IDP.keys[0]);
    let signed = |signing: Signing| asked().xml(Some(&signing)).expect("a request");
    let good = signed(key.clone());
    assert_eq!(refusal(read(&by_form(&good, None))), "it counts");
    let mut convincing = Signing::with(&STRANGER);
    let genuine = IDP.keys[0].certificate_base64().expect("a certificate");
    convincing.key_info =
        Some(format!("<ds:X509Data><ds:X509Certificate>{genuine}</ds:X509Certificate></ds:X509Data>"));
    let secret = IDP.keys[0].public_pem().expect("a key");
    let hmac = Signing {
        method: Some("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256".to_owned()),
        hmac_secret: Some(secret),
        ..key.clone()
    };
    let query_too = Detached::with(&IDP.keys[0]).query("SAMLRequest", &plain(), None).expect("a query");
    let beside = Callback::new(
        Method::Post,
        "slo",
        &query_too,
        &url::form_urlencoded::Serializer::new(String::new())
            .append_pair("SAMLRequest", &BASE64.encode(plain().as_bytes()))
            .finish(),
    );
    for (name, callback, expected) in [
        ("unsigned", by_form(&plain(), None), "Unproven(Unsigned)"),
        ("another key", by_form(&signed(Signing::with(&STRANGER)), None), "Unproven(Signature)"),
        ("with the right certificate", by_form(&signed(convincing), None), "Unproven(Signature)"),
        (
            "SHA-1",
            by_form(&signed(Signing { digest: Digest::Sha1, ..key.clone() }), None),
            "Gate(Signature(Algorithm))",
        ),
        (
            "a digest of SHA-1",
            by_form(
                &signed(Signing { digest_method: Some(Digest::Sha1.uri().to_owned()), ..key.clone() }),
                None,
            ),
            "Gate(Signature(Digest))",
        ),
        ("HMAC", by_form(&signed(hmac), None), "Gate(Signature(Algorithm))"),
        (
            "a reference elsewhere",
            by_form(&signed(Signing { uri: Some("http://127.0.0.1/".to_owned()), ..key.clone() }), None),
            "Gate(Signature(Reference))",
        ),
        (
            "to the whole document",
            by_form(&signed(Signing { uri: Some(String::new()), ..key.clone() }), None),
            "Gate(Signature(Reference))",
        ),
        ("changed afterwards", by_form(&good.replacen("alice", "bobby", 1), None), "Unproven(Signature)"),
        (
            "a session changed",
            by_form(&good.replacen("_session-1", "_session-2", 1), None),
            "Unproven(Signature)",
        ),
        ("a query's signature beside the form", beside, "Unproven(Unsigned)"),
        ("a response", by_form(&good.replace("LogoutRequest", "LogoutResponse"), None), "Gate(Root)"),
        (
            "an assertion's response",
            by_form(
                &crate::testing::honest().xml(&crate::testing::response_signed()).expect("a response"),
                None,
            ),
            "Gate(Root)",
        ),
    ] {
        assert_eq!(refusal(read(&callback)), expected, "{name}");
    }
}

#[test]
fn a_request_around_a_signed_one_is_refused_however_it_is_wrapped() {
    let signed = asked().xml(Some(&Signing::with(&IDP.keys[0]))).expect("a request");
    let from = signed.find("<ds:Signature").expect("a signature");
    let to = signed.find("</ds:Signature>").expect("its end") + "</ds:Signature>".len();
    let signature = &signed[from..to];
    let bare = format!("{}{}", &signed[..from], &signed[to..]);
    let of_bob = || IDP.log_out(SP, SLO, "bob-persistent", &["_session-1"], SECONDS);
    let forged = of_bob().xml(None).expect("a request");
    let with_id = |id: &str| Asked { id: id.to_owned(), ..of_bob() }.xml(None).expect("a request");
    let same_id =
        with_id(signed.split_once(" ID=\"").and_then(|(_, rest)| rest.split('"').next()).expect("an ID"));
    let put =
        |into: &str, behind: &str, content: &str| into.replacen(behind, &format!("{behind}{content}"), 1);
    let extensions = |content: &str| format!("<samlp:Extensions>{content}</samlp:Extensions>");
    let issuer = "</saml:Issuer>";
    let object = format!(
        "{}<ds:Object>{bare}</ds:Object></ds:Signature>",
        signature.trim_end_matches("</ds:Signature>")
    );
    for (name, xml) in [
        ("the signature moved", put(&forged, issuer, signature)),
        ("the signature moved, the same ID", put(&same_id, issuer, signature)),
        ("the signed one in extensions", put(&forged, issuer, &extensions(&signed))),
        (
            "behind a signature of the forged one",
            put(&forged, issuer, &format!("{signature}{}", extensions(&bare))),
        ),
        ("the signed one in the signature", put(&forged, issuer, &object)),
        ("the forged one in extensions", put(&signed, issuer, &extensions(&forged))),
        (
            "the forged name in front",
            put(
                &signed,
                issuer,
                "<saml:NameID xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">bob-persistent</saml:NameID>",
            ),
        ),
        ("the signed one behind the name", put(&forged, "</saml:NameID>", &signed)),
        (
            "in another namespace's request",
            format!("<x:LogoutRequest xmlns:x=\"urn:x\" ID=\"_x\">{signed}</x:LogoutRequest>"),
        ),
        (
            "both in something",
            format!(
                "<samlp:LogoutRequest xmlns:samlp=\"{SAMLP}\" ID=\"_x\">{forged}{signed}</samlp:LogoutRequest>"
            ),
        ),
        ("two signatures", put(&forged, issuer, &signature.repeat(2))),
        (
            "an empty signature",
            put(&forged, issuer, &format!("<ds:Signature xmlns:ds=\"{DS}\"></ds:Signature>")),
        ),
        ("a comment in the name", signed.replacen("alice-", "<!---->alice-", 1)),
        ("CDATA", signed.replacen("alice-persistent", "<![CDATA[alice-persistent]]>", 1)),
        ("a DOCTYPE", format!("<!DOCTYPE a>{signed}")),
        (
            "an assertion",
            put(
                &signed,
                issuer,
                &extensions(&format!("<saml:Assertion xmlns:saml=\"{SAML}\"></saml:Assertion>")),
            ),
        ),
    ] {
        let refused = refusal(read(&by_form(&xml, None)));
        assert!(refused.starts_with("Gate(") || refused == "Unproven(Signature)", "{name}: {refused}");
    }
    assert_eq!(
        refusal(read(&by_form(&put(&bare, issuer, signature), None))),
        "it counts",
        "put together again"
    );
}
