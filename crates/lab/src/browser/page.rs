//! What the browser shows: a page, a redirect it stayed at, or the address it handed to an app.

use std::fmt;

use anyhow::{Context as _, bail};
use reqwest::{StatusCode, header::HeaderMap};
use url::Url;

use super::{Form, form, html, location};

/// A page, or where the trip ended.
pub struct Page {
    url: Url,
    status: StatusCode,
    headers: HeaderMap,
    body: String,
    is_handed_over: bool,
    /// The form post this answers, in case the answer asks to repeat it elsewhere.
    pub(super) sent_form: Option<String>,
}

impl Page {
    pub(super) fn new(
        url: Url,
        status: StatusCode,
        headers: HeaderMap,
        body: String,
        sent_form: Option<String>,
    ) -> Self {
        Self { url, status, headers, body, is_handed_over: false, sent_form }
    }

    pub(super) fn hand_over(&mut self, target: Url) {
        self.url = target;
        self.is_handed_over = true;
    }

    /// The address of the page, or the one an app was handed.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether the trip ended at an app's address, which was not fetched; status and body are then those of the
    /// redirect that led there.
    #[must_use]
    pub fn is_handed_over(&self) -> bool {
        self.is_handed_over
    }

    /// The value of a query parameter of the address, decoded: the `loginToken` an app is handed, say.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let mut pairs = self.url.query_pairs();
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers of the answer.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Where this answer redirects to; `None` if it does not.
    pub fn redirect_target(&self) -> anyhow::Result<Option<Url>> {
        if self.is_handed_over {
            return Ok(None);
        }
        location(&self.url, self.status, &self.headers)
    }

    /// The page's source.
    #[must_use]
    pub fn html(&self) -> &str {
        &self.body
    }

    /// What a person reads on the page, one space between words.
    #[must_use]
    pub fn text(&self) -> String {
        html::visible_text(&self.body)
    }

    /// The same, a line for each paragraph and each term of a list; without the window's title.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        html::visible_lines(&self.body)
    }

    /// All forms of the page.
    pub fn forms(&self) -> anyhow::Result<Vec<Form>> {
        let policy = self.headers.get("referrer-policy").map_or(&b""[..], |value| value.as_bytes());
        form::forms(&self.url, &self.body, policy == b"no-referrer")
    }

    /// The only form of the page.
    pub fn form(&self) -> anyhow::Result<Form> {
        let mut forms = self.forms()?;
        if forms.len() != 1 {
            bail!("{} has {} forms, not one; it says: {}", self.url, forms.len(), self.text());
        }
        Ok(forms.remove(0))
    }

    /// The first form with a field, choice or button called `name`.
    pub fn form_with(&self, name: &str) -> anyhow::Result<Form> {
        let form = self.forms()?.into_iter().find(|form| form.has(name));
        form.with_context(|| format!("{} has no form with {name:?}; it says: {}", self.url, self.text()))
    }

    /// The links of the page as `(text, address)`.
    #[must_use]
    pub fn links(&self) -> Vec<(String, Url)> {
        let mut links = Vec::new();
        let mut open: Option<(String, Url)> = None;
        for piece in html::pieces(&self.body) {
            match piece {
                html::Piece::Open(name, attributes) if name == "a" => {
                    let href = attributes.into_iter().find(|(key, _)| key == "href");
                    open = href.and_then(|(_, href)| Some((String::new(), self.url.join(&href).ok()?)));
                }
                html::Piece::Text(text) => {
                    if let Some((label, _)) = &mut open {
                        label.push_str(&text);
                    }
                }
                html::Piece::Close(name) if name == "a" => links.extend(open.take()),
                html::Piece::Open(..) | html::Piece::Close(_) => {}
            }
        }
        for (label, _) in &mut links {
            *label = label.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        links
    }
}

impl fmt::Debug for Page {
    /// Without query, headers and body: they carry tickets, cookies and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        f.debug_struct("Page")
            .field("url", &url.as_str())
            .field("status", &self.status.as_u16())
            .field("is_handed_over", &self.is_handed_over)
            .finish_non_exhaustive()
    }
}
