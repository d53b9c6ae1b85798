//! What becomes of a request that is passed on, and who is to blame if it does not arrive.

use std::time::Duration;

use usher_http::{Bytes, Method, NoRelay, Passing, Relay, RelayError, RequestBody, header::HeaderMap};
use usher_lab::scripted::{Reply, Request, ScriptedServer};

const SILENCE: Duration = Duration::from_millis(300);

fn passing(path_and_query: &str, body: RequestBody) -> Passing {
    let path_and_query = path_and_query.to_owned();
    Passing { method: Method::POST, path_and_query, headers: HeaderMap::new(), body }
}

async fn server(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> ScriptedServer {
    ScriptedServer::start(move |request| std::future::ready(reply(&request))).await.expect("a server")
}

fn relay(server: &ScriptedServer, prefix: &str) -> Relay {
    Relay::new(None, &server.url().join(prefix).expect("a URL"), SILENCE).expect("a relay")
}

#[tokio::test]
async fn path_and_query_go_behind_the_prefix_as_they_are() {
    let server =
        server(|request| Reply::new(200, "text/plain", format!("{}?{}", request.path, request.query))).await;
    for (prefix, expected) in [
        ("", "/a/../%2F?x=%zz"),
        ("/like/this", "/like/this/a/../%2F?x=%zz"),
        ("/like/", "/like/a/../%2F?x=%zz"),
    ] {
        let mut passed = relay(&server, prefix)
            .pass(passing("/a/../%2F?x=%zz", RequestBody::empty()))
            .await
            .expect("an answer");
        let part = std::future::poll_fn(|context| passed.body.poll_part(context)).await;
        assert_eq!(part.expect("a part").expect("whole"), expected, "{prefix}");
    }
}

#[tokio::test]
async fn a_request_is_known_to_come_from_usher_and_goes_to_the_servers_own_name() {
    let server = server(|request| {
        let host = request.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        let has_hop = request.headers.contains_key("usher-hop");
        Reply::new(if has_hop { 200 } else { 400 }, "text/plain", host.to_owned())
    })
    .await;
    let mut passed = relay(&server, "").pass(passing("/", RequestBody::empty())).await.expect("an answer");
    assert_eq!(passed.status, 200);
    let part = std::future::poll_fn(|context| passed.body.poll_part(context)).await;
    assert_eq!(part.expect("a part").expect("whole"), server.address().to_string());
}

#[tokio::test]
async fn who_does_not_move_is_told_apart() {
    let hanging = server(|_| Reply::Hang).await;
    let relay = relay(&hanging, "");
    let silent = relay.pass(passing("/", RequestBody::whole(Bytes::from_static(b"x")))).await;
    assert!(matches!(silent, Err(RelayError::Silent(SILENCE))), "the server: {silent:?}");

    let (feed, body) = RequestBody::fed(None);
    feed.put(Bytes::from_static(b"x")).await.expect("room for one part");
    let stalled = relay.pass(passing("/", body)).await;
    assert!(matches!(stalled, Err(RelayError::Stalled(SILENCE))), "the sender: {stalled:?}");
    drop(feed);

    let (feed, body) = RequestBody::fed(Some(10));
    drop(feed);
    let broken = relay.pass(passing("/", body)).await;
    assert!(matches!(broken, Err(RelayError::Broken)), "the sender went away: {broken:?}");

    let cutting = server(|_| Reply::Cut).await;
    let cut = self::relay(&cutting, "").pass(passing("/", RequestBody::empty())).await;
    assert!(matches!(cut, Err(RelayError::Cut(_))), "the server went away: {cut:?}");

    let target = relay.pass(passing("/ /", RequestBody::empty())).await;
    assert!(matches!(target, Err(RelayError::Target(_))), "no target: {target:?}");
}

#[tokio::test]
async fn a_server_that_is_gone_has_seen_nothing() {
    let nobody = url::Url::parse("http://127.0.0.1:9/").expect("a URL");
    let relay = Relay::new(None, &nobody, SILENCE).expect("a relay");
    let refused =
        relay.pass(passing("/secret?token=x", RequestBody::empty())).await.expect_err("nobody listens");
    assert!(matches!(refused, RelayError::NotConnected(_)), "{refused:?}");
    assert!(!format!("{refused} {refused:?}").contains("token"), "{refused:?}");
}

#[tokio::test]
async fn a_way_that_leads_nowhere_is_refused() {
    let https = url::Url::parse("https://127.0.0.1:9/").expect("a URL");
    for (name, pem) in [
        ("empty", ""),
        ("no PEM", "hello"),
        ("a broken one", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        let relay = Relay::new(Some(pem.as_bytes()), &https, SILENCE);
        assert!(matches!(relay, Err(NoRelay::CaBundle)), "{name}");
    }
    let ftp = url::Url::parse("ftp://127.0.0.1/").expect("a URL");
    assert!(matches!(Relay::new(None, &ftp, SILENCE), Err(NoRelay::NotHttp)));
}
