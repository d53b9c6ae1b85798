//! The real CAS server, and the browser in front of it. django-cas-server is installed if it is not.

use std::time::Duration;

use reqwest::StatusCode;
use url::Url;
use usher_lab::{
    browser::{Browser, Page, loopback_client},
    real::{
        Progress,
        cas_server::{CasServer, CasServerOptions},
        install::{self, Component},
    },
};

/// Nothing listens there: the browser hands it over as it would to an app.
const SERVICE: &str = "http://portal.localhost:9/_usher/cas/corp/callback/7?a=b&c=d";

async fn cas_server(options: CasServerOptions) -> anyhow::Result<CasServer> {
    install::ensure(&[Component::CasServer], &Progress::printing()).await?;
    CasServer::start(options, &Progress::printing()).await
}

fn named(host: &str) -> CasServerOptions {
    CasServerOptions { host: host.to_owned(), ..CasServerOptions::default() }
}

fn browser() -> Browser {
    Browser::new().with_app_at("http://portal.localhost:9/")
}

fn login_url(cas: &CasServer, service: &str, renew: bool) -> Url {
    let mut url = cas.base_url().clone();
    url.set_path("/cas/login");
    url.query_pairs_mut().append_pair("service", service);
    if renew {
        url.query_pairs_mut().append_pair("renew", "true");
    }
    url
}

/// What the server says about a ticket, as its own XML.
async fn validate(
    cas: &CasServer,
    path: &str,
    service: &str,
    ticket: &str,
    renew: bool,
) -> anyhow::Result<String> {
    let mut url = cas.upstream_url().clone();
    url.set_path(&format!("/cas/{path}"));
    url.query_pairs_mut().append_pair("service", service).append_pair("ticket", ticket);
    if renew {
        url.query_pairs_mut().append_pair("renew", "true");
    }
    Ok(Browser::new().open_once(&url).await?.html().to_owned())
}

fn ticket(page: &Page) -> String {
    assert!(page.is_handed_over(), "{page:?}: {}", page.text());
    page.query("ticket").expect("the service is handed a ticket")
}

#[tokio::test]
async fn a_person_of_each_department_signs_in_and_the_ticket_says_who() -> anyhow::Result<()> {
    let cas = cas_server(named("sso.localhost")).await?;
    for username in ["alice", "dave", "frank"] {
        let person = cas.person(username);
        let browser = browser();
        let page = browser.open(login_url(&cas, SERVICE, false)).await?;
        let ticket = ticket(&browser.sign_in_at_cas(page, person).await?);
        assert!(ticket.starts_with("ST-"), "{username}");
        let xml = validate(&cas, "p3/serviceValidate", SERVICE, &ticket, false).await?;
        let name = person.name.replace('&', "&amp;").replace('\'', "&#x27;");
        let mut expected = vec![
            format!("<cas:user>{username}</cas:user>"),
            format!("<cas:uid>{username}</cas:uid>"),
            format!("<cas:mail>{}</cas:mail>", person.mail()),
            format!("<cas:displayName>{name}</cas:displayName>"),
        ];
        for department in person.departments {
            expected.push(format!("<cas:department>{department}</cas:department>"));
            expected.push(format!(r#"<cas:attribute name="department" value="{department}"/>"#));
        }
        for part in expected {
            assert!(xml.contains(&part), "{username}: {part} in {xml}");
        }
        let again = validate(&cas, "p3/serviceValidate", SERVICE, &ticket, false).await?;
        assert!(again.contains("INVALID_TICKET"), "{username}: {again}");
    }
    Ok(())
}

#[tokio::test]
async fn a_session_answers_for_the_person_until_renew_is_asked_for() -> anyhow::Result<()> {
    let cas = cas_server(named("sso.localhost")).await?;
    let browser = browser();
    let page = browser.open(login_url(&cas, SERVICE, false)).await?;
    browser.sign_in_at_cas(page, cas.person("carol")).await?;
    let by_session = ticket(&browser.open(login_url(&cas, SERVICE, false)).await?);
    let xml = validate(&cas, "serviceValidate", SERVICE, &by_session, true).await?;
    // The specification has INVALID_TICKET_SPEC for this; django-cas-server says that there is no such ticket.
    assert!(xml.contains(r#"code="INVALID_TICKET""#), "a session's ticket is not a renewed one: {xml}");
    let by_session = ticket(&browser.open(login_url(&cas, SERVICE, false)).await?);
    let xml = validate(&cas, "serviceValidate", SERVICE, &by_session, false).await?;
    assert!(xml.contains("<cas:isFromNewLogin>false</cas:isFromNewLogin>"), "{xml}");

    let page = browser.open(login_url(&cas, SERVICE, true)).await?;
    assert!(!page.is_handed_over(), "the password is asked for again");
    let renewed = ticket(&browser.sign_in_at_cas(page, cas.person("carol")).await?);
    let xml = validate(&cas, "serviceValidate", SERVICE, &renewed, true).await?;
    assert!(xml.contains("<cas:isFromNewLogin>true</cas:isFromNewLogin>"), "{xml}");
    assert!(xml.contains("<cas:user>carol</cas:user>"), "{xml}");
    Ok(())
}

#[tokio::test]
async fn who_is_not_let_in_stays_at_the_cas_server() -> anyhow::Result<()> {
    let cas = cas_server(CasServerOptions::default()).await?;
    let browser = browser();
    let mut stranger = *cas.person("alice");
    stranger.password = "open barley";
    let page = browser.open(login_url(&cas, SERVICE, false)).await?;
    let refused = browser.sign_in_at_cas(page, &stranger).await?;
    assert!(!refused.is_handed_over());
    assert!(refused.text().contains("cannot be determined to be authentic"), "{}", refused.text());

    let elsewhere = browser.open(login_url(&cas, "http://localhost.example/", false)).await?;
    assert!(elsewhere.text().contains("not allowed"), "{}", elsewhere.text());
    Ok(())
}

#[tokio::test]
async fn sessions_survive_a_restart_and_browsers_share_nothing() -> anyhow::Result<()> {
    let mut cas = cas_server(named("sso.localhost")).await?;
    let [one, other] = [browser(), browser()];
    let page = one.open(login_url(&cas, SERVICE, false)).await?;
    ticket(&one.sign_in_at_cas(page, cas.person("erin")).await?);
    cas.kill()?;
    assert!(one.open(login_url(&cas, SERVICE, false)).await.is_err(), "nobody is there");
    cas.start_again(&Progress::printing()).await?;
    ticket(&one.open(login_url(&cas, SERVICE, false)).await?);
    assert_eq!(other.open(login_url(&cas, SERVICE, false)).await?.status(), StatusCode::OK);
    one.forget_cookies(Some("sso.localhost"));
    assert!(!one.open(login_url(&cas, SERVICE, false)).await?.is_handed_over());
    Ok(())
}

#[tokio::test]
async fn the_opener_is_cut_only_when_asked_for() -> anyhow::Result<()> {
    for (cuts_opener, expected) in [(false, None), (true, Some("same-origin"))] {
        let cas = cas_server(CasServerOptions { cuts_opener, ..CasServerOptions::default() }).await?;
        let page = browser().open(login_url(&cas, SERVICE, false)).await?;
        let policy = page.headers().get("cross-origin-opener-policy").map(|policy| policy.to_str());
        assert_eq!(policy.transpose()?, expected);
    }
    Ok(())
}

#[tokio::test]
async fn a_cas_server_that_cannot_start_says_why() -> anyhow::Result<()> {
    let first = cas_server(CasServerOptions::default()).await?;
    let taken = first.base_url().port();
    let second = cas_server(CasServerOptions { port: taken, ..CasServerOptions::default() }).await;
    let error = format!("{:#}", second.expect_err("the port is taken"));
    assert!(error.contains("in use"), "{error}");
    Ok(())
}

#[tokio::test]
async fn names_outside_the_lab_are_not_resolved() {
    let client = loopback_client(Duration::from_secs(5)).expect("a client");
    let answer = client.get("http://usher.example/").send().await;
    assert!(answer.expect_err("it is no name of the lab").is_connect());
}
