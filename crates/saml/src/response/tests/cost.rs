//! What a stranger's message costs: refused before it is parsed if it is large, and little if it is as large and as odd as
//! the gate lets pass.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use usher_lab::scripted::saml::Response;

use super::*;
use crate::testing::STRANGER;

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
        (0..30).rev().fold("<x".to_owned(), |tag, number| format!("{tag} a{number:02}=\"\"")) + "/>";
    element.repeat(700)
}

#[test]
fn the_worst_that_passes_the_gate_costs_little() {
    let many_prefixes = |signing: &mut Signing| {
        let prefixes: String = (0..1000).fold(String::new(), |list, number| format!("{list}p{number} "));
        let namespace = Signing::EXCLUSIVE;
        let list = format!("<ec:InclusiveNamespaces xmlns:ec=\"{namespace}\" PrefixList=\"{prefixes}\"/>");
        let bare = Signing::transform(namespace);
        signing.transforms =
            signing.transforms.replacen(&bare, &bare.replacen("></", &format!(">{list}</"), 1), 1);
    };
    for (name, extensions, prefixes) in [
        ("many namespaces", many_namespaces(), false),
        ("many attributes", many_attributes(), false),
        ("many elements", "<a/>".repeat(19_000), false),
        ("many references to characters", "&#97;".repeat(35_000), false),
        ("many prefixes", "<a/>".repeat(1000), true),
    ] {
        let mut signing = Signing::with(&STRANGER);
        if prefixes {
            many_prefixes(&mut signing);
        }
        let response = Response { extensions: Some(extensions), ..honest() };
        let protection =
            Protection { response: Some(signing.clone()), assertion: Some(signing), encryption: None };
        let xml = response.xml(&protection).expect("a response");
        assert!(
            gate::pass(&xml, Root::Response).is_ok(),
            "{name}: {:?}",
            gate::pass(&xml, Root::Response).err()
        );
        let began = Instant::now();
        let error = read(&xml).expect_err(name);
        let took = began.elapsed();
        assert!(matches!(error, ResponseError::Unproven(Unproven::Signature)), "{name}: {error:?}");
        assert!(took < BOUND, "{name}: {took:?}");
        eprintln!("{name}: {} bytes, {took:?}", xml.len());
    }
}
