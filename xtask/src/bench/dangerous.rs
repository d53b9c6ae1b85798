//! A virtual browser and the client in it where a request needs UI auth, at a homeserver's own host. Every answer is
//! checked, and whether the homeserver has done what was confirmed is asked of it.

use anyhow::{Context as _, ensure};
use hyper::{
    Method, StatusCode,
    body::Bytes,
    header::{AUTHORIZATION, CONTENT_TYPE, COOKIE},
};
use serde::Deserialize;

use super::{
    browser::{Begun, Browser},
    connection::{Answer, Sent},
    site::{OLD_DEVICE, Person, Stranger},
    sso::Back,
};

const API: &str = "/_matrix/client/v3";
const FORM: &str = "application/x-www-form-urlencoded";
/// How long the body of an ordinary request is that passes through, in bytes.
const ORDINARY: usize = 1024;
/// When the device that goes was last seen, in milliseconds.
const LAST_SEEN: u64 = 1_790_000_000_000;

/// What both homeserver and Usher say where UI auth is needed.
#[derive(Deserialize)]
struct Question<'a> {
    #[serde(borrow)]
    flows: Vec<Flow<'a>>,
    session: &'a str,
}

#[derive(Deserialize)]
struct Flow<'a> {
    #[serde(borrow)]
    stages: Vec<&'a str>,
}

/// The page that asks, as far as the next request needs it.
struct Asked {
    /// Its path at the portal.
    path: String,
    csrf: String,
    /// `NAME=VALUE`, which its form has to come with.
    cookie: String,
}

impl Browser {
    /// Asks to delete a device, and is to have its person sign in again.
    pub(super) async fn is_challenged(&mut self, person: &Person) -> anyhow::Result<()> {
        self.challenge(person).await.map(drop)
    }

    /// The whole way, and the device is gone.
    pub(super) async fn deletes_a_device(&mut self, person: &Person) -> anyhow::Result<()> {
        let homeserver = self.site.homeserver_of(person)?.clone();
        homeserver.set_last_seen(&person.mxid, OLD_DEVICE, LAST_SEEN, "192.0.2.8");
        let session = self.challenge(person).await.context("challenge")?;
        let asked = self.asked(person, &session).await?;
        let begun = self.click(&asked).await.context("click")?;
        let callback = self.authenticate(&begun, person).await.context("CAS")?;
        let completion = self.come_back_to(person, callback, &begun.cookie).await.context("callback")?;
        self.complete(person, &completion).await.context("completion")?;
        let body = format!(r#"{{"auth":{{"session":"{session}"}}}}"#);
        let answer = self.delete(person, body).await?;
        ensure!(answer.expect(StatusCode::OK).context("repetition")? == b"{}", "it was not done");
        let devices = homeserver.user(&person.mxid).map(|person| person.devices).unwrap_or_default();
        ensure!(!devices.contains_key(OLD_DEVICE), "the device is still there");
        Ok(())
    }

    /// Asks to delete devices, and is asked by the homeserver itself.
    pub(super) async fn passes_through(&mut self, stranger: &Stranger) -> anyhow::Result<()> {
        let ids = "\"ABCDEFGHIJ\",".repeat(ORDINARY / 13);
        let body = format!(r#"{{"devices":[{}]}}"#, ids.trim_end_matches(','));
        let answer = self.post_as(stranger, "delete_devices", body.into()).await?;
        let question: Question<'_> = serde_json::from_slice(answer.expect(StatusCode::UNAUTHORIZED)?)?;
        ensure!(question.session.starts_with("own_session_"), "this is not the homeserver's question");
        Ok(())
    }

    /// Sends a long body and is given a long answer.
    pub(super) async fn streams(&mut self, stranger: &Stranger) -> anyhow::Result<()> {
        let body = self.site.long_body();
        let length = body.len();
        let answer = self.post_as(stranger, "keys/device_signing/upload", body).await?;
        ensure!(answer.expect(StatusCode::OK)?.len() == length, "the answer has another length");
        Ok(())
    }

    async fn post_as(&mut self, stranger: &Stranger, endpoint: &str, body: Bytes) -> anyhow::Result<Answer> {
        let (path, token) = (format!("{API}/{endpoint}"), format!("Bearer {}", stranger.access_token));
        let headers = [(AUTHORIZATION, token.as_str()), (CONTENT_TYPE, "application/json")];
        let host = Some(stranger.host.as_str());
        self.portal.send(Sent { method: Method::POST, host, path: &path, headers: &headers, body }).await
    }

    /// The session of the challenge.
    async fn challenge(&mut self, person: &Person) -> anyhow::Result<String> {
        let answer = self.delete(person, "{}".to_owned()).await?;
        let question: Question<'_> = serde_json::from_slice(answer.expect(StatusCode::UNAUTHORIZED)?)?;
        let is_sso = matches!(question.flows.as_slice(), [flow] if flow.stages == ["m.login.sso"]);
        ensure!(is_sso && question.session.starts_with("ushu_"), "this is not Usher's question");
        Ok(question.session.to_owned())
    }

    async fn delete(&mut self, person: &Person, body: String) -> anyhow::Result<Answer> {
        let token = person.access_token.as_deref().context("nobody is logged in at this site")?;
        let (path, token) = (format!("{API}/devices/{OLD_DEVICE}"), format!("Bearer {token}"));
        let headers = [(AUTHORIZATION, token.as_str()), (CONTENT_TYPE, "application/json")];
        let (host, body) = (Some(person.host.as_str()), body.into());
        self.portal.send(Sent { method: Method::DELETE, host, path: &path, headers: &headers, body }).await
    }

    /// From the fallback page to the portal's.
    async fn asked(&mut self, person: &Person, session: &str) -> anyhow::Result<Asked> {
        let fallback = format!("{API}/auth/m.login.sso/fallback/web?session={session}");
        let host = Some(person.host.as_str());
        let answer = self.portal.send(Sent { host, path: &fallback, ..Sent::default() }).await?;
        let path = answer.redirect_within(&self.origin).context("fallback")?.to_owned();
        let answer = self.portal.get(&path, None).await?;
        let page = str::from_utf8(answer.expect(StatusCode::OK).context("page")?)?;
        let csrf = between(page, "name=\"csrf\" value=\"", "\"").context("the page has no form")?.to_owned();
        ensure!(page.contains(OLD_DEVICE) && page.contains(&person.mxid), "the page asks something else");
        Ok(Asked { path, csrf, cookie: answer.cookie()? })
    }

    async fn click(&mut self, asked: &Asked) -> anyhow::Result<Begun> {
        let headers = [(COOKIE, asked.cookie.as_str()), (CONTENT_TYPE, FORM)];
        let body = format!("csrf={}&provider=corp", asked.csrf).into();
        let sent = Sent { method: Method::POST, path: &asked.path, headers: &headers, body, host: None };
        let answer = self.portal.send(sent).await?;
        let page = str::from_utf8(answer.expect(StatusCode::OK)?)?;
        let url = between(page, "content=\"0;url=", "\"").context("the page does not go on by itself")?;
        // What the template engine escapes in an address.
        let url = url.replace("&#x2f;", "/").replace("&amp;", "&");
        let sso_path =
            url.strip_prefix(self.site.sso_origin()).context("it does not lead to the CAS server")?;
        Ok(Begun { sso_path: sso_path.to_owned(), cookie: answer.cookie()? })
    }

    /// Path and query of the completion page.
    async fn come_back_to(
        &mut self,
        person: &Person,
        callback: Back,
        cookie: &str,
    ) -> anyhow::Result<String> {
        let answer = self.bring(callback, Some(cookie)).await?;
        answer.takes_back(cookie)?;
        Ok(answer.redirect_within(&person.base_url)?.to_owned())
    }

    async fn complete(&mut self, person: &Person, path: &str) -> anyhow::Result<()> {
        let host = Some(person.host.as_str());
        let answer = self.portal.send(Sent { host, path, ..Sent::default() }).await?;
        let page = str::from_utf8(answer.expect(StatusCode::OK)?)?;
        ensure!(page.contains("authDone"), "the page does not tell the client");
        Ok(())
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}
