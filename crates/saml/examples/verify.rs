//! What a typical response costs, from what the browser posted to a person, beside what samael takes for its signature alone
//! (RSA, digest and canonicalization), on one thread; and what it costs with the way to another thread and back, as the
//! server has it: one JSON object with processor time in microseconds, for `cargo xtask bench saml`.
//!
//! `cargo run --release --package usher-saml --features fuzzing --example verify`

use std::{fs, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use rustix::time::{ClockId, clock_gettime};
use samael::crypto::{CertificateDer, Crypto, CryptoProvider as _};
use serde_json::json;
use url::Url;
use usher_core::{
    Backend as _, Callback, Ctx, Demand, Descriptor, Freshness, Handle, Outcome, ProviderId, SsoProvider,
    Timestamp,
    provider::{BrowserStep, Hints, Method, ProviderState},
    testing::SeededEntropy,
};
use usher_lab::scripted::saml::{Asked, Attribute, Protection, SamlIdp, SamlKey, Signing};
use usher_saml::fuzzing;

const SECONDS: u64 = 1_767_225_600;
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);
const ROUNDS: usize = 15;
const TIMES: usize = 100;

/// As a university releases them.
const ATTRIBUTES: [(&str, &[&str]); 10] = [
    ("urn:oid:0.9.2342.19200300.100.1.1", &["alice"]),
    ("urn:oid:0.9.2342.19200300.100.1.3", &["alice.liddell@ac.cdl"]),
    ("urn:oid:2.5.4.42", &["Alice"]),
    ("urn:oid:2.5.4.4", &["Liddell"]),
    ("urn:oid:2.16.840.1.113730.3.1.241", &["Alice Liddell"]),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", &["alice@ac.cdl"]),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.1", &["member", "staff", "employee"]),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.9", &["member@ac.cdl", "staff@ac.cdl", "employee@ac.cdl"]),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.7", &["urn:mace:dir:entitlement:common-lib-terms"]),
    ("urn:oid:1.3.6.1.4.1.5923.1.5.1.1", &["engineering-staff", "chess-players", "library"]),
];

/// One attempt and its answer.
struct Answered {
    provider: Arc<dyn SsoProvider>,
    demand: Demand,
    state: ProviderState,
    callback: Callback,
    entropy: SeededEntropy,
    asked: Asked,
    response: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let idp = SamlIdp::new("https://idp.ac.cdl/idp")?;
    let answered = answered(&idp).await?;
    let service = service(&idp)?;
    let encoded = data_encoding::BASE64.encode(answered.response.as_bytes());
    let certificate = data_encoding::BASE64.decode(idp.keys[0].certificate_base64()?.as_bytes())?;
    let certificate = CertificateDer::from(certificate);
    let (mut whole, mut bare, mut there_and_back) = (Vec::new(), Vec::new(), Vec::new());
    // The first round is for whatever is done once.
    for round in 0..=ROUNDS {
        let began = processor_time();
        for _ in 0..TIMES {
            answered.prove(&service, &encoded)?;
        }
        let proven = processor_time();
        for _ in 0..TIMES {
            Crypto::verify_signed_xml(&answered.response, &certificate, Some("ID"))?;
        }
        let verified = processor_time();
        for _ in 0..TIMES {
            answered.complete().await?;
        }
        if round > 0 {
            whole.push(proven.saturating_sub(began));
            bare.push(verified.saturating_sub(proven));
            there_and_back.push(processor_time().saturating_sub(verified));
        }
    }
    let mut ratios: Vec<f64> =
        whole.iter().zip(&bare).map(|(whole, bare)| whole.as_secs_f64() / bare.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    let each = |mut rounds: Vec<Duration>| {
        rounds.sort();
        micros(rounds[ROUNDS / 2])
    };
    println!(
        "{}",
        json!({
            "verify_us": each(whole),
            "bare_us": each(bare),
            "complete_us": each(there_and_back),
            "verify_vs_bare": ratios[ROUNDS / 2],
            "bytes": answered.response.len(),
        })
    );
    Ok(())
}

/// Of one of the [`TIMES`].
#[expect(clippy::cast_precision_loss, reason = "a hundred")]
fn micros(all: Duration) -> f64 {
    all.as_secs_f64() * 1e6 / TIMES as f64
}

/// The same service without a server's threads.
fn service(idp: &SamlIdp) -> anyhow::Result<fuzzing::Service> {
    fuzzing::harden();
    let own = SamlKey::rsa(2048)?;
    fuzzing::Service::new(&idp.metadata()?, &own.private_pem()?, &own.certificate_pem()?)
        .context("metadata and key can be used")
}

/// A provider in the middle of an attempt, and what its identity provider answers.
async fn answered(idp: &SamlIdp) -> anyhow::Result<Answered> {
    let directory = tempfile::tempdir()?;
    let metadata = directory.path().join("idp.xml");
    fs::write(&metadata, idp.metadata()?)?;
    let descriptor =
        Descriptor { id: ProviderId::parse("corp")?, name: "Corp".to_owned(), icon: None, brand: None };
    let endpoints = Url::parse("https://matrix.ac.cdl/_usher/saml/corp/")?;
    let config = json!({ "metadata_file": metadata });
    let provider = usher_saml::backend(usher_saml::Reader::new("usher".into(), &[]))
        .build(descriptor, endpoints, config)
        .await?;
    let entropy = SeededEntropy::new(1);
    let handle = Handle::generate(&entropy);
    let demand = Demand { handle, freshness: Freshness::AnySession, issuer: None, hints: Hints::default() };
    let ctx = Ctx { now: NOW, skew: Duration::from_mins(1), entropy: &entropy };
    let challenge = provider.begin(&ctx, &demand).await?;
    let BrowserStep::Redirect(place) = &challenge.step else { bail!("requests go by redirect") };
    let asked = Asked::from_redirect(place)?;
    let attributes = ATTRIBUTES.map(|(name, values)| Attribute::new(name, values));
    let protection = Protection { response: Some(Signing::with(&idp.keys[0])), ..Protection::default() };
    let response = idp.answer(&asked, "alice-persistent", &attributes, SECONDS).xml(&protection)?;
    let callback = Callback::new(Method::Post, "acs", "", &asked.form(&response));
    Ok(Answered { provider, demand, state: challenge.state, callback, entropy, asked, response })
}

impl Answered {
    /// Has the answer count, here.
    fn prove(&self, service: &fuzzing::Service, encoded: &str) -> anyhow::Result<()> {
        let Asked { acs, sp, id, .. } = &self.asked;
        let now = i64::try_from(SECONDS)?;
        let asked = fuzzing::Asked { now, acs, entity_id: sp, request_id: id };
        match service.prove(encoded, &asked) {
            Ok(person) if person.subject == "alice-persistent" => Ok(()),
            other => bail!("it is not Alice: {other:?}"),
        }
    }

    /// The same as the server does it.
    async fn complete(&self) -> anyhow::Result<()> {
        let Self { provider, demand, state, callback, entropy, .. } = self;
        let ctx = Ctx { now: NOW, skew: Duration::from_mins(1), entropy };
        match provider.complete(&ctx, demand, state.clone(), callback).await? {
            Outcome::Done(proof) if proof.identity.subject.as_str() == "alice-persistent" => Ok(()),
            _ => bail!("it is not Alice"),
        }
    }
}

/// Of all threads.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}
