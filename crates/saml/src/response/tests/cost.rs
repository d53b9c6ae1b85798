//! What a stranger's message costs: refused before it is parsed if it is large, and little if it is as large and as odd as
//! the gate lets pass.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use usher_lab::scripted::saml::Response;

use super::*;
use crate::{
    gate::{MAX_ATTRIBUTES, MAX_LISTED_PREFIXES, MAX_NAMESPACE_NAME},
    testing::STRANGER,
};

/// A debug build on a busy machine; a release takes some tens of milliseconds.
const BOUND: Duration = Duration::from_secs(3);

#[test]
fn what_is_too_large_is_refused_before_it_is_parsed() {
    let xml = honest().xml(&assertion_signed()).expect("a response");
    let padded = |text: &str| xml.replacen("<samlp:Status>", &format!("{text}<samlp:Status>"), 1);
    for (name, text) in [
        ("10 MB of blanks", padded(&" ".repeat(10_000_000))),
        ("10 MB of elements", padded(&"<a/>".repeat(2_500_000))),
        ("10 MB of levels", padded(&format!("{}{}", "<a>".repeat(1_400_000), "</a>".repeat(1_400_000)))),
        ("10 MB of a name", xml.replacen("alice-persistent", &"a".repeat(10_000_000), 1)),
    ] {
        let began = Instant::now();
        let error = read(&text).expect_err(name);
        assert!(matches!(error, ResponseError::Gate(GateError::TooComplex)), "{name}: {error:?}");
        assert!(began.elapsed() < BOUND, "{name}: {:?}", began.elapsed());
    }
}

#[test]
fn a_compressed_message_is_not_inflated() {
    use std::io::Write as _;
    let mut bomb = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..100 {
        bomb.write_all(" ".repeat(1_000_000).as_bytes()).expect("memory");
    }
    let bomb = data_encoding::BASE64.encode(&bomb.finish().expect("memory"));
    let (idp, policy) = (known(&IDP), policy());
    let error = super::super::read(&bomb, &question(&idp, &policy)).expect_err("responses come by POST");
    assert!(matches!(error, ResponseError::Encoding), "{error:?}");
}

/// As many namespaces as the gate lets pass, each in scope of everything below.
fn many_namespaces() -> String {
    let declare = |level: u32| {
        let start = format!("<x xmlns:n{level}=\"urn:{level}\"");
        (0..20).fold(start, |tag, number| format!("{tag} a{number}=\"\"")) + ">"
    };
    let mut text: String = (0..12).map(declare).collect();
    for number in 0..2000 {
        let _ = write!(text, "<n{}:y xmlns=\"urn:{number}\"/>", number % 12);
    }
    text + &"</x>".repeat(12)
}

/// As many attributes as it lets pass, in an order that sorting does not like.
fn many_attributes() -> String {
    let element =
        (0..MAX_ATTRIBUTES).rev().fold("<x".to_owned(), |tag, number| format!("{tag} a{number:02}=\"\""));
    format!("{element}/>").repeat(650)
}

/// A namespace with a name of `length` that canonicalization writes out as often as a message can have it done: it is used
/// by siblings, and declared where nobody uses it.
fn repeated_namespace(length: usize) -> String {
    format!("<x xmlns:n=\"{}\">{}</x>", "n".repeat(length), "<n:y/>".repeat(15_000))
}

/// Far below 28 namespaces, elements at each of which the listed prefix is looked for.
fn deep_elements() -> String {
    let root = (0..27).fold("<x".to_owned(), |tag, number| format!("{tag} xmlns:n{number}=\"n{number}\""));
    format!("{root} xmlns:a=\"a\">{}{}{}</x>", "<x>".repeat(11), "<x/>".repeat(18_500), "</x>".repeat(11))
}

fn listing(prefixes: &str) -> Signing {
    let mut signing = Signing::with(&STRANGER);
    let namespace = Signing::EXCLUSIVE;
    let list = format!("<ec:InclusiveNamespaces xmlns:ec=\"{namespace}\" PrefixList=\"{prefixes}\"/>");
    let bare = Signing::transform(namespace);
    signing.transforms =
        signing.transforms.replacen(&bare, &bare.replacen("></", &format!(">{list}</"), 1), 1);
    signing
}

/// An answer by a stranger, with this in it.
fn around(extensions: String, signing: Signing) -> String {
    let response = Response { extensions: Some(extensions), ..honest() };
    let protection =
        Protection { response: Some(signing.clone()), assertion: Some(signing), encryption: None };
    response.xml(&protection).expect("a response")
}

#[test]
fn the_worst_that_passes_the_gate_costs_little() {
    let plain = || Signing::with(&STRANGER);
    let longest_list = "a ".repeat(MAX_LISTED_PREFIXES);
    for (name, extensions, signing) in [
        ("many namespaces", many_namespaces(), plain()),
        ("many attributes", many_attributes(), plain()),
        ("many elements", "<a/>".repeat(19_000), plain()),
        ("many references to characters", "&#97;".repeat(35_000), plain()),
        ("a long namespace, often", repeated_namespace(MAX_NAMESPACE_NAME), plain()),
        ("many prefixes, far away", deep_elements(), listing(&longest_list)),
    ] {
        let xml = around(extensions, signing);
        let passed = gate::pass(&xml, Root::Response);
        assert!(passed.is_ok(), "{name}: {:?}", passed.err());
        let began = Instant::now();
        let error = read(&xml).expect_err(name);
        let took = began.elapsed();
        assert!(matches!(error, ResponseError::Unproven(Unproven::Signature)), "{name}: {error:?}");
        assert!(took < BOUND, "{name}: {took:?}");
        eprintln!("{name}: {} bytes, {took:?}", xml.len());
    }
}

/// Messages of less than 192 KB that would have xmlsec write gigabytes, or libxml2 search for minutes.
#[test]
fn what_grows_with_a_product_is_refused_before_it_is_canonicalized() {
    let long = gate::MAX_BYTES - 100_000;
    for (name, extensions, signing) in [
        ("a very long namespace, often", repeated_namespace(long), Signing::with(&STRANGER)),
        ("a very long list of prefixes", deep_elements(), listing(&"a ".repeat(50_000))),
    ] {
        let response = Response { extensions: Some(extensions), ..honest() };
        // What the lab signs with canonicalizes it too.
        let small = honest().xml(&Protection { response: Some(signing), ..Protection::default() });
        let small = small.expect("a response");
        let whole = response.xml(&Protection::default()).expect("a response");
        let start = small.find("<ds:Signature").expect("a signature");
        let end = small.find("</ds:Signature>").expect("it ends") + "</ds:Signature>".len();
        let xml =
            whole.replacen("<samlp:Extensions>", &format!("{}<samlp:Extensions>", &small[start..end]), 1);
        assert!(xml.len() < gate::MAX_BYTES, "{name}: {}", xml.len());
        let began = Instant::now();
        let error = read(&xml).expect_err(name);
        assert!(matches!(error, ResponseError::Gate(_)), "{name}: {error:?}");
        assert!(began.elapsed() < BOUND, "{name}: {:?}", began.elapsed());
    }
}
