//! Clients that are slow, clumsy or up to something, at the level of bytes: nothing crashes, hangs or grows, and
//! everybody else is served.

use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::{
    components::{eventually, run},
    database::Kind,
    footprint::{Footprint, allow_descriptors, limit_descriptors},
    scripted::{ALICE, Stage},
    wire::Wire,
};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Between two bytes of a client that is slow on purpose.
const DRIP: Duration = Duration::from_millis(500);
/// Clients of each kind at once.
const CROWD: usize = 50;

/// A client that takes its time over what it sends.
struct Slow {
    name: &'static str,
    /// Sent at once.
    begins: String,
    /// Sent a byte at a time, over and over.
    drips: &'static [u8],
    /// The status of the answer.
    status: u16,
}

fn slow_clients(host: &str) -> [Slow; 5] {
    let login = "POST /_matrix/client/v3/login HTTP/1.1";
    let slow = |name, begins, drips, status| Slow { name, begins, drips, status };
    [
        slow("says nothing", String::new(), b"", 408),
        slow("stops in the head", format!("GET /_usher/health HTTP/1.1\r\nHost: {host}\r\n"), b"", 408),
        slow("drips its head", format!("GET /_usher/health HTTP/1.1\r\nHost: {host}\r\nX: "), b"x", 408),
        slow(
            "stops in the body",
            format!("{login}\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\n{{"),
            b"",
            400,
        ),
        slow(
            "drips its body",
            format!("{login}\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n"),
            b"1\r\n \r\n",
            400,
        ),
    ]
}

/// To the answer, and where there was no whole head to the end of the connection, which Usher must bring about.
async fn is_shown_out(address: &str, slow: &Slow) -> anyhow::Result<()> {
    let mut wire = Wire::open(address).await?;
    wire.say(slow.begins.as_bytes()).await?;
    let said = loop {
        if slow.drips.is_empty() {
            break wire.hear().await?;
        }
        match tokio::time::timeout(DRIP, wire.hear()).await {
            Ok(said) => break said?,
            Err(_) => wire.say(slow.drips).await?,
        }
    };
    let status = said.as_ref().map(|said| said.status);
    anyhow::ensure!(status == Some(slow.status), "{said:?}");
    if status == Some(408) {
        wire.closed().await?;
    }
    Ok(())
}

#[test]
fn whoever_takes_their_time_is_shown_out_while_others_are_served() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        logs_in(&stage).await?;
        let before = Footprint::of(&stage.usher)?;
        let mut crowd = JoinSet::new();
        for _ in 0..CROWD {
            for slow in slow_clients(&stage.authority()) {
                let address = stage.config.listen.clone();
                crowd.spawn(async move {
                    is_shown_out(&address, &slow).await.with_context(|| format!("who {}", slow.name))
                });
            }
        }
        logs_in(&stage).await?;
        crowd.join_all().await.into_iter().collect::<anyhow::Result<()>>()?;
        logs_in(&stage).await?;
        is_as_small_as(&stage, before, 16).await
    })
}

#[test]
fn what_no_client_should_send_is_answered_or_cut_and_nothing_more() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        logs_in(&stage).await?;
        let host = stage.authority();
        let get = |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
        let long = |length| "x".repeat(length);
        let many = (0..200).map(|index| format!("X-{index}: y\r\n")).collect::<Vec<_>>().concat();
        let redirect = format!("/_matrix/client/v3/login/sso/redirect/corp?redirectUrl={}", long(60_000));
        // The status; `None`: the connection may end without an answer.
        for (name, request, status) in [
            ("no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_owned(), Some(400)),
            ("a header of a megabyte", get("/_usher/health", &format!("X: {}\r\n", long(1 << 20))), None),
            ("two hundred headers", get("/_usher/health", &many), Some(431)),
            ("a query of 60 kB", get(&redirect, ""), Some(400)),
            ("a path of 60 kB", get(&format!("/{}", long(60_000)), ""), Some(404)),
            ("two lengths", get("/_usher/health", "Content-Length: 1\r\nContent-Length: 2\r\n"), Some(400)),
            ("a length that is none", get("/_usher/health", "Content-Length: -1\r\n"), Some(400)),
            (
                "a length and chunks",
                get("/_usher/health", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
                None,
            ),
            ("an unknown encoding", get("/_usher/health", "Transfer-Encoding: gzip\r\n"), Some(400)),
            ("an upgrade to HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), None),
            ("a proxy's request", "CONNECT example.org:443 HTTP/1.1\r\n\r\n".to_owned(), None),
            ("no version", "GET /_usher/health\r\n\r\n".to_owned(), Some(400)),
        ] {
            let mut wire = Wire::open(&stage.config.listen).await?;
            // Usher may have closed the connection before everything was sent.
            let _ = wire.say(request.as_bytes()).await;
            let _ = wire.fall_silent().await;
            let said = wire.hear().await.with_context(|| name)?;
            let got = said.as_ref().map(|said| said.status);
            assert!(status.is_none() || got == status, "{name}: {said:?}");
            assert!(got.is_none_or(|status| status < 500), "{name}: {said:?}");
            wire.closed().await.with_context(|| name)?;
        }
        logs_in(&stage).await
    })
}

#[test]
fn whoever_sends_what_nobody_reads_hears_the_answer() -> anyhow::Result<()> {
    const BODY: usize = 4 << 20;
    /// More than any body may have.
    const FIRST: usize = 512 << 10;
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        let host = stage.authority();
        for (method, path, status) in [
            ("POST", "/_matrix/client/v3/login", 413),
            ("POST", "/_usher/cas/corp/callback/AAAAAAAAAAAAAAAAAAAA-w", 400),
            ("POST", "/_usher/there-is-no-such-page", 404),
            ("PUT", "/_usher/cas/corp/callback/AAAAAAAAAAAAAAAAAAAA-w", 405),
            ("GET", "/_usher/health", 200),
        ] {
            let mut wire = Wire::open(&stage.config.listen).await?;
            let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {BODY}\r\n\r\n");
            wire.say(head.as_bytes()).await?;
            wire.say(&vec![b' '; FIRST]).await.context(path)?;
            // It is there before the whole body is, and most clients listen only when they have said everything.
            let said = wire.answer().await.context(path)?;
            assert_eq!(said.status, status, "{path}: {said:?}");
            wire.say(&vec![b' '; BODY - FIRST]).await.context(path)?;
            wire.closed().await?;
        }
        Ok(())
    })
}

#[test]
fn many_requests_at_once_on_a_connection_are_answered_in_order_to_a_client_that_says_no_more()
-> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        let host = stage.authority();
        let paths = ["/_usher/health", "/_matrix/client/versions", "/nowhere", "/_matrix/client/v3/login"];
        let requests: Vec<_> = paths.iter().cycle().take(400).collect();
        let ask = |path| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let bytes = requests.iter().map(ask).collect::<Vec<_>>().concat();
        let mut wire = Wire::open(&stage.config.listen).await?;
        wire.say(bytes.as_bytes()).await?;
        for (index, path) in requests.iter().enumerate() {
            let said = wire.answer().await.with_context(|| format!("answer {index}"))?;
            let expected = if **path == "/nowhere" { 404 } else { 200 };
            assert_eq!(said.status, expected, "{path}: {}", said.body());
        }

        // The last request of a client that has closed its own side is answered all the same.
        let mut wire = Wire::open(&stage.config.listen).await?;
        wire.say(format!("GET /_matrix/client/versions HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
        wire.fall_silent().await?;
        let said = wire.answer().await?;
        assert!(said.body().contains("v1."), "{}", said.body());
        wire.closed().await
    })
}

#[test]
fn clients_that_never_read_their_answers_are_not_listened_to_for_long() -> anyhow::Result<()> {
    /// Many times what the network holds between the two.
    const TOO_MUCH: usize = 100 << 20;
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        logs_in(&stage).await?;
        let before = Footprint::of(&stage.usher)?;
        let mut deaf = Vec::new();
        // An answer with a body, and one without.
        for method in ["GET", "OPTIONS"].repeat(5) {
            let host = stage.authority();
            let request = format!("{method} /_matrix/client/versions HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let burst = request.repeat(1000);
            let mut wire = Wire::open(&stage.config.listen).await?;
            let mut said = 0;
            while tokio::time::timeout(DRIP, wire.say(burst.as_bytes())).await.is_ok() {
                said += burst.len();
                assert!(said < TOO_MUCH, "{method}: {said} bytes were read and no answer was taken");
            }
            deaf.push(wire);
        }
        logs_in(&stage).await?;
        let grown = Footprint::of(&stage.usher)?.resident.saturating_sub(before.resident);
        let each = grown / deaf.len() as u64;
        assert!(each < 24 * 1024, "{each} kB for each client that does not listen");
        drop(deaf);
        is_as_small_as(&stage, before, 128).await
    })
}

#[test]
fn ten_thousand_connections_that_are_kept_for_nothing_are_borne() -> anyhow::Result<()> {
    const IDLE: usize = 10_000;
    run(async {
        allow_descriptors(IDLE as u64 + 2000)?;
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        logs_in(&stage).await?;
        let before = Footprint::of(&stage.usher)?;
        let hello = format!("GET /_matrix/client/versions HTTP/1.1\r\nHost: {}\r\n\r\n", stage.authority());
        let mut idle = open(&stage, IDLE).await?;
        for wire in &mut idle {
            // Those that were not greeted in time are closed, and there are others in their place.
            if wire.say(hello.as_bytes()).await.is_err()
                || wire.hear().await?.is_none_or(|said| said.status != 200)
            {
                *wire = Wire::open(&stage.config.listen).await?;
                wire.say(hello.as_bytes()).await?;
                wire.answer().await?;
            }
        }
        let now = Footprint::of(&stage.usher)?;
        assert!(now.descriptors >= IDLE, "{now:?}");
        logs_in(&stage).await?;
        let each = now.resident.saturating_sub(before.resident) / IDLE as u64;
        assert!(each < 32, "{each} kB for each connection");
        drop(idle);
        logs_in(&stage).await?;
        is_as_small_as(&stage, before, 256).await
    })
}

#[test]
fn an_usher_that_ran_out_of_descriptors_serves_again_when_there_are_some() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        logs_in(&stage).await?;
        let before = Footprint::of(&stage.usher)?;
        limit_descriptors(&stage.usher, before.descriptors + 100)?;
        let idle = open(&stage, 400).await?;
        eventually("there are no more", async || {
            let now = Footprint::of(&stage.usher)?;
            Ok((now.descriptors >= before.descriptors + 99).then_some(()))
        })
        .await?;
        // The idle ones are closed after ten seconds, the ones that waited behind them ten seconds later.
        logs_in(&stage).await?;
        drop(idle);
        logs_in(&stage).await?;
        is_as_small_as(&stage, before, 16).await
    })
}

async fn open(stage: &Stage, count: usize) -> anyhow::Result<Vec<Wire>> {
    let mut idle = Vec::with_capacity(count);
    for _ in 0..count {
        idle.push(Wire::open(&stage.config.listen).await?);
    }
    Ok(idle)
}

async fn logs_in(stage: &Stage) -> anyhow::Result<()> {
    let token = stage.sign_in().await?.login_token()?;
    assert_eq!(stage.client.redeem(&token).await?.expect_ok()?.field("user_id")?, ALICE);
    Ok(())
}

/// Descriptors are back, and memory has grown by no more than `megabytes`: what the allocator keeps.
async fn is_as_small_as(stage: &Stage, before: Footprint, megabytes: u64) -> anyhow::Result<()> {
    eventually("every connection is closed", async || {
        let now = Footprint::of(&stage.usher)?;
        Ok((now.descriptors <= before.descriptors + 4).then_some(()))
    })
    .await?;
    let grown = Footprint::of(&stage.usher)?.resident.saturating_sub(before.resident);
    assert!(grown < megabytes * 1024, "{grown} kB of memory more than before");
    Ok(())
}
