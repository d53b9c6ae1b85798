//! Everything that a homeserver can do wrong, at every call that a login makes to it: who comes is told so, loses
//! nothing, and gets in to the one account when the homeserver is well again.

use std::time::Duration;

use reqwest::{StatusCode, header::RETRY_AFTER};
use serde_json::json;
use usher_lab::scripted::{
    Reply,
    homeserver::{Endpoint, Fault},
};

use crate::{
    components::run,
    crash_point::{At, Trap},
    database::Kind,
    footprint::Footprint,
    scripted::{SERVER_NAME, Stage, engineer},
};

/// How long Usher waits for the homeserver.
const TIMEOUT: Duration = Duration::from_secs(1);

/// One fault, and what it leads to.
struct Trouble {
    name: &'static str,
    fault: fn() -> Fault,
    /// What becomes of an account whose registration met it: `reserved` if certainly nothing was made.
    account: &'static str,
    /// What the client's `POST /login` is answered.
    login: (u16, &'static str),
    /// What becomes of the token: `issued` if it can be used again at once.
    token: &'static str,
    /// When the client is told to come back, in seconds.
    retry_after: Option<&'static str>,
}

const TROUBLES: [Trouble; 12] = [
    trouble("never answers", Fault::hang, "registering", 504, "claimed"),
    trouble("answers a byte at a time", Fault::drip, "registering", 504, "claimed"),
    trouble("cuts the connection", Fault::cut, "registering", 504, "claimed"),
    trouble("cuts its answer short", Fault::cut_short, "registering", 504, "claimed"),
    limited("429 with a time", || Fault::rate_limited("7"), "7"),
    limited("429 without a time", Fault::rate_limited_without_a_time, "5"),
    trouble("500", Fault::server_error, "registering", 502, "issued"),
    trouble("a proxy's 502", Fault::bad_gateway, "registering", 502, "issued"),
    trouble("200 with a page", Fault::html, "registering", 502, "issued"),
    trouble("10 MB", Fault::huge, "registering", 502, "issued"),
    trouble("an answer without an end", Fault::endless, "registering", 502, "issued"),
    trouble("another user", another_user, "registering", 502, "issued"),
];

const fn trouble(
    name: &'static str,
    fault: fn() -> Fault,
    account: &'static str,
    status: u16,
    token: &'static str,
) -> Trouble {
    Trouble { name, fault, account, login: (status, "M_UNKNOWN"), token, retry_after: None }
}

const fn limited(name: &'static str, fault: fn() -> Fault, seconds: &'static str) -> Trouble {
    let login = (429, "M_LIMIT_EXCEEDED");
    Trouble { name, fault, account: "reserved", login, token: "issued", retry_after: Some(seconds) }
}

/// Success, for somebody else. To every endpoint its own shape of it.
fn another_user() -> Fault {
    let said = json!({ "user_id": "@mallory:engineering.localhost", "access_token": "x", "device_id": "X" });
    Fault::Says(Reply::json(200, &said))
}

fn user(subject: &str) -> String {
    format!("@{subject}:{SERVER_NAME}")
}

fn enter(stage: &Stage, subject: &str) {
    stage.enter(&engineer(subject, "Somebody New"));
}

/// They get in, to the account that has their name.
async fn gets_in(stage: &Stage, name: &str) -> anyhow::Result<String> {
    let token = stage.sign_in().await?.login_token()?;
    let session = stage.client.redeem(&token).await?.expect_ok()?;
    let user = session.field("user_id")?.to_owned();
    assert_eq!(stage.database.account(&user).await?, "active", "{name}");
    assert_eq!(stage.devices(&user).len(), 1, "{name}");
    Ok(user)
}

#[test]
fn a_fault_while_an_account_is_made_costs_nothing_but_another_try() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        for (endpoint, word) in [(Endpoint::WhoAmI, "probed"), (Endpoint::Register, "registered")] {
            for (index, trouble) in TROUBLES.iter().enumerate() {
                let name = format!("{} when the name is {word}", trouble.name);
                let subject = format!("{word}{index}");
                enter(&stage, &subject);
                stage.homeserver.set_fault(endpoint, (trouble.fault)());
                let (status, text) = stage.sign_in().await?.page();
                assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{name}: {text}");
                assert!(text.contains("Your homeserver cannot be reached"), "{name}: {text}");
                let account = if endpoint == Endpoint::WhoAmI { "reserved" } else { trouble.account };
                assert_eq!(stage.database.account(&user(&subject)).await?, account, "{name}");
                assert!(stage.homeserver.user(&user(&subject)).is_none(), "{name}");
                stage.homeserver.clear_fault(endpoint);
                assert_eq!(gets_in(&stage, &name).await?, user(&subject), "{name}");
            }
        }
        Ok(())
    })
}

#[test]
fn an_account_that_was_made_and_not_told_of_is_found_again() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        for (index, (name, fault)) in [
            ("never answered", Fault::act_but_never_answer()),
            ("cut", Fault::act_but_cut()),
            ("a proxy's 502", Fault::ActsAndSays(Reply::new(502, "text/html", "Bad Gateway"))),
            ("a page", Fault::ActsAndSays(Reply::new(200, "text/html", "Welcome"))),
            ("a byte at a time", Fault::ActsAndSays(Reply::Drip)),
            ("an answer without an end", Fault::ActsAndSays(Reply::Endless)),
        ]
        .into_iter()
        .enumerate()
        {
            let subject = format!("untold{index}");
            enter(&stage, &subject);
            stage.homeserver.set_fault(Endpoint::Register, fault);
            let (status, text) = stage.sign_in().await?.page();
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{name}: {text}");
            assert_eq!(stage.database.account(&user(&subject)).await?, "registering", "{name}");
            assert!(stage.homeserver.user(&user(&subject)).is_some(), "{name}");
            stage.homeserver.clear_fault(Endpoint::Register);
            assert_eq!(gets_in(&stage, name).await?, user(&subject), "{name}");
        }
        Ok(())
    })
}

#[test]
fn a_fault_while_an_account_is_named_costs_the_name_and_nothing_else() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        for (index, trouble) in TROUBLES.iter().enumerate().filter(|(_, it)| it.name != "another user") {
            let subject = format!("unnamed{index}");
            enter(&stage, &subject);
            stage.homeserver.set_fault(Endpoint::DisplayName, (trouble.fault)());
            assert_eq!(gets_in(&stage, trouble.name).await?, user(&subject), "{}", trouble.name);
            stage.homeserver.clear_fault(Endpoint::DisplayName);
        }
        Ok(())
    })
}

#[test]
fn a_fault_while_a_session_is_opened_costs_no_token() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        let mut later = Vec::new();
        for (index, trouble) in TROUBLES.iter().enumerate() {
            let Trouble { name, login: (status, errcode), retry_after, .. } = *trouble;
            let subject = format!("redeems{index}");
            enter(&stage, &subject);
            let token = stage.sign_in().await?.login_token()?;
            stage.homeserver.set_fault(Endpoint::Login, (trouble.fault)());
            let answer = stage.client.redeem(&token).await?;
            stage.homeserver.clear_fault(Endpoint::Login);
            assert_eq!((answer.status.as_u16(), answer.errcode()), (status, errcode), "{name}: {answer:?}");
            let told = answer.headers.get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok());
            assert_eq!(told, retry_after, "{name}");
            assert!(answer.body.get("access_token").is_none(), "{name}");
            assert_eq!(stage.database.token_states_of(&user(&subject)).await?, [trouble.token], "{name}");
            let client = stage.client.clone();
            later.push(async move {
                let answer = match trouble.token {
                    "issued" => client.redeem(&token).await?,
                    _ => client.redeem_patiently(&token).await?,
                };
                anyhow::Ok((name, subject, answer.expect_ok()?, client.redeem(&token).await?))
            });
        }
        for outcome in futures_util::future::join_all(later).await {
            let (name, subject, session, again) = outcome?;
            assert_eq!(session.field("user_id")?, user(&subject), "{name}");
            assert_eq!(stage.devices(&user(&subject)).len(), 1, "{name}");
            assert_eq!(again.errcode(), "M_FORBIDDEN", "{name}: good once");
        }
        Ok(())
    })
}

#[test]
fn a_homeserver_that_goes_away_between_two_calls_is_found_again() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Postgres, TIMEOUT).await?;
        // The name was seen to be free, and nobody is there to register it.
        let trap = Trap::set(&stage, At::WriteAfter(Endpoint::WhoAmI, "accounts")).await?;
        let visit = stage.start_sign_in();
        let trapped = trap.sprung(&stage).await?;
        stage.homeserver.stop().await?;
        trapped.give_way().await?;
        let (status, text) = visit.await??.page();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
        let alice = crate::scripted::ALICE;
        assert_eq!(stage.database.account(alice).await?, "reserved", "certainly nothing was made");
        stage.homeserver.restart().await?;
        let token = stage.sign_in().await?.login_token()?;

        // The same between the claim of a token and its session.
        stage.homeserver.stop().await?;
        let answer = stage.client.redeem(&token).await?;
        assert_eq!((answer.status, answer.errcode()), (StatusCode::BAD_GATEWAY, "M_UNKNOWN"));
        assert_eq!(stage.database.login_tokens().await?, ["issued"]);
        stage.homeserver.restart().await?;
        assert_eq!(stage.client.redeem(&token).await?.expect_ok()?.field("user_id")?, alice);
        Ok(())
    })
}

#[test]
fn answers_of_any_length_cost_no_more_memory_than_is_read_of_them() -> anyhow::Result<()> {
    /// Logins at once, each of which is offered more than ten megabytes.
    const AT_ONCE: usize = 24;
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        let mut tokens = Vec::new();
        for _ in 0..AT_ONCE {
            tokens.push(stage.sign_in().await?.login_token()?);
        }
        for (name, fault) in [("10 MB", Fault::huge()), ("without an end", Fault::endless())] {
            stage.homeserver.set_fault(Endpoint::Login, fault);
            Footprint::forget_peak(&stage.usher)?;
            let before = Footprint::of(&stage.usher)?;
            let logins: Vec<_> = tokens.iter().map(|token| stage.start_redeem(token)).collect();
            for login in logins {
                let answer = login.await??;
                assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{name}: {answer:?}");
            }
            let grown = Footprint::of(&stage.usher)?.peak.saturating_sub(before.resident);
            // A megabyte is read of each, into a buffer that grows by doubling.
            assert!(grown < AT_ONCE as u64 * 3 * 1024, "{name}: {grown} kB at the peak");
        }
        stage.homeserver.clear_fault(Endpoint::Login);
        for token in &tokens {
            stage.client.redeem(token).await?.expect_ok()?;
        }
        Ok(())
    })
}
