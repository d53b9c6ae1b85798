//! What the log says of metadata.

use std::collections::BTreeSet;

use serde_json::Value;
use tracing::{Dispatch, dispatcher::DefaultGuard};
use tracing_subscriber::Registry;
use usher_lab::lines::Lines;

use super::{
    federations::{federation, upkeep_of_many},
    *,
};

/// Has `lines` take what this thread logs, until it is dropped. Where there is but one subscriber, whoever comes to a line first
/// decides for all threads whether it is of interest, and other tests have none: so there are two.
fn hear_this_thread(lines: &Lines) -> (Dispatch, DefaultGuard) {
    let other = Dispatch::new(Registry::default());
    let ours = Dispatch::new(tracing_subscriber::fmt().json().with_writer(lines.clone()).finish());
    tracing::callsite::rebuild_interest_cache();
    let guard = tracing::dispatcher::set_default(&ours);
    (other, guard)
}

/// Those that are about metadata.
fn of_upkeep(lines: &Lines) -> Vec<Value> {
    let is_ours = |line: &Value| line["target"].as_str().is_some_and(|target| target.contains("upkeep"));
    lines.written().into_iter().filter(is_ours).collect()
}

/// Has a place take the copy that nobody can write to or read.
fn bar(copy: &Path) {
    fs::remove_file(copy).expect("a copy");
    fs::create_dir_all(copy.join("x")).expect("a directory");
}

/// One that wants signed requests.
fn unwilling() -> SamlIdp {
    SamlIdp { wants_signed_requests: true, ..IDP.clone() }
}

/// All that happens to the metadata of many.
async fn happens_to_many() {
    let member = IDP.member("").expect("an entity");
    let expired = member.replacen("/idp\">", "/idp/old\" validUntil=\"2020-01-01T00:00:00Z\">", 1);
    let strict = SamlIdp { entity_id: "https://strict.example/idp".to_owned(), ..unwilling() };
    let members = member + &expired + &strict.member("").expect("an entity");
    let text = usher_lab::scripted::saml::federation::aggregate(&members, &issue());
    let world = World::new(&text.expect("metadata")).await;
    let place = || at(world.server.url());
    let made = || upkeep_of_many(place(), Some(world.directory.path().to_owned()));
    let upkeep = made();
    world.look_at(&upkeep, NOW).await;
    world.say(Reply::Cut);
    world.look_at(&upkeep, NOW).await;
    world.look_at(&made(), NOW).await;
    bar(&world.copy());
    world.look_at(&made(), NOW).await;
    world.say(document(&federation(3)));
    world.look_at(&upkeep, NOW).await;
}

/// The same of one.
async fn happens_to_one() {
    let world = World::new(&signed()).await;
    world.look_at(&world.upkeep(), NOW).await;
    bar(&world.copy());
    world.look_at(&world.upkeep(), NOW).await;
    world.say(document(&unwilling().signed_metadata(&issue()).expect("metadata")));
    let strict = world.upkeep();
    for _ in 0..2 {
        world.look_at(&strict, NOW).await;
    }
    let path = world.directory.path().join("idp.xml");
    fs::write(&path, signed()).expect("a file");
    let upkeep = upkeep(Place::File { path, first: None, stamp: None }, None, vec![key_of(&OURS)]);
    world.look_at(&upkeep, NOW).await;
}

/// What is said at each of these moments, by hours from now, of metadata that ends after so many days.
async fn told_at(world: &World, upkeep: &Upkeep, hours: &[u32]) -> Vec<Vec<&'static str>> {
    let mut told = Vec::new();
    for hour in hours {
        let lines = Lines::default();
        let _guard = hear_this_thread(&lines);
        world.look_at(upkeep, NOW.plus(HOUR * *hour)).await;
        let lines = of_upkeep(&lines);
        let ends = lines.iter().filter(|line| line["fields"]["valid_until"].is_string());
        told.push(
            ends.map(|line| {
                assert_eq!(
                    (line["level"].as_str(), line["fields"]["provider.id"].as_str()),
                    (Some("WARN"), Some("corp"))
                );
                let message = line["fields"]["message"].as_str().unwrap_or_default();
                if message.contains("expires soon") { "near" } else { "past" }
            })
            .collect(),
        );
    }
    told
}

fn until(days: u64) -> String {
    IDP.signed_metadata(&Issue { valid_until: Some(instant(SECONDS + days * 86_400)), ..issue() })
        .expect("metadata")
}

#[tokio::test]
async fn the_end_of_a_file_is_told_before_and_when_it_is_there_though_the_file_does_not_change() {
    let world = World::new("").await;
    let path = world.directory.path().join("idp.xml");
    fs::write(&path, until(5)).expect("a file");
    let upkeep =
        upkeep(Place::File { path: path.clone(), first: None, stamp: None }, None, vec![key_of(&OURS)]);
    let told = told_at(&world, &upkeep, &[0, 47, 48, 49, 71, 72, 119, 120, 121, 143, 144]).await;
    let (near, past) = (vec!["near"], vec!["past"]);
    let nothing = Vec::new;
    let expected = [
        nothing(),
        nothing(),
        near.clone(),
        nothing(),
        nothing(),
        near.clone(),
        near,
        past.clone(),
        nothing(),
        nothing(),
        past,
    ];
    assert_eq!(told, expected);
    fs::write(&path, until(30)).expect("a file");
    assert_eq!(told_at(&world, &upkeep, &[145, 146]).await, [nothing(), nothing()], "a newer one");
}

#[tokio::test]
async fn what_is_renewed_in_time_is_not_told_to_end() {
    let world = World::new(&until(2)).await;
    let fetched = world.upkeep();
    let told = told_at(&world, &fetched, &[0, 23]).await;
    assert_eq!(told, [Vec::<&str>::new(), Vec::new()], "it never lives for long");
    world.say(document(&until(3)));
    assert_eq!(told_at(&world, &fetched, &[24]).await, [Vec::<&str>::new()], "renewed");
    assert_eq!(
        told_at(&world, &fetched, &[47, 48]).await,
        [vec![], vec!["near"]],
        "half of its life is over"
    );
    world.say(Reply::Cut);
    let lines = Lines::default();
    assert_eq!(told_at(&world, &fetched, &[72]).await, [vec!["past"]]);
    let _guard = hear_this_thread(&lines);
    world.look_at(&fetched, NOW.plus(HOUR * 73)).await;
    let levels: Vec<_> = of_upkeep(&lines).iter().map(|line| line["level"].clone()).collect();
    assert_eq!(levels, ["ERROR"], "nothing that is known is used");
}

#[tokio::test]
async fn a_line_about_a_url_names_the_key_that_it_stands_at() {
    for key in ["metadata_url", "mdq_url"] {
        let lines = Lines::default();
        let _guard = hear_this_thread(&lines);
        let (_, source) = crate::config::Settings::read(
            serde_json::json!({ (key): "https://127.0.0.1:1/", "idp": ENTITY }),
        )
        .expect("a section");
        let world = World::new("").await;
        world.look_at(&upkeep_of(source), NOW).await;
        let told: Vec<_> = of_upkeep(&lines).iter().map(|line| line["fields"]["key"].clone()).collect();
        assert_eq!(told, [key]);
    }
}

#[tokio::test]
async fn every_line_says_which_provider_it_is_about() {
    let lines = Lines::default();
    let _guard = hear_this_thread(&lines);
    happens_to_many().await;
    happens_to_one().await;
    let lines = of_upkeep(&lines);
    for line in &lines {
        assert_eq!(line["fields"]["provider.id"], "corp", "{line}");
    }
    let unsigned = lines.iter().filter(|line| line["fields"].to_string().contains("identity provider wants"));
    let unsigned: Vec<_> =
        unsigned.map(|line| (line["level"].as_str(), line["fields"]["idp"].as_str())).collect();
    assert_eq!(unsigned, [(Some("ERROR"), Some(ENTITY))], "once, and not at every look");
    let said: BTreeSet<_> = lines.iter().filter_map(|line| line["fields"]["message"].as_str()).collect();
    let expected = [
        "identity providers are left out because they want signed requests: give Usher `keys`",
        "identity providers were passed over",
        "metadata cannot be had, so that nobody signs in there",
        "metadata cannot be kept for the next start, when nobody will sign in until it is fetched",
        "metadata could not be renewed; what is known is used",
        "the identity provider wants signed requests, so that nobody signs in there: give Usher `keys`",
        "the last good copy of metadata cannot be read",
        "the metadata has changed and was read again",
        "the metadata has no `validUntil`: whoever keeps a copy of it can give it to us for ever",
        "the metadata of a federation was read",
        "the metadata of the last run is used until it is fetched anew",
    ];
    assert_eq!(said.into_iter().collect::<Vec<_>>(), expected);
}
