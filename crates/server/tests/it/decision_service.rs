//! A selector that asks a service of the operator's, and takes nothing but a clear answer.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use usher_lab::scripted::{Reply, Request, ScriptedServer};

use crate::app::{Answer, TestApp};

/// A service that says what it was told to, and remembers what it was asked.
#[derive(Clone)]
struct Script {
    reply: Arc<Mutex<Reply>>,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Script {
    fn says(&self, reply: Reply) {
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = reply;
    }

    fn take_asked(&self) -> Vec<Request> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn start(change: impl FnOnce(&mut Value)) -> (TestApp, Script, ScriptedServer) {
    let script = Script { reply: Arc::new(Mutex::new(Reply::Cut)), asked: Arc::default() };
    let played = script.clone();
    let server = ScriptedServer::start(move |request| {
        let reply = played.reply.lock().unwrap_or_else(PoisonError::into_inner).clone();
        played.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        async move { reply }
    })
    .await
    .expect("a server");
    let url = server.url().join("where").expect("a URL");
    let app = TestApp::start_with(|config| {
        config["selection"] = json!([{ "sticky": {} }, { "decision_service": {
            "url": url,
            "token": "a token of the service",
            "attributes": ["department", "affiliation"],
            "timeout": "300ms",
        } }]);
        change(config);
    })
    .await;
    (app, script, server)
}

fn says(body: &Value) -> Reply {
    Reply::json(200, body)
}

async fn user_of(app: &TestApp, answer: &Answer) -> String {
    app.redeem(&answer.login_token()).await.json()["user_id"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn it_is_told_what_it_needs_and_its_word_counts() {
    let (app, script, _server) = start(|config| {
        config["homeservers"][1]["require"] = json!([{ "attribute": "mail", "exists": true }]);
    })
    .await;
    script.says(says(&json!({ "homeserver": "hist.ac.cdl" })));
    assert_eq!(user_of(&app, &app.sign_in().as_person("alice").await).await, "@alice:hist.ac.cdl");
    let asked = script.take_asked();
    assert_eq!((asked.len(), asked[0].method.as_str(), asked[0].path.as_str()), (1, "POST", "/where"));
    let header = |name: &str| asked[0].headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!(header("authorization"), Some("Bearer a token of the service"));
    assert_eq!(header("content-type"), Some("application/json"));
    let issuer = app.cas_url().as_str().trim_end_matches('/');
    assert_eq!(
        serde_json::from_slice::<Value>(&asked[0].body).expect("JSON"),
        json!({
            "provider": "corp",
            "issuer": issuer,
            "subject": "alice",
            "attributes": { "department": ["engineering"], "affiliation": [] },
            "candidates": [
                { "server_name": "eng.ac.cdl", "name": "Engineering" },
                { "server_name": "hist.ac.cdl", "name": "History" },
            ],
            "earlier": null,
        })
    );
    assert_eq!(user_of(&app, &app.sign_in().as_person("alice").await).await, "@alice:hist.ac.cdl");
    assert!(script.take_asked().is_empty(), "sticky answers before it");
    // Somebody who may not have History is not offered it, and the service cannot send them there.
    app.sign_in().as_person("frank").await;
    let asked = script.take_asked();
    let question: Value = serde_json::from_slice(&asked[0].body).expect("JSON");
    assert_eq!(question["candidates"], json!([{ "server_name": "eng.ac.cdl", "name": "Engineering" }]));
    assert_eq!(app.rows("accounts").await, 1);
}

#[tokio::test]
async fn it_may_pass_refuse_or_have_the_person_asked() {
    let (app, script, _server) = start(|config| {
        let fixed = json!({ "fixed": { "homeserver": "eng.ac.cdl" } });
        config["selection"].as_array_mut().expect("a list").push(fixed);
    })
    .await;
    script.says(says(&json!({ "pass": true })));
    assert_eq!(user_of(&app, &app.sign_in().as_person("alice").await).await, "@alice:eng.ac.cdl");
    script.says(says(&json!({ "refuse": true })));
    let answer = app.sign_in().as_person("bob").await;
    assert_eq!((answer.status.as_u16(), answer.title()), (403, "No homeserver for you yet"));
    script.says(says(&json!({ "ask": ["hist.ac.cdl"] })));
    assert_eq!(
        user_of(&app, &app.sign_in().as_person("erin").await).await,
        "@erin:hist.ac.cdl",
        "one is no question"
    );
    script.says(says(&json!({ "ask": ["hist.ac.cdl", "eng.ac.cdl"] })));
    let page = app.sign_in().as_person("frank").await;
    assert_eq!(page.title(), "Choose your homeserver");
    let first = page.body.find("value=\"hist.ac.cdl\"").expect("offered");
    assert!(first < page.body.find("value=\"eng.ac.cdl\"").expect("offered"), "in its order");
    let mut fields = page.hidden_fields();
    fields.push(("homeserver".to_owned(), "hist.ac.cdl".to_owned()));
    let request = app.request(reqwest::Method::POST, "/_usher/choose");
    let post = request.header("cookie", page.cookies().join("; ")).form(&fields);
    let again = post.try_clone().expect("it can be sent twice");
    script.says(says(&json!({ "ask": ["eng.ac.cdl"] })));
    let answer = Answer::read(post).await;
    assert_eq!(
        answer.title(),
        "You cannot choose this homeserver",
        "it is asked again, and has the last word"
    );
    script.says(says(&json!({ "ask": ["eng.ac.cdl", "hist.ac.cdl"] })));
    assert_eq!(user_of(&app, &Answer::read(again).await).await, "@frank:hist.ac.cdl");
}

#[tokio::test]
async fn what_is_not_clear_is_no_answer_and_nobody_is_sent_anywhere() {
    let (app, script, server) = start(|config| {
        let fixed = json!({ "fixed": { "homeserver": "eng.ac.cdl" } });
        config["selection"].as_array_mut().expect("a list").push(fixed);
        config["homeservers"][1]["new_accounts"] = json!(false);
    })
    .await;
    let good = json!({ "homeserver": "eng.ac.cdl" });
    let huge = format!("{{\"homeserver\": \"eng.ac.cdl\"{}}}", " ".repeat(70_000));
    for (name, reply) in [
        ("201", Reply::json(201, &good)),
        ("204", Reply::new(204, "application/json", "")),
        ("302", Reply::redirect("/elsewhere")),
        ("404", Reply::json(404, &good)),
        ("429", Reply::json(429, &good)),
        ("500", Reply::json(500, &good)),
        ("nothing", Reply::new(200, "application/json", "")),
        ("HTML", Reply::new(200, "text/html", "<p>eng.ac.cdl</p>")),
        ("not UTF-8", Reply::new(200, "application/json", &b"{\"homeserver\": \"\xff\"}"[..])),
        ("two documents", Reply::new(200, "application/json", "{\"pass\": true}{\"pass\": true}")),
        ("a key twice", Reply::new(200, "application/json", "{\"pass\": true, \"pass\": true}")),
        ("a text", says(&json!("eng.ac.cdl"))),
        ("a list", says(&json!(["eng.ac.cdl"]))),
        ("null", says(&json!(null))),
        ("an empty object", says(&json!({}))),
        ("nulls", says(&json!({ "homeserver": null }))),
        ("two answers", says(&json!({ "homeserver": "eng.ac.cdl", "pass": true }))),
        ("a key nobody knows", says(&json!({ "homeserver": "eng.ac.cdl", "sure": true }))),
        ("no pass", says(&json!({ "pass": false }))),
        ("no refusal", says(&json!({ "refuse": false }))),
        ("a pass in words", says(&json!({ "pass": "true" }))),
        ("a number", says(&json!({ "homeserver": 5 }))),
        ("an empty name", says(&json!({ "homeserver": "" }))),
        ("a name that is none", says(&json!({ "homeserver": "eng ac cdl" }))),
        ("a homeserver that is not served", says(&json!({ "homeserver": "gone.ac.cdl" }))),
        ("a homeserver that is closed", says(&json!({ "homeserver": "hist.ac.cdl" }))),
        ("another case", says(&json!({ "homeserver": "ENG.ac.cdl" }))),
        ("a question about nothing", says(&json!({ "ask": [] }))),
        ("a question about one twice", says(&json!({ "ask": ["eng.ac.cdl", "eng.ac.cdl"] }))),
        ("a question about a stranger", says(&json!({ "ask": ["eng.ac.cdl", "gone.ac.cdl"] }))),
        ("a question about what is closed", says(&json!({ "ask": ["eng.ac.cdl", "hist.ac.cdl"] }))),
        ("70 kB", Reply::new(200, "application/json", huge)),
        ("no end", Reply::Endless),
        ("a cut", Reply::Cut),
        ("silence", Reply::Hang),
    ] {
        script.says(reply);
        let answer = app.sign_in().as_person("alice").await;
        let told = (answer.status.as_u16(), answer.title());
        assert_eq!(told, (503, "This portal is out of order for the moment"), "{name}");
        assert!(answer.body.contains("redirectUrl="), "{name}: a way to start again");
    }
    drop(server);
    assert_eq!(app.sign_in().as_person("alice").await.status, 503, "nobody there");
    for table in ["accounts", "links", "choices", "login_tokens", "pending"] {
        assert_eq!(app.rows(table).await, 0, "{table}");
    }
    assert!(app.eng.users().is_empty());
}

#[tokio::test]
async fn a_service_that_changes_its_mind_makes_nobody_two_accounts() {
    let count = Mutex::new(0_u32);
    let server = ScriptedServer::start(move |_| {
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        let name = if (*count).is_multiple_of(2) { "eng.ac.cdl" } else { "hist.ac.cdl" };
        async move { Reply::json(200, &json!({ "homeserver": name })) }
    })
    .await
    .expect("a server");
    let app = TestApp::start_with(|config| {
        config["selection"] = json!([{ "sticky": {} }, { "decision_service": { "url": server.url() } }]);
    })
    .await;
    let visits = (0..40).map(|_| async { app.sign_in().as_person("alice").await });
    for answer in futures_util::future::join_all(visits).await {
        assert!(answer.location().contains("loginToken="));
    }
    assert_eq!((app.rows("accounts").await, app.rows("links").await, app.rows("choices").await), (1, 1, 1));
}
