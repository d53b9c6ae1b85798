//! Floods: what strangers send by the hundred thousand leaves rows, files, memory and descriptors as they were, and
//! whoever comes in the middle gets in.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use crate::{
    components::{eventually, run},
    database::Kind,
    footprint::Footprint,
    scripted::{ALICE, Stage},
    wire::Wire,
};

const TIMEOUT: Duration = Duration::from_secs(30);
/// As many connections as a busy reverse proxy keeps.
const CONNECTIONS: usize = 64;
/// Requests that are sent at once on a connection.
const AT_ONCE: usize = 16;
/// What the allocator and the pools may take for good, in kB.
const GROWTH: u64 = 10 * 1024;

/// Requests, sent in turn, and the status that each must be answered with.
#[derive(Clone)]
struct Flood(Arc<[(Vec<u8>, u16)]>);

/// What a flood must not change.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    rows: BTreeMap<String, i64>,
    files: Vec<u64>,
}

impl Traces {
    async fn of(stage: &Stage) -> anyhow::Result<Self> {
        Ok(Self { rows: stage.database.row_counts().await?, files: stage.database.file_sizes()? })
    }
}

impl Flood {
    fn new(requests: impl IntoIterator<Item = (String, u16)>) -> Self {
        Self(requests.into_iter().map(|(request, status)| (request.into_bytes(), status)).collect())
    }

    /// Sends `count` requests over many connections and reads every answer.
    async fn pour(&self, stage: &Stage, count: usize) -> anyhow::Result<()> {
        let mut connections = JoinSet::new();
        let rounds = count / CONNECTIONS / AT_ONCE;
        for place in 0..CONNECTIONS {
            let (flood, address) = (self.clone(), stage.config.listen.clone());
            connections.spawn(async move { flood.pour_into(&address, place, rounds).await });
        }
        connections.join_all().await.into_iter().collect()
    }

    async fn pour_into(&self, address: &str, place: usize, rounds: usize) -> anyhow::Result<()> {
        let Self(requests) = self;
        let mut wire = Wire::open(address).await?;
        let mut next = (place..).map(|index| &requests[index % requests.len()]);
        for _ in 0..rounds {
            let batch: Vec<_> = next.by_ref().take(AT_ONCE).collect();
            wire.say(&batch.iter().flat_map(|(request, _)| request.clone()).collect::<Vec<u8>>()).await?;
            for (_, status) in batch {
                let said = wire.answer().await?;
                anyhow::ensure!(
                    said.status == *status,
                    "{} instead of {status}: {}",
                    said.status,
                    said.body()
                );
            }
        }
        Ok(())
    }
}

/// The request of an honest client that never comes back.
fn redirect(stage: &Stage) -> (String, u16) {
    let path = "/_matrix/client/v3/login/sso/redirect/corp?redirectUrl=http%3A%2F%2Fapp.localhost%3A9%2F";
    (get(stage, path, ""), 302)
}

fn get(stage: &Stage, path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", stage.authority())
}

fn post_login(stage: &Stage, body: &str) -> String {
    let (host, length) = (stage.authority(), body.len());
    format!(
        "POST /_matrix/client/v3/login HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

async fn logs_in(stage: &Stage) -> anyhow::Result<()> {
    let token = stage.sign_in().await?.login_token()?;
    assert_eq!(stage.client.redeem(&token).await?.expect_ok()?.field("user_id")?, ALICE);
    Ok(())
}

/// Pours `count` requests, half of them with somebody who signs in in the middle, and looks at what is left.
async fn leaves_nothing(stage: &Stage, flood: &Flood, count: usize) -> anyhow::Result<()> {
    logs_in(stage).await?;
    flood.pour(stage, count / 10).await?;
    logs_in(stage).await?;
    let (traces, footprint) = (Traces::of(stage).await?, Footprint::of(&stage.usher)?);

    flood.pour(stage, count / 2).await?;
    assert_eq!(Traces::of(stage).await?, traces, "not a row, not a byte");
    let (poured, logged_in) = tokio::join!(flood.pour(stage, count / 2), logs_in(stage));
    poured?;
    logged_in?;
    let mut rows = traces.rows;
    for table in ["login_tokens", "sessions"] {
        *rows.entry(table.to_owned()).or_default() += 1;
    }
    assert_eq!(stage.database.row_counts().await?, rows, "what the one login wrote, and nothing else");
    eventually("every connection is closed", async || {
        let now = Footprint::of(&stage.usher)?;
        // The login may have opened a connection to the homeserver, to CAS and to the database.
        Ok((now.descriptors <= footprint.descriptors + 4).then_some(()))
    })
    .await?;
    let grown = Footprint::of(&stage.usher)?.resident.saturating_sub(footprint.resident);
    assert!(grown < GROWTH, "{grown} kB of memory more than before");
    Ok(())
}

#[test]
fn a_hundred_thousand_abandoned_redirects_leave_nothing_behind() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        leaves_nothing(&stage, &Flood::new([redirect(&stage)]), 100_000).await
    })
}

#[test]
fn twenty_thousand_callbacks_that_answer_nothing_leave_nothing_behind() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        let handle = "AAAAAAAAAAAAAAAAAAAAAA";
        let callback = format!("/_usher/cas/corp/callback/{handle}");
        let forged = format!("Cookie: __Host-usher-{handle}={}\r\n", "A".repeat(600));
        let flood = Flood::new([
            (get(&stage, &format!("{callback}?ticket=ST-of-nobody"), ""), 400),
            (get(&stage, &format!("{callback}?ticket=ST-of-nobody"), &forged), 400),
            (get(&stage, &callback, ""), 400),
            (get(&stage, "/_usher/cas/corp/callback/short?ticket=ST-1", ""), 404),
            (get(&stage, "/_usher/cas/nobody/callback/short?ticket=ST-1", ""), 404),
        ]);
        leaves_nothing(&stage, &flood, 20_000).await
    })
}

#[test]
fn twenty_thousand_logins_with_tokens_that_nobody_issued_leave_nothing_behind() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let stage = Stage::set(kind, TIMEOUT).await?;
            let unknown = format!(r#"{{"type":"m.login.token","token":"ushl_{}"}}"#, "A".repeat(43));
            let flood = Flood::new([
                (post_login(&stage, &unknown), 403),
                (post_login(&stage, r#"{"type":"m.login.token","token":"syl_of-a-homeserver"}"#), 403),
                (post_login(&stage, r#"{"type":"m.login.password"}"#), 400),
                (post_login(&stage, "{ this is not JSON"), 400),
                (post_login(&stage, ""), 400),
            ]);
            leaves_nothing(&stage, &flood, 20_000).await?;
        }
        Ok(())
    })
}
