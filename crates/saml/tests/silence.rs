//! What a stranger's message has the C libraries print, which is nothing: this program has one test, so that its standard error
//! is its own.

use std::{fs, io::Read as _, sync::Arc, time::Duration};

use rustix::stdio::dup2_stderr;
use serde_json::json;
use url::Url;
use usher_core::{
    Backend as _, Callback, Ctx, Demand, Descriptor, Freshness, Handle, ProviderId, SsoProvider, Timestamp,
    provider::{BrowserStep, Hints, Method},
    testing::SeededEntropy,
};
use usher_lab::scripted::saml::{Asked, Protection, Response, SamlIdp, Signing};

const SECONDS: u64 = 1_767_225_600;
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

async fn provider(idp: &SamlIdp) -> anyhow::Result<Arc<dyn SsoProvider>> {
    let directory = tempfile::tempdir()?;
    let metadata = directory.path().join("idp.xml");
    fs::write(&metadata, idp.metadata()?)?;
    let id = ProviderId::parse("corp")?;
    let descriptor = Descriptor { id, name: "Corp".to_owned(), icon: None, brand: None };
    let endpoints = Url::parse("https://matrix.ac.cdl/_usher/saml/corp/")?;
    Ok(usher_saml::backend(usher_saml::Reader::new("usher".into(), &[]))
        .build(descriptor, endpoints, json!({ "metadata_file": metadata }))
        .await?)
}

#[tokio::test]
async fn nothing_that_a_stranger_sends_is_told_to_standard_error() -> anyhow::Result<()> {
    let idp = SamlIdp::new("https://idp.ac.cdl/idp")?;
    let provider = provider(&idp).await?;
    let entropy = SeededEntropy::new(1);
    let ctx = Ctx { now: NOW, skew: Duration::from_mins(1), entropy: &entropy };
    let handle = Handle::generate(&entropy);
    let demand = Demand { handle, freshness: Freshness::AnySession, issuer: None, hints: Hints::default() };
    let challenge = provider.begin(&ctx, &demand).await?;
    let BrowserStep::Redirect(place) = &challenge.step else { panic!("requests go by redirect") };
    let asked = Asked::from_redirect(place)?;
    let mut printed = tempfile::tempfile()?;
    dup2_stderr(&printed)?;
    for (name, extensions) in [
        ("a namespace that canonicalization does not have", "<x:y xmlns:x=\"injected\"></x:y>"),
        ("one that is no URI", "<x:y xmlns:x=\"http://[injected\"></x:y>"),
        ("nothing odd", "<x:y xmlns:x=\"urn:x\"></x:y>"),
    ] {
        let mut response = idp.answer(&asked, "alice-persistent", &[], SECONDS);
        response = Response { extensions: Some(extensions.to_owned()), ..response };
        let protection = Protection { response: Some(Signing::with(&idp.keys[0])), ..Protection::default() };
        let xml = response.xml(&protection)?.replacen("Version=\"2.0\"", "Version=\"2.1\"", 1);
        let callback = Callback::new(Method::Post, "acs", "", &asked.form(&xml));
        let answer = provider.complete(&ctx, &demand, challenge.state.clone(), &callback).await;
        assert_eq!(answer.err().map(|error| error.kind()), Some("unverified"), "{name}");
    }
    let mut told = String::new();
    std::io::Seek::rewind(&mut printed)?;
    printed.read_to_string(&mut told)?;
    assert_eq!(told, "");
    Ok(())
}
