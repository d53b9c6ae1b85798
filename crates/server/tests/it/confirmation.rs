//! The page that asks before a token goes to a site that is not trusted.

use reqwest::Method;
use usher_lab::scripted::cas::CasPerson;

use crate::app::{Answer, TestApp, UNTRUSTED};

struct Asked<'a> {
    app: &'a TestApp,
    page: Answer,
    cookies: Vec<String>,
}

impl<'a> Asked<'a> {
    async fn about(app: &'a TestApp, redirect_url: &str) -> Self {
        Self::about_for(app, redirect_url, "alice").await
    }

    async fn about_for(app: &'a TestApp, redirect_url: &str, person: &str) -> Self {
        let attempt = app.sign_in().to(redirect_url).at_provider().await;
        let page = attempt.come_back_as(person).await;
        assert_eq!(page.title(), "Continue to this site?");
        let cookies = page.cookies();
        Self { app, page, cookies }
    }

    fn fields(&self) -> Vec<(String, String)> {
        self.page.hidden_fields()
    }

    async fn submit(&self, fields: &[(String, String)]) -> Answer {
        let request = self.app.request(Method::POST, "/_usher/confirm");
        Answer::read(request.header("cookie", self.cookies.join("; ")).form(fields)).await
    }
}

#[tokio::test]
async fn it_names_site_and_account_and_a_click_goes_on() {
    let app = TestApp::start().await;
    let asked = Asked::about(&app, UNTRUSTED).await;
    for text in ["elsewhere.example", "@alice:eng.ac.cdl"] {
        assert!(asked.page.body.contains(text), "{text}");
    }
    let policy = asked.page.header("content-security-policy");
    assert!(policy.contains("form-action 'self' https://elsewhere.example;"), "{policy}");
    assert_eq!(app.rows("login_tokens").await, 0, "no token before the click");
    let answer = asked.submit(&asked.fields()).await;
    assert_eq!(answer.status, 303);
    assert!(answer.location().starts_with("https://elsewhere.example/cb?loginToken=ushl_"));
    assert_eq!(app.redeem(&answer.login_token()).await.status, 200);
}

#[tokio::test]
async fn a_form_sent_twice_leads_to_one_token() {
    let app = TestApp::start().await;
    let asked = Asked::about(&app, UNTRUSTED).await;
    let first = asked.submit(&asked.fields()).await.login_token();
    let second = asked.submit(&asked.fields()).await.login_token();
    assert_eq!(first, second);
    assert_eq!(app.rows("login_tokens").await, 1);
    assert_eq!(app.redeem(&first).await.status, 200);
    assert_eq!(asked.submit(&asked.fields()).await.login_token(), first, "a kept cookie mints nothing new");
    assert_eq!(app.redeem(&first).await.status, 403);
}

#[tokio::test]
async fn a_form_that_is_not_the_pages_gets_nothing() {
    let app = TestApp::start().await;
    let asked = Asked::about(&app, UNTRUSTED).await;
    let other = Asked::about(&app, UNTRUSTED).await;
    let with = |name: &str, value: Option<&str>| -> Vec<(String, String)> {
        let kept = asked.fields().into_iter().filter(|(key, _)| key != name);
        kept.chain(value.map(|value| (name.to_owned(), value.to_owned()))).collect()
    };
    let others_csrf = other.fields().into_iter().find(|(name, _)| name == "csrf").expect("a token").1;
    let repeated = [asked.fields(), with("csrf", Some("x"))].concat();
    for (name, fields, status) in [
        ("no csrf", with("csrf", None), 400),
        ("another csrf", with("csrf", Some("x")), 403),
        ("another attempt's csrf", with("csrf", Some(&others_csrf)), 403),
        ("another attempt", with("attempt", Some("AAAAAAAAAAAAAAAAAAAAAA")), 400),
        ("another provider", with("provider", Some("nobody")), 400),
        ("a field twice", repeated, 400),
        ("a field too many", with("extra", Some("1")), 400),
        ("nothing", Vec::new(), 400),
        ("10 kB", with("csrf", Some(&"x".repeat(10_000))), 400),
    ] {
        let answer = asked.submit(&fields).await;
        assert_eq!(answer.status, status, "{name}");
        assert!(answer.header("location").is_empty(), "{name}");
    }
    let thief = Asked { app: &app, page: asked.page, cookies: other.cookies };
    assert_eq!(thief.submit(&thief.fields()).await.status, 400, "another browser");
    assert_eq!(app.rows("login_tokens").await, 0);
}

#[tokio::test]
async fn the_address_of_a_form_opened_as_a_page_says_what_to_do() {
    let app = TestApp::start().await;
    for path in ["/_usher/confirm", "/_usher/choose"] {
        let answer = app.get(path).await;
        let title = "This page cannot be opened by its address";
        assert_eq!((answer.status.as_u16(), answer.title()), (405, title), "{path}");
        assert_eq!(answer.header("allow"), "POST", "{path}");
        assert!(answer.body.contains("start again from your Matrix app"), "{path}");
    }
}

#[tokio::test]
async fn a_page_left_open_too_long_gives_nothing() {
    let app = TestApp::start().await;
    let asked = Asked::about(&app, UNTRUSTED).await;
    app.clock.advance(std::time::Duration::from_mins(15));
    let answer = asked.submit(&asked.fields()).await;
    assert_eq!((answer.status.as_u16(), answer.title()), (400, "This took too long"));
    let again = "redirect&#x2f;corp?redirectUrl=https%3A%2F%2Felsewhere%2Eexample%2Fcb";
    assert!(answer.body.contains(again), "a way to start again: {}", answer.body);
}

#[tokio::test]
async fn reloading_the_callback_shows_the_page_again_and_makes_nothing_new() {
    let app = TestApp::start().await;
    let mut attempt = app.sign_in().to(UNTRUSTED).at_provider().await;
    let callback = attempt.callback_for("alice");
    let page = attempt.open(&callback).await;
    attempt.cookies = page.cookies();
    drop(app.cas.take_validations());
    let again = attempt.open(&callback).await;
    assert_eq!((again.status.as_u16(), again.title()), (200, "Continue to this site?"));
    assert!(again.set_cookies().is_empty() && app.cas.take_validations().is_empty());
    let asked = Asked { app: &app, page: again, cookies: attempt.cookies };
    let answer = asked.submit(&asked.fields()).await;
    assert_eq!(app.redeem(&answer.login_token()).await.json()["user_id"], "@alice:eng.ac.cdl");
    assert_eq!(app.rows("login_tokens").await, 1);
}

/// What a cookie has no room for, the page's form carries, and nobody can put another address in its place.
#[tokio::test]
async fn the_longest_redirect_url_survives_beside_the_longest_name() {
    let app = TestApp::start().await;
    let prefix = "https://elsewhere.example/cb?";
    let longest = format!("{prefix}{}&b", "x".repeat(2000 - prefix.len() - 2));
    let name = "n".repeat(255 - "@:eng.ac.cdl".len());
    app.cas.add_person(CasPerson::new(name.as_str()).with("department", "engineering"));
    for (person, redirect_url, is_carried) in [
        ("alice", UNTRUSTED, false),
        (name.as_str(), UNTRUSTED, false),
        (name.as_str(), longest.as_str(), true),
    ] {
        let asked = Asked::about_for(&app, redirect_url, person).await;
        let fields = asked.fields();
        let carried = fields.iter().find(|(name, _)| name == "redirect_url").map(|(_, url)| url.as_str());
        assert_eq!(carried, is_carried.then_some(redirect_url), "{person}");
        let other = |(name, value): (String, String)| match name.as_str() {
            "redirect_url" => (name, "https://evil.example/".to_owned()),
            _ => (name, value),
        };
        let without = fields.iter().filter(|(name, _)| name != "redirect_url").cloned().collect::<Vec<_>>();
        let forged = if is_carried {
            vec![fields.clone().into_iter().map(other).collect(), without]
        } else {
            vec![
                [fields.clone(), vec![("redirect_url".to_owned(), "https://evil.example/".to_owned())]]
                    .concat(),
            ]
        };
        for fields in forged {
            let answer = asked.submit(&fields).await;
            assert_eq!(answer.status, 403, "{person}: {fields:?}");
            assert!(answer.header("location").is_empty());
        }
        let answer = asked.submit(&fields).await;
        assert!(answer.location().starts_with(redirect_url), "{}", answer.location());
        assert_eq!(app.redeem(&answer.login_token()).await.status, 200);
    }
}
