//! Metadata that changes, goes away, expires and is forged while Usher runs.

mod federations;
mod telling;
mod trust;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    sync::Mutex as Lock,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use tempfile::TempDir;
use url::Url;
use usher_core::testing::SeededEntropy;
use usher_lab::scripted::{
    Reply, ScriptedServer,
    saml::{SamlIdp, SamlKey, Signing, federation::Issue, instant},
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
    /// Where it is asked for.
    paths: Arc<Lock<Vec<String>>>,
    server: ScriptedServer,
    directory: TempDir,
    entropy: SeededEntropy,
}

impl World {
    async fn new(says: &str) -> Self {
        harden().expect("xmlsec can be used");
        let said = Arc::new(Lock::new(document(says)));
        let (answer, asked) = (Arc::clone(&said), Arc::new(Lock::new(Vec::new())));
        let (asks, paths) = (Arc::clone(&asked), Arc::new(Lock::new(Vec::new())));
        let places = Arc::clone(&paths);
        let server = ScriptedServer::start(move |request| {
            let known = request.headers.get("if-none-match").and_then(|tag| tag.to_str().ok());
            places.lock().unwrap_or_else(PoisonError::into_inner).push(request.path.clone());
            asks.lock().unwrap_or_else(PoisonError::into_inner).push(known.map(str::to_owned));
            let reply = answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
            async move { reply }
        });
        Self {
            said,
            asked,
            paths,
            server: server.await.expect("a server"),
            directory: tempfile::tempdir().expect("a directory"),
            entropy: SeededEntropy::new(1),
        }
    }

    fn say(&self, reply: Reply) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = reply;
    }

    fn upkeep_in(&self, cache_dir: Option<PathBuf>) -> Upkeep {
        let place = at(self.server.url());
        upkeep(place, cache_dir, vec![key_of(&OURS)])
    }

    fn upkeep(&self) -> Upkeep {
        self.upkeep_in(Some(self.directory.path().to_owned()))
    }

    async fn look_at(&self, upkeep: &Upkeep, now: Timestamp) -> Duration {
        upkeep.look(&Ctx { now, skew: SKEW, entropy: &self.entropy }).await
    }

    /// The one there is.
    fn copy(&self) -> PathBuf {
        let copies = self.copies();
        assert_eq!(copies.len(), 1, "{copies:?}");
        copies[0].clone()
    }

    fn copies(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory.path()).expect("a directory");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

fn at(url: Url) -> Place {
    Place::Url { key: "metadata_url", url, ca_pem: None, refresh: HOUR }
}

fn upkeep(place: Place, cache_dir: Option<PathBuf>, signers: Vec<IdpKey>) -> Upkeep {
    let entity_id = Issuer::parse(ENTITY).expect("an entity id");
    upkeep_of(Source { whose: Whose::One(entity_id), place, signers, cache_dir, signs_requests: false })
}

fn upkeep_of(source: Source) -> Upkeep {
    let id = ProviderId::parse("corp").expect("an id");
    Upkeep::new(source, &id, Processors::half(), Reader::here()).expect("upkeep")
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
        at(Url::parse("http://127.0.0.1:1/").expect("a URL")),
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

/// What `look` finds, unless it waits at `pipe` for somebody who never comes.
async fn without_waiting<T>(look: impl Future<Output = T>, pipe: &Path) -> Option<T> {
    let looked = tokio::time::timeout(PATIENCE, look).await.ok();
    if looked.is_none() {
        // Whoever waits is let go, so that this test ends.
        fs::File::options().read(true).write(true).open(pipe).expect("the pipe");
    }
    looked
}

/// Puts something else in the place of a copy.
fn replaced(copy: &Path, by: &str) {
    let content = fs::read(copy).expect("a copy");
    let aside = copy.with_extension("aside");
    fs::remove_file(copy).expect("a copy");
    match by {
        "a pipe" => mknodat(CWD, copy, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe"),
        "a link to a good one" => {
            fs::write(&aside, content).expect("a file");
            symlink(&aside, copy).expect("a link");
        }
        _ => {
            fs::write(copy, content).expect("a file");
            fs::set_permissions(copy, fs::Permissions::from_mode(0o666)).expect("a mode");
        }
    }
}

#[tokio::test]
async fn a_copy_that_usher_has_not_made_is_not_used_and_is_replaced() {
    for (by, signed_counts, unsigned_counts) in [
        ("itself, for all to write", true, false),
        ("a link to a good one", false, false),
        ("a pipe", false, false),
    ] {
        for (is_signed, is_used) in [(true, signed_counts), (false, unsigned_counts)] {
            let world = World::new(&signed()).await;
            let signers = || if is_signed { vec![key_of(&OURS)] } else { Vec::new() };
            let made = || {
                let place = at(world.server.url());
                upkeep(place, Some(world.directory.path().to_owned()), signers())
            };
            world.look_at(&made(), NOW).await;
            let copies = world.copies();
            assert_eq!(copies.len(), 1, "{by}: {copies:?}");
            replaced(&copies[0], by);
            world.say(Reply::Cut);
            let restarted = made();
            let looked = without_waiting(world.look_at(&restarted, NOW), &copies[0]).await;
            assert!(looked.is_some(), "{by}: nobody waits");
            let expected = if is_used { Ok("old") } else { Err(Unknown::NotYet) };
            assert_eq!(known(&restarted, NOW), expected, "{by}, signed: {is_signed}");
            world.say(document(&signed()));
            world.look_at(&restarted, NOW).await;
            assert_eq!(known(&restarted, NOW), Ok("old"), "{by}");
            let found = fs::symlink_metadata(&copies[0]).expect("a copy");
            let is_private = found.is_file() && found.permissions().mode() & 0o777 == 0o600;
            assert!(is_private, "{by}: {found:?}");
        }
    }
}

#[tokio::test]
async fn a_file_of_metadata_that_becomes_a_pipe_keeps_nobody_waiting() {
    let world = World::new("").await;
    let path = world.directory.path().join("idp.xml");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    let first = Idp::read_signed(signed().as_bytes(), None, &[key_of(&OURS)]).expect("metadata");
    let place = Place::File { path: path.clone(), first: Some(Box::new(first)), stamp: None };
    let upkeep = upkeep(place, None, vec![key_of(&OURS)]);
    let looked = without_waiting(world.look_at(&upkeep, NOW), &path).await;
    assert!(looked.is_some_and(|pause| pause > FILE_PAUSE), "nobody waits, and it is tried less often");
    assert_eq!(known(&upkeep, NOW), Ok("old"), "what was known is used");
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
async fn a_query_service_is_asked_for_the_one_entity_and_has_to_sign_it() {
    let world = World::new(&signed()).await;
    let certificate = world.directory.path().join("federation.pem");
    fs::write(&certificate, OURS.certificate_pem().expect("a certificate")).expect("a file");
    let (_, source) = crate::config::Settings::read(serde_json::json!({
        "mdq_url": world.server.url().join("global").expect("a URL"), "idp": ENTITY,
        "metadata_certificate_file": certificate,
    }))
    .expect("a section");
    let id = ProviderId::parse("corp").expect("an id");
    let upkeep = Upkeep::new(source, &id, Processors::half(), Reader::here()).expect("upkeep");
    world.look_at(&upkeep, NOW).await;
    assert_eq!(known(&upkeep, NOW), Ok("old"));
    let paths = world.paths.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(paths, ["/global/entities/https%3A%2F%2Fidp.ac.cdl%2Fidp"]);
    world.say(document(&rolled_over().replacen("/idp/sso", "/idp/ssp", 1)));
    world.look_at(&upkeep, NOW).await;
    assert_eq!(known(&upkeep, NOW), Ok("old"), "changed on the way");
    world.say(document(&rolled_over()));
    world.look_at(&upkeep, NOW).await;
    assert_eq!(known(&upkeep, NOW), Ok("new"));
}
