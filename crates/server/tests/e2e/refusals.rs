//! What is good once, and in one browser.

use reqwest::{Method, StatusCode, header::LOCATION};
use serde_json::json;
use tokio::task::JoinSet;
use url::Url;
use usher_lab::browser::loopback_client;

use crate::{client::Client, components::run, config::APP, database::Kind, world::World};

#[test]
fn a_login_token_is_good_once_however_many_ask() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let world = World::start(kind).await?;
            let token = world.sign_in("alice").await?.login_token()?;
            let mut requests = JoinSet::new();
            for _ in 0..8 {
                let (client, token) = (world.client.clone(), token.clone());
                requests.spawn(async move { client.redeem(&token).await });
            }
            let answers: Vec<_> = requests.join_all().await.into_iter().collect::<Result<_, _>>()?;
            let [winners, losers]: [Vec<_>; 2] = [true, false].map(|won| {
                answers.iter().filter(|answer| (answer.status == StatusCode::OK) == won).collect()
            });
            assert_eq!(winners.len(), 1, "{kind:?}: {answers:?}");
            for loser in losers {
                let refusal = (loser.status.as_u16(), loser.errcode());
                let known = [(403, "M_FORBIDDEN"), (429, "M_LIMIT_EXCEEDED")];
                assert!(known.contains(&refusal), "{kind:?}: {loser:?}");
            }
            let devices = world.components().eng.devices(winners[0].field("access_token")?).await?;
            assert_eq!(devices.len(), 1, "{kind:?}: {devices:?}");
            let again = world.client.redeem(&token).await?;
            assert_eq!((again.status, again.errcode()), (StatusCode::FORBIDDEN, "M_FORBIDDEN"), "{kind:?}");
        }
        Ok(())
    })
}

#[test]
fn a_callback_is_good_once_and_only_in_the_browser_that_began() -> anyhow::Result<()> {
    run(async {
        let world = World::start(Kind::Sqlite).await?;
        let alice = world.person_stopping_at_callback("alice");
        let callback = alice.callback().await?;

        let stranger = world.person("bob");
        let (status, text) = stranger.open(&callback).await?.page();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
        assert!(text.contains("This sign-in cannot be continued"), "{text}");
        stranger.begin(APP).await?;
        let (status, text) = stranger.open(&callback).await?.page();
        assert_eq!(status, StatusCode::BAD_REQUEST, "with a cookie of another attempt: {text}");
        assert_eq!(world.database.accounts().await?, Vec::<String>::new());

        let token = alice.open(&callback).await?.login_token()?;
        let (status, text) = alice.open(&callback).await?.page();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
        world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(world.database.login_tokens().await?, ["redeemed"]);
        Ok(())
    })
}

#[test]
fn a_ticket_is_good_for_one_attempt() -> anyhow::Result<()> {
    run(async {
        let world = World::start(Kind::Sqlite).await?;
        let thief = world.person_stopping_at_callback("bob");
        let mut own = thief.callback().await?;
        let stolen = world.person_stopping_at_callback("alice").callback().await?;
        own.set_query(stolen.query());
        let (status, text) = thief.open(&own).await?.page();
        assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
        assert_eq!(world.database.accounts().await?, Vec::<String>::new());
        Ok(())
    })
}

#[test]
fn what_a_request_says_of_its_host_does_not_change_the_service() -> anyhow::Result<()> {
    run(async {
        let world = World::start(Kind::Sqlite).await?;
        let http = loopback_client(std::time::Duration::from_secs(30))?;
        let login = world.person("alice").login_url("v3", APP);
        let callbacks = format!("{}_usher/cas/corp/callback/", world.config.public_base_url);
        for (header, value) in [
            ("host", "evil.localhost"),
            ("x-forwarded-host", "evil.localhost"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "host=evil.localhost;proto=https"),
        ] {
            let ask = async |url: &str| {
                let answer = http.get(url).header(header, value).send().await?;
                assert_eq!(answer.status(), StatusCode::FOUND, "{header}");
                anyhow::Ok(Url::parse(answer.headers()[LOCATION].to_str()?)?)
            };
            let mut location = ask(&login).await?;
            if header == "host" {
                // Sent to the portal's own host once; who comes with the same host again is taken on from there.
                assert!(location.as_str().starts_with(login.as_str()), "{location}");
                location = ask(location.as_str()).await?;
            }
            assert!(
                location.as_str().starts_with(world.config.cas_base_url.as_str()),
                "{header}: {location}"
            );
            let service = location.query_pairs().find(|(key, _)| key == "service").map(|(_, value)| value);
            assert!(service.is_some_and(|service| service.starts_with(&callbacks)), "{header}: {location}");
        }
        Ok(())
    })
}

#[test]
fn r0_and_v3_are_the_same() -> anyhow::Result<()> {
    run(async {
        let world = World::start(Kind::Sqlite).await?;
        let garbage = json!({ "type": "m.login.token", "token": "ushl_garbage" });
        let unknown = json!({ "type": "m.login.password" });
        for (name, method, path, body) in [
            ("flows", Method::GET, "login", None),
            ("a bad token", Method::POST, "login", Some(&garbage)),
            ("an unknown type", Method::POST, "login", Some(&unknown)),
            ("another method", Method::PUT, "login", Some(&garbage)),
            ("registration", Method::POST, "register", Some(&unknown)),
            ("not ours", Method::GET, "sync", None),
            ("nobody's", Method::GET, "nonsense", None),
            ("no redirectUrl", Method::GET, "login/sso/redirect/corp", None),
        ] {
            let [v3, r0] = ["v3", "r0"].map(|version| format!("_matrix/client/{version}/{path}"));
            let v3 = world.client.call(method.clone(), &v3, body).await?;
            let r0 = world.client.call(method, &r0, body).await?;
            assert_eq!((v3.status, &v3.body), (r0.status, &r0.body), "{name}");
        }
        let alice = world.person("alice");
        let page = alice.browser().open(alice.login_url("r0", APP)).await?;
        let token = alice.go_on(page).await?.login_token()?;
        let login = json!({ "type": "m.login.token", "token": token });
        let session = Client::at(&world.config.public_base_url())?
            .call(Method::POST, "_matrix/client/r0/login", Some(&login))
            .await?;
        assert_eq!(session.expect_ok()?.field("user_id")?, world.eng("alice"));
        Ok(())
    })
}
