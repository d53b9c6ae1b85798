//! `GET` and `POST /account/3pid` and `POST /account/3pid/add`. What somebody has validated, a test says
//! ([`validate_email`](super::ScriptedHomeserver::validate_email)).

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Site,
    endpoint::error,
    requester::{Requester, parse},
    ui_auth::{self, failed},
};
use crate::scripted::{Reply, Request};

#[derive(Deserialize)]
struct Unasked {
    three_pid_creds: Credentials,
}

#[derive(Deserialize)]
struct Credentials {
    client_secret: String,
    sid: String,
}

pub(super) fn list(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let user = Requester::of(site, request)?.user;
    let emails = site.people().find(&user).map(|person| person.emails.clone()).unwrap_or_default();
    let threepids: Vec<Value> = emails
        .into_iter()
        .map(|address| json!({ "medium": "email", "address": address, "validated_at": 0, "added_at": 0 }))
        .collect();
    Ok(Reply::json(200, &json!({ "threepids": threepids })))
}

pub(super) fn add_unasked(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let user = Requester::of(site, request)?.user;
    let Unasked { three_pid_creds } = parse(request)?;
    add_validated(site, &user, &three_pid_creds)
}

pub(super) fn add(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let requester = Requester::of(site, request)?;
    if requester.is_service() {
        return Err(failed());
    }
    let body = ui_auth::confirm(site, request, &requester)?;
    let credentials = serde_json::from_value(Value::Object(body))
        .map_err(|_| error(400, "M_BAD_JSON", "The body has another shape"))?;
    add_validated(site, &requester.user, &credentials)
}

fn add_validated(site: &Site, user: &str, credentials: &Credentials) -> Result<Reply, Reply> {
    let mut people = site.people();
    let Some(address) = people.validated_email(&credentials.client_secret, &credentials.sid) else {
        return Err(error(400, "M_THREEPID_AUTH_FAILED", "No validated 3pid session found"));
    };
    people.add_email(user, address);
    Ok(Reply::json(200, &json!({})))
}
