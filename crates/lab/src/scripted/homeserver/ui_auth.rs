//! The homeserver's own UI auth, as Synapse does it: <https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>.
//!
//! A session is bound to method and path with query and to nothing else; a body that is left out is the last one that
//! was said; and a session that is completed is good for ever. Who has a password confirms with it, who has none has
//! no flow. An application service is asked nothing.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Site,
    endpoint::error,
    requester::{Requester, bad_body},
};
use crate::scripted::{Reply, Request};

/// The sessions, by id.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_id: HashMap<String, Session>,
}

#[derive(Debug)]
struct Session {
    /// Method and path with query.
    operation: String,
    body: Map<String, Value>,
    /// Who has confirmed.
    confirmed_by: Option<String>,
}

#[derive(Default, Deserialize)]
struct Auth {
    r#type: Option<String>,
    session: Option<String>,
    identifier: Option<Identifier>,
    password: Option<String>,
}

#[derive(Deserialize)]
struct Identifier {
    user: String,
}

/// The body to act on, without `auth`, once `requester` has confirmed; else what they are asked.
pub(super) fn confirm(
    site: &Site,
    request: &Request,
    requester: &Requester,
) -> Result<Map<String, Value>, Reply> {
    let (auth, body) = take_apart(request)?;
    if requester.is_service() {
        return Ok(body);
    }
    let has_password = site.people().find(&requester.user).is_some_and(|person| person.password.is_some());
    let flows = if has_password { json!([{ "stages": ["m.login.password"] }]) } else { json!([]) };
    let (id, body) = site.ui_auth().resume(request, auth.as_ref(), body)?;
    let Some(auth) = auth else { return Err(question(&flows, &id)) };
    let mut asked_again = json!({ "completed": [] });
    if let Some(stage) = &auth.r#type {
        if stage != "m.login.password" {
            return Err(error(400, "M_UNKNOWN", &format!("Unknown login type {stage}")));
        }
        if let Some(user) = who_confirms(site, requester, &auth) {
            site.ui_auth().confirm(&id, user);
        } else {
            asked_again["errcode"] = "M_FORBIDDEN".into();
            asked_again["error"] = "Invalid username or password".into();
        }
    }
    match site.ui_auth().confirmed_by(&id) {
        Some(user) if user == requester.user => Ok(body),
        Some(_) => Err(error(403, "M_FORBIDDEN", "Invalid auth")),
        None => Err(asking(&flows, &id, asked_again)),
    }
}

/// What somebody without an access token is asked. Their mail is nowhere read: they never come further.
pub(super) fn ask_for_email(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let (auth, body) = take_apart(request)?;
    let (id, _) = site.ui_auth().resume(request, auth.as_ref(), body)?;
    Ok(question(&json!([{ "stages": ["m.login.email.identity"] }]), &id))
}

/// What Synapse says to an application service whose user it would have to ask.
pub(super) fn failed() -> Reply {
    error(500, "M_UNKNOWN", "Internal server error")
}

impl Sessions {
    /// The session that is named, or a new one, and the body that counts.
    fn resume(
        &mut self,
        request: &Request,
        auth: Option<&Auth>,
        body: Map<String, Value>,
    ) -> Result<(String, Map<String, Value>), Reply> {
        let operation = format!("{} {}?{}", request.method, request.path, request.query);
        let Some(id) = auth.and_then(|auth| auth.session.clone()) else {
            let id = format!("own_session_{}", self.by_id.len());
            let session = Session { operation, body: body.clone(), confirmed_by: None };
            self.by_id.insert(id.clone(), session);
            return Ok((id, body));
        };
        let Some(session) = self.by_id.get_mut(&id) else {
            return Err(error(400, "M_UNKNOWN", &format!("Unknown session ID: {id}")));
        };
        if session.operation != operation {
            let said = "Requested operation has changed during the UI authentication session.";
            return Err(error(403, "M_UNKNOWN", said));
        }
        if !body.is_empty() {
            session.body = body;
        }
        Ok((id, session.body.clone()))
    }

    fn confirm(&mut self, id: &str, user: String) {
        if let Some(session) = self.by_id.get_mut(id) {
            session.confirmed_by = Some(user);
        }
    }

    fn confirmed_by(&self, id: &str) -> Option<String> {
        self.by_id.get(id)?.confirmed_by.clone()
    }
}

/// `auth` and the rest. No body at all is an empty one: old clients delete a device so.
fn take_apart(request: &Request) -> Result<(Option<Auth>, Map<String, Value>), Reply> {
    if request.body.is_empty() {
        return Ok((None, Map::new()));
    }
    let mut body: Map<String, Value> =
        serde_json::from_slice(&request.body).map_err(|problem| bad_body(&problem))?;
    let auth = body.remove("auth").unwrap_or_default();
    let auth = serde_json::from_value(auth).map_err(|problem| bad_body(&problem))?;
    Ok((auth, body))
}

/// Whose password it is: the one's that is named, or else the requester's.
fn who_confirms(site: &Site, requester: &Requester, auth: &Auth) -> Option<String> {
    let user = auth
        .identifier
        .as_ref()
        .map_or_else(|| requester.user.clone(), |identifier| site.full_id(&identifier.user));
    let people = site.people();
    let own = people.find(&user)?.password.as_deref()?;
    (Some(own) == auth.password.as_deref()).then_some(user)
}

fn question(flows: &Value, session: &str) -> Reply {
    asking(flows, session, json!({}))
}

fn asking(flows: &Value, session: &str, mut more: Value) -> Reply {
    more["flows"] = flows.clone();
    more["params"] = json!({});
    more["session"] = session.into();
    Reply::json(401, &more)
}
