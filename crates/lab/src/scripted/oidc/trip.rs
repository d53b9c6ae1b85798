//! The browser's trip to the provider and back (OpenID Connect Core 3.1.2).

use serde_json::{Value, json};
use url::Url;

use super::{CLIENT_ID, Grant, OidcScript, State, lies::patched, one};

/// What a browser gets at the authorization endpoint: where it goes, and with which form, if it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    /// The redirect URI; with the answer in its query, unless there is a form.
    pub url: Url,
    /// The answer's parameters, for `response_mode=form_post`.
    pub form: Option<Vec<(String, String)>>,
}

/// Why nobody was signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTrip {
    /// The request is not one of the code flow, for this client, with a redirect URI and `openid` among its scopes.
    BadRequest,
    /// Nobody of that name, or nobody is signed in.
    NoPerson,
}

impl OidcScript {
    /// What a browser at which `subject` sits gets for an authorization URL: the same as `GET /op/authorize`, without the
    /// network.
    pub fn log_in(&self, authorize: &Url, subject: &str) -> Result<Trip, NoTrip> {
        let parameters = authorize.query_pairs().into_owned().collect();
        self.state().authorize(parameters, Some(subject.to_owned()))
    }
}

impl State {
    pub(super) fn authorize(
        &mut self,
        mut parameters: Vec<(String, String)>,
        subject: Option<String>,
    ) -> Result<Trip, NoTrip> {
        if let Some(reference) = one(&parameters, "request_uri").map(str::to_owned) {
            // RFC 9126 section 4: once.
            parameters = self.pushed.remove(&reference).ok_or(NoTrip::BadRequest)?;
        }
        let get = |name: &str| one(&parameters, name).map(str::to_owned);
        let redirect_uri = get("redirect_uri").ok_or(NoTrip::BadRequest)?;
        let scopes = get("scope").unwrap_or_default();
        let is_good = get("response_type").as_deref() == Some("code")
            && get("client_id").as_deref() == Some(CLIENT_ID)
            && (!self.setup.is_openid || scopes.split(' ').any(|scope| scope == "openid"));
        let url = Url::parse(&redirect_uri).ok().filter(|_| is_good).ok_or(NoTrip::BadRequest)?;
        let subject = subject.filter(|subject| self.people.contains_key(subject)).ok_or(NoTrip::NoPerson)?;
        let is_fresh = get("max_age").as_deref() == Some("0") || get("prompt").as_deref() == Some("login");
        let wants_time = get("max_age").is_some() || get("claims").is_some();
        // A session an hour old, unless the person has just presented credentials.
        let authenticated = if is_fresh { self.now() } else { self.now() - 3600 };
        let session = self.unique("session");
        let grant = Grant {
            subject,
            redirect_uri,
            nonce: get("nonce"),
            challenge: get("code_challenge")
                .filter(|_| get("code_challenge_method").as_deref() == Some("S256")),
            session,
            auth_time: wants_time.then_some(authenticated),
        };
        let code = self.unique("code");
        self.grants.insert(code.clone(), grant);
        let mut answer = json!({ "code": code, "state": get("state") });
        if self.setup.names_issuer {
            answer["iss"] = json!(self.issuer);
        }
        let answer = patched(answer, self.lies.answer.as_ref());
        Ok(back(url, &answer, get("response_mode").as_deref() == Some("form_post")))
    }
}

fn back(mut url: Url, answer: &Value, is_form: bool) -> Trip {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs = answer.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let pairs: Vec<_> = pairs.map(|(name, value)| (name.clone(), text(value))).collect();
    if is_form {
        return Trip { url, form: Some(pairs) };
    }
    url.query_pairs_mut().extend_pairs(pairs);
    Trip { url, form: None }
}
