//! What the log says of messages that anybody can bring: enough for an operator to see what is wrong, and no line more than that.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::app::TestApp;

/// Lines of the log, as this whole process writes them.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    /// Other tests of this process write, too: theirs are about other providers.
    fn heard() -> Self {
        static LINES: OnceLock<Lines> = OnceLock::new();
        let listen = || {
            let lines = Self::default();
            let filter = EnvFilter::new("usher_server=info");
            let subscriber = tracing_subscriber::fmt().json().with_env_filter(filter);
            let subscriber = subscriber.with_writer(lines.clone()).finish();
            tracing::subscriber::set_global_default(subscriber).expect("nobody listens yet");
            lines
        };
        LINES.get_or_init(listen).clone()
    }

    /// Level, message and cause of each line about that provider, in order.
    fn about(&self, provider: &str) -> Vec<[String; 3]> {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8(written).expect("text");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let is_about = |line: &Value| line["span"]["provider.id"] == provider;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let read = |line: Value| {
            [text(&line["level"]), text(&line["fields"]["message"]), text(&line["fields"]["cause"])]
        };
        lines.filter(is_about).map(read).collect()
    }
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
    let lines = Lines::heard();
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
        assert_eq!(lines.about(provider), [unsigned.clone(), garbage, unsigned], "{endpoint}");
    }
}

#[tokio::test]
async fn an_answer_of_no_attempt_is_seen_once_a_minute() {
    let lines = Lines::heard();
    let app = start("mentioned-answer").await;
    for _ in 0..3 {
        assert_eq!(post(&app, "/_usher/posting/mentioned-answer/acs", &[("relay", "none")]).await, 400);
    }
    let heard = lines.about("mentioned-answer");
    let [[level, message, _]] = &heard[..] else { panic!("{heard:?}") };
    let expected = "the provider's answer belongs to no attempt; more of this is not logged for a minute";
    assert_eq!((level.as_str(), message.as_str()), ("WARN", expected));
}
