//! At a homeserver's own host, whoever fails, leaves, lies or is slow harms nobody else.

use serde_json::json;

use crate::{
    app::TestApp,
    gateway_passing::{HOST, client, start},
    upstream::{Upstream, header},
};

#[tokio::test]
async fn a_homeserver_that_fails_is_said_to_have() {
    let upstream = Upstream::start().await;
    let app = start(&upstream).await;
    for (name, answer, status) in [
        ("cut at once", Some(""), 502),
        ("cut in the head", Some("HTTP/1.1 200 OK\r\nContent-"), 502),
        ("no HTTP", Some("220 smtp.ac.cdl ESMTP\r\n"), 502),
        (
            "another protocol",
            Some("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"),
            502,
        ),
        ("two lengths", Some("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), 502),
        ("silent", None, 504),
    ] {
        let mut client = client(&app).await;
        client.say(format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
        let mut homeserver = upstream.accept().await;
        homeserver.head().await;
        let silent = match answer {
            Some(answer) => {
                homeserver.say(answer).await;
                drop(homeserver);
                None
            }
            None => Some(homeserver),
        };
        let head = client.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {head}");
        assert_eq!(header(&head, "access-control-allow-origin").as_deref(), Some("*"), "{name}");
        let body = client.rest().await;
        assert!(body.contains(r#""errcode":"M_UNKNOWN""#), "{name}: {body}");
        drop(silent);
    }
    drop(upstream);
    let mut client = client(&app).await;
    client.say(format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
    assert!(client.head().await.starts_with("HTTP/1.1 502 "), "refused");
}

#[tokio::test]
async fn half_an_answer_is_not_taken_for_the_whole() {
    let upstream = Upstream::start().await;
    let app = start(&upstream).await;
    for (name, framing, part) in [
        ("a length", "Content-Length: 10", "12345"),
        ("chunks", "Transfer-Encoding: chunked", "5\r\n12345\r\n"),
    ] {
        for is_silent in [false, true] {
            let mut client = client(&app).await;
            client.say(format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
            let mut homeserver = upstream.accept().await;
            homeserver.head().await;
            homeserver.say(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{part}")).await;
            let silent = if is_silent {
                Some(homeserver)
            } else {
                drop(homeserver);
                None
            };
            // Usher may have heard of the end before it had said the beginning, or all that it had.
            let got = client.rest().await;
            let is_open = !got.ends_with("0\r\n\r\n")
                && (!got.contains("content-length") || got.contains("content-length: 10\r\n"));
            assert!(is_open && (got.contains("12345") || !is_silent), "{name}, {is_silent}: {got:?}");
            drop(silent);
        }
    }
}

#[tokio::test]
async fn two_ways_of_saying_how_long_a_body_is_reach_no_homeserver() {
    let upstream = Upstream::start().await;
    let app = start(&upstream).await;
    for (name, lines) in [
        ("a length and chunks", "Content-Length: 4\r\nTransfer-Encoding: chunked"),
        ("chunks and a length", "Transfer-Encoding: chunked\r\nContent-Length: 4"),
        ("two lengths", "Content-Length: 4\r\nContent-Length: 5"),
        ("the same length twice", "Content-Length: 4\r\nContent-Length: 4"),
        ("a list of lengths", "Content-Length: 4, 4"),
        ("a signed length", "Content-Length: +4"),
        ("two encodings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        ("a list of encodings", "Transfer-Encoding: gzip, chunked"),
        ("another encoding", "Transfer-Encoding: xchunked"),
        ("a space before the colon", "Content-Length : 4"),
        ("a folded line", "X: 1\r\n Content-Length: 4"),
    ] {
        let mut client = client(&app).await;
        client
            .say(format!(
                "POST /x HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n\r\n0\r\n\r\nGET /y HTTP/1.1\r\n\r\n"
            ))
            .await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: {answer}");
        assert!(upstream.is_alone().await, "{name}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_keeps_no_homeserver_busy() {
    let upstream = Upstream::start().await;
    let app = start(&upstream).await;
    for (name, request, answer) in [
        ("before the answer", "GET /x HTTP/1.1\r\n", ""),
        ("before the answer, all sent", "POST /x HTTP/1.1\r\nContent-Length: 2\r\n", ""),
        ("in the middle of what it sends", "POST /x HTTP/1.1\r\nContent-Length: 100\r\n", ""),
        ("in the middle of its chunks", "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", ""),
        (
            "in the middle of the answer",
            "GET /x HTTP/1.1\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
        ),
    ] {
        let mut client = client(&app).await;
        let body = if request.contains("chunked") {
            "2\r\n{}\r\n"
        } else if request.contains("Length") {
            "{}"
        } else {
            ""
        };
        client.say(format!("{request}Host: {HOST}\r\n\r\n{body}")).await;
        let mut homeserver = upstream.accept().await;
        homeserver.head().await;
        if !body.is_empty() {
            homeserver.until("{}").await;
        }
        if !answer.is_empty() {
            homeserver.say(answer).await;
            client.until("x\r\n").await;
        }
        drop(client);
        // Not the chunk that would say that this was all.
        assert!(!homeserver.rest().await.ends_with("0\r\n\r\n"), "{name}");
    }
}

#[tokio::test]
async fn neither_side_is_read_faster_than_the_other_reads() {
    /// What four sockets and Usher hold, and some.
    const BOUND: usize = 32 << 20;
    let upstream = Upstream::start().await;
    let app = start(&upstream).await;
    for (name, request, is_download) in [
        ("up", "POST /x HTTP/1.1\r\nContent-Length: 9999999999\r\n", false),
        ("down", "GET /x HTTP/1.1\r\n", true),
    ] {
        let mut client = client(&app).await;
        client.say(format!("{request}Host: {HOST}\r\n\r\n")).await;
        let mut homeserver = upstream.accept().await;
        homeserver.head().await;
        let said = if is_download {
            homeserver.say("HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n").await;
            homeserver.say_until_blocked().await
        } else {
            client.say_until_blocked().await
        };
        assert!(said < BOUND, "{name}: {said} bytes went into somebody who reads nothing");
    }
}

#[tokio::test]
async fn a_homeserver_that_answers_early_is_heard() {
    let upstream = Upstream::start().await;
    let app = start(&upstream).await;
    let mut client = client(&app).await;
    client.say(format!("POST /x HTTP/1.1\r\nContent-Length: 5000000\r\nHost: {HOST}\r\n\r\nabc")).await;
    let mut homeserver = upstream.accept().await;
    homeserver.head().await;
    homeserver.say("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\n\r\n{}").await;
    assert!(client.head().await.starts_with("HTTP/1.1 413 "));
    assert_eq!(client.until("{}").await, "{}");
}

#[tokio::test]
async fn an_upstream_url_that_leads_back_here_is_said_clearly() {
    // Another name for the portal's own place.
    let app = TestApp::start_with(|config| {
        let portal = config["public_base_url"].as_str().expect("a URL").to_owned();
        config["homeservers"][0]["hosts"] = json!([HOST]);
        config["homeservers"][0]["upstream_url"] = json!(portal.replace("portal.localhost", "127.0.0.1"));
    })
    .await;
    for path in ["/_matrix/client/v3/sync", "/_matrix/client/v3/login"] {
        let mut client = client(&app).await;
        client.say(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 508 ") && answer.contains("upstream_url"), "{path}: {answer}");
    }
}
