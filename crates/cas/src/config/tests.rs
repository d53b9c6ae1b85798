//! What a section may say, and what is told about one that says something else.

use super::*;

fn problems(config: Value) -> Vec<String> {
    match Settings::read(config) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.into_iter().map(|problem| problem.path).collect(),
    }
}

fn settings(config: Value) -> Settings {
    Settings::read(config).expect("a valid section")
}

#[test]
fn a_base_url_alone_is_enough() {
    let read = settings(json!({ "base_url": "https://sso.ac.cdl/cas" }));
    assert_eq!(read.url("login").as_str(), "https://sso.ac.cdl/cas/login");
    assert_eq!(read.issuer.as_str(), "https://sso.ac.cdl/cas");
    assert!(read.has_attributes);
    assert_eq!(read.timeout, Duration::from_secs(10));
    assert_eq!((read.subject, read.proxies, read.ca_pem), (None, vec![], None));
}

#[test]
fn a_base_url_has_one_spelling() {
    for (written, issuer, login) in [
        ("https://sso.ac.cdl/cas/", "https://sso.ac.cdl/cas", "https://sso.ac.cdl/cas/login"),
        ("https://sso.ac.cdl/cas//", "https://sso.ac.cdl/cas", "https://sso.ac.cdl/cas/login"),
        ("HTTPS://SSO.ac.cdl:443/cas", "https://sso.ac.cdl/cas", "https://sso.ac.cdl/cas/login"),
        ("https://sso.ac.cdl/CAS", "https://sso.ac.cdl/CAS", "https://sso.ac.cdl/CAS/login"),
        ("https://sso.ac.cdl", "https://sso.ac.cdl", "https://sso.ac.cdl/login"),
        ("https://sso.ac.cdl:8443/", "https://sso.ac.cdl:8443", "https://sso.ac.cdl:8443/login"),
    ] {
        let read = settings(json!({ "base_url": written }));
        assert_eq!(read.issuer.as_str(), issuer, "{written}");
        assert_eq!(read.url("login").as_str(), login, "{written}");
    }
}

#[test]
fn each_mistake_is_told_at_its_key() {
    let with = |key: &str, value: Value| {
        let mut section = json!({ "base_url": "https://sso.ac.cdl/cas" });
        section[key] = value;
        section
    };
    for (name, config, path) in [
        ("no section", json!("https://sso.ac.cdl/cas"), ""),
        ("no base_url", json!({}), "base_url"),
        ("no string", with("base_url", json!(7)), "base_url"),
        ("no URL", with("base_url", json!("sso.ac.cdl")), "base_url"),
        ("another scheme", with("base_url", json!("ldap://sso.ac.cdl")), "base_url"),
        ("a user", with("base_url", json!("https://me@sso.ac.cdl")), "base_url"),
        ("a query", with("base_url", json!("https://sso.ac.cdl/cas?x")), "base_url"),
        ("a fragment", with("base_url", json!("https://sso.ac.cdl/cas#x")), "base_url"),
        ("the login page", with("base_url", json!("https://sso.ac.cdl/cas/login")), "base_url"),
        ("version 1", with("version", json!(1)), "version"),
        ("version 4", with("version", json!(4)), "version"),
        ("a version in words", with("version", json!("three")), "version"),
        ("an empty subject", with("subject", json!("")), "subject"),
        ("blanks in subject", with("subject", json!(" uid")), "subject"),
        ("an empty chain", with("proxies", json!([["https://p.example/"], []])), "proxies[1]"),
        ("no proxy URL", with("proxies", json!([["p"]])), "proxies[0]"),
        ("no chain", with("proxies", json!(["https://p.example/"])), "proxies[0]"),
        ("no proxy", with("proxies", json!([["https://p.example/", 1]])), "proxies[0][1]"),
        ("a bare number", with("timeout", json!(10)), "timeout"),
        ("no duration", with("timeout", json!("soon")), "timeout"),
        ("no time", with("timeout", json!("0s")), "timeout"),
        ("too long", with("timeout", json!("61s")), "timeout"),
        ("no such file", with("ca_file", json!("/does/not/exist.pem")), "ca_file"),
        ("a misspelt key", with("base_uri", json!("https://sso.ac.cdl/cas")), "base_uri"),
    ] {
        assert_eq!(problems(config), [path], "{name}");
    }
    let early = json!({ "base_url": "https://sso.ac.cdl/cas", "version": 2, "subject": "uid" });
    assert_eq!(problems(early), ["subject"], "version 2 has no attributes");
}

#[test]
fn all_mistakes_are_told_together() {
    let mut told = problems(json!({
        "base_url": 7, "version": 9, "subject": "", "proxies": [[]], "timeout": "x", "ca_file": "/no.pem", "extra": 1,
    }));
    told.sort();
    assert_eq!(told, ["base_url", "ca_file", "extra", "proxies[0]", "subject", "timeout", "version"]);
}

#[test]
fn timeouts_go_from_something_to_a_minute() {
    for (written, expected) in
        [("1ms", Duration::from_millis(1)), ("1m", MAX_TIMEOUT), ("2s 500ms", Duration::from_millis(2500))]
    {
        let read = settings(json!({ "base_url": "https://sso.ac.cdl/cas", "timeout": written }));
        assert_eq!(read.timeout, expected, "{written}");
    }
}

#[test]
fn http_is_in_the_clear_unless_it_stays_on_this_machine() {
    for (base_url, expected) in [
        ("http://sso.ac.cdl/cas", true),
        ("https://sso.ac.cdl/cas", false),
        ("http://localhost:8000/cas", false),
        ("http://cas.localhost/cas", false),
        ("http://127.0.0.2/cas", false),
        ("http://[::1]/cas", false),
        ("http://localhost.example/cas", true),
    ] {
        assert_eq!(settings(json!({ "base_url": base_url })).is_in_the_clear(), expected, "{base_url}");
    }
}

#[test]
fn a_value_of_the_wrong_type_is_not_repeated() {
    for (name, key, value, expected) in [
        ("a number", "base_url", json!(12_345_678), "must be a string; put quotes around it"),
        ("a section", "base_url", json!({ "hunter2": "12345678" }), "must be a string"),
        ("a text", "version", json!("12345678x"), "must be a whole number"),
        ("a text for a list", "proxies", json!("x12345678, expected y"), "must be a list"),
    ] {
        let mut section = json!({ "base_url": "https://sso.ac.cdl/cas" });
        section[key] = value;
        let error = Settings::read(section).expect_err(name);
        let told = [ConfigProblem { path: key.to_owned(), message: expected.to_owned() }];
        assert_eq!(error.problems, told, "{name}");
    }
}

#[test]
fn a_number_may_be_written_as_text() {
    let section = json!({ "base_url": "https://sso.ac.cdl/cas", "version": "2", "subject": "7" });
    assert!(Settings::read(section.clone()).is_err(), "version 2 has no attributes");
    let read = settings(json!({ "base_url": "https://sso.ac.cdl/cas", "version": "3", "subject": "7" }));
    assert!(read.has_attributes);
    assert_eq!(read.subject.as_deref(), Some("7"));
}
