//! Passing a request on, as a reverse proxy does.

use reqwest::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use url::Url;
use usher_lab::scripted::{Reply, Request};

/// Sends `request` to the server at `upstream`, whatever path that has; its answer.
pub(crate) async fn pass_on(
    http: &reqwest::Client,
    upstream: &Url,
    request: Request,
) -> anyhow::Result<Reply> {
    let mut url = upstream.join(&request.path)?;
    url.set_query(Some(request.query.as_str()).filter(|query| !query.is_empty()));
    let mut headers = request.headers;
    headers.remove(CONTENT_LENGTH);
    let asked = http.request(request.method, url).headers(headers).body(request.body);
    let answer = asked.send().await?;
    let status = answer.status();
    let is_kept = |name| name != TRANSFER_ENCODING && name != CONNECTION;
    let kept = answer.headers().iter().filter(|(name, _)| is_kept(*name));
    let headers = kept
        .map(|(name, value)| Ok((name.to_string(), value.to_str()?.to_owned())))
        .collect::<anyhow::Result<_>>()?;
    Ok(Reply::Answer { status, headers, body: answer.bytes().await? })
}
