//! What the portal answered.

use reqwest::{RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("the portal answers");
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.text().await.expect("a body") }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    pub(crate) fn errcode(&self) -> String {
        self.json()["errcode"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn location(&self) -> &str {
        let location = self.header("location");
        assert!(!location.is_empty(), "no redirect: {} {}", self.status, self.body);
        location
    }

    /// `name=value` of every cookie that is set to something.
    pub(crate) fn cookies(&self) -> Vec<String> {
        let kept = self.set_cookies().into_iter().filter(|cookie| !cookie.contains("Max-Age=0"));
        kept.map(|cookie| cookie.split(';').next().unwrap_or_default().to_owned()).collect()
    }

    pub(crate) fn set_cookies(&self) -> Vec<String> {
        let values = self.headers.get_all("set-cookie").iter();
        values.map(|value| value.to_str().expect("ASCII").to_owned()).collect()
    }

    /// The heading of an HTML page, which is its title too.
    pub(crate) fn title(&self) -> &str {
        let after = self.body.split_once("<h1>").map_or("", |(_, after)| after);
        after.split_once("</h1>").map_or("", |(title, _)| title)
    }

    pub(crate) fn hidden_fields(&self) -> Vec<(String, String)> {
        hidden_fields(&self.body)
    }

    /// The login token in a redirect's query, before any fragment.
    pub(crate) fn login_token(&self) -> String {
        let location = self.location();
        let query = location.split_once('#').map_or(location, |(before, _)| before);
        let token = query.split(['?', '&']).find_map(|pair| pair.strip_prefix("loginToken="));
        token.unwrap_or_else(|| panic!("no login token in {location}")).to_owned()
    }
}

/// Names and values of a page's hidden fields, as a browser would send them.
pub(crate) fn hidden_fields(page: &str) -> Vec<(String, String)> {
    let inputs = page.split("<input type=\"hidden\" name=\"").skip(1);
    inputs
        .map(|rest| {
            let (name, rest) = rest.split_once("\" value=\"").expect("an input");
            let value = rest.split_once('"').expect("a value").0;
            let value = value.replace("&#x2f;", "/").replace("&quot;", "\"").replace("&amp;", "&");
            (name.to_owned(), value)
        })
        .collect()
}
