//! Between Usher and a homeserver or a CAS server: every call is a step.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use url::Url;
use usher_lab::{
    browser::loopback_client,
    scripted::{Reply, Request, ScriptedServer},
};

use super::tape::Tape;
use crate::relay::pass_on;

/// Longer than Usher waits.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Stands in for one server.
#[derive(Debug)]
pub(super) struct HttpTap {
    server: ScriptedServer,
    upstream: Arc<OnceLock<Url>>,
}

impl HttpTap {
    pub(super) async fn start(tape: Tape) -> anyhow::Result<Self> {
        let upstream = Arc::new(OnceLock::<Url>::new());
        let (known, http) = (Arc::clone(&upstream), loopback_client(TIMEOUT)?);
        let server = ScriptedServer::start(move |request| {
            let (tape, upstream, http) = (tape.clone(), known.get().cloned(), http.clone());
            async move {
                match upstream {
                    Some(upstream) => call(&tape, &http, &upstream, request).await.unwrap_or(Reply::Cut),
                    None => Reply::Cut,
                }
            }
        })
        .await?;
        Ok(Self { server, upstream })
    }

    /// Stands in for the server at `upstream`; the URL, with the same path.
    pub(super) fn stand_in_for(&self, upstream: &str) -> anyhow::Result<String> {
        let upstream = Url::parse(upstream)?;
        let mut url = self.server.url();
        url.set_path(upstream.path());
        anyhow::ensure!(self.upstream.set(upstream).is_ok(), "it stands in for another");
        Ok(url.into())
    }
}

async fn call(
    tape: &Tape,
    http: &reqwest::Client,
    upstream: &Url,
    request: Request,
) -> anyhow::Result<Reply> {
    // The CAS server's page is for browsers.
    if request.path.ends_with("/cas/login") {
        return pass_on(http, upstream, request).await;
    }
    let Ok(index) = tape.is_asked(name_of(&request)).await else { return Ok(Reply::Cut) };
    let reply = pass_on(http, upstream, request).await?;
    let Ok(()) = tape.is_done(index).await else { return Ok(Reply::Cut) };
    Ok(reply)
}

/// `PUT /profile/{user}/displayname`: without what differs from person to person.
fn name_of(request: &Request) -> String {
    let path = request.path.trim_start_matches("/_matrix/client/v3");
    let is_user = |segment: &str| segment.starts_with('@') || segment.starts_with("%40");
    let segments = path.split('/').map(|segment| if is_user(segment) { "{user}" } else { segment });
    format!("{} {}", request.method, segments.collect::<Vec<_>>().join("/"))
}
