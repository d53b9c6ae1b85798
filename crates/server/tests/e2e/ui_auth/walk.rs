//! Somebody's way from a request to its deed, a step at a time, each of which can be taken again.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use url::Url;
use usher_lab::{browser::Page, scripted::homeserver::Endpoint};

use crate::{
    at_host::{App, auth, is_complete},
    client::{Answer, Client},
    person::Person,
    scripted::{ALICE, Stage},
};

/// The steps, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The app asks.
    Challenge,
    /// The browser opens the fallback page.
    Fallback,
    /// It comes to the page that asks.
    Question,
    /// The person clicks, and signs in.
    Click,
    /// The browser comes back.
    Callback,
    /// It comes to the page that tells the app.
    Completion,
    /// The app asks once more.
    Repetition,
}

impl Part {
    pub(super) const ALL: [Self; 7] = [
        Self::Challenge,
        Self::Fallback,
        Self::Question,
        Self::Click,
        Self::Callback,
        Self::Completion,
        Self::Repetition,
    ];
}

/// How far somebody has come.
#[derive(Clone, Debug)]
enum Place {
    Start,
    Asked,
    ToQuestion(Url),
    AtQuestion(Arc<Page>),
    /// And where the question is, in case it has to be asked once more.
    ToCallback(Url, Url),
    ToCompletion(Url),
    Confirmed,
    Done(Answer),
}

/// A request, and its person on their way.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    app: App,
    person: Arc<Person>,
    line: String,
    body: Value,
    session: String,
    place: Place,
}

/// Alice's telephone, at the host of the stage's homeserver.
pub(super) async fn phone(stage: &Stage) -> anyhow::Result<App> {
    App::of(&Client::at(&stage.config.host_url())?, &stage.person(), "Phone").await
}

impl Walk {
    /// Somebody new at a browser, for a request of `app`.
    pub(super) fn begin(stage: &Stage, app: &App, line: &str, body: &Value) -> Self {
        Self {
            app: app.clone(),
            person: Arc::new(stage.person_stopping_at_callback()),
            line: line.to_owned(),
            body: body.clone(),
            session: String::new(),
            place: Place::Start,
        }
    }

    /// One for the deletion of a new device of Alice's.
    pub(super) fn to_delete(stage: &Stage, app: &App, device: &str) -> Self {
        let _ = stage.homeserver.open_session(ALICE, device, None);
        Self::begin(stage, app, &format!("DELETE v3/devices/{device}"), &json!({}))
    }

    /// As far as `part`, which is next.
    pub(super) async fn come_before(mut self, part: Part) -> anyhow::Result<Self> {
        for _ in Part::ALL.iter().take_while(|it| **it != part) {
            self = self.step().await?;
        }
        Ok(self)
    }

    /// One step, which must succeed.
    pub(super) async fn step(mut self) -> anyhow::Result<Self> {
        let browser = self.person.browser();
        let leads_on = |page: &Page| page.redirect_target()?.with_context(|| page.text());
        self.place = match &self.place {
            Place::Start => {
                self.session = self.app.is_asked(&self.line, &self.body).await?;
                Place::Asked
            }
            Place::Asked => {
                let fallback = self.app.fallback(&self.session);
                Place::ToQuestion(leads_on(&browser.open_once(fallback).await?)?)
            }
            Place::ToQuestion(url) => {
                let page = browser.open_once(url).await?;
                page.form_with("provider")?;
                Place::AtQuestion(Arc::new(page))
            }
            Place::AtQuestion(page) => {
                let landed = self.person.click_at(page).await?;
                ensure!(landed.query("ticket").is_some(), "no ticket: {}", landed.text());
                Place::ToCallback(landed.url().clone(), page.url().clone())
            }
            Place::ToCallback(url, _) => Place::ToCompletion(leads_on(&browser.open_once(url).await?)?),
            Place::ToCompletion(url) => {
                is_complete(&browser.open_once(url).await?)?;
                Place::Confirmed
            }
            Place::Confirmed | Place::Done(_) => Place::Done(self.repeat().await?.expect_ok()?),
        };
        Ok(self)
    }

    /// A bearer value.
    pub(super) fn session(&self) -> &str {
        &self.session
    }

    /// The app asks once more.
    pub(super) async fn repeat(&self) -> anyhow::Result<Answer> {
        self.app.send(&self.line, &auth(&self.session)).await
    }

    /// What a person does who was cut off: the last step once more, and if the single sign-on's answer was used up by it,
    /// from the question on. To the end; what the app is answered.
    pub(super) async fn finish(mut self) -> anyhow::Result<Answer> {
        if let Place::ToCallback(url, question) = &self.place {
            let page = self.person.browser().open_once(url).await?;
            self.place = if let Some(url) = page.redirect_target()? {
                Place::ToCompletion(url)
            } else {
                let (status, text) = (page.status(), page.text());
                ensure!(status == StatusCode::FORBIDDEN, "{status} {text}");
                ensure!(text.contains("could not be verified"), "{status} {text}");
                Place::ToQuestion(question.clone())
            };
        }
        loop {
            self = self.step().await?;
            if let Place::Done(answer) = self.place {
                return Ok(answer);
            }
        }
    }

    /// The person says that it was not them.
    pub(super) async fn deny(&self) -> anyhow::Result<Page> {
        let Place::AtQuestion(page) = &self.place else { anyhow::bail!("not at the question: {self:?}") };
        page.form_with("deny")?.submit(self.person.browser()).await
    }
}

/// How often the homeserver was told to delete exactly this device.
pub(super) fn deletions(stage: &Stage, device: &str) -> usize {
    let body = json!({ "devices": [device] });
    let calls = stage.homeserver.calls_to(Endpoint::DeleteDevices);
    calls.iter().filter(|call| serde_json::from_slice::<Value>(&call.body).is_ok_and(|it| it == body)).count()
}

/// Whether the homeserver has a device of Alice's.
pub(super) fn has_device(stage: &Stage, device: &str) -> bool {
    stage.homeserver.user(ALICE).is_some_and(|alice| alice.devices.contains_key(device))
}
