//! How a real SAML identity provider can protect what it says: every combination of signatures and encryption, against every
//! demand for signatures that an operator can make, and every algorithm that it signs with.

use anyhow::{Context as _, ensure};
use data_encoding::BASE64;
use reqwest::StatusCode;
use serde_json::{Value, json};
use usher_lab::browser::{Form, Page};

use crate::{
    components::{run, simplesamlphp},
    config::APP,
    database::Kind,
    person::{Landed, Person},
    saml::{Way, lay_over, metadata_of, signing, world},
    world::{World, unique},
};

/// What an operator can demand.
const DEMANDS: [&str; 4] = ["either", "response", "assertion", "both"];
const UNSIGNED: &str = "nothing in it is signed that has to be";
/// It knows AES-CBC alone, which somebody on the way could have changed where the response is not signed.
const UNPROTECTED: &str = "by AES-CBC or RSA 1.5 in a response that is not signed";

/// From the portal's provider of that id to the identity provider's answer, which is about to be posted.
async fn answer_for(person: &Person, provider: &str) -> anyhow::Result<Form> {
    let url = person.login_url("v3", APP).replace("/redirect/corp?", &format!("/redirect/{provider}?"));
    let page = person.carry_request(person.browser().open(&url).await?).await?;
    let form = page.form_with("password")?.fill("username", "alice").fill("password", "open sesame");
    form.submit(person.browser()).await?.form_with("SAMLResponse")
}

/// The text of an answer.
fn text_of(answer: &Form) -> anyhow::Result<String> {
    let encoded = answer.value("SAMLResponse").context("an answer")?;
    Ok(String::from_utf8(BASE64.decode(encoded.as_bytes())?)?)
}

/// Nobody is signed in: the person is told so in plain words, and what was logged since says why.
fn is_refused(world: &World, page: Page, logged_before: usize, why: &str, case: &str) -> anyhow::Result<()> {
    let (status, text) = Landed::from(page).page();
    let log = world.usher.log()?.split_off(logged_before);
    assert_eq!(status, StatusCode::FORBIDDEN, "{case}: {text} {log}");
    ensure!(text.contains("The sign-in could not be verified"), "{case}: {text}");
    ensure!(log.contains(why) && !text.contains(why), "{case}: {text} {log}");
    Ok(())
}

/// An Usher that is a service of the identity provider once for each of [`DEMANDS`], and by which names it is registered.
async fn demanding_world() -> anyhow::Result<(World, Vec<(&'static str, String)>)> {
    let way = Way { name: "demanding", service: json!({}), section: json!({}) };
    let world = world(Kind::Sqlite, &way, |portal| {
        let corp = portal.provider.clone().unwrap_or_default();
        portal.more_providers.extend(DEMANDS.map(|demand| {
            let mut provider = corp.clone();
            lay_over(&mut provider, &json!({ "id": demand, "name": demand }));
            lay_over(&mut provider["saml"], &json!({ "signed": demand }));
            provider
        }));
    })
    .await?;
    let names = DEMANDS.map(|demand| (demand, unique("usher-"))).into();
    Ok((world, names))
}

/// Why an answer that is protected like this is refused; `None`: it is taken.
fn refusal(demand: &str, response: bool, assertion: bool, encryption: bool) -> Option<&'static str> {
    if encryption && !response {
        return Some(UNPROTECTED);
    }
    let is_enough = match demand {
        "response" => response,
        "assertion" => assertion,
        "both" => response && assertion,
        _ => response || assertion,
    };
    (!is_enough).then_some(UNSIGNED)
}

#[test]
fn every_combination_of_signatures_and_encryption_counts_for_what_it_is() -> anyhow::Result<()> {
    run(async {
        let provider = simplesamlphp().await?;
        let (world, services) = demanding_world().await?;
        let (mut accepted, mut refused) = (0, 0);
        for combination in 0..8 {
            let [response, assertion, encryption] = [1, 2, 4].map(|bit| combination & bit != 0);
            let options = signing(response, assertion, encryption);
            for (demand, name) in &services {
                let case = format!("{demand}: {options}");
                provider.register(name, &metadata_of(&world, demand).await?, &options)?;
                let alice = world.person("alice");
                let answer = answer_for(&alice, demand).await.with_context(|| case.clone())?;
                ensure!(text_of(&answer)?.contains("EncryptedAssertion") == encryption, "{case}");
                let before = world.usher.log()?.len();
                let page = answer.submit(alice.browser()).await?;
                if let Some(why) = refusal(demand, response, assertion, encryption) {
                    is_refused(&world, page, before, why, &case)?;
                    refused += 1;
                } else {
                    let token = Landed::from(page).login_token().with_context(|| case.clone())?;
                    let session = world.client.redeem(&token).await?.expect_ok()?;
                    // Somebody else at each provider of the portal's: one of them alone has the whole name.
                    ensure!(session.field("user_id")?.starts_with("@alice."), "{case}: {session:?}");
                    accepted += 1;
                }
            }
        }
        assert_eq!((accepted, refused), (14, 18));
        Ok(())
    })
}

/// Signed like this with that algorithm, and with the digest that belongs to it.
fn by(algorithm: &str, protection: Value) -> Way {
    let mut service = protection;
    lay_over(&mut service, &json!({ "signature.algorithm": algorithm }));
    Way { name: "by an algorithm", service, section: json!({}) }
}

#[test]
fn signatures_count_with_every_digest_but_sha_1() -> anyhow::Result<()> {
    const MORE: &str = "http://www.w3.org/2001/04/xmldsig-more#";
    const XMLENC: &str = "http://www.w3.org/2001/04/xmlenc#";
    const XMLDSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
    run(async {
        for (signature, digest, is_taken) in [
            (format!("{MORE}rsa-sha256"), format!("{XMLENC}sha256"), true),
            (format!("{MORE}rsa-sha384"), format!("{MORE}sha384"), true),
            (format!("{MORE}rsa-sha512"), format!("{XMLENC}sha512"), true),
            (format!("{XMLDSIG}rsa-sha1"), format!("{XMLDSIG}sha1"), false),
        ] {
            for protection in
                [signing(true, false, false), signing(false, true, false), signing(true, true, true)]
            {
                let case = format!("{signature} {protection}");
                let world = world(Kind::Sqlite, &by(&signature, protection), |_| {}).await?;
                let alice = world.person("alice");
                let answer = answer_for(&alice, "corp").await.with_context(|| case.clone())?;
                let text = text_of(&answer)?;
                ensure!(text.contains(&signature) && text.contains(&digest), "{case}: {text}");
                let before = world.usher.log()?.len();
                let page = answer.submit(alice.browser()).await?;
                if is_taken {
                    let token = Landed::from(page).login_token().with_context(|| case.clone())?;
                    let session = world.client.redeem(&token).await?.expect_ok()?;
                    assert_eq!(session.field("user_id")?, world.eng("alice"), "{case}");
                } else {
                    is_refused(&world, page, before, "its signature algorithm is not accepted", &case)?;
                }
            }
        }
        Ok(())
    })
}
