//! What known attacks have the process do: nothing that is seen from outside. This program has one test, so that its peak of memory,
//! its descriptors and its children are its own.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{WaitOptions, wait},
};
use serde_json::json;
use tempfile::TempDir;
use url::Url;
use usher_core::{
    Backend as _, Callback, Ctx, Demand, Descriptor, Freshness, Handle, ProviderId, SsoProvider, Timestamp,
    provider::{BrowserStep, Hints, Method},
    testing::SeededEntropy,
};
use usher_lab::scripted::saml::{
    Asked, Encryption, Protection, SamlIdp, SamlKey, Seal, Signing, Transport, encrypt, wrapping::Pieces,
};

const SECONDS: u64 = 1_767_225_600;
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);
/// Longer than any refusal takes, also in a debug build on a machine with other work.
const AT_ONCE: Duration = Duration::from_secs(5);
/// Beside the message itself, which the server has bounded and read.
const BOUND_KIB: u64 = 40 * 1024;

fn provider(directory: &TempDir, idp: &SamlIdp, ours: &SamlKey) -> anyhow::Result<serde_json::Value> {
    let path = |name: &str| directory.path().join(name);
    fs::write(path("idp.xml"), idp.metadata()?)?;
    fs::write(path("key"), ours.private_pem()?)?;
    fs::write(path("certificate"), ours.certificate_pem()?)?;
    Ok(json!({
        "metadata_file": path("idp.xml"),
        "keys": [{ "key_file": path("key"), "certificate_file": path("certificate") }],
        "allow_rsa_1_5": true,
    }))
}

/// Every message, and what it tries.
fn attacks(idp: &SamlIdp, ours: &SamlKey, asked: &Asked) -> anyhow::Result<Vec<(String, String)>> {
    let honest = idp.answer(asked, "alice-persistent", &[], SECONDS);
    let (good, stranger) = (Signing::with(&idp.keys[0]), Signing::with(&SamlKey::rsa(2048)?));
    let pieces = Pieces::new(&honest, &good, "victim-persistent")?;
    let to_us = |seal, transport| Encryption { to: ours.clone(), seal, transport, is_beside: false };
    let how = to_us(Seal::Gcm(128), Transport::OaepMgf1p);
    let mut all: Vec<(String, String)> = Vec::new();
    for messages in
        [pieces.around_assertion()?, pieces.around_response(&good)?, pieces.in_encryption(&how, &stranger)?]
    {
        all.extend(messages.into_iter().map(|(name, xml)| (name.to_owned(), xml)));
    }
    let signed = honest.xml(&Protection { response: Some(good.clone()), ..Protection::default() })?;
    let twisted = |from: &str, to: &str| {
        assert!(signed.contains(from), "{from}");
        signed.replacen(from, to, 1)
    };
    let reference = format!("URI=\"#{}\"", honest.id);
    let transforms =
        "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform>";
    let bomb = "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;\">]>";
    for (name, xml) in [
        ("a reference over http", twisted(&reference, "URI=\"http://127.0.0.1:9/\"")),
        ("a reference to a device", twisted(&reference, "URI=\"file:///dev/zero\"")),
        ("an external entity", format!("<!DOCTYPE r SYSTEM \"http://127.0.0.1:9/\">{signed}")),
        ("entities of entities", format!("{bomb}{signed}")),
        ("UTF-7", format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{signed}")),
        ("UTF-16", format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{signed}")),
        (
            "XSLT",
            twisted(
                transforms,
                "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"></ds:Transform>",
            ),
        ),
        (
            "XPath",
            twisted(
                transforms,
                "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"></ds:Transform>",
            ),
        ),
        ("a thousand transforms", twisted(transforms, &transforms.repeat(1000))),
        ("no signature", honest.xml(&Protection::default())?),
    ] {
        all.push((name.to_owned(), xml));
    }
    for transport in [Transport::OaepMgf1p, Transport::Oaep256, Transport::Rsa15] {
        for seal in [Seal::Gcm(128), Seal::Gcm(256), Seal::Cbc(128)] {
            for plaintext in ["", "alice", "<a>", &"\u{FFFD}".repeat(20_000)] {
                let encrypted = encrypt(plaintext, &to_us(seal, transport))?;
                all.push((format!("{transport:?} {seal:?}"), honest.xml_around(&encrypted, Some(&good))?));
                // Garbage in its place: the last of the data is turned.
                let end = encrypted.rfind("</xenc:CipherValue>").unwrap_or(encrypted.len());
                let garbage =
                    format!("{}{}{}", &encrypted[..end.saturating_sub(8)], "AAAAAAA=", &encrypted[end..]);
                all.push((
                    format!("garbage {transport:?} {seal:?}"),
                    honest.xml_around(&garbage, Some(&good))?,
                ));
            }
        }
    }
    Ok(all)
}

/// Sockets that the process has open.
fn sockets() -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").expect("the kernel tells");
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak is told");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

#[tokio::test]
async fn no_attack_takes_time_or_memory_or_leaves_a_socket_or_a_child() -> anyhow::Result<()> {
    let (idp, ours) = (SamlIdp::new("https://idp.ac.cdl/idp")?, SamlKey::rsa(2048)?);
    let directory = tempfile::tempdir()?;
    let config = provider(&directory, &idp, &ours)?;
    let id = ProviderId::parse("corp")?;
    let descriptor = Descriptor { id, name: "Corp".to_owned(), icon: None, brand: None };
    let endpoints = Url::parse("https://matrix.ac.cdl/_usher/saml/corp/")?;
    let backend = usher_saml::backend(usher_saml::Reader::new("usher".into(), &[]));
    let provider: Arc<dyn SsoProvider> = backend.build(descriptor, endpoints, config).await?;
    let entropy = SeededEntropy::new(1);
    let ctx = Ctx { now: NOW, skew: Duration::from_mins(1), entropy: &entropy };
    let handle = Handle::generate(&entropy);
    let demand = Demand { handle, freshness: Freshness::AnySession, issuer: None, hints: Hints::default() };
    let challenge = provider.begin(&ctx, &demand).await?;
    let BrowserStep::Redirect(place) = &challenge.step else { panic!("requests go by redirect") };
    let asked = Asked::from_redirect(place)?;
    let attacks = attacks(&idp, &ours, &asked)?;
    assert!(attacks.len() > 100, "{}", attacks.len());
    let answer = async |xml: &str| {
        let callback = Callback::new(Method::Post, "acs", "", &asked.form(xml));
        provider.complete(&ctx, &demand, challenge.state.clone(), &callback).await
    };
    // Once, so that what is made once is there.
    let honest = idp.answer(&asked, "alice-persistent", &[], SECONDS);
    let signing = Some(Signing::with(&idp.keys[0]));
    let good = honest.xml(&Protection { response: signing, ..Protection::default() })?;
    assert!(answer(&good).await.is_ok(), "the honest one counts");
    let before = sockets();
    fs::write("/proc/self/clear_refs", "5")?;
    let peak = peak_kib();
    for (name, xml) in &attacks {
        let began = Instant::now();
        let refused = answer(xml).await;
        assert!(refused.is_err(), "{name}: it counts");
        assert!(began.elapsed() < AT_ONCE, "{name}: {:?}", began.elapsed());
        let taken = peak_kib().saturating_sub(peak);
        assert!(taken < BOUND_KIB, "{name}: {taken} KiB");
        assert_eq!(sockets(), before, "{name}: a socket is open");
        assert_eq!(wait(WaitOptions::NOHANG).err(), Some(Errno::CHILD), "{name}: a child is there");
    }
    Ok(())
}
