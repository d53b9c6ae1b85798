//! A federation of real identity providers, its metadata signed by `xmlsec1` as a federation signs it: people say which is theirs, on
//! Usher's page or at a discovery service, and land on their own homeserver.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use usher_lab::{
    browser::Page,
    real::{pysaml2::Setup, simplesamlphp::SimpleSamlPhp},
    scripted::{Reply, ScriptedServer},
    usher::Usher,
};

use crate::{
    at_host::App,
    client::Answer,
    components::{eventually, pysaml2, run, saml_keys, simplesamlphp},
    config::{APP, Portal},
    database::Kind,
    person::Person,
    saml::{lay_over, metadata_of},
    world::{BINARY, World, unique},
};

/// How many others there are: the document is longer than what Usher reads where people wait.
const OTHERS: usize = 400;
pub(crate) const HARBOUR: &str = "Harbour College";
pub(crate) const HILL: &str = "Hill University";

/// Metadata on disk, and the certificate of who signed it.
pub(crate) struct Metadata {
    directory: PathBuf,
}

impl Metadata {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?.keep();
        run_in(
            &directory,
            "openssl",
            &[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "30",
                "-subj",
                "/CN=federation",
                "-keyout",
                "key",
                "-out",
                "certificate",
            ],
        )?;
        Ok(Self { directory })
    }

    pub(crate) fn section(&self) -> Value {
        json!({
            "metadata_file": self.directory.join("federation.xml"),
            "metadata_certificate_file": self.directory.join("certificate"),
            "federation": {},
        })
    }

    /// Has the federation be of `members`, and of many others.
    fn publish(&self, members: &[String]) -> anyhow::Result<()> {
        let certificate = fs::read_to_string(self.directory.join("certificate"))?;
        let certificate: String = certificate.lines().filter(|line| !line.contains("CERTIFICATE")).collect();
        let others: String = (0..OTHERS).map(|number| other(number, &certificate)).collect();
        let template = format!(
            "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" ID=\"_federation\" \
             Name=\"https://federation.cdl\" validUntil=\"2099-01-01T00:00:00Z\">\
             <ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:SignedInfo>\
             <ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>\
             <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"/>\
             <ds:Reference URI=\"#_federation\"><ds:Transforms>\
             <ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>\
             <ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/></ds:Transforms>\
             <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue/></ds:Reference>\
             </ds:SignedInfo><ds:SignatureValue/></ds:Signature>{}{others}</md:EntitiesDescriptor>",
            members.concat()
        );
        fs::write(self.directory.join("template.xml"), template)?;
        run_in(
            &self.directory,
            "xmlsec1",
            &[
                "--sign",
                "--privkey-pem",
                "key",
                "--id-attr:ID",
                "urn:oasis:names:tc:SAML:2.0:metadata:EntitiesDescriptor",
                "--output",
                "signed.xml",
                "template.xml",
            ],
        )?;
        ensure!(
            fs::metadata(self.directory.join("signed.xml"))?.len() > 1 << 20,
            "the document should be a long one"
        );
        fs::rename(self.directory.join("signed.xml"), self.directory.join("federation.xml"))?;
        Ok(())
    }
}

fn run_in(directory: &PathBuf, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let done = Command::new(program).args(arguments).current_dir(directory).output();
    let done = done.with_context(|| format!("{program} cannot be run"))?;
    ensure!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// An entity as the federation publishes it: without its declaration, with a name for people, and what else it shows them.
fn member(metadata: &str, name: &str, shown: &str) -> anyhow::Result<String> {
    let entity = metadata.split_once("?>").map_or(metadata, |(_, entity)| entity).trim();
    // Its own signature, which the federation's takes the place of.
    let unsigned = match (entity.find("<ds:Signature"), entity.find("</ds:Signature>")) {
        (Some(start), Some(end)) => {
            format!("{}{}", &entity[..start], &entity[end + "</ds:Signature>".len()..])
        }
        _ => entity.to_owned(),
    };
    let entity = unsigned.as_str();
    let role = entity.find("IDPSSODescriptor").context("an identity provider")?;
    let end = role + entity[role..].find('>').context("the end of its tag")? + 1;
    let info = format!(
        "<md:Extensions xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\">\
         <mdui:UIInfo xmlns:mdui=\"urn:oasis:names:tc:SAML:metadata:ui\">\
         <mdui:DisplayName xml:lang=\"en\">{name}</mdui:DisplayName>\
         <mdui:DisplayName xml:lang=\"fr\">{name} (français)</mdui:DisplayName>{shown}</mdui:UIInfo></md:Extensions>"
    );
    Ok(format!("{}{info}{}\n", &entity[..end], &entity[end..]))
}

/// Somebody's who is nobody's here.
fn other(number: usize, certificate: &str) -> String {
    let name = format!("Academy {number} of the Plains, Faculty of Arts, Letters, Sciences and All the Rest");
    let description = "Where the wind blows over the grass as far as anybody can see. ".repeat(20);
    format!(
        "<md:EntityDescriptor entityID=\"https://plain{number}.example/idp\">\
         <md:IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">\
         <md:Extensions><mdui:UIInfo xmlns:mdui=\"urn:oasis:names:tc:SAML:metadata:ui\">\
         <mdui:DisplayName xml:lang=\"en\">{name}</mdui:DisplayName>\
         <mdui:Description xml:lang=\"en\">{description}</mdui:Description></mdui:UIInfo></md:Extensions>\
         <md:KeyDescriptor use=\"signing\"><ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data>\
         <ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>\
         <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" \
         Location=\"https://plain{number}.example/sso\"/></md:IDPSSODescriptor></md:EntityDescriptor>\n"
    )
}

/// Usher, in a federation with SimpleSAMLphp (the harbour) and pysaml2 (the hill).
pub(crate) struct Scene {
    pub(crate) world: World,
    metadata: Metadata,
    members: [String; 2],
}

impl Scene {
    pub(crate) async fn start(
        kind: Kind,
        more: &Value,
        edit: impl FnOnce(&mut Portal),
    ) -> anyhow::Result<Self> {
        let scene = Self::starting(kind, more, [""; 2], edit).await?;
        scene.knows(OTHERS + 2).await?;
        Ok(scene)
    }

    /// The same with what the harbour and the hill show in their `UIInfo` besides their names.
    pub(crate) async fn start_shown(
        shown: [&str; 2],
        edit: impl FnOnce(&mut Portal),
    ) -> anyhow::Result<Self> {
        let scene = Self::starting(Kind::Sqlite, &json!({}), shown, edit).await?;
        scene.knows(OTHERS + 2).await?;
        Ok(scene)
    }

    /// The same, whether Usher knows the federation yet or not.
    async fn starting(
        kind: Kind,
        more: &Value,
        shown: [&str; 2],
        edit: impl FnOnce(&mut Portal),
    ) -> anyhow::Result<Self> {
        let (harbour, hills) = (simplesamlphp().await?, pysaml2().await?);
        let name = unique("hill-");
        hills.set_up(&name, &Setup::default(), None).await?;
        let members = [
            member(&harbour.metadata().await?, HARBOUR, shown[0])?,
            member(&hills.metadata(&name).await?, HILL, shown[1])?,
        ];
        let metadata = Metadata::new()?;
        metadata.publish(&members)?;
        let keys = saml_keys()?;
        let world = World::start_with(kind, |portal| {
            let mut saml = metadata.section();
            saml["keys"] = json!([keys]);
            lay_over(&mut saml, more);
            portal.provider = Some(json!({ "id": "corp", "name": "Canadialand", "saml": saml }));
            portal.localpart = portal.localpart.replace("subject", "attributes.uid");
            edit(portal);
        })
        .await?;
        let service = metadata_of(&world, "corp").await?;
        harbour.register(&unique("usher-"), &service, &json!({}))?;
        hills.set_up(&name, &Setup::default(), Some(&service)).await?;
        Ok(Self { world, metadata, members })
    }

    /// Waits until Usher knows that many identity providers.
    async fn knows(&self, count: usize) -> anyhow::Result<()> {
        logs(&self.world, &format!("identity_providers={count}")).await
    }
}

async fn logs(world: &World, words: &str) -> anyhow::Result<()> {
    let is_there = || async { Ok(world.usher.log()?.contains(words).then_some(())) };
    eventually(words, is_there).await.with_context(|| world.usher.log().unwrap_or_default())
}

/// Types `words` on the page that asks, and follows the link of that name.
async fn choose(person: &Person, page: Page, words: &str, name: &str) -> anyhow::Result<Page> {
    ensure!(page.text().contains("Where are you from?"), "{}", page.text());
    let found = page.form_with("q")?.fill("q", words).submit(person.browser()).await?;
    let links = found.links();
    let link = links.iter().find(|(text, _)| text.contains(name));
    let (_, url) = link.with_context(|| format!("no {name}: {}", found.text()))?;
    let sent = person.browser().follow(&found, url.clone()).await?;
    person.carry_request(sent).await
}

async fn lands_from(world: &World, username: &str, words: &str, name: &str) -> anyhow::Result<Answer> {
    let person = world.person(username);
    let page = person.begin(APP).await?;
    let asked = choose(&person, page, words, name).await?;
    let landed = person.go_on(asked).await?;
    world.client.redeem(&landed.login_token()?).await?.expect_ok()
}

#[test]
fn people_of_a_federation_say_where_they_are_from_and_land_at_home() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let Scene { world, .. } = Scene::start(kind, &json!({}), |_| ()).await?;
            let alice = lands_from(&world, "alice", "harbour coll", HARBOUR).await?;
            assert_eq!(alice.field("user_id")?, world.eng("alice"));
            let carol = lands_from(&world, "carol", "HILL", HILL).await?;
            assert_eq!(carol.field("user_id")?, world.hist("carol"));
            // Somebody else of the same name.
            let other = lands_from(&world, "alice", "university", HILL).await?;
            assert_ne!(other.field("user_id")?, alice.field("user_id")?);
            for session in [&alice, &other] {
                let who = world.components().eng.whoami(session.field("access_token")?).await?;
                ensure!(
                    who.is_some_and(|who| Some(who.user_id.as_str()) == session.field("user_id").ok()),
                    "{session:?}"
                );
            }
            let again = lands_from(&world, "alice", "harbour", HARBOUR).await?;
            assert_eq!(again.field("user_id")?, alice.field("user_id")?);
        }
        Ok(())
    })
}

#[test]
fn a_choice_is_remembered_and_a_dangerous_request_goes_home_without_asking() -> anyhow::Result<()> {
    run(async {
        let Scene { world, .. } = Scene::start(Kind::Sqlite, &json!({}), Portal::stand_at_host).await?;
        let (host, alice) = (world.host()?, world.person("alice"));
        let asked = choose(&alice, alice.begin(APP).await?, "harbour", HARBOUR).await?;
        let token = alice.go_on(asked).await?.login_token()?;
        let phone = App::new(&host, &host.redeem_with(&token, json!({})).await?.expect_ok()?)?;
        let page = alice.begin(APP).await?;
        ensure!(page.text().contains("Last time") && page.text().contains(HARBOUR), "{}", page.text());
        let line = format!("DELETE v3/devices/{}", phone.device);
        let session = phone.is_asked(&line, &json!({})).await?;
        let asked = alice.click(&phone.fallback(&session)).await?;
        ensure!(
            asked.form_with("password").is_ok(),
            "at their own identity provider, and asked anew: {}",
            asked.text()
        );
        let confirmed = alice.go_on(asked).await?.into_page();
        ensure!(confirmed.text().contains("You have confirmed it"), "{}", confirmed.text());
        let done = phone.send(&line, &crate::at_host::auth(&session)).await?;
        assert_eq!(done.status, StatusCode::OK, "{done:?}");
        Ok(())
    })
}

#[test]
fn who_leaves_the_federation_signs_nobody_in_and_a_bad_document_changes_nothing() -> anyhow::Result<()> {
    run(async {
        let scene = Scene::start(Kind::Sqlite, &json!({}), |_| ()).await?;
        let world = &scene.world;
        let alice = world.person("alice");
        let asked = choose(&alice, alice.begin(APP).await?, "harbour", HARBOUR).await?;
        let path = scene.metadata.directory.join("federation.xml");
        let good = fs::read_to_string(&path)?;
        fs::write(&path, good.replacen(HILL, "Dale University", 1))?;
        logs(world, "metadata could not be renewed; what is known is used").await?;
        lands_from(world, "carol", "hill", HILL).await?;
        scene.metadata.publish(&scene.members[1..])?;
        scene.knows(OTHERS + 1).await?;
        let (status, text) = alice.go_on(asked).await?.page();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
        let page = alice.begin(APP).await?;
        let found = page.form_with("q")?.fill("q", "harbour").submit(alice.browser()).await?;
        ensure!(
            found.links().iter().all(|(text, _)| !text.contains(HARBOUR)),
            "it is found still: {}",
            found.text()
        );
        lands_from(world, "carol", "hill", HILL).await.map(drop)
    })
}

#[test]
fn a_discovery_service_asks_instead() -> anyhow::Result<()> {
    run(async {
        let service: &SimpleSamlPhp = simplesamlphp().await?;
        let url = service.discovery_service();
        let scene =
            Scene::start(Kind::Sqlite, &json!({ "federation": { "discovery_service": url } }), |_| ())
                .await?;
        let alice = scene.world.person("alice");
        let page = alice.begin(APP).await?;
        ensure!(page.url().path() == url.path(), "the service asks: {page:?} {}", page.text());
        let asked = service.choose(alice.browser(), &page, service.entity_id().as_str()).await?;
        let landed = alice.go_on(alice.carry_request(asked).await?).await?;
        let session = scene.world.client.redeem(&landed.login_token()?).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, scene.world.eng("alice"));
        // One that the service knows and the federation does not: they are asked by us.
        let bob = scene.world.person("bob");
        let page = bob.begin(APP).await?;
        let unknown = "https://unknown.example/saml2/idp/metadata.php";
        let asked = service.choose(bob.browser(), &page, unknown).await?;
        let asked = choose(&bob, asked, "harbour", HARBOUR).await?;
        bob.go_on(asked).await?.login_token().map(drop)
    })
}

#[test]
fn an_operator_sees_who_is_in_a_federation_and_why_somebody_is_not() -> anyhow::Result<()> {
    run(async {
        let harbour = simplesamlphp().await?;
        let metadata = Metadata::new()?;
        let good = member(&harbour.metadata().await?, HARBOUR, "")?;
        let expired = good.replacen(" ID=\"", " ID=\"x", 1).replacen(
            "entityID=\"http://127.0.0.1",
            "validUntil=\"2020-01-01T00:00:00Z\" entityID=\"http://127.0.0.2",
            1,
        );
        let certificate = fs::read_to_string(metadata.directory.join("certificate"))?;
        let certificate: String = certificate.lines().filter(|line| !line.contains("CERTIFICATE")).collect();
        let strict = other(OTHERS, &certificate).replacen(
            "<md:IDPSSODescriptor ",
            "<md:IDPSSODescriptor WantAuthnRequestsSigned=\"true\" ",
            1,
        );
        metadata.publish(&[good, expired, strict])?;
        let directory = tempfile::tempdir()?;
        let list = |section: &Value, arguments: &[&str]| -> anyhow::Result<(bool, String, String)> {
            let config = json!({ "public_base_url": "https://matrix.ac.cdl", "providers": [{
                "id": "corp", "name": "Canadialand", "saml": section,
            }] });
            fs::write(directory.path().join("usher.yaml"), config.to_string())?;
            let output = Usher::run(
                Path::new(BINARY),
                directory.path(),
                &[&["saml", "federation"], arguments].concat(),
            )?;
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            Ok((output.status.success(), text(output.stdout), text(output.stderr)))
        };
        let (is_done, found, told) = list(&metadata.section(), &["--search", "harbour"])?;
        ensure!(is_done, "{told}");
        assert_eq!(found, format!("{}\t{HARBOUR}\t127.0.0.1\n", harbour.entity_id()));
        assert!(told.contains(&format!("1 of 1 that fit, of {} identity providers", OTHERS + 1)), "{told}");
        assert!(told.contains("1 passed over") && told.contains("it has expired"), "{told}");
        let strict = format!("such as:\n  https://plain{OTHERS}.example/idp\n");
        assert!(
            told.contains("1 left out because they want signed requests") && told.contains(&strict),
            "{told}"
        );
        let (_, found, _) = list(&metadata.section(), &["--limit", "3"])?;
        assert_eq!(found.lines().count(), 3, "{found}");

        let mut other = metadata.section();
        other["metadata_certificate_file"] = json!(Metadata::new()?.directory.join("certificate"));
        let mut missing = metadata.section();
        missing["metadata_file"] = json!("/nonexistent.xml");
        let mut one = metadata.section();
        one.as_object_mut().context("a section")?.remove("federation");
        one["idp"] = json!("https://plain1.example/idp");
        for (name, section, arguments, expected) in [
            ("another signer", &other, vec![], "is not signed by a key"),
            ("no file", &missing, vec![], "providers[0].saml.metadata_file: /nonexistent.xml cannot be read"),
            (
                "one identity provider",
                &one,
                vec![],
                "its one identity provider is https://plain1.example/idp",
            ),
            (
                "another provider",
                &other,
                vec!["--provider", "x"],
                "x is not one of the SAML providers; there are: corp",
            ),
        ] {
            let (is_done, found, told) = list(section, &arguments)?;
            assert!(!is_done && found.is_empty() && told.contains(expected), "{name}: {found} {told}");
        }
        Ok(())
    })
}

#[test]
fn a_federation_by_url_outlives_a_restart_though_nobody_answers_there() -> anyhow::Result<()> {
    run(async {
        let said = Arc::new(Mutex::new(Reply::Cut));
        let answer = Arc::clone(&said);
        let place = ScriptedServer::start(move |_| {
            std::future::ready(answer.lock().unwrap_or_else(PoisonError::into_inner).clone())
        })
        .await?;
        let directory = tempfile::tempdir()?;
        let more = json!({ "metadata_file": null, "metadata_url": place.url(), "metadata_cache_dir": directory.path() });
        let mut scene = Scene::starting(Kind::Sqlite, &more, [""; 2], |_| ()).await?;
        let (status, text) = scene.world.person("alice").sign_in().await?.page();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "nothing was fetched yet: {text}");
        let document = fs::read(scene.metadata.directory.join("federation.xml"))?;
        *said.lock().unwrap_or_else(PoisonError::into_inner) =
            Reply::new(200, "application/samlmetadata+xml", document);
        scene.knows(OTHERS + 2).await?;
        let alice = lands_from(&scene.world, "alice", "harbour", HARBOUR).await?;
        assert_eq!(alice.field("user_id")?, scene.world.eng("alice"));

        *said.lock().unwrap_or_else(PoisonError::into_inner) = Reply::Cut;
        scene.world.usher.kill()?;
        scene.world.usher.start_again().await?;
        logs(&scene.world, "the metadata of the last run is used until it is fetched anew").await?;
        let again = lands_from(&scene.world, "alice", "harbour", HARBOUR).await?;
        assert_eq!(again.field("user_id")?, alice.field("user_id")?);

        // Somebody writes to the directory meanwhile: the copy is verified like the document.
        let copies: Vec<_> = fs::read_dir(directory.path())?.collect::<Result<_, _>>()?;
        ensure!(copies.len() == 1, "one copy, and no index that has a name: {copies:?}");
        let forged = fs::read_to_string(copies[0].path())?.replacen(HILL, "Dale University", 1);
        fs::write(copies[0].path(), forged)?;
        scene.world.usher.stop().await?;
        scene.world.usher.start_again().await?;
        logs(&scene.world, "metadata cannot be had, so that nobody signs in there").await?;
        let (status, text) = scene.world.person("alice").sign_in().await?.page();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
        Ok(())
    })
}
