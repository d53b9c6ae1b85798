//! Documents of many, and one identity provider in them, while Usher runs.

use usher_lab::scripted::saml::federation::{aggregate, strangers};

use super::*;

/// Of whoever is in the federation.
pub(super) fn upkeep_of_many(place: Place, cache_dir: Option<PathBuf>) -> Upkeep {
    upkeep_of(Source {
        whose: Whose::Many(Filter::default()),
        place,
        signers: vec![key_of(&OURS)],
        cache_dir,
        signs_requests: false,
    })
}

/// Members of a federation: `count` strangers and the one that is known.
pub(super) fn federation(count: usize) -> String {
    let certificate = STRANGER.certificate_base64().expect("a certificate");
    let members = strangers(count, &certificate) + &IDP.member("").expect("an entity");
    aggregate(&members, &issue()).expect("metadata")
}

/// How many there are.
fn count(upkeep: &Upkeep, now: Timestamp) -> Result<usize, Unknown> {
    upkeep.federation(now).map(|federation| federation.len())
}

#[tokio::test]
async fn a_federation_is_read_again_and_the_last_good_one_is_kept_over_failures_and_restarts() {
    let world = World::new(&federation(3)).await;
    let place = || at(world.server.url());
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
    let left = world.directory.path().join("saml-metadata-0123456789abcdef01234567-x1y2z3.part");
    let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(SECONDS - 3600);
    fs::File::create(&left).and_then(|file| file.set_modified(long_ago)).expect("a file");
    world.look_at(&upkeep, NOW).await;
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
async fn a_copy_of_a_federation_that_somebody_else_may_have_made_is_not_used() {
    for (by, is_signed, expected) in [
        ("itself, for all to write", true, Ok(3)),
        ("itself, for all to write", false, Err(Unknown::NotYet)),
        ("a link to a good one", true, Err(Unknown::NotYet)),
        ("a link to a good one", false, Err(Unknown::NotYet)),
    ] {
        let world = World::new(&federation(3)).await;
        let made = || {
            let signers = if is_signed { vec![key_of(&OURS)] } else { Vec::new() };
            let place = at(world.server.url());
            let cache_dir = Some(world.directory.path().to_owned());
            upkeep_of(Source {
                whose: Whose::Many(Filter::default()),
                place,
                signers,
                cache_dir,
                signs_requests: false,
            })
        };
        world.look_at(&made(), NOW).await;
        replaced(&world.copies()[0], by);
        world.say(Reply::Cut);
        let restarted = made();
        world.look_at(&restarted, NOW).await;
        assert_eq!(count(&restarted, NOW), expected, "{by}, signed: {is_signed}");
    }
}

#[tokio::test]
async fn a_federation_that_has_not_changed_is_not_sent_again() {
    let text = federation(3);
    let world = World::new("").await;
    let headers = vec![("etag".to_owned(), "\"one\"".to_owned())];
    let Reply::Answer { status, body, .. } = document(&text) else { panic!("an answer") };
    world.say(Reply::Answer { status, headers, body });
    let upkeep = upkeep_of_many(at(world.server.url()), None);
    world.look_at(&upkeep, NOW).await;
    world.say(Reply::new(304, "text/plain", ""));
    assert!(world.look_at(&upkeep, NOW).await > LEAST_PAUSE, "no failure");
    assert_eq!(count(&upkeep, NOW), Ok(3));
    let asked = world.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(asked, [None, Some("\"one\"".to_owned())]);
    let restarted = upkeep_of_many(at(world.server.url()), None);
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

/// A federation of `count` strangers and the one that is known, which says when it was made.
fn made(instant: &str, count: usize) -> String {
    let info = format!(
        "<md:Extensions><mdrpi:PublicationInfo xmlns:mdrpi=\"urn:oasis:names:tc:SAML:metadata:rpi\" \
         creationInstant=\"{instant}\" publisher=\"https://federation.cdl\"></mdrpi:PublicationInfo></md:Extensions>"
    );
    let certificate = STRANGER.certificate_base64().expect("a certificate");
    let members = info + &strangers(count, &certificate) + &IDP.member("").expect("an entity");
    aggregate(&members, &issue()).expect("metadata")
}

#[tokio::test]
async fn a_document_that_was_replaced_does_not_come_back() {
    let world = World::new(&made("2026-01-01T00:00:00Z", 3)).await;
    let place = || at(world.server.url());
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
        ("kept by somebody, after that", made("2026-01-01T00:00:00Z", 6), 3),
    ] {
        world.say(document(&document_then));
        world.look_at(&many, NOW).await;
        assert_eq!(count(&many, NOW), Ok(expected), "{name}");
    }
    let later = NOW.plus(24 * HOUR);
    world.say(document(&made("2026-01-02T00:00:00Z", 6)));
    for upkeep in [&many, &one] {
        world.look_at(upkeep, later).await;
    }
    world.say(document(&made("2026-01-01T12:00:00Z", 3)));
    assert!(world.look_at(&one, later).await < LEAST_PAUSE, "of one identity provider as well");
    let restarted = upkeep_of_many(place(), directory());
    world.look_at(&restarted, later).await;
    assert_eq!(count(&restarted, later), Ok(5), "nor after a restart");
    world.say(Reply::Cut);
    let again = upkeep_of_many(place(), directory());
    world.look_at(&again, later).await;
    assert_eq!(count(&again, later), Ok(5), "nor after the next, by a copy of it");
}

#[tokio::test]
async fn a_document_from_the_future_keeps_none_of_the_present_out() {
    // A year, and a little more and less than clocks may differ.
    for (name, instant, keeps_out) in [
        ("a wrong clock", "2027-01-01T00:00:00Z", false),
        ("a clock that may not be so fast", "2026-01-01T00:05:01Z", false),
        ("a clock that is a little fast", "2026-01-01T00:05:00Z", true),
    ] {
        let world = World::new(&made(instant, 3)).await;
        let place = || at(world.server.url());
        let directory = || Some(world.directory.path().to_owned());
        let (many, one) = (upkeep_of_many(place(), directory()), world.upkeep());
        for upkeep in [&many, &one] {
            world.look_at(upkeep, NOW).await;
        }
        assert_eq!((count(&many, NOW), known(&one, NOW)), (Ok(3), Ok("old")), "{name}: it is used");
        // Its copy is what they begin with.
        let restarted = upkeep_of_many(place(), directory());
        world.say(document(&made("2026-01-01T00:00:00Z", 6)));
        for upkeep in [&restarted, &many, &one] {
            let is_refused = world.look_at(upkeep, NOW).await < LEAST_PAUSE;
            assert_eq!(is_refused, keeps_out, "{name}");
        }
        let expected = if keeps_out { 3 } else { 5 };
        assert_eq!(count(&many, NOW), Ok(expected), "{name}");
        assert_eq!(count(&restarted, NOW), Ok(expected), "{name}: after a restart");
        world.say(document(&made("2025-12-31T23:59:59Z", 9)));
        world.look_at(&many, NOW).await;
        assert_eq!(count(&many, NOW), Ok(expected), "{name}: one that was replaced does not come back");
    }
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

#[tokio::test]
async fn what_one_member_says_of_its_own_time_is_nothing_to_the_others() {
    // Canonical: attributes in the order of their names.
    let of_member = |before: &str, after: &str| {
        let member = IDP.member("").expect("an entity");
        let (name, rest) = member.split_once('>').expect("a tag");
        format!("{}{after}>{rest}", name.replacen("entityID=", &format!("{before}entityID="), 1))
    };
    let whole = |cache_duration: Option<&str>, valid_until: Option<u64>| Issue {
        cache_duration: cache_duration.map(str::to_owned),
        valid_until: valid_until.map(instant),
        ..issue()
    };
    let soon = format!(" validUntil=\"{}\"", instant(SECONDS + 600));
    let late = " validUntil=\"2099-01-01T00:00:00Z\"";
    for (name, member, whole, expected) in [
        ("a short duration", of_member("cacheDuration=\"PT2M\" ", ""), whole(None, None), HOUR),
        ("a long one", of_member("cacheDuration=\"P7D\" ", ""), whole(Some("PT30M"), None), HOUR / 2),
        ("a near end", of_member("", &soon), whole(None, None), HOUR),
        ("a late end", of_member("", late), whole(None, Some(SECONDS + 3600)), HOUR / 2),
    ] {
        let certificate = STRANGER.certificate_base64().expect("a certificate");
        let members = strangers(3, &certificate) + &member;
        let world = World::new(&aggregate(&members, &whole).expect("metadata")).await;
        let upkeep = upkeep_of_many(at(world.server.url()), None);
        let pause = world.look_at(&upkeep, NOW).await;
        assert_eq!(count(&upkeep, NOW), Ok(3), "{name}");
        assert!(pause <= expected && pause >= expected / 10 * 9, "{name}: {pause:?}");
    }
}

#[tokio::test]
async fn a_document_that_has_expired_is_fetched_whole_though_the_server_says_that_it_has_not_changed() {
    let until = Issue { valid_until: Some(instant(SECONDS + 3600)), ..issue() };
    let members = IDP.member("").expect("an entity");
    let tagged = |issue: &Issue| {
        let text = aggregate(&members, issue).expect("metadata");
        let Reply::Answer { status, body, .. } = document(&text) else { panic!("an answer") };
        Reply::Answer { status, headers: vec![("etag".to_owned(), "\"one\"".to_owned())], body }
    };
    let world = World::new("").await;
    world.say(tagged(&until));
    let upkeep = upkeep_of_many(at(world.server.url()), None);
    world.look_at(&upkeep, NOW).await;
    world.say(Reply::new(304, "text/plain", ""));
    let end = NOW.plus(HOUR);
    assert!(world.look_at(&upkeep, end.minus(Duration::from_millis(1))).await >= LEAST_PAUSE / 10 * 9);
    assert!(world.look_at(&upkeep, end).await <= RETRY, "a failure: it is tried again soon");
    assert_eq!(count(&upkeep, end), Err(Unknown::Expired));
    world.say(tagged(&issue()));
    world.look_at(&upkeep, end).await;
    assert_eq!(count(&upkeep, end), Ok(1));
    let asked = world.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let known = Some("\"one\"".to_owned());
    assert_eq!(asked, [None, known.clone(), known, None], "the last time whole");
}
