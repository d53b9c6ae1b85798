//! How much memory a stranger's message takes, seen from outside: this program has one test, so that the peak is its own.

use std::{fs, sync::Arc, time::Duration};

use serde_json::json;
use url::{Url, form_urlencoded};
use usher_core::{
    Backend as _, Callback, Ctx, Demand, Descriptor, Freshness, Handle, ProviderId, SsoProvider, Timestamp,
    provider::{Hints, Method},
    testing::SeededEntropy,
};
use usher_lab::scripted::saml::SamlIdp;

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
    Ok(usher_saml::backend().build(descriptor, endpoints, json!({ "metadata_file": metadata })).await?)
}

#[tokio::test]
async fn ten_megabytes_of_anything_take_no_more_memory_than_they_are() -> anyhow::Result<()> {
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
    for (name, xml) in [
        ("blanks", around(" ".repeat(10_000_000))),
        ("elements", around("<a/>".repeat(2_500_000))),
        ("levels", around(format!("{}{}", "<a>".repeat(1_400_000), "</a>".repeat(1_400_000)))),
        ("attributes", around(format!("<a {}/>", "b=\"\" ".repeat(1_600_000)))),
        ("no XML", "a".repeat(10_000_000)),
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
        assert_eq!(answer.err().map(|error| error.kind()), Some("malformed"), "{name}");
        let more = peak() - before;
        assert!(more < BOUND_KIB, "{name}: {more} KiB more");
    }
    Ok(())
}
