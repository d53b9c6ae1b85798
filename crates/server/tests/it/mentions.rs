//! What the log says of messages that anybody can bring: enough for an operator to see what is wrong, and no line more than that.

use std::{sync::OnceLock, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;
use usher_lab::lines::Lines;

use crate::app::TestApp;

/// What this whole process logs. Other tests write, too: theirs are about other providers.
fn heard() -> Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    let listen = || {
        let lines = Lines::default();
        let filter = EnvFilter::new("usher_server=info");
        let subscriber = tracing_subscriber::fmt().json().with_env_filter(filter);
        let subscriber = subscriber.with_writer(lines.clone()).finish();
        tracing::subscriber::set_global_default(subscriber).expect("nobody listens yet");
        lines
    };
    LINES.get_or_init(listen).clone()
}

/// Level, message and cause of each line about that provider, in order.
fn about(lines: &Lines, provider: &str) -> Vec<[String; 3]> {
    let is_about = |line: &Value| line["span"]["provider.id"] == provider;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let read = |line: Value| {
        [text(&line["level"]), text(&line["fields"]["message"]), text(&line["fields"]["cause"])]
    };
    lines.written().into_iter().filter(is_about).map(read).collect()
}

async fn start(provider: &str) -> TestApp {
    let id = provider.to_owned();
    TestApp::start_with(move |config| {
        config["providers"] = json!([{ "id": id, "name": "IdP", "posting": {} }]);
    })
    .await
}

async fn post(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> u16 {
    let answer = app.request(Method::POST, path).form(fields).send().await.expect("an answer");
    answer.status().as_u16()
}

#[tokio::test]
async fn a_refused_logout_is_seen_once_a_minute_and_one_kind_hides_no_other() {
    let lines = heard();
    for (provider, endpoint) in [("mentioned-browser", "browser-slo"), ("mentioned-machine", "slo")] {
        let app = start(provider).await;
        let path = format!("/_usher/posting/{provider}/{endpoint}");
        let (unsigned, garbage) = ([("key", "1")], [("signature", "a"), ("signature", "b")]);
        for _ in 0..3 {
            assert_eq!(post(&app, &path, &unsigned).await, 400);
        }
        assert_eq!(post(&app, &path, &garbage).await, 400);
        app.clock.advance(Duration::from_secs(59));
        assert_eq!(post(&app, &path, &unsigned).await, 400);
        app.clock.advance(Duration::from_secs(1));
        assert_eq!(post(&app, &path, &unsigned).await, 400);
        let line = |cause: &str| {
            let message = "the logout notice was refused; more of this is not logged for a minute";
            ["WARN", message, cause].map(str::to_owned)
        };
        let (unsigned, garbage) = (
            line("the provider's answer could not be verified: no signature"),
            line("the callback is malformed: the parameter `signature` is repeated"),
        );
        assert_eq!(about(&lines, provider), [unsigned.clone(), garbage, unsigned], "{endpoint}");
    }
}

#[tokio::test]
async fn an_answer_of_no_attempt_is_seen_once_a_minute() {
    let lines = heard();
    let app = start("mentioned-answer").await;
    for _ in 0..3 {
        assert_eq!(post(&app, "/_usher/posting/mentioned-answer/acs", &[("relay", "none")]).await, 400);
    }
    let heard = about(&lines, "mentioned-answer");
    let [[level, message, _]] = &heard[..] else { panic!("{heard:?}") };
    let expected = "the provider's answer belongs to no attempt; more of this is not logged for a minute";
    assert_eq!((level.as_str(), message.as_str()), ("WARN", expected));
}
