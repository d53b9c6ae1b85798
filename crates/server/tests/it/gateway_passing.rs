//! At a homeserver's own host, what is not ours passes through untouched, both ways.

use serde_json::json;

use crate::{
    app::TestApp,
    upstream::{Upstream, Wire, header},
};

pub(crate) const HOST: &str = "matrix.eng.ac.cdl";
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// Usher, with a homeserver behind it that is only a socket.
pub(crate) async fn start(upstream: &Upstream) -> TestApp {
    let url = upstream.url();
    TestApp::start_with(|config| {
        config["homeservers"][0]["hosts"] = json!([HOST]);
        config["homeservers"][0]["upstream_url"] = json!(url);
        config["homeservers"][0]["pass_through_timeout"] = json!("1s");
        config["trusted_proxies"] = json!(["127.0.0.1"]);
    })
    .await
}

pub(crate) async fn client(app: &TestApp) -> Wire {
    Wire::connect(app.base().port().expect("a port")).await
}

#[tokio::test]
async fn a_request_line_arrives_byte_for_byte() {
    let upstream = Upstream::start().await;
    let app = start(&upstream).await;
    for line in [
        "GET /_matrix/client/v3/sync",
        "GET /_matrix/client/v3/sync?",
        "GET /_matrix/client/v3/sync?since=s1_2&filter=%7B%7d&x=+&=&a&a=1",
        "GET /_matrix/client/v3/rooms/!a:b/messages?from=%C3%B6&dir=b",
        "DELETE /_matrix/client/v3/devices/A%2FB",
        "DELETE /_matrix/client/v3/%64evices/X",
        "DELETE //_matrix//client/v3/devices/X",
        "GET /_matrix/client/v3/a/../devices/./X/..",
        "GET /_matrix/client/v3/a/%2e%2e/devices/..%2f",
        "GET /_matrix/client/v3/x;y=1,2/@u:s/$e/*/~/'()!",
        "GET /_matrix/client/v3/a|b\"c{d}e^fg\\h?[x]={}|^`\\",
        "GET /_matrix/client/v3/100%/%zz?%",
        "GET /",
        "GET /_usher/health",
        "GET /.well-known/matrix/client",
        "PUT /_matrix/client/v3/login",
        "POST /_matrix/client/v1/login/get_token",
        "REPORT /_matrix/client/v3/anything",
        "OPTIONS /_matrix/client/v3/rooms/X",
    ] {
        let mut client = client(&app).await;
        client.say(format!("{line} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
        let mut homeserver = tokio::select! {
            homeserver = upstream.accept() => homeserver,
            answer = client.rest() => panic!("{line}: {answer}"),
        };
        let head = homeserver.head().await;
        assert_eq!(head.lines().next(), Some(format!("{line} HTTP/1.1").as_str()));
        homeserver.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}").await;
        let answer = client.rest().await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{}"),
            "{line}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_request_line_that_no_client_sends_is_refused_rather_than_mended() {
    let upstream = Upstream::start().await;
    let app = start(&upstream).await;
    for (name, target) in [
        ("a space", "/_matrix/client/v3/a b"),
        ("a control character", "/_matrix/client/v3/a\u{1}"),
        ("a bracket", "/_matrix/client/v3/<a>"),
        ("a backtick", "/_matrix/client/v3/`a`"),
        ("a quotation mark in the query", "/_matrix/client/v3/sync?x=\""),
        ("no slash", "_matrix/client/v3/sync"),
        ("a tab", "/_matrix/client/v3/a\tb"),
    ] {
        let mut client = client(&app).await;
        client.say(format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{name}: {answer}");
        assert!(upstream.is_alone().await, "{name}");
    }
}

#[tokio::test]
async fn headers_arrive_but_for_those_of_the_connection_and_those_that_are_ours_to_say() {
    let upstream = Upstream::start().await;
    let app = start(&upstream).await;
    let mut client = client(&app).await;
    client
        .say(
            "GET /_matrix/client/v3/sync HTTP/1.1\r\nHost: MATRIX.ENG.ac.cdl.:8448\r\n\
             Authorization: Bearer syt_x\r\nCookie: a=1\r\nX-Two: 1\r\nX-Two: 2\r\nUser-Agent: Element\r\n\
             Accept-Encoding: gzip\r\nOrigin: https://app.ac.cdl\r\nX-Odd: \u{f6}\r\n\
             Connection: X-Named\r\nX-Named: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nUpgrade: websocket\r\n\
             Forwarded: for=192.0.2.66\r\nX-Real-IP: 192.0.2.66\r\nX-Forwarded-Port: 1\r\n\
             X-Forwarded-For: 192.0.2.66, 203.0.113.7\r\nX-Forwarded-Proto: https\r\n\r\n",
        )
        .await;
    let mut homeserver = upstream.accept().await;
    let head = homeserver.head().await;
    let authority = upstream.url().authority().to_owned();
    for (name, expected) in [
        ("authorization", Some("Bearer syt_x")),
        ("cookie", Some("a=1")),
        ("x-two", Some("1 | 2")),
        ("user-agent", Some("Element")),
        ("accept-encoding", Some("gzip")),
        ("origin", Some("https://app.ac.cdl")),
        ("x-odd", Some("\u{f6}")),
        ("host", Some(authority.as_str())),
        ("x-forwarded-for", Some("203.0.113.7")),
        ("x-forwarded-host", Some("matrix.eng.ac.cdl.:8448")),
        ("x-forwarded-proto", Some("https")),
        ("x-forwarded-port", None),
        ("usher-hop", Some("1")),
        ("connection", None),
        ("x-named", None),
        ("keep-alive", None),
        ("te", None),
        ("upgrade", None),
        ("forwarded", None),
        ("x-real-ip", None),
        ("content-length", None),
        ("transfer-encoding", None),
    ] {
        assert_eq!(header(&head, name).as_deref(), expected, "{name}: {head}");
    }
}

#[tokio::test]
async fn bodies_arrive_as_they_were_framed() {
    let upstream = Upstream::start().await;
    let app = start(&upstream).await;
    for (name, request, framing, body) in [
        ("a length", "POST /x HTTP/1.1\r\nContent-Length: 5", ("content-length", "5"), "a\0b\r\n"),
        ("no length at all", "POST /x HTTP/1.1\r\nContent-Length: 0", ("content-length", "0"), ""),
        ("a body on DELETE", "DELETE /x HTTP/1.1\r\nContent-Length: 2", ("content-length", "2"), "{}"),
        ("a body on GET", "GET /x HTTP/1.1\r\nContent-Length: 2", ("content-length", "2"), "{}"),
        (
            "chunks",
            "PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked",
            ("transfer-encoding", "chunked"),
            "3\r\nabc\r\n0\r\n\r\n",
        ),
        (
            "chunks on GET",
            "GET /x HTTP/1.1\r\nTransfer-Encoding: chunked",
            ("transfer-encoding", "chunked"),
            "2\r\n{}\r\n0\r\n\r\n",
        ),
    ] {
        let mut client = client(&app).await;
        client.say(format!("{request}\r\nHost: {HOST}\r\nConnection: close\r\n\r\n{body}")).await;
        let mut homeserver = upstream.accept().await;
        let head = homeserver.head().await;
        assert_eq!(header(&head, framing.0).as_deref(), Some(framing.1), "{name}: {head}");
        let other = if framing.0 == "content-length" { "transfer-encoding" } else { "content-length" };
        assert_eq!(header(&head, other), None, "{name}: {head}");
        if !body.is_empty() {
            assert_eq!(homeserver.until(body).await, body, "{name}");
        }
        homeserver.say(OK).await;
        assert!(client.rest().await.ends_with("\r\n\r\n{}"), "{name}");
    }
}

#[tokio::test]
async fn a_client_that_waits_for_leave_is_told_to_go_on() {
    let upstream = Upstream::start().await;
    let app = start(&upstream).await;
    let mut client = client(&app).await;
    let head = "POST /x HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue";
    client.say(format!("{head}\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.say("{}").await;
    let mut homeserver = upstream.accept().await;
    assert_eq!(header(&homeserver.head().await, "expect"), None);
    homeserver.say(OK).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn answers_come_back_untouched() {
    let upstream = Upstream::start().await;
    let app = start(&upstream).await;
    let length = "Content-Length: 2";
    for (name, method, status, lines, body, kept, gone) in [
        ("an ordinary one", "GET", "200 OK", vec![length, "X-A: 1"], "{}", vec![length, "X-A: 1"], vec![]),
        (
            "its own CORS, once",
            "GET",
            "200 OK",
            vec![length, "Access-Control-Allow-Origin: https://app.ac.cdl", "X-Request-Id: theirs"],
            "{}",
            vec!["Access-Control-Allow-Origin: https://app.ac.cdl", "X-Request-Id: theirs"],
            vec!["Access-Control-Allow-Methods", "X-Content-Type-Options"],
        ),
        (
            "no CORS, none",
            "OPTIONS",
            "200 OK",
            vec![length],
            "{}",
            vec![length],
            vec!["Access-Control-Allow-Origin", "X-Request-Id", "Cache-Control"],
        ),
        (
            "cookies",
            "GET",
            "401 Unauthorized",
            vec![length, "Set-Cookie: a=1", "Set-Cookie: b=2"],
            "{}",
            vec!["Set-Cookie: a=1 | b=2"],
            vec![],
        ),
        (
            "a redirect",
            "GET",
            "302 Found",
            vec!["Content-Length: 0", "Location: /x?%2F=%zz"],
            "",
            vec!["Location: /x?%2F=%zz", "Content-Length: 0"],
            vec![],
        ),
        (
            "headers of the connection",
            "GET",
            "200 OK",
            vec![length, "Connection: X-Named", "X-Named: 1", "Keep-Alive: timeout=5", "Upgrade: h2c"],
            "{}",
            vec![length],
            vec!["X-Named", "Keep-Alive", "Upgrade"],
        ),
        (
            "the answer to HEAD",
            "HEAD",
            "200 OK",
            vec!["Content-Length: 1234"],
            "",
            vec!["Content-Length: 1234"],
            vec![],
        ),
        (
            "nothing to say",
            "DELETE",
            "204 No Content",
            vec!["X-A: 1"],
            "",
            vec!["X-A: 1"],
            vec!["Content-Length"],
        ),
        ("nothing new", "GET", "304 Not Modified", vec!["ETag: \"x\""], "", vec!["ETag: \"x\""], vec![]),
        ("an odd status", "GET", "418 I'm a teapot", vec![length], "{}", vec![length], vec![]),
        ("a server error", "GET", "500 Internal Server Error", vec![length], "{}", vec![length], vec![]),
    ] {
        let mut client = client(&app).await;
        client.say(format!("{method} /x HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
        let mut homeserver = upstream.accept().await;
        homeserver.head().await;
        homeserver.say(format!("HTTP/1.1 {status}\r\n{}\r\n\r\n{body}", lines.join("\r\n"))).await;
        let head = client.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{name}: {head}");
        for line in kept {
            let (key, value) = line.split_once(": ").expect("a header");
            assert_eq!(header(&head, key).as_deref(), Some(value), "{name}, {key}: {head}");
        }
        for key in gone {
            assert_eq!(header(&head, key), None, "{name}, {key}: {head}");
        }
        assert_eq!(client.rest().await, body, "{name}");
    }
}

#[tokio::test]
async fn an_answer_in_chunks_comes_back_as_it_comes() {
    let upstream = Upstream::start().await;
    let app = start(&upstream).await;
    let mut client = client(&app).await;
    client.say(format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
    let mut homeserver = upstream.accept().await;
    homeserver.head().await;
    homeserver.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!(header(&head, "transfer-encoding").as_deref(), Some("chunked"));
    // Each part is here before the next is said.
    for part in ["one", "three", "seven"] {
        homeserver.say(format!("{:x}\r\n{part}\r\n", part.len())).await;
        client.until(part).await;
    }
    homeserver.say("0\r\n\r\n").await;
    assert!(client.rest().await.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn a_host_is_a_homeservers_by_name_alone() {
    let upstream = Upstream::start().await;
    let app = start(&upstream).await;
    for (name, lines, is_its) in [
        ("its name", "Host: matrix.eng.ac.cdl", true),
        ("in capitals", "Host: MATRIX.ENG.AC.CDL", true),
        ("with a port", "Host: matrix.eng.ac.cdl:8448", true),
        ("with a dot at its end", "Host: matrix.eng.ac.cdl.", true),
        ("said by the proxy", "Host: usher:8080\r\nX-Forwarded-Host: matrix.eng.ac.cdl", true),
        (
            "said otherwise by the proxy",
            "Host: matrix.eng.ac.cdl\r\nX-Forwarded-Host: portal.localhost",
            false,
        ),
        ("a name below it", "Host: x.matrix.eng.ac.cdl", false),
        ("a name that ends like it", "Host: xmatrix.eng.ac.cdl", false),
        ("another homeserver's", "Host: matrix.hist.ac.cdl", false),
        ("the portal's", "Host: portal.localhost", false),
        ("none", "Host:", false),
    ] {
        let mut client = client(&app).await;
        client
            .say(format!("GET /_matrix/client/versions HTTP/1.1\r\n{lines}\r\nConnection: close\r\n\r\n"))
            .await;
        if is_its {
            let mut homeserver = upstream.accept().await;
            homeserver.head().await;
            homeserver.say(OK).await;
            assert!(client.rest().await.ends_with("{}"), "{name}");
        } else {
            assert!(client.rest().await.contains("v1."), "{name}");
            assert!(upstream.is_alone().await, "{name}");
        }
    }
}
