use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::header::HeaderName as ClientName;

use super::*;

fn arrival() -> Arrival {
    Arrival { client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), host: None, scheme: None }
}

/// What is left of some lines, but for what we say ourselves.
fn passed(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut headers = ClientHeaders::new();
    for (name, value) in lines {
        let name = ClientName::from_bytes(name.as_bytes()).expect("a name");
        headers.append(name, ClientValue::from_str(value).expect("a value"));
    }
    let passed = of_request(&headers, &arrival(), "https");
    let mut passed: Vec<_> = passed
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().expect("ASCII").to_owned()))
        .filter(|(name, _)| !name.starts_with(FORWARDED))
        .collect();
    passed.sort();
    passed
}

#[test]
fn headers_of_the_connection_end_here() {
    for (name, lines, expected) in [
        ("none", vec![], vec![]),
        ("an ordinary one", vec![("Authorization", "Bearer x")], vec!["authorization"]),
        ("one that came twice", vec![("Accept", "a"), ("Accept", "b")], vec!["accept", "accept"]),
        ("Connection", vec![("Connection", "keep-alive")], vec![]),
        ("Keep-Alive", vec![("Keep-Alive", "5")], vec![]),
        ("TE", vec![("TE", "trailers")], vec![]),
        ("Trailer", vec![("Trailer", "X")], vec![]),
        ("Transfer-Encoding", vec![("Transfer-Encoding", "chunked")], vec![]),
        ("Upgrade", vec![("Upgrade", "websocket")], vec![]),
        ("Proxy-Authorization", vec![("Proxy-Authorization", "x")], vec![]),
        ("Proxy-Authenticate", vec![("Proxy-Authenticate", "x")], vec![]),
        ("Proxy-Connection", vec![("Proxy-Connection", "x")], vec![]),
        ("named", vec![("Connection", "close, X-Mine"), ("X-Mine", "1"), ("X-Other", "2")], vec!["x-other"]),
        ("named in another case", vec![("Connection", "X-MINE"), ("x-mine", "1")], vec![]),
        (
            "named on a second line",
            vec![("Connection", "close"), ("Connection", "x-mine"), ("X-Mine", "1")],
            vec![],
        ),
        (
            "the length, named",
            vec![("Connection", "content-length"), ("Content-Length", "3")],
            vec!["content-length"],
        ),
        (
            "whose it is, named",
            vec![("Connection", "close, Authorization"), ("Authorization", "Bearer x")],
            vec!["authorization"],
        ),
        ("Host", vec![("Host", "matrix.eng.ac.cdl")], vec![]),
        (
            "another method",
            vec![("X-HTTP-Method-Override", "DELETE"), ("X_Method_Override", "DELETE")],
            vec![],
        ),
        ("another path", vec![("X-Original-URL", "/x"), ("X-Rewrite-Url", "/x")], vec![]),
        ("underscores", vec![("X_Forwarded_For", "1.2.3.4"), ("X_Mine", "1")], vec!["x_mine"]),
        ("Expect", vec![("Expect", "100-continue")], vec![]),
        ("Forwarded", vec![("Forwarded", "for=1.2.3.4")], vec![]),
        ("X-Real-IP", vec![("X-Real-IP", "1.2.3.4")], vec![]),
    ] {
        let left = passed(&lines);
        let left: Vec<_> = left.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(left, expected, "{name}");
    }
}

#[test]
fn where_a_request_came_from_is_ours_to_say() {
    let mut headers = ClientHeaders::new();
    for name in ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port"] {
        headers.append(ClientName::from_static(name), ClientValue::from_static("evil"));
    }
    headers.append(ClientName::from_static("connection"), ClientValue::from_static("x-forwarded-for"));
    for (name, scheme, expected) in [("said", Some("http"), "http"), ("not said", None, "https")] {
        let passed = of_request(&headers, &Arrival { scheme, ..arrival() }, "https");
        let all = |name: &str| {
            passed
                .get_all(name)
                .iter()
                .map(|value| value.to_str().expect("ASCII").to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(all("x-forwarded-for"), ["192.0.2.1"], "{name}");
        assert_eq!(all("x-forwarded-host"), [""], "{name}: no host can be believed");
        assert_eq!(all("x-forwarded-proto"), [expected], "{name}");
        assert!(all("x-forwarded-port").is_empty(), "{name}");
    }
}

#[test]
fn an_answers_own_headers_of_the_connection_end_here_too() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("connection", "x-mine"),
        ("x-mine", "1"),
        ("transfer-encoding", "chunked"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("access-control-allow-origin", "*"),
    ] {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let left: Vec<_> = of_answer(&headers).collect();
    let expected: [(&str, &[u8]); 3] =
        [("set-cookie", b"a=1"), ("set-cookie", b"b=2"), ("access-control-allow-origin", b"*")];
    assert_eq!(left, expected);
}
