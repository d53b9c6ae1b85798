//! Nothing that opens anything, and nothing about anybody but their names, is in the log or in the database.

use reqwest::StatusCode;
use serde_json::json;

use crate::{components::run, config::APP, database::Kind, person::Landed, world::World};

/// Everything a log must not hold, by what it is.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn add(&mut self, what: &'static str, value: &str) {
        assert!(value.len() > 3, "{what}: so short a value is found anywhere");
        self.0.push((what, value.to_owned()));
    }

    fn assert_absent_from(&self, place: &str, text: &str) {
        for (what, value) in &self.0 {
            assert!(!text.contains(value.as_str()), "{place} has {what}");
        }
    }
}

/// One whole login with everything that can be refused on the way, noting what passes by.
async fn live_through(world: &World, username: &str, secrets: &mut Secrets) -> anyhow::Result<()> {
    let person = world.person_stopping_at_callback(username);
    let known = world.components().cas.person(username);
    secrets.add("a mail address", &known.mail());
    secrets.add("a display name", known.name);
    for department in known.departments {
        secrets.add("a department", department);
    }
    let callback = person.callback().await?;
    let ticket = callback.query_pairs().find(|(key, _)| key == "ticket").map(|(_, value)| value.into_owned());
    secrets.add("a ticket", &ticket.unwrap_or_default());
    for (_, value) in person.cookies() {
        secrets.add("a cookie", &value);
    }
    let (status, _) = world.person("dave").open(&callback).await?.page();
    assert_eq!(status, StatusCode::BAD_REQUEST, "refused in another browser");

    let token = person.open(&callback).await?.login_token()?;
    secrets.add("a login token", &token);
    let session = world.client.redeem_with(&token, json!({ "refresh_token": true })).await?.expect_ok()?;
    secrets.add("an access token", session.field("access_token")?);
    secrets.add("a refresh token", session.field("refresh_token")?);
    assert_eq!(world.client.redeem(&token).await?.status, StatusCode::FORBIDDEN);
    assert_eq!(person.open(&callback).await?.page().0, StatusCode::BAD_REQUEST);
    Ok(())
}

/// A ticket that is refused, and a page that asks.
async fn live_through_more(world: &World, secrets: &mut Secrets) -> anyhow::Result<()> {
    let person = world.person_stopping_at_callback("alice");
    let mut callback = person.callback().await?;
    callback.set_query(Some("ticket=ST-a-ticket-that-nobody-issued"));
    secrets.add("a ticket", "ST-a-ticket-that-nobody-issued");
    assert_eq!(person.open(&callback).await?.page().0, StatusCode::FORBIDDEN);

    let person = world.person("alice");
    let page = person.sign_in_for("unheard-of.client://connect?private=thing").await?.into_page();
    for (_, value) in person.cookies() {
        secrets.add("a cookie", &value);
    }
    secrets.add("a client's address", "private=thing");
    secrets.add("a form's token", page.form()?.value("csrf").unwrap_or_default());
    let token = Landed::from(page.form()?.submit(person.browser()).await?).login_token()?;
    secrets.add("a login token", &token);
    let spelled_wrong = json!({ "type": "m.login.token", "token": "ushl_spelled-wrong" });
    secrets.add("a login token", "ushl_spelled-wrong");
    world.client.call(reqwest::Method::POST, "_matrix/client/v3/login", Some(&spelled_wrong)).await?;
    Ok(())
}

#[test]
fn neither_log_nor_database_holds_what_opens_anything() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            for filter in ["info", "trace"] {
                let world = World::start_with(kind, |config| config.log_filter = filter.to_owned()).await?;
                let mut secrets = Secrets::default();
                for tokens in &world.components().tokens {
                    secrets.add("an as_token", &tokens.as_token);
                    secrets.add("an hs_token", &tokens.hs_token);
                }
                secrets.add("the key", &"0123456789abcdef".repeat(4));
                for username in ["alice", "carol"] {
                    live_through(&world, username, &mut secrets).await?;
                }
                live_through_more(&world, &mut secrets).await?;
                world.sign_in("erin").await?.page();
                world.person("alice").begin(APP).await?;

                let log = world.usher.log()?;
                assert_eq!(log.contains("TRACE"), filter == "trace", "the filter is heeded");
                assert!(log.contains(&world.eng("alice")), "it says who signed in: {log}");
                secrets.assert_absent_from(&format!("the {filter} log on {kind:?}"), &log);
                for file in world.database.files()? {
                    secrets.assert_absent_from("the database file", &file);
                }
                for sql in [
                    "SELECT COALESCE(upstream_session_hash, '') || token_hash || attempt_hash FROM login_tokens",
                    "SELECT COALESCE(upstream_session_hash, '') || subject || device_id FROM sessions",
                    "SELECT provider || issuer || subject || mxid FROM links",
                    "SELECT provider || issuer || subject || server_name FROM choices",
                ] {
                    let rows = world.database.column(sql).await?.join("\n");
                    secrets.assert_absent_from(&format!("the database on {kind:?} ({sql})"), &rows);
                }
            }
        }
        Ok(())
    })
}

/// Log and database, as they are now.
async fn assert_absent(world: &World, secrets: &Secrets, when: &str) -> anyhow::Result<()> {
    secrets.assert_absent_from(&format!("the log {when}"), &world.usher.log()?);
    for file in world.database.files()? {
        secrets.assert_absent_from(&format!("the database file {when}"), &file);
    }
    for sql in [
        "SELECT attempt_hash || identity FROM pending",
        "SELECT COALESCE(upstream_session_hash, '') || token_hash || attempt_hash FROM login_tokens",
        "SELECT provider || issuer || subject || server_name FROM choices",
    ] {
        let rows = world.database.column(sql).await?.join("\n");
        secrets.assert_absent_from(&format!("the database {when} ({sql})"), &rows);
    }
    Ok(())
}

#[test]
fn somebody_who_is_asked_leaves_nothing_that_opens_anything() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let world = World::start_with(kind, |config| {
                config.log_filter = "trace".to_owned();
                config.selection = Some(json!([{ "sticky": {} }, { "ask": {} }]));
            })
            .await?;
            let mut secrets = Secrets::default();
            secrets.add("the key", &"0123456789abcdef".repeat(4));
            // The config looks at the display name alone: that waits with them, and nothing else does.
            let known = world.components().cas.person("alice");
            secrets.add("a mail address", &known.mail());
            for department in known.departments {
                secrets.add("a department", department);
            }
            let person = world.person_stopping_at_callback("alice");
            let callback = person.callback().await?;
            let ticket = callback.query_pairs().find(|(key, _)| key == "ticket");
            secrets.add("a ticket", &ticket.map(|(_, value)| value.into_owned()).unwrap_or_default());
            for (_, value) in person.cookies() {
                secrets.add("a cookie", &value);
            }
            let page = person.open(&callback).await?.into_page();
            for (_, value) in person.cookies() {
                secrets.add("a cookie of the page", &value);
            }
            let form = page.form()?;
            secrets.add("a form's token", form.value("csrf").unwrap_or_default());
            assert_eq!(
                world.database.column("SELECT attempt_hash FROM pending").await?.len(),
                1,
                "they wait"
            );
            assert_absent(&world, &secrets, "while they are asked").await?;

            let chosen = form.press("homeserver", "hist.localhost").submit(person.browser()).await?;
            let token = Landed::from(chosen).login_token()?;
            secrets.add("a login token", &token);
            let session = world.client.redeem(&token).await?.expect_ok()?;
            secrets.add("an access token", session.field("access_token")?);
            assert_eq!(session.field("user_id")?, world.hist("alice"));
            assert_absent(&world, &secrets, "after they have chosen").await?;
        }
        Ok(())
    })
}
