//! Where calls go, and where they do not (server-side request forgery; OpenID Connect Discovery 7.2, RFC 9700 section 4).

use usher_lab::scripted::{Reply, ScriptedServer};

use super::*;

fn settings(more: &Value) -> Settings {
    let mut section = json!({ "issuer": "https://sso.ac.cdl/op", "client_id": "c", "client_secret": "s" });
    for (key, value) in more.as_object().into_iter().flatten() {
        section[key] = value.clone();
    }
    Settings::read(section).expect("a valid section")
}

#[test]
fn what_a_document_names_is_public_and_encrypted_or_named_in_the_config() {
    let settings =
        settings(&json!({ "allowed_origins": ["https://10.0.0.7:8443", "http://sidecar.internal"] }));
    for (name, url, expected) in [
        ("the issuer's own origin", "https://sso.ac.cdl/other/path", true),
        ("its port in full", "https://sso.ac.cdl:443/x", true),
        ("another host", "https://oauth2.googleapis.com/token", true),
        ("another port", "https://sso.ac.cdl:8443/x", true),
        ("an allowed address", "https://10.0.0.7:8443/token", true),
        ("an allowed name in the clear", "http://sidecar.internal/token", true),
        ("an allowed address, another port", "https://10.0.0.7/token", false),
        ("the issuer's host in the clear", "http://sso.ac.cdl/x", false),
        ("another host in the clear", "http://oauth2.googleapis.com/token", false),
        ("this machine", "https://localhost/x", false),
        ("this machine, dotted", "https://a.localhost/x", false),
        ("this machine by address", "https://127.0.0.1/x", false),
        ("this machine, short", "https://127.1/x", false),
        ("this machine as a number", "https://2130706433/x", false),
        ("this machine in octal", "https://0177.0.0.1/x", false),
        ("this machine in IPv6", "https://[::1]/x", false),
        ("mapped into IPv6", "https://[::ffff:127.0.0.1]/x", false),
        ("a private network", "https://192.168.1.1/x", false),
        ("a cloud's metadata", "https://169.254.169.254/latest/meta-data", false),
        ("a private IPv6 network", "https://[fd00::1]/x", false),
        ("nowhere", "https://0.0.0.0/x", false),
        ("a public address", "https://1.1.1.1/x", true),
        ("a file", "file:///etc/passwd", false),
        ("another protocol", "gopher://sso.ac.cdl/x", false),
        ("a user", "https://me@sso.ac.cdl/x", false),
        ("a password", "https://me:x@sso.ac.cdl/x", false),
        ("a fragment", "https://sso.ac.cdl/x#y", false),
    ] {
        let url = Url::parse(url).expect(url);
        assert_eq!(crate::calls::Target::named("token endpoint", url, &settings).is_ok(), expected, "{name}");
    }
}

#[tokio::test]
async fn a_document_cannot_make_this_machine_call_its_neighbours() {
    let neighbour =
        ScriptedServer::start(|_| std::future::ready(Reply::json(200, &json!({})))).await.expect("a server");
    let inside = neighbour.url();
    let by_name = format!("https://localhost:{}/", neighbour.address().port());
    for field in ["token_endpoint", "userinfo_endpoint", "jwks_uri", "pushed_authorization_request_endpoint"]
    {
        for (name, url) in [("by address", inside.as_str()), ("by name", by_name.as_str())] {
            let corp = Corp::start().await;
            corp.script.lie(Lies { discovery: Some(json!({ field: url })), ..Lies::default() });
            assert_eq!(corp.refuses_to_begin().await, Some("internal"), "{field} {name}");
        }
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_followed() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let server = ScriptedServer::start(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Reply::json(200, &json!({})))
    })
    .await
    .expect("a server");
    let http = Outgoing::new(None, Duration::from_secs(5), 1024).expect("a client");
    let calls = Calls::new(&http, &settings(&json!({}))).expect("clients");
    // A name that this machine resolves to itself, as an attacker's name server would have it. By its spelling it would be
    // refused before, so that is left out here.
    let url = Url::parse(&format!("http://localhost:{}/", server.address().port())).expect("a URL");
    let target = crate::calls::Target::judged_by_nobody(url.clone());
    let error = calls.get_json::<Value>("token endpoint", &target).await.expect_err("nobody is called");
    let error = ProviderError::from(error);
    assert_eq!((error.kind(), asked.load(Ordering::SeqCst)), ("unavailable", 0), "{}", shown(&error));
    let target = crate::calls::Target::configured(url);
    calls.get_json::<Value>("token endpoint", &target).await.expect("the operator named it");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_allowed_origin_is_called_wherever_it_is() {
    let server = OidcServer::start_with(setup()).await.expect("a server");
    let script = server.script();
    // The same provider under another name of this machine.
    let port = server.address().port();
    let elsewhere = format!("http://localhost:{port}");
    let token = format!("{elsewhere}/op/token");
    let section = section_for(&server, &json!({ "allowed_origins": [elsewhere] }));
    let corp = Corp::built(server, Settings::read(section).expect("a valid section"));
    script.lie(Lies { discovery: Some(json!({ "token_endpoint": token })), ..Lies::default() });
    corp.sign_in("alice").await.expect("a proof");
}

#[tokio::test]
async fn endpoints_of_the_config_need_no_document() {
    let server = OidcServer::start_with(setup()).await.expect("a server");
    let issuer = server.issuer();
    let section = section_for(
        &server,
        &json!({
            "discovery": false,
            "endpoints": {
                "authorization": format!("{issuer}/authorize"),
                "token": format!("{issuer}/token"),
                "jwks": format!("{issuer}/jwks"),
            },
        }),
    );
    let corp = Corp::built(server, Settings::read(section).expect("a valid section"));
    corp.sign_in("alice").await.expect("a proof");
    assert_eq!(corp.script.asked(usher_lab::scripted::oidc::Place::Discovery), 0);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use usher_lab::scripted::oidc::Place;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let elsewhere = ScriptedServer::start(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Reply::json(200, &json!({})))
    })
    .await
    .expect("a server");
    for place in [Place::Discovery, Place::Jwks, Place::Token, Place::Userinfo] {
        let corp = Corp::with(json!({ "userinfo": "always" })).await;
        corp.script.lie(Lies::at(place, Reply::redirect(elsewhere.url().as_str())));
        let kind = match corp.refuses_to_begin().await {
            Some(kind) => Some(kind),
            None => corp.sign_in("alice").await.err(),
        };
        assert_eq!(kind, Some("internal"), "{place:?}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}
