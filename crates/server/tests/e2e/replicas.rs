//! Two Ushers on one Postgres behind a proxy that sends every request to the other one.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::StatusCode;
use url::Url;
use usher_lab::{
    browser::loopback_client,
    scripted::{Reply, Request, ScriptedServer},
    usher::Usher,
};

use crate::{
    components::run,
    config::Portal,
    database::Kind,
    person::{Landed, Person, SignIn},
    relay::pass_on,
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

#[test]
fn two_replicas_share_every_sign_in() -> anyhow::Result<()> {
    run(async {
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
        })
        .await?;
        let directory = tempfile::tempdir()?;
        let config = Portal { listen: replicas[1].listen.clone(), ..world.config.clone() };
        let _second = Usher::start(Path::new(BINARY), directory.path(), &config.to_yaml()).await?;

        // Begun at one, answered at the other, redeemed at the first, replayed at the other.
        let before = proxy.served.load(Ordering::SeqCst);
        let token = world.sign_in("alice").await?.login_token()?;
        let session = world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.eng("alice"));
        assert_eq!(world.client.redeem(&token).await?.status, StatusCode::FORBIDDEN);
        assert_eq!(
            proxy.served.load(Ordering::SeqCst) - before,
            4,
            "every request went to the other replica"
        );

        // The same with a page in between.
        let portal = config.public_base_url();
        let carol = Person::at(&portal, SignIn::Form(world.components().cas.person("carol")));
        let page = carol.sign_in_for("unheard-of.client://connect").await?.into_page();
        let token = Landed::from(page.form()?.submit(carol.browser()).await?).login_token()?;
        let session = world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.hist("carol"));
        Ok(())
    })
}

fn address(portal: &Portal) -> anyhow::Result<Url> {
    Ok(Url::parse(&format!("http://{}/", portal.listen))?)
}
