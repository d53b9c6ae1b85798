//! The requests of a login, told apart by the first thing that differs.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header},
    web,
};
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::{
    seal,
    site::Site,
    statements::{Person, Token},
};

const COOKIE: &str = "__Host-usher-";
const CALLBACK: &str = "/_usher/cas/corp/callback/";
const LOGIN: &str = "/_matrix/client/v3/login";
/// How long an attempt is remembered, in milliseconds.
const ATTEMPT_LIFETIME: i64 = 900_000;

pub(crate) async fn any(site: web::Data<Site>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let path = request.path();
    let answer = if let Some(handle) = path.strip_prefix(CALLBACK) {
        come_back(&site, &request, handle).await
    } else if *request.method() == Method::POST {
        redeem(&site, &body).await
    } else if path.starts_with(LOGIN) {
        begin(&site, &request)
    } else {
        // What tells the benchmark that it is up.
        Ok(HttpResponse::Ok().finish())
    };
    answer.unwrap_or_else(|error| HttpResponse::InternalServerError().body(format!("{error:#}")))
}

fn begin(site: &Site, request: &HttpRequest) -> anyhow::Result<HttpResponse> {
    let handle = seal::name::<16>();
    let client = parameter(request.query_string(), "redirectUrl")?;
    let attempt = json!({
        "provider": "corp",
        "purpose": { "login": { "client_redirect_url": client, "only": null } },
        "freshness": "any_session",
        "started": now(),
        "step": { "answer": { "handle": handle, "renew": false } },
    });
    let name = format!("{COOKIE}{handle}");
    let value = site.seal.seal(attempt.to_string().as_bytes(), name.as_bytes());
    let service: String =
        url::form_urlencoded::byte_serialize(format!("{}{CALLBACK}{handle}", site.portal).as_bytes())
            .collect();
    Ok(HttpResponse::Found()
        .insert_header((header::LOCATION, format!("{}/login?service={service}", site.cas)))
        .insert_header((
            header::SET_COOKIE,
            format!("{name}={value}; Path=/; Max-Age=900; Secure; HttpOnly; SameSite=Lax"),
        ))
        .finish())
}

async fn come_back(site: &Site, request: &HttpRequest, handle: &str) -> anyhow::Result<HttpResponse> {
    let name = format!("{COOKIE}{handle}");
    let cookies = request.headers().get(header::COOKIE).context("no cookie")?.to_str()?;
    let (key, value) = cookies.split_once('=').context("no cookie")?;
    ensure!(key == name, "the cookie is another's");
    let attempt = site.seal.open(value, name.as_bytes()).context("the cookie is not ours")?;
    let attempt: Value = serde_json::from_slice(&attempt)?;
    let client = attempt["purpose"]["login"]["client_redirect_url"].as_str().context("no client")?;
    let started = attempt["started"].as_i64().context("no start")?;
    let ticket = parameter(request.query_string(), "ticket")?;
    let service = format!("{}{CALLBACK}{handle}", site.portal);
    let user = site.calls.validate(&site.cas, &service, &ticket).await?;
    let person = Person { provider: "corp", issuer: site.cas.trim_end_matches('/'), subject: &user };
    let (server_name, mxid) = site.pools.find_account(&person).await?.context("nobody we know")?;
    let token = format!("ushl_{}", seal::name::<32>());
    let (token_hash, attempt_hash) = (seal::hash(&token), seal::hash(handle));
    let ticket_hash = seal::hash(&ticket);
    let issued = Token {
        hash: &token_hash,
        attempt: &attempt_hash,
        mxid: &mxid,
        server_name: &server_name,
        person,
        upstream_session: &ticket_hash,
        issued_at: now(),
        keep_until: started + ATTEMPT_LIFETIME,
    };
    ensure!(site.pools.insert_token(&issued).await?, "the attempt was spent before");
    Ok(HttpResponse::Found()
        .insert_header((header::LOCATION, format!("{client}?loginToken={token}")))
        .insert_header((
            header::SET_COOKIE,
            format!("{name}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"),
        ))
        .finish())
}

async fn redeem(site: &Site, body: &[u8]) -> anyhow::Result<HttpResponse> {
    let body: Value = serde_json::from_slice(body)?;
    let token_hash = seal::hash(body["token"].as_str().context("no token")?);
    let display_name = body["initial_device_display_name"].as_str().context("no display name")?;
    let (lease, device_id) = (seal::name::<16>(), seal::name::<8>());
    let claimed = site.pools.claim(&token_hash, &lease, &device_id, now()).await?;
    let claimed = claimed.context("the token is not good")?;
    let (_, server_name) = claimed.mxid.split_once(':').context("no server name")?;
    let homeserver = site.homeservers.get(server_name).context("no such homeserver")?;
    let mut session = site.calls.log_in(homeserver, &claimed.mxid, &claimed.device_id, display_name).await?;
    ensure!(site.pools.redeem(&token_hash, &lease, &claimed, now()).await?, "the lease ran out");
    session["well_known"] = json!({ "m.homeserver": { "base_url": homeserver.base_url } });
    Ok(HttpResponse::Ok().content_type("application/json").body(session.to_string()))
}

fn parameter(query: &str, name: &str) -> anyhow::Result<String> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let value = pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    value.with_context(|| format!("no {name}"))
}

/// In milliseconds.
#[expect(clippy::disallowed_methods, reason = "the floor has no clock to be given")]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
