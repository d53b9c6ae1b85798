//! Stands for a web client in a person's own browser: shows the login token it is handed and how to redeem it.
//! <https://spec.matrix.org/v1.19/client-server-api/#client-behaviour-for-sso>.

use anyhow::Context as _;
use url::Url;
use usher_lab::scripted::{Reply, Request, ScriptedServer};

/// Its host: neither the portal's nor the single sign-on's, since cookies ignore the port.
const HOST: &str = "client.localhost";

/// The page, served until it is dropped.
#[derive(Debug)]
pub(super) struct ClientPage {
    url: Url,
    _server: ScriptedServer,
}

impl ClientPage {
    /// Serves the page for tokens of the portal at `portal`.
    pub(super) async fn start(portal: &Url) -> anyhow::Result<Self> {
        let login = portal.join("_matrix/client/v3/login").context("the portal's URL cannot be joined")?;
        let serve = move |request: Request| std::future::ready(answer(&request, &login));
        let server = ScriptedServer::start(serve).await.context("the page of the demo's client")?;
        let url = Url::parse(&format!("http://{HOST}:{}/", server.address().port()))?;
        Ok(Self { url, _server: server })
    }

    /// What a client would give as `redirectUrl`.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

fn answer(request: &Request, login: &Url) -> Reply {
    if request.path != "/" {
        return Reply::new(404, "text/plain", "Not found");
    }
    let content = match request.query_values("loginToken").first() {
        Some(token) => {
            let body = serde_json::json!({ "type": "m.login.token", "token": token });
            // Within single quotes a shell takes everything as it is, but for the quote itself.
            let body = body.to_string().replace('\'', r"'\''");
            let command = escape(&format!("curl {login} -d '{body}'"));
            format!("<p>The portal sent you here with a login token. It works once:</p><pre>{command}</pre>")
        }
        None => "<p>The portal has sent no login token.</p>".to_owned(),
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>A Matrix client</title>\
         <style>body{{font:1rem/1.5 sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}}\
         pre{{background:#eee;padding:1rem;white-space:pre-wrap;overflow-wrap:anywhere}}</style>\
         <h1>This could be a Matrix client</h1>{content}</html>"
    );
    Reply::new(200, "text/html; charset=utf-8", page)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use usher_lab::browser::Browser;

    use super::*;

    #[tokio::test]
    async fn the_page_shows_the_command_and_runs_nothing_it_is_given() -> anyhow::Result<()> {
        let page = ClientPage::start(&Url::parse("http://portal.localhost:1/")?).await?;
        let mut url = page.url().clone();
        url.query_pairs_mut().append_pair("loginToken", "a'<script>");
        let page = Browser::new().open(&url).await?;
        let expected = r#"curl http://portal.localhost:1/_matrix/client/v3/login -d '{"token":"a'\''<script>","type":"m.login.token"}'"#;
        assert!(page.text().contains(expected), "{}", page.text());
        assert!(!page.html().contains("<script>"), "{}", page.html());
        Ok(())
    }
}
