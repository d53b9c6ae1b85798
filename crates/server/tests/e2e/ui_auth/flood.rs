//! What an app sends without end takes rows and memory for a few requests and no more; and what passes through is not
//! kept.

use std::time::Duration;

use anyhow::ensure;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use usher_lab::{
    browser::loopback_client,
    scripted::{
        Reply,
        homeserver::{Endpoint, Fault},
    },
};

use super::walk::{Part, Walk, phone};
use crate::{
    at_host::{App, HOST, auth},
    components::run,
    config::Portal,
    database::Kind,
    footprint::Footprint,
    scripted::Stage,
    wire::Wire,
};

const TIMEOUT: Duration = Duration::from_secs(30);
/// The default of `ui_auth.max_open`.
const MOST_OPEN: usize = 10;
const CHALLENGES: usize = 1_000;
/// As many of one person's as come at once.
const CONNECTIONS: usize = 16;
/// What the allocator and the pools may take for good, in kB.
const GROWTH: u64 = 4 * 1024;

/// Sends challenges of `app` over several connections at once.
async fn pour(stage: &Stage, app: &App, count: usize) -> anyhow::Result<()> {
    let head = format!("POST /_matrix/client/v3/delete_devices HTTP/1.1\r\nHost: {HOST}");
    let token = app.access_token();
    let mut connections = JoinSet::new();
    for place in 0..CONNECTIONS {
        let (address, head, token) = (stage.config.listen.clone(), head.clone(), token.to_owned());
        connections.spawn(async move {
            let mut wire = Wire::open(&address).await?;
            for number in (place..count).step_by(CONNECTIONS) {
                // As large as such a request may well be.
                let device = format!("{number:0>8000}");
                let body = json!({ "devices": [device] }).to_string();
                let length = body.len();
                let headers = format!("Authorization: Bearer {token}\r\nContent-Length: {length}");
                wire.say(format!("{head}\r\n{headers}\r\n\r\n{body}").as_bytes()).await?;
                let said = wire.answer().await?;
                ensure!(said.status == 401 && said.body().contains("ushu_"), "{}", said.body());
            }
            anyhow::Ok(())
        });
    }
    connections.join_all().await.into_iter().collect()
}

#[test]
fn a_thousand_requests_of_one_device_leave_as_many_as_may_wait_and_none_that_is_confirmed_is_lost()
-> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let stage = Stage::set_with(kind, TIMEOUT, Portal::stand_at_host).await?;
            let (phone, other) = (phone(&stage).await?, phone(&stage).await?);
            let of_other = Walk::to_delete(&stage, &other, "TABLET").come_before(Part::Question).await?;
            let confirmed = Walk::to_delete(&stage, &phone, "LAPTOP").come_before(Part::Repetition).await?;
            let rows =
                async || anyhow::Ok(usize::try_from(stage.database.row_counts().await?["ui_auth_sessions"])?);
            pour(&stage, &phone, CHALLENGES / 4).await?;
            let before = Footprint::of(&stage.usher)?;
            pour(&stage, &phone, CHALLENGES).await?;
            let grown = Footprint::of(&stage.usher)?.resident.saturating_sub(before.resident);
            // One of another device, and those that came in the same moment as the last.
            let left = rows().await?;
            assert!((MOST_OPEN..=MOST_OPEN + CONNECTIONS).contains(&(left - 1)), "{kind:?}: {left} rows");
            phone.is_asked("POST v1/login/get_token", &json!({})).await?;
            assert_eq!(rows().await? - 1, MOST_OPEN, "{kind:?}");
            assert!(grown < GROWTH, "{kind:?}: {grown} kB of memory more than before");
            println!("{CHALLENGES} requests on {kind:?}: {grown} kB of memory more than before");
            confirmed.step().await?;
            of_other.finish().await?;
        }
        Ok(())
    })
}

#[test]
fn twenty_megabytes_of_somebody_who_is_not_linked_pass_through_in_little_memory() -> anyhow::Result<()> {
    /// In kB: some buffers, not a file.
    const MOST: u64 = 6 * 1024;
    const FILE: usize = 20 << 20;
    const IVY: &str = "@ivy:engineering.localhost";
    run(async {
        let stage = Stage::set_with(Kind::Sqlite, TIMEOUT, Portal::stand_at_host).await?;
        stage.sign_in().await?.login_token()?;
        let token = stage.homeserver.open_session(IVY, "IVYS", None);
        let file: Vec<u8> =
            (0..FILE).map(|index| b'a' + u8::try_from(index % 26).unwrap_or_default()).collect();
        let reply = Fault::Says(Reply::new(200, "application/json", file.clone()));
        stage.homeserver.set_fault(Endpoint::DeleteDevices, reply);
        Footprint::forget_peak(&stage.usher)?;
        let before = Footprint::of(&stage.usher)?;

        let url = stage.config.host_url().join("_matrix/client/v3/delete_devices?a%2Fb=c")?;
        let request = loopback_client(TIMEOUT)?.post(url).bearer_auth(&token).body(file.clone());
        let answer = request.send().await?;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.bytes().await? == file, "it is the same file");
        let grown = Footprint::of(&stage.usher)?.peak.saturating_sub(before.resident);
        let calls = stage.homeserver.calls_to(Endpoint::DeleteDevices);
        assert!(calls.len() == 1 && calls[0].body == file && calls[0].query == "a%2Fb=c", "and arrived so");
        assert!(grown < MOST, "{grown} kB of memory more than before");
        println!("20 MB there and back: {grown} kB of memory at most");

        // Of somebody who is linked, not more is read than such a request can be.
        stage.homeserver.clear_fault(Endpoint::DeleteDevices);
        let alice = phone(&stage).await?;
        let large = json!({ "devices": [], "x": "x".repeat(300_000) });
        let refused = alice.send("POST v3/delete_devices", &large).await?;
        assert_eq!((refused.status, refused.errcode()), (StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE"));
        let early = alice.send("POST v3/delete_devices", &auth("ushu_x")).await?;
        assert_eq!(early.errcode(), "M_UNKNOWN", "{early:?}");
        assert_eq!(alice.send("GET v3/capabilities", &Value::Null).await?.status, StatusCode::OK);
        Ok(())
    })
}
