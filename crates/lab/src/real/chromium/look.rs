//! What a browser and its owner are like: the screen, and what they prefer.

use serde_json::json;

use super::session::Session;

/// A screen, and preferences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, as in a browser's settings")]
pub struct Look {
    /// CSS pixels.
    pub width: u32,
    /// CSS pixels.
    pub height: u32,
    /// A telephone: the page's `viewport` counts, and a CSS pixel is two of the screen's.
    pub is_phone: bool,
    /// `prefers-color-scheme: dark`
    pub is_dark: bool,
    /// `prefers-reduced-motion: reduce`
    pub wants_no_motion: bool,
    /// `Accept-Language`
    pub language: &'static str,
    /// Whether the pages' scripts run.
    pub runs_scripts: bool,
}

impl Look {
    /// A desktop, light, in English.
    pub const DESKTOP: Self = Self {
        width: 1280,
        height: 800,
        is_phone: false,
        is_dark: false,
        wants_no_motion: false,
        language: "en",
        runs_scripts: true,
    };
    /// The smallest telephone that a page has to fit (WCAG 2.2, success criterion 1.4.10).
    pub const PHONE: Self = Self { width: 320, height: 640, is_phone: true, ..Self::DESKTOP };

    pub(super) async fn apply(&self, session: &Session) -> anyhow::Result<()> {
        let metrics = json!({
            "width": self.width,
            "height": self.height,
            "deviceScaleFactor": if self.is_phone { 2 } else { 1 },
            "mobile": self.is_phone,
        });
        session.devtools("Emulation.setDeviceMetricsOverride", metrics).await?;
        let scheme = if self.is_dark { "dark" } else { "light" };
        let motion = if self.wants_no_motion { "reduce" } else { "no-preference" };
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": motion },
        ] });
        session.devtools("Emulation.setEmulatedMedia", features).await?;
        let headers = json!({ "headers": { "Accept-Language": self.language } });
        session.devtools("Network.setExtraHTTPHeaders", headers).await?;
        let scripts = json!({ "value": !self.runs_scripts });
        session.devtools("Emulation.setScriptExecutionDisabled", scripts).await?;
        Ok(())
    }
}
