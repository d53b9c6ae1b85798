use actix_web::http::header::HeaderValue;

use super::*;

fn forwarding(trusted: &[&str]) -> Forwarding {
    let net = |text: &&str| text.parse().expect("a range");
    Forwarding::new(trusted.iter().map(net).collect())
}

/// A `ÿ` stands for the byte 0xFF, which is no text.
fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        let value = value.split('ÿ').map(str::as_bytes).collect::<Vec<_>>().join(&0xFF);
        headers.append(name, HeaderValue::from_bytes(&value).expect("a value"));
    }
    headers
}

fn peer(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address"), 4711)
}

#[test]
fn the_client_is_the_first_from_the_end_that_is_no_proxy_of_ours() {
    const XFF: &str = "x-forwarded-for";
    let ours = forwarding(&["10.0.0.0/8", "127.0.0.1/32", "fd00::/8", "::1/128"]);
    for (name, from, lines, expected) in [
        ("no header", "10.0.0.1", &[][..], "10.0.0.1"),
        ("one entry", "10.0.0.1", &[(XFF, "192.0.2.1")], "192.0.2.1"),
        ("a stranger's header", "192.0.2.9", &[(XFF, "192.0.2.1")], "192.0.2.9"),
        ("spoofed on the left", "10.0.0.1", &[(XFF, "203.0.113.7, 192.0.2.1")], "192.0.2.1"),
        ("a chain of ours", "10.0.0.1", &[(XFF, "203.0.113.7, 192.0.2.1, 10.0.0.2,10.0.0.3")], "192.0.2.1"),
        ("only ours", "10.0.0.1", &[(XFF, "10.0.0.9, 10.0.0.2")], "10.0.0.9"),
        (
            "several lines are one list",
            "10.0.0.1",
            &[(XFF, "203.0.113.7"), (XFF, "192.0.2.1, 10.0.0.2")],
            "192.0.2.1",
        ),
        ("a spoofed line before", "10.0.0.1", &[(XFF, "10.0.0.5"), (XFF, "192.0.2.1")], "192.0.2.1"),
        ("garbage", "10.0.0.1", &[(XFF, "unknown")], "10.0.0.1"),
        ("garbage before a good one", "10.0.0.1", &[(XFF, "unknown, 192.0.2.1")], "192.0.2.1"),
        ("garbage after one of ours", "10.0.0.1", &[(XFF, "192.0.2.1, unknown, 10.0.0.2")], "10.0.0.2"),
        ("nothing between commas", "10.0.0.1", &[(XFF, "192.0.2.1,,10.0.0.2")], "10.0.0.2"),
        ("empty", "10.0.0.1", &[(XFF, "")], "10.0.0.1"),
        ("not text", "10.0.0.1", &[(XFF, "192.0.2.1"), (XFF, "é")], "10.0.0.1"),
        ("not text before a good one", "10.0.0.1", &[(XFF, "é, 192.0.2.1")], "192.0.2.1"),
        ("not UTF-8 before a good one", "10.0.0.1", &[(XFF, "ÿ, 192.0.2.1")], "192.0.2.1"),
        ("not UTF-8 after one of ours", "10.0.0.1", &[(XFF, "192.0.2.1, ÿ, 10.0.0.2")], "10.0.0.2"),
        ("a port", "10.0.0.1", &[(XFF, "192.0.2.1:80")], "192.0.2.1"),
        ("IPv6", "fd00::1", &[(XFF, "2001:db8::1")], "2001:db8::1"),
        ("IPv6 in brackets", "::1", &[(XFF, "[2001:db8::1]")], "2001:db8::1"),
        ("IPv6 with a port", "::1", &[(XFF, "[2001:db8::1]:80")], "2001:db8::1"),
        ("IPv6 with a zone", "::1", &[(XFF, "fe80::1%eth0")], "::1"),
        ("a peer that is IPv4 within IPv6", "::ffff:10.0.0.1", &[(XFF, "192.0.2.1")], "192.0.2.1"),
        ("an entry that is", "10.0.0.1", &[(XFF, "192.0.2.1, ::ffff:10.0.0.2")], "192.0.2.1"),
        ("a client that is", "10.0.0.1", &[(XFF, "::ffff:192.0.2.1")], "192.0.2.1"),
        ("Forwarded is not read", "10.0.0.1", &[("forwarded", "for=192.0.2.1")], "10.0.0.1"),
        ("X-Real-IP is not read", "10.0.0.1", &[("x-real-ip", "192.0.2.1")], "10.0.0.1"),
    ] {
        let arrival = ours.arrival(Some(peer(from)), &headers(lines));
        assert_eq!(arrival.client.to_string(), expected, "{name}");
    }
}

#[test]
fn host_and_scheme_are_believed_of_a_trusted_peer_alone() {
    let (host, proto) = ("x-forwarded-host", "x-forwarded-proto");
    let portal = Url::parse("https://matrix.ac.cdl").expect("a URL");
    for (name, from, lines, is_at) in [
        ("as it should be", "192.0.2.1", &[("host", "matrix.ac.cdl")][..], true),
        ("in capitals", "192.0.2.1", &[("host", "Matrix.AC.cdl")], true),
        ("with the port that goes without saying", "192.0.2.1", &[("host", "matrix.ac.cdl:443")], true),
        ("an empty port", "192.0.2.1", &[("host", "matrix.ac.cdl:")], true),
        ("another host", "192.0.2.1", &[("host", "www.ac.cdl")], false),
        ("a longer host", "192.0.2.1", &[("host", "matrix.ac.cdl.evil.example")], false),
        ("a dot at the end, where cookies are others", "192.0.2.1", &[("host", "matrix.ac.cdl.")], false),
        ("another port", "192.0.2.1", &[("host", "matrix.ac.cdl:8443")], false),
        ("a stranger's claim", "192.0.2.1", &[("host", "x"), (host, "matrix.ac.cdl")], false),
        ("a stranger's denial", "192.0.2.1", &[("host", "matrix.ac.cdl"), (host, "x")], true),
        ("a stranger's scheme", "192.0.2.1", &[("host", "matrix.ac.cdl"), (proto, "http")], true),
        ("the proxy's host", "10.0.0.1", &[("host", "usher:8080"), (host, "matrix.ac.cdl")], true),
        ("the proxy's other host", "10.0.0.1", &[("host", "matrix.ac.cdl"), (host, "www.ac.cdl")], false),
        ("the proxy's scheme", "10.0.0.1", &[("host", "matrix.ac.cdl"), (proto, "HTTPS")], true),
        ("the proxy's plain scheme", "10.0.0.1", &[("host", "matrix.ac.cdl"), (proto, "http")], false),
        ("with its own port", "10.0.0.1", &[("host", "matrix.ac.cdl:443"), (proto, "https")], true),
        ("a host behind what is not UTF-8", "10.0.0.1", &[("host", "x"), (host, "ÿ, matrix.ac.cdl")], true),
        (
            "a host that is not UTF-8",
            "10.0.0.1",
            &[("host", "matrix.ac.cdl"), (host, "matrix.ac.cdl, ÿ")],
            false,
        ),
        ("a scheme that is none", "10.0.0.1", &[("host", "matrix.ac.cdl"), (proto, "gopher")], true),
        (
            "several, the last counts",
            "10.0.0.1",
            &[("host", "x"), (host, "evil.example, matrix.ac.cdl")],
            true,
        ),
    ] {
        let arrival = forwarding(&["10.0.0.1/32"]).arrival(Some(peer(from)), &headers(lines));
        assert_eq!(arrival.is_at(&portal), is_at, "{name}");
    }
}

#[test]
fn what_is_no_host_is_none() {
    for (name, lines, expected) in [
        ("missing", &[][..], None),
        ("empty", &[("host", "")], None),
        ("two", &[("host", "a"), ("host", "b")], None),
        ("a user name", &[("host", "a@b")], None),
        ("a path", &[("host", "a/b")], None),
        ("a space", &[("host", "a b")], None),
        ("a port that is none", &[("host", "a:b")], None),
        ("a port that is too large", &[("host", "a:65536")], None),
        ("not text", &[("host", "\u{e9}")], None),
        ("a name", &[("host", "matrix.ac.cdl")], Some("matrix.ac.cdl")),
        ("a dot at its end", &[("host", "MATRIX.ac.cdl.:443")], Some("matrix.ac.cdl")),
        ("an address", &[("host", "127.0.0.1:80")], Some("127.0.0.1")),
        ("an IPv6 address", &[("host", "[::1]")], Some("[::1]")),
        ("an IPv6 address and a port", &[("host", "[::1]:80")], Some("[::1]")),
        ("an IPv6 address without brackets", &[("host", "::1")], None),
    ] {
        let arrival = Forwarding::default().arrival(Some(peer("192.0.2.1")), &headers(lines));
        assert_eq!(arrival.host.map(|place| place.name()).as_deref(), expected, "{name}");
    }
}

#[test]
fn a_forgotten_setting_is_warned_about_once_and_a_stranger_cannot_use_the_warning_up() {
    let forwarded = headers(&[("x-forwarded-for", "192.0.2.1")]);
    for (name, from, lines, is_warned) in [
        ("a stranger", "192.0.2.1", &forwarded, false),
        ("nothing forwarded", "127.0.0.1", &HeaderMap::new(), false),
        ("loopback", "127.0.0.1", &forwarded, true),
        ("a private network", "10.1.2.3", &forwarded, true),
        ("a private network of IPv6", "fd00::1", &forwarded, true),
    ] {
        let forwarding = Forwarding::default();
        forwarding.arrival(Some(peer(from)), lines);
        assert_eq!(forwarding.is_warned.load(Ordering::Relaxed), is_warned, "{name}");
    }
}
