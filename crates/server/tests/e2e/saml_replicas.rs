//! One SAML response at two Ushers on one Postgres, brought by the right browser each time: it signs somebody in once, whichever of the
//! two it comes to, and whether one after the other or both at the same moment.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN},
};
use serde_json::json;
use url::{Url, form_urlencoded};
use usher_lab::{
    browser::{Form, loopback_client},
    real::pysaml2::Setup,
};

use crate::{components::run, config::APP, database::Kind, replicas::Replica, saml_library::Scene};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Two Ushers that listen at `listen`, and an identity provider.
struct Twins {
    scene: Scene,
    listen: [String; 2],
    _second: Replica,
}

/// What a browser is about to bring: the answer, and the cookies that belong to it.
struct Answer {
    form: Form,
    cookies: String,
}

/// What it was told: a login token, or status and words of a page.
type Told = Result<String, (StatusCode, String)>;

impl Twins {
    async fn start() -> anyhow::Result<Self> {
        let setup = Setup { signs_responses: true, ..Setup::default() };
        let scene = Scene::start(Kind::Postgres, &setup, &json!({})).await?;
        let second = Replica::of(&scene.world.config, |_| {}).await?;
        let listen = [scene.world.config.listen.clone(), second.listen.clone()];
        Ok(Self { scene, listen, _second: second })
    }

    /// Alice has entered her password, and her browser is about to bring the answer.
    async fn answer(&self) -> anyhow::Result<Answer> {
        let alice = self.scene.world.person("alice");
        let page = alice.begin(APP).await?;
        let form = page.form_with("password")?.fill("username", "alice").fill("password", "open sesame");
        let form = form.submit(alice.browser()).await?.form_with("SAMLResponse")?;
        let cookies: Vec<_> = alice.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
        ensure!(!cookies.is_empty(), "an attempt has a cookie");
        Ok(Answer { form, cookies: cookies.join("; ") })
    }

    /// Brings it to one of the two, as a browser that was sent by the identity provider's page.
    async fn bring(&self, answer: &Answer, replica: usize) -> anyhow::Result<Told> {
        let portal = self.scene.world.config.public_base_url();
        let mut url = Url::parse(&format!("http://{}/", self.listen[replica]))?;
        url.set_path(answer.form.action.path());
        let body: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(&answer.form.fields).finish();
        let authority = format!(
            "{}:{}",
            portal.host_str().context("a host")?,
            portal.port().context("the portal has a port")?
        );
        let request = loopback_client(TIMEOUT)?.post(url).header(HOST, authority).header(ORIGIN, "null");
        let request =
            request.header(COOKIE, &answer.cookies).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let said = request.body(body).send().await?;
        let status = said.status();
        if !status.is_redirection() {
            return Ok(Err((status, said.text().await?)));
        }
        let onward = said.headers().get(LOCATION).context("a redirect leads somewhere")?.to_str()?;
        ensure!(onward.starts_with(APP), "to the client: {onward}");
        let onward = Url::parse(onward)?;
        let token = onward.query_pairs().find(|(name, _)| name == "loginToken");
        Ok(Ok(token.context("the client gets a token")?.1.into_owned()))
    }

    /// Alice has `count` sessions, and there is nothing left that could become another one.
    async fn has_sessions(&self, count: usize, case: &str) -> anyhow::Result<()> {
        let database = &self.scene.world.database;
        assert_eq!(database.login_tokens().await?, vec!["redeemed"; count], "{case}");
        assert_eq!(database.sessions().await?.len(), count, "{case}");
        Ok(())
    }

    /// `token` makes a session, which is good.
    async fn redeems(&self, token: &str) -> anyhow::Result<()> {
        let world = &self.scene.world;
        let session = world.client.redeem(token).await?.expect_ok()?;
        let who = world.components().eng.whoami(session.field("access_token")?).await?;
        assert_eq!(who.map(|who| who.user_id), Some(world.eng("alice")));
        Ok(())
    }
}

fn is_refused(told: &Told, case: &str) {
    let Err((status, text)) = told else { panic!("{case}: it signs somebody in once more") };
    assert_eq!(*status, StatusCode::BAD_REQUEST, "{case}: {text}");
    assert!(text.contains("This sign-in was used already"), "{case}: {text}");
}

#[test]
fn a_response_that_one_replica_took_is_refused_by_the_other() -> anyhow::Result<()> {
    run(async {
        let twins = Twins::start().await?;
        let mut sessions = 0;
        for (first, second) in [(0, 1), (1, 0)] {
            let case = format!("taken at {first}");
            let answer = twins.answer().await?;
            let told = twins.bring(&answer, first).await?;
            let Ok(token) = told else { anyhow::bail!("{case}: {told:?}") };
            // Before the client has used its token, and after that.
            for redeems in [false, true] {
                if redeems {
                    twins.redeems(&token).await?;
                }
                for replica in [second, first, second] {
                    is_refused(&twins.bring(&answer, replica).await?, &case);
                }
            }
            sessions += 1;
            twins.has_sessions(sessions, &case).await?;
        }
        Ok(())
    })
}

#[test]
fn a_response_that_comes_to_both_replicas_at_once_is_one_login() -> anyhow::Result<()> {
    run(async {
        let twins = Twins::start().await?;
        // Alice is new the first time.
        for round in 1..=5 {
            let case = format!("round {round}");
            let answer = twins.answer().await?;
            let mut blocked = twins.scene.world.database.block_writes("spent").await?;
            let meeting = async {
                blocked.arrived_together(2).await?;
                blocked.release().await
            };
            let (one, other, met) = tokio::join!(twins.bring(&answer, 0), twins.bring(&answer, 1), meeting);
            met.with_context(|| case.clone())?;
            let (token, refused) = match (one?, other?) {
                (Ok(token), refused) | (refused, Ok(token)) => (token, refused),
                neither => anyhow::bail!("{case}: nobody is signed in: {neither:?}"),
            };
            is_refused(&refused, &case);
            twins.redeems(&token).await?;
            twins.has_sessions(round, &case).await?;
        }
        Ok(())
    })
}
