//! The proof itself, in the namespaces: build, do what the documents say, sign people in, break things, stop.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::{
    Place,
    engine::{Container, Engine},
    images, operator,
    organisation::{self, Organisation, ask_for_flows},
};

const DEADLINE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(200);
/// Usher's own grace for requests under way, and what `docker` adds.
const STOP_DEADLINE: Duration = Duration::from_secs(38);
const REPLICAS: usize = 3;
/// This machine, as the containers see it (docker-compose.yml).
const GATEWAY: &str = "198.18.82.1";

pub(super) async fn prove(place: &Place, release: bool) -> anyhow::Result<()> {
    let engine = Engine::start(place, release).await?;
    let proven = on(&engine, place).await;
    if proven.is_err() {
        say_what_the_containers_say(&engine).await;
    }
    // Containers, networks and volumes go with the data directory and the namespaces; the engine goes first.
    engine.stop().await?;
    proven
}

async fn on(engine: &Engine, place: &Place) -> anyhow::Result<()> {
    let began = Instant::now();
    images::import(place, engine).await.context("the images cannot be made")?;
    println!("  images imported in {:.0} s", began.elapsed().as_secs_f32());

    println!("\n== What the documents say");
    operator::follow_the_documents(engine).await?;

    println!("\n== The containers");
    are_hardened(engine, place).await?;

    println!("\n== Three Ushers, one CAS server, one homeserver");
    let organisation = Organisation::start(place, engine).await?;
    let scale = format!("usher={REPLICAS}");
    engine.compose(&["up", "--detach", "--force-recreate", "--scale", &scale]).await?;
    all_serve(engine).await?;
    answer_in_turn(engine).await?;
    let before = served(engine).await?.len();
    organisation.log_in("alice").await?;
    let during = served(engine).await?.split_off(before);
    let of_one_login: BTreeSet<_> = during.iter().collect();
    ensure!(of_one_login.len() > 1, "one replica answered all of it: {during:?}");
    println!("  the requests of this login were answered by {}", during.join(", "));
    addresses_are_those_of_clients(engine, &organisation).await?;

    println!("\n== One of them killed");
    one_is_killed(engine, &organisation).await?;

    println!("\n== All stopped while a request is under way");
    drain(engine, &organisation).await?;

    println!("\n== The end");
    organisation.stop().await?;
    engine.compose(&["down", "--volumes"]).await?;
    let left = engine.docker(&["ps", "--all", "--quiet"]).await?
        + &engine.docker(&["volume", "ls", "--quiet"]).await?;
    ensure!(left.is_empty(), "something is left behind: {left}");
    println!("  no container and no volume is left");
    Ok(())
}

/// What the files promise, as the engine sees it; and no secret where `docker inspect` shows it.
async fn are_hardened(engine: &Engine, place: &Place) -> anyhow::Result<()> {
    let mut secrets = Vec::new();
    for file in fs::read_dir(place.repository().join("site/secrets"))? {
        secrets.push(fs::read_to_string(file?.path())?.trim().to_owned());
    }
    for service in ["proxy", "usher", "postgres"] {
        let containers = engine.containers(service).await?;
        ensure!(!containers.is_empty(), "{service} does not run");
        for container in &containers {
            let (name, host, shown) = (container.name(), &container.0["HostConfig"], container.0.to_string());
            ensure!(host["ReadonlyRootfs"] == true, "{name} can write to its root");
            ensure!(host["Privileged"] == false && host["CapDrop"][0] == "ALL", "{name} has capabilities");
            ensure!(host["SecurityOpt"][0] == "no-new-privileges:true", "{name} may gain privileges");
            ensure!(!secrets.iter().any(|secret| shown.contains(secret)), "{name} shows a secret");
            ensure!(service == "postgres" || container.0["Config"]["User"] != "", "{name} runs as root");
            ensure!(
                container.environment().keys().all(|key| !key.ends_with("PASSWORD")),
                "{name} has a password in its environment"
            );
        }
        println!(
            "  {service}: read-only, without capabilities of its own, no secret to be seen ({})",
            containers.len()
        );
    }
    let usher = engine.containers("usher").await?;
    let health = engine.docker(&["exec", usher[0].id(), "usher", "health"]).await?;
    println!("  usher health: {}", health.trim());
    Ok(())
}

async fn all_serve(engine: &Engine) -> anyhow::Result<()> {
    eventually(&format!("{REPLICAS} Ushers are healthy"), async || {
        let ushers = engine.containers("usher").await?;
        Ok((ushers.len() == REPLICAS && ushers.iter().all(Container::is_healthy)).then_some(()))
    })
    .await?;
    eventually("the proxy knows all of them", async || {
        let before = served(engine).await?.len();
        for _ in 0..REPLICAS {
            // Refused while the proxy itself is starting.
            let _ = ask_for_flows().await;
        }
        let by: BTreeSet<_> = served(engine).await?.split_off(before).into_iter().collect();
        Ok((by.len() == REPLICAS).then_some(()))
    })
    .await
}

async fn answer_in_turn(engine: &Engine) -> anyhow::Result<()> {
    let before = served(engine).await?.len();
    for _ in 0..4 * REPLICAS {
        let status = ask_for_flows().await?;
        ensure!(status == 200, "GET /login: {status}");
    }
    let by = served(engine).await?.split_off(before);
    let replicas: BTreeSet<_> = by.iter().collect();
    ensure!(replicas.len() == REPLICAS, "not all of them answer: {by:?}");
    println!("  {} requests were answered by {REPLICAS} Ushers in turn", by.len());
    Ok(())
}

/// Which server of the proxy's answered which request, so far.
async fn served(engine: &Engine) -> anyhow::Result<Vec<String>> {
    let lines = proxy_log(engine).await?;
    let server =
        |line: &String| line.split_whitespace().find(|word| word.starts_with("usher-")).map(str::to_owned);
    Ok(lines.iter().filter_map(server).collect())
}

async fn proxy_log(engine: &Engine) -> anyhow::Result<Vec<String>> {
    let proxy = engine.containers("proxy").await?;
    let proxy = proxy.first().context("the proxy runs")?;
    let log = engine.docker(&["logs", proxy.id()]).await?;
    Ok(log
        .lines()
        .filter(|line| line.contains("/_matrix/") || line.contains("/_usher/cas/"))
        .map(str::to_owned)
        .collect())
}

/// The reverse proxy that `.env` names is believed, and the homeserver is told what it says; nobody else is.
async fn addresses_are_those_of_clients(engine: &Engine, organisation: &Organisation) -> anyhow::Result<()> {
    let (client, claim) = ("203.0.113.7", "203.0.113.8");
    let token = organisation.login_token("alice").await?;
    organisation::redeem_from(&token, Some(&format!("{claim}, {client}"))).await?;
    eventually("the homeserver is told where the client is", async || {
        Ok(organisation.has_seen(client)?.then_some(()))
    })
    .await?;
    println!("  what the outer proxy says of a client's address reaches the homeserver: {client}");
    engine.bash("USHER_OUTER_PROXY= docker compose up --detach --no-deps proxy").await?;
    all_serve(engine).await?;
    let token = organisation.login_token("alice").await?;
    organisation::redeem_from(&token, Some(claim)).await?;
    eventually("the homeserver is told the address it came from", async || {
        Ok(organisation.has_seen(GATEWAY)?.then_some(()))
    })
    .await?;
    ensure!(!organisation.has_seen(claim)?, "a client's own claim was believed");
    println!("  without an outer proxy, what a client says of itself is not believed");
    Ok(())
}

/// `kill -9` from outside, as if it had crashed: nobody notices, and the engine starts it again.
async fn one_is_killed(engine: &Engine, organisation: &Organisation) -> anyhow::Result<()> {
    let token = organisation.login_token("bob").await?;
    let ushers = engine.containers("usher").await?;
    let victim = ushers.first().context("there are Ushers")?;
    let process = Pid::from_raw(victim.process_id()?).context("a container's process has an id")?;
    kill_process(process, Signal::KILL)?;
    for request in 0..30 {
        let status = ask_for_flows().await?;
        ensure!(status == 200, "request {request} after the kill: {status}");
    }
    println!("  {} is gone, and 30 requests after it were answered", victim.name());
    organisation.check_session("bob", &organisation::redeem(&token).await?).await?;
    all_serve(engine).await?;
    let restarts = engine.inspect(victim.id()).await?.0["RestartCount"].as_i64();
    ensure!(restarts.is_some_and(|count| count > 0), "the engine did not start {} again", victim.name());
    println!("  the engine has started {} again", victim.name());
    Ok(())
}

/// SIGTERM to all of them while one waits for the homeserver: no new request is taken, this one is finished.
async fn drain(engine: &Engine, organisation: &Organisation) -> anyhow::Result<()> {
    let token = organisation.login_token("alice").await?;
    let ushers = engine.containers("usher").await?;
    organisation.to_homeserver.shut();
    let request = organisation::redeem(&token);
    let stopping = async {
        organisation.to_homeserver.arrived().await;
        let began = Instant::now();
        let stop = engine.compose(&["stop", "usher"]);
        let nobody = async {
            let refused = eventually("no Usher takes a request", async || {
                Ok((ask_for_flows().await? == 503).then_some(()))
            });
            let refused = refused.await;
            organisation.to_homeserver.open();
            refused
        };
        tokio::try_join!(stop, nobody)?;
        anyhow::Ok(began.elapsed())
    };
    let (session, took) = tokio::try_join!(request, stopping)?;
    organisation.check_session("alice", &session).await?;
    ensure!(took < STOP_DEADLINE, "it took {took:?} to stop");
    for usher in &ushers {
        let state = engine.inspect(usher.id()).await?;
        let code = &state.0["State"]["ExitCode"];
        ensure!(*code == 0, "{} ended with {code}", usher.name());
    }
    println!("  the request was finished, and all ended with 0 after {:.1} s", took.as_secs_f32());
    Ok(())
}

async fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if began.elapsed() > DEADLINE {
            bail!("it did not come about within {} s that {what}", DEADLINE.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn say_what_the_containers_say(engine: &Engine) {
    for arguments in [&["ps", "--all"][..], &["network", "ls"]] {
        println!("{}", engine.docker(arguments).await.unwrap_or_default());
    }
    let logs = engine.bash("docker compose logs --no-color --tail=30 2>&1").await;
    println!("{}", logs.unwrap_or_default());
}
