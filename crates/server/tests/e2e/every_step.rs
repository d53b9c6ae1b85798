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

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinHandle;
use url::Url;

use self::{
    http_tap::HttpTap,
    postgres_tap::PostgresTap,
    tape::{Moment, Tape},
};
use crate::{
    components::run,
    config::Portal,
    database::Kind,
    getting_in::{At, token_of},
    person::{Landed, Person},
    scripted::{SERVER_NAME, Stage, engineer},
};

/// How long Usher waits for the homeserver. The lease on a login token ends five seconds later.
const TIMEOUT: Duration = Duration::from_secs(2);

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

/// A stage on which every step can be stopped, and how many people have been on it.
struct Tapped {
    stage: Stage,
    tape: Tape,
    people: usize,
    _between: Between,
}

/// Between Usher and the world.
#[derive(Debug)]
struct Between {
    postgres: PostgresTap,
    homeserver: HttpTap,
    cas: HttpTap,
}

impl Between {
    /// Has Usher ask these instead of those in its config.
    fn stand_in(&self, config: &mut Portal) -> anyhow::Result<()> {
        config.database_url = self.postgres.stand_in_for(&config.database_url)?;
        config.cas_base_url = self.cas.stand_in_for(&config.cas_base_url)?;
        let section = &mut config.homeservers[0];
        let upstream = section["upstream_url"].as_str().unwrap_or_default();
        section["upstream_url"] = json!(self.homeserver.stand_in_for(upstream)?);
        Ok(())
    }
}

/// A login token whose first use was cut short; the client tries again when all the others have been cut short too.
struct CutShort {
    name: String,
    user: String,
    token: String,
    /// The session was opened and the token redeemed, and nobody was told.
    is_lost: bool,
}

impl Tapped {
    async fn set() -> anyhow::Result<Self> {
        let tape = Tape::default();
        let between = Between {
            postgres: PostgresTap::start(tape.clone()).await?,
            homeserver: HttpTap::start(tape.clone()).await?,
            cas: HttpTap::start(tape.clone()).await?,
        };
        let mut standing = Ok(());
        let stage =
            Stage::set_with(Kind::Postgres, TIMEOUT, |config| standing = between.stand_in(config)).await?;
        standing?;
        Ok(Self { stage, tape, people: 0, _between: between })
    }

    /// Somebody whom nobody knows sits down at every browser; their Matrix id, to be.
    fn enter_somebody(&mut self) -> String {
        self.people += 1;
        let subject = format!("person{}", self.people);
        self.stage.enter(&engineer(&subject, "Somebody Else"));
        format!("@{subject}:{SERVER_NAME}")
    }

    /// They have signed in at CAS, and their browser is about to come back.
    async fn at_callback(&self, at: At) -> anyhow::Result<(Arc<Person>, Url)> {
        let person = Arc::new(self.stage.person_stopping_at_callback());
        let callback = person.callback_for(at.client()).await?;
        Ok((person, callback))
    }

    /// Stops at a step, kills Usher there, and starts it again.
    async fn kill_at<T: std::fmt::Debug + Send + 'static>(
        &mut self,
        index: usize,
        moment: Moment,
        request: impl Future<Output = anyhow::Result<T>> + Send + 'static,
    ) -> anyhow::Result<()> {
        let stop = self.tape.stop_at(index, moment);
        let request: JoinHandle<_> = tokio::spawn(request);
        stop.arrived().await?;
        self.stage.kill_during(request).await?;
        drop(stop);
        self.stage.database.settled().await?;
        self.stage.usher.start_again().await
    }

    /// The same while nobody asks anything.
    async fn die_and_rise(&mut self) -> anyhow::Result<()> {
        self.stage.usher.kill()?;
        self.stage.database.settled().await?;
        self.stage.usher.start_again().await
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

fn name_of(what: &str, steps: &[&str], index: usize, moment: Moment) -> String {
    format!("{what}, killed {moment:?} step {index} ({})", steps[index]).to_lowercase()
}

const CHANGED: &str =
    "a login has other steps than those listed here: mend the list, and think of a crash at each";

#[test]
fn the_steps_of_a_login_are_those_that_are_listed() -> anyhow::Result<()> {
    run(async {
        let mut tapped = Tapped::set().await?;
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
        let mut tapped = Tapped::set().await?;
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
        let mut tapped = Tapped::set().await?;
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
        let mut tapped = Tapped::set().await?;
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
        let mut tapped = Tapped::set().await?;
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
