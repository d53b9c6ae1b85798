//! Pushed authorization requests (RFC 9126): the request goes to the provider directly, and the browser carries a reference
//! to it.

use serde::Deserialize;
use url::{Url, form_urlencoded};
use usher_core::Ctx;
use usher_http::{Method, header};

use crate::{
    calls::{Calls, Failure, Target, read_json},
    client_auth,
    config::Settings,
    discovery::Known,
    exchange::refused,
    request,
};

const WHAT: &str = "pushed authorization request endpoint";
const MAX_REFERENCE_BYTES: usize = 2048;

/// RFC 9126 section 2.2.
#[derive(Deserialize)]
struct Pushed {
    request_uri: String,
}

/// RFC 9126 section 2.3.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider's reference to the pushed request is empty, too long, or not printable")]
struct BadReference;

/// Pushes `parameters` to `endpoint`; where the browser goes then.
pub(crate) async fn push(
    parameters: &[(String, String)],
    ctx: &Ctx<'_>,
    calls: &Calls,
    settings: &Settings,
    known: &Known,
    endpoint: &Target,
) -> Result<Url, Failure> {
    let proof = client_auth::proof(ctx, settings, known)?;
    // The client's id is among the parameters already (section 2.1).
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .extend_pairs(proof.parameters.iter().filter(|(name, _)| *name != "client_id"))
        .finish();
    let mut request = calls
        .request(Method::POST, endpoint)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form);
    if let Some(value) = proof.header {
        request = request.header(header::AUTHORIZATION, value);
    }
    let answer = calls.send(WHAT, endpoint, request, |_| true).await?;
    if !matches!(answer.status, 200 | 201) {
        return Err(match serde_json::from_slice::<Refusal>(&answer.body) {
            Ok(refusal) if (400..500).contains(&answer.status) => {
                refused(WHAT, &refusal.error, refusal.error_description.as_deref())
            }
            _ => Failure::of_status(WHAT, answer.status),
        });
    }
    let Pushed { request_uri } = read_json(WHAT, &answer.body)?;
    let is_good = !request_uri.is_empty()
        && request_uri.len() <= MAX_REFERENCE_BYTES
        && request_uri.bytes().all(|byte| (0x21..=0x7E).contains(&byte));
    if !is_good {
        return Err(Failure::unavailable(BadReference));
    }
    // Section 4: the client's id and the reference, and nothing else.
    Ok(request::url(known, [("client_id", settings.client_id.as_str()), ("request_uri", &request_uri)]))
}
