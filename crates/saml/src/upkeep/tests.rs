//! Metadata that changes, goes away, expires and is forged while Usher runs.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Mutex as Lock};

use tempfile::TempDir;
use url::Url;
use usher_core::testing::SeededEntropy;
use usher_lab::scripted::{
    Reply, ScriptedServer,
    saml::{
        SamlIdp, SamlKey, Signing,
        federation::{Issue, aggregate, strangers},
        instant,
    },
};

use super::*;
use crate::{
    hardening::harden,
    testing::{ENTITY, IDP, NOW, OURS, SECONDS, SKEW, STRANGER},
};

const HOUR: Duration = Duration::from_hours(1);

/// The federation's key.
fn issue() -> Issue {
    Issue::signed_with(Signing::with(&OURS))
}

fn signed() -> String {
    IDP.signed_metadata(&issue()).expect("metadata")
}

/// The same identity provider with another key.
fn rolled_over() -> String {
    let idp = SamlIdp { keys: vec![STRANGER.clone()], ..IDP.clone() };
    idp.signed_metadata(&issue()).expect("metadata")
}

fn key_of(key: &SamlKey) -> IdpKey {
    let certificate = key.certificate_base64().expect("a certificate");
    IdpKey::read(&crate::xml::base64(&certificate).expect("base64")).expect("a key")
}

/// A place that says what the test says, and a directory.
struct World {
    said: Arc<Lock<Reply>>,
    /// Which document each request says that it knows.
    asked: Arc<Lock<Vec<Option<String>>>>,
    server: ScriptedServer,
    directory: TempDir,
    entropy: SeededEntropy,
}

impl World {
    async fn new(says: &str) -> Self {
        harden().expect("xmlsec can be used");
        let said = Arc::new(Lock::new(document(says)));
        let (answer, asked) = (Arc::clone(&said), Arc::new(Lock::new(Vec::new())));
        let asks = Arc::clone(&asked);
        let server = ScriptedServer::start(move |request| {
            let known = request.headers.get("if-none-match").and_then(|tag| tag.to_str().ok());
            asks.lock().unwrap_or_else(PoisonError::into_inner).push(known.map(str::to_owned));
            let reply = answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
            async move { reply }
        });
        Self {
            said,
            asked,
            server: server.await.expect("a server"),
            directory: tempfile::tempdir().expect("a directory"),
            entropy: SeededEntropy::new(1),
        }
    }

    fn say(&self, reply: Reply) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = reply;
    }

    fn upkeep_in(&self, cache_dir: Option<PathBuf>) -> Upkeep {
        let place = Place::Url { url: self.server.url(), ca_pem: None, refresh: HOUR };
        upkeep(place, cache_dir, vec![key_of(&OURS)])
    }

    fn upkeep(&self) -> Upkeep {
        self.upkeep_in(Some(self.directory.path().to_owned()))
    }

    async fn look_at(&self, upkeep: &Upkeep, now: Timestamp) -> Duration {
        upkeep.look(&Ctx { now, skew: SKEW, entropy: &self.entropy }).await
    }

    fn copies(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory.path()).expect("a directory");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

fn upkeep(place: Place, cache_dir: Option<PathBuf>, signers: Vec<IdpKey>) -> Upkeep {
    let entity_id = Issuer::parse(ENTITY).expect("an entity id");
    let id = ProviderId::parse("corp").expect("an id");
    let processors = Processors::half();
    let source = Source { whose: Whose::One(entity_id), place, signers, cache_dir };
    Upkeep::new(source, &id, processors, Reader::here()).expect("upkeep")
}

/// Of whoever is in the federation.
fn upkeep_of_many(place: Place, cache_dir: Option<PathBuf>) -> Upkeep {
    let id = ProviderId::parse("corp").expect("an id");
    let source =
        Source { whose: Whose::Many(Filter::default()), place, signers: vec![key_of(&OURS)], cache_dir };
    Upkeep::new(source, &id, Processors::half(), Reader::here()).expect("upkeep")
}

/// Members of a federation: `count` strangers and the one that is known.
fn federation(count: usize) -> String {
    let certificate = STRANGER.certificate_base64().expect("a certificate");
    let members = strangers(count, &certificate) + &IDP.member("").expect("an entity");
    aggregate(&members, &issue()).expect("metadata")
}

/// How many there are.
fn count(upkeep: &Upkeep, now: Timestamp) -> Result<usize, Unknown> {
    upkeep.federation(now).map(|federation| federation.len())
}

fn document(text: &str) -> Reply {
    Reply::new(200, "application/samlmetadata+xml", text.to_owned())
}

/// Whose keys are known.
fn known(upkeep: &Upkeep, now: Timestamp) -> Result<&'static str, Unknown> {
    let idp = upkeep.idp(now)?;
    let is = |key: &SamlKey| idp.keys[0].is_same_key(&key_of(key));
    Ok(if is(&IDP.keys[0]) {
        "old"
    } else if is(&STRANGER) {
        "new"
    } else {
        "another"
    })
}

#[tokio::test]
async fn a_key_is_rolled_over_without_a_restart() {
    let world = World::new(&signed()).await;
    let upkeep = world.upkeep();
    assert_eq!(known(&upkeep, NOW), Err(Unknown::NotYet), "nothing is fetched before the first look");
    world.look_at(&upkeep, NOW).await;
    assert_eq!(known(&upkeep, NOW), Ok("old"));
    world.say(document(&rolled_over()));
    world.look_at(&upkeep, NOW).await;
    assert_eq!(known(&upkeep, NOW), Ok("new"));
}

#[tokio::test]
async fn an_identity_provider_that_is_down_at_start_is_there_when_it_is_back() {
    let world = World::new("").await;
    world.say(Reply::Cut);
    let upkeep = world.upkeep();
    let pauses = [world.look_at(&upkeep, NOW).await, world.look_at(&upkeep, NOW).await];
    assert_eq!(known(&upkeep, NOW), Err(Unknown::NotYet));
    assert!(pauses[0] <= RETRY && pauses[1] > RETRY && pauses[1] <= 2 * RETRY, "{pauses:?}");
    world.say(document(&signed()));
    assert!(world.look_at(&upkeep, NOW).await > 50 * RETRY, "nothing is hurried any more");
    assert_eq!(known(&upkeep, NOW), Ok("old"));
}

#[tokio::test]
async fn what_cannot_be_believed_changes_nothing() {
    let stranger = Issue::signed_with(Signing::with(&STRANGER));
    let idp = SamlIdp { keys: vec![STRANGER.clone()], ..IDP.clone() };
    let by_stranger = idp.signed_metadata(&stranger).expect("metadata");
    let expired = Issue { valid_until: Some(instant(SECONDS)), ..issue() };
    let expired = idp.signed_metadata(&expired).expect("metadata");
    let other = SamlIdp { entity_id: "https://other.ac.cdl/idp".to_owned(), ..idp.clone() };
    let good = rolled_over();
    let twisted = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let nested = {
        // The signed document within another: a signature that is good, of something that is not the root.
        let root = "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" ID=\"_outer\">";
        format!("{root}{}{good}</md:EntitiesDescriptor>", idp.member("").expect("an entity"))
    };
    let moved = {
        // The signature of the whole at the root of another, with the whole beside it.
        let (start, end) =
            (good.find("<ds:Signature").expect("one"), good.find("</ds:Signature>").expect("one") + 15);
        let (signature, without) = (&good[start..end], format!("{}{}", &good[..start], &good[end..]));
        format!(
            "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" ID=\"_outer\">{signature}{without}\
             </md:EntitiesDescriptor>"
        )
    };
    let world = World::new(&signed()).await;
    let upkeep = world.upkeep();
    world.look_at(&upkeep, NOW).await;
    for (name, reply) in [
        ("not signed", document(&idp.metadata().expect("metadata"))),
        ("signed by somebody whose certificate is inside", document(&by_stranger)),
        ("changed after it was signed", document(&twisted("/idp/sso", "/idp/ssp"))),
        ("its signature around something else", document(&moved)),
        ("a signature that is not the root's", document(&nested)),
        ("a reference to the whole document", document(&twisted("URI=\"#_metadata\"", "URI=\"\""))),
        ("a name twice", document(&twisted("<md:KeyDescriptor", "<md:KeyDescriptor ID=\"_metadata\""))),
        (
            "a name by its namespace",
            document(&twisted("<md:KeyDescriptor", "<md:KeyDescriptor xml:id=\"_metadata\"")),
        ),
        ("expired", document(&expired)),
        ("of another identity provider", document(&other.signed_metadata(&issue()).expect("metadata"))),
        ("no XML", document("<")),
        ("nothing", document("")),
        ("a DOCTYPE", document(&format!("<!DOCTYPE x>{good}"))),
        ("another encoding", document(&format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{good}"))),
        ("404", Reply::new(404, "text/html", "no")),
        ("a redirect", Reply::redirect("http://127.0.0.1:1/")),
        ("cut", Reply::Cut),
        ("cut short", Reply::CutShort { body: good.clone().into() }),
        ("endless", Reply::Endless),
    ] {
        world.say(reply);
        world.look_at(&upkeep, NOW).await;
        assert_eq!(known(&upkeep, NOW), Ok("old"), "{name}");
    }
    world.say(document(&good));
    world.look_at(&upkeep, NOW).await;
    assert_eq!(known(&upkeep, NOW), Ok("new"), "the honest one");
}

#[tokio::test]
async fn nobody_signs_in_by_metadata_that_has_expired() {
    let until = Issue { valid_until: Some(instant(SECONDS + 3600)), ..issue() };
    let world = World::new(&IDP.signed_metadata(&until).expect("metadata")).await;
    let upkeep = world.upkeep();
    let pause = world.look_at(&upkeep, NOW).await;
    assert!(pause <= HOUR / 2, "it is looked at before it expires: {pause:?}");
    world.say(Reply::Cut);
    let end = NOW.plus(HOUR);
    world.look_at(&upkeep, end).await;
    assert_eq!(known(&upkeep, end.minus(Duration::from_millis(1))), Ok("old"));
    assert_eq!(known(&upkeep, end), Err(Unknown::Expired));
    let again = world.upkeep();
    world.look_at(&again, end).await;
    assert_eq!(known(&again, end), Err(Unknown::NotYet), "nor by its copy");
}

#[tokio::test]
async fn it_is_looked_at_as_often_as_it_says_within_bounds() {
    for (name, cache_duration, expected) in [
        ("as the operator says", None, HOUR),
        ("more often", Some("PT30M"), HOUR / 2),
        ("not less often", Some("P7D"), HOUR),
        ("not all the time", Some("PT0S"), LEAST_PAUSE),
    ] {
        let issue = Issue { cache_duration: cache_duration.map(str::to_owned), ..issue() };
        let world = World::new(&IDP.signed_metadata(&issue).expect("metadata")).await;
        let upkeep = world.upkeep();
        let mut pauses = Vec::new();
        for _ in 0..5 {
            pauses.push(world.look_at(&upkeep, NOW).await);
        }
        assert!(
            pauses.iter().all(|pause| *pause <= expected && *pause >= expected / 10 * 9),
            "{name}: {pauses:?}"
        );
        pauses.dedup();
        assert!(pauses.len() > 1, "{name}: replicas would all come at once");
    }
}

#[tokio::test]
async fn the_last_good_copy_outlives_a_restart_and_is_verified_again() {
    let world = World::new(&signed()).await;
    world.look_at(&world.upkeep(), NOW).await;
    let copies = world.copies();
    assert_eq!(copies.len(), 1, "{copies:?}");
    let mode = fs::metadata(&copies[0]).expect("a copy").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    world.say(Reply::Cut);
    let restarted = world.upkeep();
    world.look_at(&restarted, NOW).await;
    assert_eq!(known(&restarted, NOW), Ok("old"));

    let elsewhere = upkeep(
        Place::Url { url: Url::parse("http://127.0.0.1:1/").expect("a URL"), ca_pem: None, refresh: HOUR },
        Some(world.directory.path().to_owned()),
        vec![key_of(&OURS)],
    );
    world.look_at(&elsewhere, NOW).await;
    assert_eq!(known(&elsewhere, NOW), Err(Unknown::NotYet), "the copy of another URL");

    let idp = SamlIdp { keys: vec![STRANGER.clone()], ..IDP.clone() };
    fs::write(&copies[0], idp.metadata().expect("metadata")).expect("a file");
    let deceived = world.upkeep();
    world.look_at(&deceived, NOW).await;
    assert_eq!(known(&deceived, NOW), Err(Unknown::NotYet), "somebody wrote to the directory");
}

#[tokio::test]
async fn without_a_place_for_the_copy_people_sign_in_all_the_same() {
    let world = World::new(&signed()).await;
    for (name, place) in [
        ("no directory", None),
        ("a directory that is not there", Some(world.directory.path().join("gone"))),
        ("a file system that takes nothing", Some(PathBuf::from("/proc"))),
    ] {
        let upkeep = world.upkeep_in(place);
        world.look_at(&upkeep, NOW).await;
        assert_eq!(known(&upkeep, NOW), Ok("old"), "{name}");
    }
    assert_eq!(world.copies(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes() {
    let world = World::new("").await;
    let path = world.directory.path().join("idp.xml");
    fs::write(&path, signed()).expect("a file");
    let stamp = Stamp::of(&path);
    let first = Idp::read_signed(signed().as_bytes(), None, &[key_of(&OURS)]).expect("metadata");
    let place = Place::File { path: path.clone(), first: Some(Box::new(first)), stamp };
    let upkeep = upkeep(place, None, vec![key_of(&OURS)]);
    world.look_at(&upkeep, NOW).await;
    assert_eq!(known(&upkeep, NOW), Ok("old"));
    let other = SamlIdp { keys: vec![STRANGER.clone()], ..IDP.clone() }.metadata().expect("metadata");
    for (name, content, expected) in [
        ("half of it", Some(&rolled_over()[..1000]), "old"),
        ("not signed", Some(&*other), "old"),
        ("gone", None, "old"),
        ("whole", Some(&*rolled_over()), "new"),
    ] {
        match content {
            Some(content) => fs::write(&path, content).expect("a file"),
            None => fs::remove_file(&path).expect("a file"),
        }
        world.look_at(&upkeep, NOW).await;
        assert_eq!(known(&upkeep, NOW), Ok(expected), "{name}");
    }
}

#[tokio::test]
async fn a_federation_is_read_again_and_the_last_good_one_is_kept_over_failures_and_restarts() {
    let world = World::new(&federation(3)).await;
    let place = || Place::Url { url: world.server.url(), ca_pem: None, refresh: HOUR };
    let directory = || Some(world.directory.path().to_owned());
    let upkeep = upkeep_of_many(place(), directory());
    assert_eq!(count(&upkeep, NOW), Err(Unknown::NotYet));
    assert!(world.look_at(&upkeep, NOW).await > LEAST_PAUSE);
    assert_eq!(count(&upkeep, NOW), Ok(3));
    let changed = federation(6).replacen("/idp/sso", "/idp/ssp", 1);
    for (name, reply) in [
        ("changed on the way", document(&changed)),
        ("away", Reply::Cut),
        ("cut short", Reply::CutShort { body: federation(6).into() }),
    ] {
        world.say(reply);
        assert!(world.look_at(&upkeep, NOW).await < LEAST_PAUSE, "{name}: it is tried again soon");
        assert_eq!(count(&upkeep, NOW), Ok(3), "{name}");
    }
    assert_eq!(world.copies().len(), 1, "{:?}", world.copies());
    let mode = fs::metadata(&world.copies()[0]).expect("a copy").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let restarted = upkeep_of_many(place(), directory());
    world.look_at(&restarted, NOW).await;
    assert_eq!(count(&restarted, NOW), Ok(3), "the last run's");
    world.say(document(&federation(6)));
    world.look_at(&restarted, NOW).await;
    assert_eq!(count(&restarted, NOW), Ok(5));
    fs::write(&world.copies()[0], changed).expect("a file");
    world.say(Reply::Cut);
    let deceived = upkeep_of_many(place(), directory());
    world.look_at(&deceived, NOW).await;
    assert_eq!(count(&deceived, NOW), Err(Unknown::NotYet), "somebody wrote to the directory");
}

#[tokio::test]
async fn a_federation_that_has_not_changed_is_not_sent_again() {
    let text = federation(3);
    let world = World::new("").await;
    let headers = vec![("etag".to_owned(), "\"one\"".to_owned())];
    let Reply::Answer { status, body, .. } = document(&text) else { panic!("an answer") };
    world.say(Reply::Answer { status, headers, body });
    let upkeep = upkeep_of_many(Place::Url { url: world.server.url(), ca_pem: None, refresh: HOUR }, None);
    world.look_at(&upkeep, NOW).await;
    world.say(Reply::new(304, "text/plain", ""));
    assert!(world.look_at(&upkeep, NOW).await > LEAST_PAUSE, "no failure");
    assert_eq!(count(&upkeep, NOW), Ok(3));
    let asked = world.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(asked, [None, Some("\"one\"".to_owned())]);
    let restarted = upkeep_of_many(Place::Url { url: world.server.url(), ca_pem: None, refresh: HOUR }, None);
    world.look_at(&restarted, NOW).await;
    assert_eq!(count(&restarted, NOW), Err(Unknown::NotYet), "304 to whoever has nothing says nothing");
}

#[tokio::test]
async fn one_identity_provider_may_stand_in_a_document_of_many() {
    let large = federation(400);
    assert!(large.len() > MAX_BYTES);
    let world = World::new(&large).await;
    let by_url = world.upkeep();
    world.look_at(&by_url, NOW).await;
    assert_eq!(known(&by_url, NOW), Ok("old"));
    world.say(Reply::Cut);
    let restarted = world.upkeep();
    world.look_at(&restarted, NOW).await;
    assert_eq!(known(&restarted, NOW), Ok("old"), "by its copy");

    let path = world.directory.path().join("federation.xml");
    fs::write(&path, &large).expect("a file");
    let in_file = || Place::File { path: path.clone(), first: None, stamp: None };
    let by_file = upkeep(in_file(), None, vec![key_of(&OURS)]);
    world.look_at(&by_file, NOW).await;
    assert_eq!(known(&by_file, NOW), Ok("old"));
    let by_stranger = upkeep(in_file(), None, vec![key_of(&STRANGER)]);
    world.look_at(&by_stranger, NOW).await;
    assert_eq!(known(&by_stranger, NOW), Err(Unknown::NotYet));
}

#[tokio::test]
async fn a_document_that_was_replaced_does_not_come_back() {
    let made = |instant: &str, count: usize| {
        let info = format!(
            "<md:Extensions><mdrpi:PublicationInfo xmlns:mdrpi=\"urn:oasis:names:tc:SAML:metadata:rpi\" \
             creationInstant=\"{instant}\" publisher=\"https://federation.cdl\"></mdrpi:PublicationInfo></md:Extensions>"
        );
        let certificate = STRANGER.certificate_base64().expect("a certificate");
        let members = info + &strangers(count, &certificate) + &IDP.member("").expect("an entity");
        aggregate(&members, &issue()).expect("metadata")
    };
    let world = World::new(&made("2026-01-01T00:00:00Z", 3)).await;
    let place = || Place::Url { url: world.server.url(), ca_pem: None, refresh: HOUR };
    let directory = || Some(world.directory.path().to_owned());
    let (many, one) = (upkeep_of_many(place(), directory()), world.upkeep());
    for upkeep in [&many, &one] {
        world.look_at(upkeep, NOW).await;
    }
    assert_eq!((count(&many, NOW), known(&one, NOW)), (Ok(3), Ok("old")));
    for (name, document_then, expected) in [
        ("kept by somebody", made("2025-12-31T23:59:59Z", 6), 3),
        ("of the same moment", made("2026-01-01T00:00:00Z", 6), 5),
        ("newer", made("2026-01-01T00:00:01Z", 9), 7),
        ("without an instant", federation(3), 3),
    ] {
        world.say(document(&document_then));
        world.look_at(&many, NOW).await;
        assert_eq!(count(&many, NOW), Ok(expected), "{name}");
    }
    world.say(document(&made("2027-01-01T00:00:00Z", 6)));
    for upkeep in [&many, &one] {
        world.look_at(upkeep, NOW).await;
    }
    world.say(document(&made("2026-06-01T00:00:00Z", 3)));
    assert!(world.look_at(&one, NOW).await < LEAST_PAUSE, "of one identity provider as well");
    let restarted = upkeep_of_many(place(), directory());
    world.look_at(&restarted, NOW).await;
    assert_eq!(count(&restarted, NOW), Ok(5), "nor after a restart");
}

#[tokio::test]
async fn a_file_that_could_not_be_read_is_read_later_though_it_has_not_changed() {
    let world = World::new("").await;
    let path = world.directory.path().join("federation.xml");
    fs::write(&path, federation(3)).expect("a file");
    let index = world.directory.path().join("index");
    let upkeep = upkeep_of_many(Place::File { path, first: None, stamp: None }, Some(index.clone()));
    let pauses = [world.look_at(&upkeep, NOW).await, world.look_at(&upkeep, NOW).await];
    assert_eq!(count(&upkeep, NOW), Err(Unknown::NotYet), "there is no place for its index");
    assert!(pauses[0] > FILE_PAUSE && pauses[1] > pauses[0], "less and less often: {pauses:?}");
    fs::create_dir(&index).expect("a directory");
    assert_eq!(world.look_at(&upkeep, NOW).await, FILE_PAUSE);
    assert_eq!(count(&upkeep, NOW), Ok(3));
}
