//! Which cookies are kept, and which of them are sent.

use url::Url;

use super::{Jar, Occasion, seconds_of_date};

const NOW: &str = "Sun, 01 Nov 2026 12:00:00 GMT";

fn url(text: &str) -> Url {
    Url::parse(text).expect("the table holds URLs")
}

/// What a jar that was given `lines` by `from` sends to `to`.
fn sent(from: &str, lines: &[&str], to: &str, initiator: Option<&str>, is_safe: bool) -> Option<String> {
    let mut jar = Jar::default();
    for line in lines {
        jar.store(&url(from), line, Some(NOW));
    }
    let initiator = initiator.map(url);
    jar.header(Occasion { url: &url(to), initiator: initiator.as_ref(), is_safe })
}

/// A name, who sets which lines, who is asked for, and what is sent there.
type Case<'a> = (&'a str, &'a str, &'a [&'a str], &'a str, Option<&'a str>);

#[test]
fn cookies_are_kept_and_sent_as_chromium_would() {
    let portal = "http://portal.localhost:80/login/sso";
    let cases: &[Case<'_>] = &[
        ("host only", portal, &["a=1; Path=/"], "http://portal.localhost/", Some("a=1")),
        ("port ignored", portal, &["a=1; Path=/"], "http://portal.localhost:99/", Some("a=1")),
        ("other host", portal, &["a=1; Path=/"], "http://sso.localhost/", None),
        ("subdomain of a host-only cookie", portal, &["a=1; Path=/"], "http://x.portal.localhost/", None),
        (
            "domain",
            portal,
            &["a=1; Path=/; Domain=portal.localhost"],
            "http://x.portal.localhost/",
            Some("a=1"),
        ),
        ("domain of a suffix", portal, &["a=1; Path=/; Domain=localhost"], "http://portal.localhost/", None),
        ("domain of another", portal, &["a=1; Path=/; Domain=sso.localhost"], "http://sso.localhost/", None),
        ("default path", portal, &["a=1"], "http://portal.localhost/login/x", Some("a=1")),
        ("default path elsewhere", portal, &["a=1"], "http://portal.localhost/", None),
        ("path at a boundary", portal, &["a=1; Path=/log"], portal, None),
        ("longest path first", portal, &["a=1; Path=/", "b=2; Path=/login"], portal, Some("b=2; a=1")),
        ("replaced in place", portal, &["a=1", "b=2", "a=3"], portal, Some("a=3; b=2")),
        ("empty value", portal, &["a="], portal, Some("a=")),
        ("value with =", portal, &["a=b=c=="], portal, Some("a=b=c==")),
        ("no name", portal, &["=x"], portal, None),
        ("Max-Age=0 deletes", portal, &["a=1", "a=; Max-Age=0"], portal, None),
        ("negative Max-Age deletes", portal, &["a=1", "a=; Max-Age=-1"], portal, None),
        ("past Expires deletes", portal, &["a=1", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], portal, None),
        (
            "future Expires keeps",
            portal,
            &["a=1; Expires=Sun, 01 Nov 2026 12:00:05 GMT"],
            portal,
            Some("a=1"),
        ),
        (
            "Max-Age beats Expires",
            portal,
            &["a=1; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
            portal,
            Some("a=1"),
        ),
        ("Secure on *.localhost", portal, &["a=1; Secure"], portal, Some("a=1")),
        ("Secure on loopback", "http://127.0.0.1:8/", &["a=1; Secure"], "http://127.0.0.1:9/", Some("a=1")),
        (
            "Secure over http elsewhere",
            "http://matrix.ac.cdl/",
            &["a=1; Secure"],
            "https://matrix.ac.cdl/",
            None,
        ),
        (
            "Secure not sent over http",
            "https://matrix.ac.cdl/",
            &["a=1; Secure"],
            "http://matrix.ac.cdl/",
            None,
        ),
        ("__Host-", portal, &["__Host-a=1; Secure; Path=/"], portal, Some("__Host-a=1")),
        ("__Host- without Secure", portal, &["__Host-a=1; Path=/"], portal, None),
        (
            "__Host- without Path",
            "http://portal.localhost/",
            &["__Host-a=1; Secure"],
            "http://portal.localhost/",
            None,
        ),
        ("__Host- below /", portal, &["__Host-a=1; Secure; Path=/login"], portal, None),
        (
            "__host- with Domain",
            portal,
            &["__host-a=1; Secure; Path=/; Domain=portal.localhost"],
            portal,
            None,
        ),
        ("__Secure- without Secure", portal, &["__Secure-a=1"], portal, None),
        ("SameSite=None without Secure", portal, &["a=1; SameSite=None"], portal, None),
    ];
    for (name, from, lines, to, expected) in cases {
        assert_eq!(sent(from, lines, to, None, true).as_deref(), *expected, "{name}");
    }
}

#[test]
fn a_cookie_too_long_is_dropped() {
    let fits = format!("a={}", "x".repeat(4095));
    let too_long = format!("a={}", "x".repeat(4096));
    assert!(sent("http://a.localhost/", &[&fits], "http://a.localhost/", None, true).is_some());
    assert!(sent("http://a.localhost/", &[&too_long], "http://a.localhost/", None, true).is_none());
}

#[test]
fn same_site_decides_what_goes_with_a_request_of_another_site() {
    let [own, other] = ["http://portal.localhost:1/", "http://sso.localhost/"];
    // (attribute, initiator, safe method, sent?)
    let cases = [
        ("", Some(other), true, true),
        ("", Some(other), false, false),
        ("", Some("http://portal.localhost:2/"), false, true),
        ("", Some("http://sub.portal.localhost/"), false, true),
        ("", Some("https://portal.localhost/"), false, false),
        ("", None, false, true),
        ("; SameSite=Lax", Some(other), true, true),
        ("; SameSite=Lax", Some(other), false, false),
        ("; SameSite=Bogus", Some(other), false, false),
        ("; SameSite=Strict", Some(other), true, false),
        ("; SameSite=Strict", Some(own), true, true),
        ("; SameSite=Strict", None, true, true),
        ("; SameSite=None; Secure", Some(other), false, true),
    ];
    for (attribute, initiator, is_safe, expected) in cases {
        let line = format!("a=1{attribute}");
        let got = sent(own, &[&line], own, initiator, is_safe);
        assert_eq!(got.is_some(), expected, "{attribute:?} from {initiator:?}, safe: {is_safe}");
    }
}

#[test]
fn dates_are_read() {
    let cases = [
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("Thu, 01-Jan-1970 00:00:01 GMT", Some(1)),
        ("Sun, 29 Feb 2032 23:59:59 GMT", Some(1_961_711_999)),
        ("yesterday", None),
        ("Sun, 29 Foo 2032 23:59:59 GMT", None),
    ];
    for (text, expected) in cases {
        assert_eq!(seconds_of_date(text), expected, "{text}");
    }
}
