//! What comes to the SAML endpoints and is no message: answered with 400 and a page, at the cost of next to nothing, and
//! whoever is signing in meanwhile still can.

use std::{io::Write as _, time::Duration};

use data_encoding::BASE64;
use flate2::{Compression, write::DeflateEncoder};
use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;
use url::form_urlencoded;
use usher_lab::browser::loopback_client;

use crate::{
    components::run,
    config::APP,
    database::Kind,
    footprint::Footprint,
    person::Landed,
    saml::{way, world},
    wire::Wire,
};

const MIB: usize = 1 << 20;
/// What an answer of 10 MB may make Usher take, in kB: less than a third of it.
const GROWTH: u64 = 3 * 1024;

/// As form fields hold them.
fn no_messages() -> Vec<(&'static str, String)> {
    let encoded = |text: &[u8]| BASE64.encode(text);
    vec![
        ("nothing", String::new()),
        ("broken base64", "PHNhbWxwOlJlc3BvbnNl*".to_owned()),
        ("half a group of base64", "PHN".to_owned()),
        ("no XML", encoded(b"Hello")),
        ("no UTF-8", encoded(b"<a>\xff</a>")),
        ("UTF-16", encoded(b"\xff\xfe<\0a\0/\0>\0")),
        ("another document", encoded(b"<html/>")),
        ("a document type", encoded(b"<!DOCTYPE a [<!ENTITY b \"b\">]><a>&b;</a>")),
        ("compressed", encoded(&deflated(b"<samlp:Response/>"))),
        ("ten million bytes that are compressed", encoded(&deflated(&vec![b' '; 10 * MIB]))),
        ("more than a form may have", encoded(&vec![b' '; MIB / 4])),
        ("ten million bytes", encoded(&vec![b' '; 10 * MIB])),
    ]
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

#[test]
fn what_is_no_answer_is_refused_and_costs_nobody_their_sign_in() -> anyhow::Result<()> {
    run(async {
        let world = world(Kind::Sqlite, &way("plain", json!({}), json!({})), |_| {}).await?;
        let alice = world.person("alice");
        // What every sign-in takes is taken.
        world.sign_in("bob").await?.login_token()?;
        let page = alice.begin(APP).await?;
        let form = page.form_with("password")?.fill("username", "alice").fill("password", "open sesame");
        let answer = form.submit(alice.browser()).await?.form_with("SAMLResponse")?;
        Footprint::forget_peak(&world.usher)?;
        let before = Footprint::of(&world.usher)?;
        for (name, message) in no_messages() {
            let page = answer.clone().fill("SAMLResponse", &message).submit(alice.browser()).await?;
            let (status, text) = Landed::from(page).page();
            assert_eq!(status, StatusCode::BAD_REQUEST, "{name}: {text}");
        }
        let grown = Footprint::of(&world.usher)?.peak.saturating_sub(before.peak);
        assert!(grown < GROWTH, "{grown} kB");
        Landed::from(answer.submit(alice.browser()).await?).login_token()?;
        Ok(())
    })
}

#[test]
fn what_is_no_logout_is_refused_on_both_bindings() -> anyhow::Result<()> {
    run(async {
        let world = world(Kind::Sqlite, &way("plain", json!({}), json!({})), |_| {}).await?;
        let alice = world.person("alice");
        alice.sign_in().await?.login_token()?;
        let endpoint = format!("{}_usher/saml/corp/slo", world.config.public_base_url());
        let client = loopback_client(Duration::from_secs(10))?;
        Footprint::forget_peak(&world.usher)?;
        let before = Footprint::of(&world.usher)?;
        for (name, message) in no_messages() {
            for parameter in ["SAMLRequest", "SAMLResponse"] {
                let query =
                    form_urlencoded::Serializer::new(String::new()).append_pair(parameter, &message).finish();
                // Longer ones are for a server of HTTP to refuse, 8 KiB is what most take.
                if query.len() < 8 * 1024 {
                    let page = alice.browser().open(format!("{endpoint}?{query}")).await?;
                    assert_eq!(
                        page.status(),
                        StatusCode::BAD_REQUEST,
                        "{name}, GET {parameter}: {}",
                        page.text()
                    );
                }
                let posted = client.post(&endpoint).form(&[(parameter, &message)]).send().await?;
                assert_eq!(posted.status(), StatusCode::BAD_REQUEST, "{name}, POST {parameter}");
            }
        }
        let grown = Footprint::of(&world.usher)?.peak.saturating_sub(before.peak);
        assert!(grown < GROWTH, "{grown} kB");
        Ok(())
    })
}

/// Requests at once, as many as are verified at once, each as long as a form may be: 64 MB of bytes that have come.
const AT_ONCE: usize = 256;
/// What they may make Usher take, in kB: what has come twice, as it came and decoded, and no multiple of it.
const GROWTH_IN_A_CROWD: u64 = 140 * 1024;

#[test]
fn a_crowd_that_sends_as_much_as_is_read_takes_no_multiple_of_it() -> anyhow::Result<()> {
    run(async {
        let world = world(Kind::Sqlite, &way("plain", json!({}), json!({})), |_| {}).await?;
        world.sign_in("bob").await?.login_token()?;
        let pairs = "a&".repeat(125_000);
        let long = format!("SAMLRequest={}", BASE64.encode(&vec![b' '; 187_000]).replace('+', "%2B"));
        Footprint::forget_peak(&world.usher)?;
        let before = Footprint::of(&world.usher)?;
        let mut crowd = JoinSet::new();
        for (number, place) in ["acs", "slo"].into_iter().cycle().take(AT_ONCE).enumerate() {
            let body = if number % 4 < 2 { pairs.clone() } else { long.clone() };
            let request = format!(
                "POST /_usher/saml/corp/{place} HTTP/1.1\r\nHost: {}\r\nContent-Type: \
                 application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
                world.config.public_base_url().authority(),
                body.len(),
            );
            let address = world.config.listen.clone();
            crowd.spawn(async move {
                let mut wire = Wire::open(&address).await?;
                wire.say(request.as_bytes()).await?;
                Ok::<_, anyhow::Error>((place, wire.answer().await?.status))
            });
        }
        let signs_in = world.sign_in("alice").await?;
        signs_in.login_token()?;
        while let Some(answered) = crowd.join_next().await {
            let (place, status) = answered??;
            // Where too many come at once, some are told to come again.
            assert!(matches!(status, 400 | 429 | 503), "{place}: {status}");
        }
        let grown = Footprint::of(&world.usher)?.peak.saturating_sub(before.peak);
        assert!(grown < GROWTH_IN_A_CROWD, "{grown} kB");
        Ok(())
    })
}
