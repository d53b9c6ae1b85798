//! How much memory a stranger's message takes, seen from outside: this program has one test, so that the peak is its own.

use std::{fs, sync::Arc, time::Duration};

use serde_json::json;
use url::{Url, form_urlencoded};
use usher_core::{
    Backend as _, Callback, Ctx, Demand, Descriptor, Freshness, Handle, ProviderId, SsoProvider, Timestamp,
    provider::{Hints, Method},
    testing::SeededEntropy,
};
use usher_lab::scripted::saml::{Asked, Protection, Response, SamlIdp, SamlKey, Signing};

/// Beside the message itself, which the server has bounded and read.
const BOUND_KIB: u64 = 40 * 1024;

/// The most memory this process has had since it was last asked to forget it, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak is told");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").expect("the kernel forgets");
}

async fn provider() -> anyhow::Result<Arc<dyn SsoProvider>> {
    let directory = tempfile::tempdir()?;
    let metadata = directory.path().join("idp.xml");
    fs::write(&metadata, SamlIdp::new("https://idp.ac.cdl/idp")?.metadata()?)?;
    let id = ProviderId::parse("corp")?;
    let descriptor = Descriptor { id, name: "Corp".to_owned(), icon: None, brand: None };
    let endpoints = Url::parse("https://matrix.ac.cdl/_usher/saml/corp/")?;
    Ok(usher_saml::backend(usher_saml::Reader::new("usher".into(), &[]))
        .build(descriptor, endpoints, json!({ "metadata_file": metadata }))
        .await?)
}

/// With this in its extensions.
fn signed_by_a_stranger(extensions: String) -> anyhow::Result<String> {
    let asked = Asked {
        id: "_request".to_owned(),
        acs: "https://matrix.ac.cdl/_usher/saml/corp/acs".to_owned(),
        sp: "https://matrix.ac.cdl/_usher/saml/corp/metadata".to_owned(),
        is_forced: false,
        xml: String::new(),
        relay_state: String::new(),
    };
    let answer = SamlIdp::new("https://idp.ac.cdl/idp")?.answer(&asked, "alice", &[], 1_767_225_600);
    let signing = Signing::with(&SamlKey::rsa(2048)?);
    let protection = Protection { response: Some(signing), ..Protection::default() };
    Response { extensions: Some(extensions), ..answer }.xml(&protection)
}

#[tokio::test]
async fn no_message_takes_more_memory_than_a_large_one_is() -> anyhow::Result<()> {
    let provider = provider().await?;
    let entropy = SeededEntropy::new(1);
    let ctx =
        Ctx { now: Timestamp::from_secs(1_767_225_600), skew: Duration::from_mins(1), entropy: &entropy };
    let handle = Handle::generate(&entropy);
    let demand = Demand { handle, freshness: Freshness::AnySession, issuer: None, hints: Hints::default() };
    let state = provider.begin(&ctx, &demand).await?.state;
    let around = |inner: String| {
        format!(
            "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" ID=\"_a\">{inner}</samlp:Response>"
        )
    };
    // Let in and canonicalized: the most that there may be of each thing.
    let signed = |inner: String| signed_by_a_stranger(inner).expect("a response");
    let namespace = |length: usize, times: usize| {
        format!("<x xmlns:n=\"{}\">{}</x>", "n".repeat(length), "<n:y/>".repeat(times))
    };
    for (name, xml, expected) in [
        ("blanks", around(" ".repeat(10_000_000)), "malformed"),
        ("elements", around("<a/>".repeat(2_500_000)), "malformed"),
        ("levels", around(format!("{}{}", "<a>".repeat(1_400_000), "</a>".repeat(1_400_000))), "malformed"),
        ("attributes", around(format!("<a {}/>", "b=\"\" ".repeat(1_600_000))), "malformed"),
        ("no XML", "a".repeat(10_000_000), "malformed"),
        ("a namespace as long as half a message", signed(namespace(90_000, 15_000)), "malformed"),
        ("a namespace as long as may be", signed(namespace(256, 15_000)), "unverified"),
        ("elements that pass", signed("<a/>".repeat(19_000)), "unverified"),
        ("attributes that pass", signed("<a b=\"\" />".repeat(9_000)), "unverified"),
        ("namespaces that pass", signed("<a xmlns=\"urn:b\"/>".repeat(2_000)), "unverified"),
    ] {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("SAMLResponse", &data_encoding::BASE64.encode(xml.as_bytes()))
            .append_pair("RelayState", demand.handle.as_str())
            .finish();
        drop(xml);
        let callback = Callback::new(Method::Post, "acs", "", &form);
        drop(form);
        forget_peak();
        let before = peak();
        let answer = provider.complete(&ctx, &demand, state.clone(), &callback).await;
        assert_eq!(answer.err().map(|error| error.kind()), Some(expected), "{name}");
        let more = peak() - before;
        assert!(more < BOUND_KIB, "{name}: {more} KiB more");
    }
    Ok(())
}
