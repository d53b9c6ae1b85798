//! `kill -9` on both sides of every step of a login: whatever Usher asks of the database, of the homeserver and of CAS
//! is held up before it arrives and again before its answer does, Usher is killed there and started again, the
//! person reloads the page where they were left or signs in anew, their client repeats its request, and they are in,
//! with one account; and no login token ever yields two sessions that were delivered.
//!
//! The steps are listed below. A login is recorded and compared with the list first, so that a step which is added, or
//! taken away, or comes at another time, is noticed here.

mod http_tap;
mod postgres_tap;
mod tape;
mod tapped;

use std::sync::Arc;

use anyhow::Context as _;
use reqwest::StatusCode;
use url::Url;

pub(crate) use self::{
    tape::Moment,
    tapped::{Tapped, name_of},
};
use crate::{
    components::run,
    getting_in::{At, token_of},
    person::{Landed, Person},
    scripted::{SERVER_NAME, engineer},
};

/// From the callback of a person whom nobody knows to their login token, at a trusted client.
const FIRST_CALLBACK: [&str; 19] = [
    "GET /cas/p3/serviceValidate",
    "SELECT FROM choices",
    "BEGIN",
    "INSERT INTO accounts",
    "INSERT INTO links",
    "INSERT INTO choices",
    "COMMIT",
    "SELECT FROM choices",
    "GET /account/whoami",
    "UPDATE accounts",
    "SELECT FROM choices",
    "POST /register",
    "PUT /profile/{user}/displayname",
    "BEGIN",
    "UPDATE accounts",
    "INSERT INTO provisioned",
    "COMMIT",
    "SELECT FROM choices",
    "INSERT INTO login_tokens",
];
/// The same for a person who is known.
const LATER_CALLBACK: [&str; 3] =
    ["GET /cas/p3/serviceValidate", "SELECT FROM choices", "INSERT INTO login_tokens"];
/// The same for a client that nobody trusts: to the page that asks.
const ASKED_CALLBACK: [&str; 2] = ["GET /cas/p3/serviceValidate", "SELECT FROM choices"];
/// From the click on that page to the login token.
const CLICK: [&str; 1] = ["INSERT INTO login_tokens"];
/// From the client's `POST /login` to its session.
const REDEEM: [&str; 6] =
    ["UPDATE login_tokens", "POST /login", "BEGIN", "UPDATE login_tokens", "INSERT INTO sessions", "COMMIT"];

/// A login token whose first use was cut short; the client tries again when all the others have been cut short too.
struct CutShort {
    name: String,
    user: String,
    token: String,
    /// The session was opened and the token redeemed, and nobody was told.
    is_lost: bool,
}

impl Tapped {
    /// They have signed in at CAS, and their browser is about to come back.
    async fn at_callback(&self, at: At) -> anyhow::Result<(Arc<Person>, Url)> {
        let person = Arc::new(self.stage.person_stopping_at_callback());
        let callback = person.callback_for(at.client()).await?;
        Ok((person, callback))
    }

    /// One account for each person who was here, and one link to it; nobody else on the homeserver.
    async fn everybody_is_one_person(&self) -> anyhow::Result<()> {
        let Self { stage, people, .. } = self;
        let mut expected: Vec<_> =
            (1..=*people).map(|number| format!("@person{number}:{SERVER_NAME}")).collect();
        expected.sort();
        assert_eq!(stage.homeserver.users(), expected);
        let accounts: Vec<_> = expected.iter().map(|user| format!("{user} active")).collect();
        assert_eq!(stage.database.accounts().await?, accounts);
        assert_eq!(stage.database.links().await?.len(), *people);
        Ok(())
    }
}

const CHANGED: &str =
    "a login has other steps than those listed here: mend the list, and think of a crash at each";

#[test]
fn the_steps_of_a_login_are_those_that_are_listed() -> anyhow::Result<()> {
    run(async {
        let mut tapped = Tapped::set(|_| {}).await?;
        tapped.enter_somebody();
        for (what, at, callback_steps) in [
            ("a first visit", At::Trusted, &FIRST_CALLBACK[..]),
            ("a later one", At::Trusted, &LATER_CALLBACK[..]),
            ("one for a client that nobody trusts", At::Untrusted, &ASKED_CALLBACK[..]),
        ] {
            tapped.tape.start();
            let (person, callback) = tapped.at_callback(at).await?;
            assert_eq!(tapped.tape.end(), Vec::<String>::new(), "{what}: a redirect asks nobody. {CHANGED}");
            tapped.tape.start();
            let landed = person.open(&callback).await?;
            assert_eq!(tapped.tape.end(), callback_steps, "{what}: the callback. {CHANGED}");
            tapped.tape.start();
            let token = token_of(&person, landed, at).await?;
            let clicked = if at == At::Trusted { &[][..] } else { &CLICK[..] };
            assert_eq!(tapped.tape.end(), clicked, "{what}: the click. {CHANGED}");
            tapped.tape.start();
            tapped.stage.client.redeem(&token).await?.expect_ok()?;
            assert_eq!(tapped.tape.end(), REDEEM, "{what}: the login. {CHANGED}");
        }
        Ok(())
    })
}

#[test]
fn whoever_is_cut_off_on_their_way_back_from_the_sign_in_gets_in() -> anyhow::Result<()> {
    run(async {
        let mut tapped = Tapped::set(|_| {}).await?;
        for (what, at, steps) in [
            ("a first visit", At::Trusted, &FIRST_CALLBACK[..]),
            ("a later one", At::Trusted, &LATER_CALLBACK[..]),
            ("one for a client that nobody trusts", At::Untrusted, &ASKED_CALLBACK[..]),
        ] {
            for (index, moment) in
                (0..steps.len()).flat_map(|index| Moment::BOTH.map(|moment| (index, moment)))
            {
                let name = name_of(what, steps, index, moment);
                let user = tapped.enter_somebody();
                let is_known = steps.len() < FIRST_CALLBACK.len();
                if is_known {
                    let (person, callback) = tapped.at_callback(At::Trusted).await?;
                    let token = person.open(&callback).await?.login_token()?;
                    tapped.stage.client.redeem(&token).await?.expect_ok()?;
                }
                let (person, callback) = tapped.at_callback(at).await?;
                let (visitor, address) = (Arc::clone(&person), callback.clone());
                tapped
                    .kill_at(index, moment, async move { visitor.open(&address).await })
                    .await
                    .context(name.clone())?;

                let (token, is_ticket_good) =
                    tapped.stage.gets_a_token(&person, &callback, at).await.context(name.clone())?;
                let is_validated = (index, moment) != (0, Moment::Before);
                assert_eq!(is_ticket_good, !is_validated, "{name}: a ticket is good until it is validated");
                tapped.stage.is_good_once(&token, &user, 1 + usize::from(is_known), &name).await?;
            }
        }
        tapped.everybody_is_one_person().await
    })
}

#[test]
fn whoever_is_cut_off_by_their_click_clicks_again() -> anyhow::Result<()> {
    run(async {
        let mut tapped = Tapped::set(|_| {}).await?;
        for moment in Moment::BOTH {
            let name = name_of("the page that asks", &CLICK, 0, moment);
            let user = tapped.enter_somebody();
            let (person, callback) = tapped.at_callback(At::Untrusted).await?;
            let page = person.open(&callback).await?.into_page();
            let (visitor, form) = (Arc::clone(&person), page.form()?);
            tapped
                .kill_at(0, moment, async move { form.submit(visitor.browser()).await })
                .await
                .context(name.clone())?;
            let token = Landed::from(page.form()?.submit(person.browser()).await?).login_token()?;
            tapped.stage.is_good_once(&token, &user, 1, &name).await?;
        }
        tapped.everybody_is_one_person().await
    })
}

#[test]
fn whoever_is_cut_off_while_their_token_is_redeemed_gets_one_session_on_one_device() -> anyhow::Result<()> {
    run(async {
        let mut tapped = Tapped::set(|_| {}).await?;
        let mut cut_short = Vec::new();
        for (index, moment) in (0..REDEEM.len()).flat_map(|index| Moment::BOTH.map(|moment| (index, moment)))
        {
            let name = name_of("a login", &REDEEM, index, moment);
            let user = tapped.enter_somebody();
            let (person, callback) = tapped.at_callback(At::Trusted).await?;
            let token = person.open(&callback).await?.login_token()?;
            let (client, secret) = (tapped.stage.client.clone(), token.clone());
            tapped
                .kill_at(index, moment, async move { client.redeem(&secret).await })
                .await
                .context(name.clone())?;
            let is_lost = (index, moment) == (REDEEM.len() - 1, Moment::After);
            cut_short.push(CutShort { name, user, token, is_lost });
        }
        for CutShort { name, user, token, is_lost } in &cut_short {
            if !is_lost {
                tapped.stage.is_good_once(token, user, 1, name).await?;
                continue;
            }
            // The one place where a session is lost: redeemed, and the answer did not come. It is never told twice.
            let answer = tapped.stage.client.redeem(token).await?;
            assert_eq!((answer.status, answer.errcode()), (StatusCode::FORBIDDEN, "M_FORBIDDEN"), "{name}");
            assert_eq!(tapped.stage.devices(user).len(), 1, "{name}");
            let subject = user.trim_start_matches('@').split(':').next().unwrap_or_default();
            tapped.stage.enter(&engineer(subject, "Somebody Else"));
            let token = tapped.stage.sign_in().await?.login_token()?;
            tapped.stage.is_good_once(&token, user, 2, name).await?;
        }
        tapped.everybody_is_one_person().await
    })
}

#[test]
fn whoever_is_between_two_requests_when_usher_dies_does_not_notice() -> anyhow::Result<()> {
    run(async {
        let mut tapped = Tapped::set(|_| {}).await?;
        let user = tapped.enter_somebody();
        let (person, callback) = tapped.at_callback(At::Untrusted).await?;
        tapped.die_and_rise().await.context("at the single sign-on's page")?;
        let page = person.open(&callback).await?.into_page();
        tapped.die_and_rise().await.context("at the page that asks")?;
        let token = Landed::from(page.form()?.submit(person.browser()).await?).login_token()?;
        tapped.die_and_rise().await.context("with a token in hand")?;
        tapped.stage.is_good_once(&token, &user, 1, "between two requests").await?;
        tapped.everybody_is_one_person().await
    })
}
