//! Several Ushers on one Postgres: behind a proxy that sends every request to the other one; one of them dies; one of
//! them has another key.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;
use usher_lab::{
    browser::loopback_client,
    scripted::{Reply, Request, ScriptedServer, homeserver::Endpoint},
    usher::Usher,
};

use crate::{
    components::run,
    config::Portal,
    database::Kind,
    person::Landed,
    relay::pass_on,
    scripted::{ALICE, Stage},
    visitor::Visitor,
    world::{BINARY, World},
};

/// One after the other; remembers which answered what.
struct Proxy {
    replicas: [Url; 2],
    http: reqwest::Client,
    served: AtomicUsize,
}

impl Proxy {
    async fn pass_on(&self, request: Request) -> anyhow::Result<Reply> {
        let replica = &self.replicas[self.served.fetch_add(1, Ordering::SeqCst) % 2];
        pass_on(&self.http, replica, request).await
    }
}

/// Two replicas on one Postgres, behind a proxy that sends every request to the other one.
pub(crate) struct Pair {
    pub(crate) world: World,
    proxy: Arc<Proxy>,
    _server: ScriptedServer,
    _second: Usher,
    // After Usher: it must be gone before its files are.
    _directory: TempDir,
}

impl Pair {
    /// With `selection`, if not by department.
    async fn start(selection: Option<Value>) -> anyhow::Result<Self> {
        Self::start_with(|config| config.selection = selection).await
    }

    /// With a config that `edit` has changed.
    pub(crate) async fn start_with(edit: impl FnOnce(&mut Portal)) -> anyhow::Result<Self> {
        let replicas = [Portal::at_a_free_port()?, Portal::at_a_free_port()?];
        let proxy = Arc::new(Proxy {
            replicas: [address(&replicas[0])?, address(&replicas[1])?],
            http: loopback_client(Duration::from_secs(30))?,
            served: AtomicUsize::new(0),
        });
        let handler = Arc::clone(&proxy);
        let server = ScriptedServer::start(move |request| {
            let proxy = Arc::clone(&handler);
            async move { proxy.pass_on(request).await.unwrap_or(Reply::Cut) }
        })
        .await?;
        let public = format!("http://portal.localhost:{}/", server.address().port());
        let world = World::start_with(Kind::Postgres, |config| {
            config.public_base_url.clone_from(&public);
            config.listen.clone_from(&replicas[0].listen);
            edit(config);
        })
        .await?;
        let directory = tempfile::tempdir()?;
        let config = Portal { listen: replicas[1].listen.clone(), ..world.config.clone() };
        let second = Usher::start(Path::new(BINARY), directory.path(), &config.to_yaml()).await?;
        Ok(Self { world, proxy, _server: server, _second: second, _directory: directory })
    }

    pub(crate) fn served(&self) -> usize {
        self.proxy.served.load(Ordering::SeqCst)
    }
}

#[test]
fn two_replicas_share_every_sign_in() -> anyhow::Result<()> {
    run(async {
        let pair = Pair::start(None).await?;
        let world = &pair.world;
        // Begun at one, answered at the other, redeemed at the first, replayed at the other.
        let before = pair.served();
        let token = world.sign_in("alice").await?.login_token()?;
        let session = world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.eng("alice"));
        assert_eq!(world.client.redeem(&token).await?.status, StatusCode::FORBIDDEN);
        assert_eq!(pair.served() - before, 4, "every request went to the other replica");

        // The same with a page in between.
        let carol = world.person("carol");
        let page = carol.sign_in_for("unheard-of.client://connect").await?.into_page();
        let token = Landed::from(page.form()?.submit(carol.browser()).await?).login_token()?;
        let session = world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.hist("carol"));
        Ok(())
    })
}

#[test]
fn two_replicas_share_what_a_person_is_asked() -> anyhow::Result<()> {
    run(async {
        let pair = Pair::start(Some(json!([{ "sticky": {} }, { "ask": {} }]))).await?;
        let world = &pair.world;
        for (username, homeserver, expected) in
            [("alice", "hist.localhost", world.hist("alice")), ("carol", "eng.localhost", world.eng("carol"))]
        {
            // The page of one, answered at the other, redeemed at the first.
            let before = pair.served();
            let person = world.person(username);
            let page = person.sign_in().await?.into_page();
            let chosen = page.form()?.press("homeserver", homeserver).submit(person.browser()).await?;
            let session = world.client.redeem(&Landed::from(chosen).login_token()?).await?.expect_ok()?;
            assert_eq!(session.field("user_id")?, expected, "{username} has what they chose");
            assert_eq!(pair.served() - before, 4, "every request went to the other replica");
            // Once chosen, nobody asks again; an odd number of requests, so that it is the other's turn after it.
            let session = world.log_in(username).await?;
            assert_eq!(session.field("user_id")?, expected, "{username} stays");
        }
        Ok(())
    })
}

#[test]
fn two_replicas_deal_people_out_in_one_turn() -> anyhow::Result<()> {
    run(async {
        let both = json!([{ "homeserver": "eng.localhost" }, { "homeserver": "hist.localhost" }]);
        let pair = Pair::start(Some(json!([{ "round_robin": { "homeservers": both } }]))).await?;
        let world = &pair.world;
        let mut dealt = Vec::new();
        for username in ["alice", "carol", "dave", "erin"] {
            let user = world.log_in(username).await?.field("user_id")?.to_owned();
            assert_eq!(world.log_in(username).await?.field("user_id")?, user, "{username} stays");
            dealt.push(user);
        }
        let at_eng = dealt.iter().filter(|user| user.ends_with(":eng.localhost")).count();
        assert_eq!(at_eng, 2, "half of them each: {dealt:?}");
        Ok(())
    })
}

fn address(portal: &Portal) -> anyhow::Result<Url> {
    Ok(Url::parse(&format!("http://{}/", portal.listen))?)
}

/// Another Usher on the same database, with a config that `edit` has changed.
pub(crate) struct Replica {
    pub(crate) usher: Usher,
    pub(crate) listen: String,
    // After Usher: it must be gone before its files are.
    _directory: TempDir,
}

impl Replica {
    pub(crate) async fn of(first: &Portal, edit: impl FnOnce(&mut Value)) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let listen = Portal::at_a_free_port()?.listen;
        let mut config = Portal { listen: listen.clone(), ..first.clone() }.to_yaml();
        edit(&mut config);
        let usher = Usher::start(Path::new(BINARY), directory.path(), &config).await?;
        Ok(Self { usher, listen, _directory: directory })
    }
}

#[test]
fn when_a_replica_dies_in_the_middle_the_other_goes_on() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Postgres, Duration::from_secs(2)).await?;
        let mut other = Replica::of(&stage.config, |_| {}).await?;
        let mut here = Visitor::arrive(&stage, &stage.config.listen, "alice").await?;

        // While it makes an account.
        let mut there = Visitor::arrive(&stage, &other.listen, "alice").await?;
        let at = there.begin().await?;
        let hold = stage.homeserver.hold(Endpoint::Register);
        let killing = async {
            hold.arrived().await;
            other.usher.kill()
        };
        let (cut_off, killed) = tokio::join!(there.finish(&at), killing);
        killed?;
        assert!(cut_off.is_err(), "{cut_off:?}");
        hold.release();
        assert_eq!(here.finish(&at).await?, Err(403), "the ticket is spent, and the attempt is not");
        let at = here.begin().await?;
        let Ok(token) = here.finish(&at).await? else { anyhow::bail!("they do not get in") };

        // While it redeems a token of the first.
        other.usher.start_again().await?;
        let mut there = Visitor::arrive(&stage, &other.listen, "alice").await?;
        let hold = stage.homeserver.hold_answer(Endpoint::Login);
        let killing = async {
            hold.arrived().await;
            other.usher.kill()
        };
        let (cut_off, killed) = tokio::join!(there.redeem(&token), killing);
        killed?;
        assert!(cut_off.is_err(), "{cut_off:?}");
        hold.release();
        let session = stage.client.redeem_patiently(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, ALICE);
        assert_eq!(stage.devices(ALICE), [(session.field("device_id")?.to_owned(), 2)], "one device");
        assert_eq!(stage.client.redeem(&token).await?.status, StatusCode::FORBIDDEN);
        assert_eq!(stage.homeserver.users(), [ALICE]);
        assert_eq!(stage.database.accounts().await?, [format!("{ALICE} active")]);
        Ok(())
    })
}

/// Begun at one, answered at the other, redeemed at the first: there and back.
async fn is_shared(stage: &Stage, addresses: [&str; 2], name: &str) -> anyhow::Result<()> {
    for (one, two) in [(0, 1), (1, 0)] {
        let mut one = Visitor::arrive(stage, addresses[one], "alice").await?;
        let mut two = Visitor::arrive(stage, addresses[two], "alice").await?;
        let at = one.begin().await?;
        let token = two.finish(&at).await?;
        let Ok(token) = token else { anyhow::bail!("{name}: a callback was answered {token:?}") };
        let session = one.redeem(&token).await?;
        let Ok(session) = session else { anyhow::bail!("{name}: a login was answered {session:?}") };
        assert_eq!(session["user_id"], ALICE, "{name}");
    }
    Ok(())
}

#[test]
fn keys_are_rotated_one_replica_after_the_other_and_nobody_notices() -> anyhow::Result<()> {
    let old = json!({ "id": "first", "secret": "0123456789abcdef".repeat(4) });
    let new = json!({ "id": "second", "secret": "fedcba9876543210".repeat(4) });
    run(async {
        // The stage's own Usher has only the old key, and keeps it.
        let stage = Stage::set(Kind::Postgres, Duration::from_secs(30)).await?;
        let replica =
            async |keys: &[&Value]| Replica::of(&stage.config, |config| config["keys"] = json!(keys)).await;
        let prepared = replica(&[&old, &new]).await?;
        is_shared(&stage, [&stage.config.listen, &prepared.listen], "one knows the new key").await?;
        let also_prepared = replica(&[&old, &new]).await?;
        let rotated = replica(&[&new, &old]).await?;
        is_shared(&stage, [&also_prepared.listen, &rotated.listen], "one uses the new key").await?;
        let finished = replica(&[&new]).await?;
        is_shared(&stage, [&rotated.listen, &finished.listen], "one has forgotten the old key").await?;

        // In another order people are told so, and nobody is let in by a cookie that cannot be opened.
        let mut ahead = Visitor::arrive(&stage, &finished.listen, "alice").await?;
        let at = ahead.begin().await?;
        let mut behind = Visitor::arrive(&stage, &stage.config.listen, "alice").await?;
        assert_eq!(behind.finish(&at).await?, Err(400), "a replica that does not know the new key");
        Ok(())
    })
}
