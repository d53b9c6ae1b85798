//! What a person does at a browser, and what they see.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};
use data_encoding::BASE64;
use serde_json::{Value, json};
use url::Url;

use super::{Look, session::Session};
use crate::real::install;

/// WebDriver's name for an element in its answers (section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// WebDriver's code points for keys (section 15.4.2).
const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// A browser's window. Dropped: the browser closes.
#[derive(Debug)]
pub struct Window {
    session: Session,
}

/// One of its tabs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tab(String);

/// Something the browser was about to fetch, or to hand to an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method; `OPTIONS` is the browser's own question before another.
    pub method: String,
    /// The address, with its query: it may hold tickets and tokens.
    pub url: String,
    /// Whether a page was to be replaced by it.
    pub is_navigation: bool,
}

impl Window {
    pub(super) fn new(session: Session) -> Self {
        Self { session }
    }

    /// Looks like this from now on. The language counts for the next page.
    pub async fn look(&self, look: Look) -> anyhow::Result<()> {
        look.apply(&self.session).await
    }

    /// Types an address, and waits until the page has loaded.
    pub async fn open(&self, url: &str) -> anyhow::Result<()> {
        self.session.post("url", &json!({ "url": url })).await?;
        Ok(())
    }

    /// The address bar.
    pub async fn url(&self) -> anyhow::Result<Url> {
        let url = self.session.get("url").await?;
        Ok(Url::parse(url.as_str().context("a page has an address")?)?)
    }

    /// The tab's title.
    pub async fn title(&self) -> anyhow::Result<String> {
        Ok(self.session.get("title").await?.as_str().unwrap_or_default().to_owned())
    }

    /// What stands in the first element that `selector` (CSS) finds, as it is rendered.
    pub async fn text(&self, selector: &str) -> anyhow::Result<String> {
        let element = self.find(selector).await?;
        let text = self.session.get(&format!("element/{element}/text")).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Clicks the first element that `selector` finds, and waits for what comes of it.
    pub async fn click(&self, selector: &str) -> anyhow::Result<()> {
        let element = self.find(selector).await?;
        self.session.post(&format!("element/{element}/click"), &json!({})).await?;
        Ok(())
    }

    /// Types into the field that `selector` finds.
    pub async fn fill(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        let element = self.find(selector).await?;
        self.session.post(&format!("element/{element}/value"), &json!({ "text": text })).await?;
        Ok(())
    }

    /// The Tab key.
    pub async fn press_tab(&self) -> anyhow::Result<()> {
        self.press(TAB).await
    }

    /// The Enter key.
    pub async fn press_enter(&self) -> anyhow::Result<()> {
        self.press(ENTER).await
    }

    /// Types at the keyboard, wherever the focus is.
    pub async fn type_text(&self, text: &str) -> anyhow::Result<()> {
        for key in text.chars() {
            self.press(key).await?;
        }
        Ok(())
    }

    async fn press(&self, key: char) -> anyhow::Result<()> {
        let strokes = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let keyboard = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] });
        self.session.post("actions", &keyboard).await?;
        Ok(())
    }

    /// The back button.
    pub async fn back(&self) -> anyhow::Result<()> {
        self.session.post("back", &json!({})).await?;
        Ok(())
    }

    /// The reload button.
    pub async fn reload(&self) -> anyhow::Result<()> {
        self.session.post("refresh", &json!({})).await?;
        Ok(())
    }

    /// The tab in front.
    pub async fn tab(&self) -> anyhow::Result<Tab> {
        let handle = self.session.get("window").await?;
        Ok(Tab(handle.as_str().context("a tab has a handle")?.to_owned()))
    }

    /// Every tab, and every window that a page has opened; in no order.
    pub async fn tabs(&self) -> anyhow::Result<Vec<Tab>> {
        let handles = self.session.get("window/handles").await?;
        let handles = handles.as_array().context("a list of tabs")?;
        Ok(handles.iter().filter_map(|handle| Some(Tab(handle.as_str()?.to_owned()))).collect())
    }

    /// Opens a tab and brings it to the front.
    pub async fn open_tab(&self) -> anyhow::Result<Tab> {
        let opened = self.session.post("window/new", &json!({ "type": "tab" })).await?;
        let tab = Tab(opened["handle"].as_str().context("a tab has a handle")?.to_owned());
        self.bring_to_front(&tab).await?;
        Ok(tab)
    }

    /// Brings a tab to the front.
    pub async fn bring_to_front(&self, tab: &Tab) -> anyhow::Result<()> {
        self.session.post("window", &json!({ "handle": tab.0 })).await?;
        Ok(())
    }

    /// Closes the tab in front. Another has to be brought there next.
    pub async fn close_tab(&self) -> anyhow::Result<()> {
        self.session.delete("window").await?;
        Ok(())
    }

    /// Runs a function's body in the page, promises awaited. The page's policy on scripts does not bind it.
    pub async fn run(&self, script: &str) -> anyhow::Result<Value> {
        self.session.post("execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// A command of the devtools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> anyhow::Result<Value> {
        self.session.devtools(command, parameters).await
    }

    /// What the console has said since the last time: scripts that failed, policies that were violated, addresses that
    /// were not there. The page's own status is none of it.
    pub async fn complaints(&self) -> anyhow::Result<Vec<String>> {
        let page = self.url().await?;
        let entries = self.session.log("browser").await?;
        let message = |entry: &Value| entry["message"].as_str().unwrap_or_default().to_owned();
        let is_own_status = |message: &String| {
            message.starts_with(page.as_str()) && message.contains("the server responded with a status of")
        };
        Ok(entries.iter().map(message).filter(|message| !is_own_status(message)).collect())
    }

    /// What the browser has asked for since the last time, redirects included, in order.
    pub async fn requests(&self) -> anyhow::Result<Vec<Request>> {
        let mut requests = Vec::new();
        for entry in self.session.log("performance").await? {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap_or_default())?;
            let (event, parameters) = (&event["message"]["method"], &event["message"]["params"]);
            if event == "Network.requestWillBeSent" {
                let text = |name: &str| parameters["request"][name].as_str().unwrap_or_default().to_owned();
                let is_navigation = parameters["type"] == "Document";
                requests.push(Request { method: text("method"), url: text("url"), is_navigation });
            }
        }
        Ok(requests)
    }

    /// Writes what the window shows, and what is below that, to `target/screenshots/{name}.png`.
    pub async fn screenshot(&self, name: &str) -> anyhow::Result<PathBuf> {
        let layout = self.devtools("Page.getLayoutMetrics", json!({})).await?;
        let size = &layout["cssContentSize"];
        let whole = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        let how = json!({ "format": "png", "captureBeyondViewport": true, "clip": whole });
        let shot = self.devtools("Page.captureScreenshot", how).await?;
        let png = shot["data"].as_str().unwrap_or_default();
        let png = BASE64.decode(png.as_bytes()).context("a screenshot")?;
        let directory = install::target_dir().join("screenshots");
        fs::create_dir_all(&directory).context("no directory for screenshots")?;
        let path = directory.join(format!("{name}.png"));
        fs::write(&path, png).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    async fn find(&self, selector: &str) -> anyhow::Result<String> {
        let found =
            self.session.post("element", &json!({ "using": "css selector", "value": selector })).await;
        let found = match found {
            Ok(found) => found,
            Err(error) => bail!("{error}; the page is {:?}", self.title().await?),
        };
        Ok(found[ELEMENT].as_str().context("an element has an id")?.to_owned())
    }
}
