//! The policy of outgoing calls, against a server that misbehaves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use usher_http::{Answer, BuildError, HOP_HEADER, Method, Outgoing, SendError};
use usher_lab::scripted::{Reply, ScriptedServer};

fn client() -> Outgoing {
    Outgoing::new(None, Duration::from_millis(300), 1000).expect("a client")
}

async fn call(reply: Reply) -> Result<Answer, SendError> {
    let server = ScriptedServer::start(move |_| std::future::ready(reply.clone())).await.expect("a server");
    let client = client();
    client.send(client.request(Method::GET, server.url())).await
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let server = ScriptedServer::start(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Reply::redirect("/elsewhere"))
    })
    .await
    .expect("a server");
    let client = client();
    let answer = client.send(client.request(Method::GET, server.url())).await.expect("an answer");
    assert_eq!(answer.status.as_u16(), 302);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn every_request_says_that_it_comes_from_usher() {
    let server = ScriptedServer::start(|request| {
        let hop = request.headers.get(HOP_HEADER).is_some();
        std::future::ready(Reply::new(if hop { 200 } else { 400 }, "text/plain", ""))
    })
    .await
    .expect("a server");
    let client = client();
    let answer = client.send(client.request(Method::GET, server.url())).await.expect("an answer");
    assert_eq!(answer.status.as_u16(), 200);
}

#[tokio::test]
async fn a_body_is_read_up_to_its_bound() {
    for (name, size, is_ok) in [("at the bound", 1000, true), ("one byte more", 1001, false)] {
        let result = call(Reply::new(200, "text/plain", vec![b'x'; size])).await;
        assert_eq!(result.is_ok(), is_ok, "{name}");
    }
    assert!(matches!(call(Reply::Endless).await, Err(SendError::TooLarge { max_body: 1000 })));
}

#[tokio::test]
async fn silence_and_a_cut_are_ambiguous_but_a_refused_connection_is_not() {
    assert!(matches!(call(Reply::Hang).await, Err(SendError::Ambiguous(_))), "hang");
    assert!(matches!(call(Reply::Cut).await, Err(SendError::Ambiguous(_))), "cut");
    let server = ScriptedServer::start(|_| std::future::ready(Reply::Hang)).await.expect("a server");
    let url = server.url();
    drop(server);
    let client = client();
    // The listener may take a moment to close: every attempt before that would be ambiguous, not wrong.
    let mut result = client.send(client.request(Method::GET, url.clone())).await;
    while matches!(result, Err(SendError::Ambiguous(_))) {
        result = client.send(client.request(Method::GET, url.clone())).await;
    }
    assert!(matches!(result, Err(SendError::NotConnected(_))), "refused: {result:?}");
}

#[tokio::test]
async fn an_error_does_not_tell_the_url() {
    let client = client();
    let url = url::Url::parse("http://127.0.0.1:9/validate?ticket=ST-secret").expect("a URL");
    let error = client.send(client.request(Method::GET, url)).await.expect_err("nobody listens");
    let shown = format!("{error:?} {error}");
    assert!(!shown.contains("ST-secret"), "{shown}");
}

#[test]
fn a_ca_bundle_without_certificates_is_refused() {
    for (name, pem) in [
        ("empty", ""),
        ("no PEM", "hello"),
        ("a key", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"),
    ] {
        let result = Outgoing::new(Some(pem.as_bytes()), Duration::from_secs(1), 1);
        assert!(matches!(result, Err(BuildError::CaBundle(_))), "{name}");
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_nowhere_for_a_client_that_finds_public_addresses_alone() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let server = ScriptedServer::start(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Reply::new(200, "text/plain", ""))
    })
    .await
    .expect("a server");
    let url = url::Url::parse(&format!("http://localhost:{}/", server.address().port())).expect("a URL");
    let public = Outgoing::public_only(None, Duration::from_secs(5), 1000).expect("a client");
    let result = public.send(public.request(Method::GET, url.clone())).await;
    assert!(matches!(result, Err(SendError::NotConnected(_))), "{result:?}");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let anywhere = client();
    let answer = anywhere.send(anywhere.request(Method::GET, url)).await.expect("an answer");
    assert_eq!(answer.status.as_u16(), 200, "the same name for any other client");
}
