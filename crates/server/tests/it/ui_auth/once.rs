//! One request is done once, by two replicas whose clocks are a minute apart, on either database.

use std::time::Duration;

use serde_json::json;
use tokio::sync::OnceCell;
use url::Url;
use usher_lab::{real::postgres::Postgres, scripted::homeserver::Endpoint};

use super::{auth, client, start_with};

/// Its process ends with this one; statics are not dropped.
static POSTGRES: OnceCell<Postgres> = OnceCell::const_new();

/// Two repetitions at once, the second of them at a replica whose clock is another: the homeserver is asked once.
async fn one_call_is_made(databases: [Option<Url>; 2]) {
    for (is_first_behind, database) in [true, false].into_iter().zip(databases) {
        let app = start_with(|config| {
            if let Some(url) = database {
                config["database"]["url"] = json!(url);
            }
        })
        .await;
        let ahead = app.replica_ahead(Duration::from_mins(1)).await;
        let behind = client(&app, "alice", "PHONE").await;
        client(&app, "alice", "LAPTOP").await;
        let session = behind.session_to_delete("LAPTOP").await;
        behind.browser(&session).confirmed_by("alice").await;
        let ahead = behind.at(&ahead);
        let (first, second) = if is_first_behind { (&behind, &ahead) } else { (&ahead, &behind) };
        let (hold, body) = (app.eng.hold(Endpoint::DeleteDevices), auth(&session));
        let doing = async { first.delete_device("LAPTOP", &body).await.status.as_u16() };
        let meanwhile = async {
            hold.arrived().await;
            let mut statuses = Vec::new();
            for _ in 0..3 {
                statuses.push(second.delete_device("LAPTOP", &body).await.status.as_u16());
            }
            hold.release();
            statuses
        };
        let (done, refused) = tokio::join!(doing, meanwhile);
        assert_eq!((done, refused), (200, vec![429; 3]), "the first is behind: {is_first_behind}");
        assert_eq!(second.delete_device("LAPTOP", &body).await.status, 403, "it is spent");
        assert_eq!(app.eng.calls_to(Endpoint::DeleteDevices).len(), 1, "{is_first_behind}");
    }
}

/// Whoever comes first: nobody knows which.
#[tokio::test]
async fn of_ten_repetitions_at_the_same_moment_one_is_done() {
    let app = start_with(|_| {}).await;
    let ahead = app.replica_ahead(Duration::from_mins(1)).await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "LAPTOP").await;
    let session = phone.session_to_delete("LAPTOP").await;
    phone.browser(&session).confirmed_by("alice").await;
    let (there, body) = (phone.at(&ahead), auth(&session));
    let repeating = (0..10).map(|number| {
        let client = if number % 2 == 0 { &phone } else { &there };
        async { client.delete_device("LAPTOP", &body).await.status.as_u16() }
    });
    let mut statuses = futures_util::future::join_all(repeating).await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], app.eng.calls_to(Endpoint::DeleteDevices).len()), (200, 1), "{statuses:?}");
    assert!(statuses[1..].iter().all(|status| [403, 429].contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn replicas_a_minute_apart_make_one_call_on_sqlite() {
    one_call_is_made([None, None]).await;
}

#[tokio::test]
async fn replicas_a_minute_apart_make_one_call_on_postgres() {
    let postgres = POSTGRES.get_or_try_init(Postgres::start).await.expect("a cluster");
    let database = async |name| Some(postgres.create_database(name).await.expect("a database"));
    one_call_is_made([database("behind").await, database("ahead").await]).await;
}
