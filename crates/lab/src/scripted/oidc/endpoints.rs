//! What the provider's endpoints answer.

use std::fmt::Write as _;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use hyper::{
    Method,
    header::{AUTHORIZATION, COOKIE},
};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{
    CLIENT_ID, CLIENT_SECRET, MAX_REQUESTS, OidcScript, PERSON_COOKIE, Seen, State,
    lies::{Place, patched},
};
use crate::scripted::{Reply, Request};

pub(super) fn path(place: Place) -> &'static str {
    match place {
        Place::Discovery => "/op/.well-known/openid-configuration",
        Place::Jwks => "/op/jwks",
        Place::Authorize => "/op/authorize",
        Place::Par => "/op/par",
        Place::Token => "/op/token",
        Place::Userinfo => "/op/userinfo",
        Place::Groups => "/op/groups",
    }
}

impl OidcScript {
    pub(super) fn answer(&self, request: &Request) -> Reply {
        let Some(place) = Place::ALL.into_iter().find(|place| path(*place) == request.path) else {
            return Reply::new(404, "text/plain", "there is nothing here");
        };
        let mut state = self.state();
        *state.counts.entry(path(place)).or_default() += 1;
        let seen = Seen::of(place, request);
        if state.requests.len() < MAX_REQUESTS {
            state.requests.push(seen.clone());
        }
        if let Some(reply) = state.lies.reply(place) {
            return reply;
        }
        match place {
            Place::Discovery => Reply::json(200, &patched(state.discovery(), state.lies.discovery.as_ref())),
            Place::Jwks => Reply::json(200, &patched(state.keys.jwks(), state.lies.jwks.as_ref())),
            Place::Authorize => state.visit(seen.parameters, request),
            Place::Par => state.push(&seen),
            Place::Token if request.method == Method::POST => state.exchange(&seen),
            Place::Token => Reply::new(405, "text/plain", "POST, please"),
            Place::Userinfo => state.userinfo(&seen),
            Place::Groups => state.groups(&seen),
        }
    }
}

impl Seen {
    fn of(place: Place, request: &Request) -> Self {
        let authorization = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let query = form_urlencoded::parse(request.query.as_bytes());
        let form = form_urlencoded::parse(&request.body);
        Self {
            place,
            authorization: authorization.map(str::to_owned),
            parameters: query.into_owned().chain(form.into_owned()).collect(),
        }
    }

    /// Whether the request is the client's: by its secret in one place, or by a proof, which is not looked at.
    fn is_of_client(&self) -> bool {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let basic = format!("{}:{}", encode(CLIENT_ID), encode(CLIENT_SECRET));
        let basic = format!("Basic {}", BASE64.encode(basic.as_bytes()));
        match (self.authorization.as_deref(), self.one("client_secret"), self.one("client_assertion")) {
            (Some(header), None, None) => header == basic,
            (None, secret, _) => {
                self.one("client_id") == Some(CLIENT_ID) && secret.is_none_or(|s| s == CLIENT_SECRET)
            }
            _ => false,
        }
    }
}

impl State {
    fn discovery(&self) -> Value {
        let issuer = &self.issuer;
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "jwks_uri": format!("{issuer}/jwks"),
            "end_session_endpoint": format!("{issuer}/end-session"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.setup.alg.as_str()],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
            "prompt_values_supported": ["none", "login", "create"],
            "claims_parameter_supported": true,
            "authorization_response_iss_parameter_supported": self.setup.names_issuer,
        });
        if self.setup.offers_par {
            document["pushed_authorization_request_endpoint"] = json!(format!("{issuer}/par"));
        }
        document
    }

    fn visit(&mut self, parameters: Vec<(String, String)>, request: &Request) -> Reply {
        let subject = cookie(request, PERSON_COOKIE).or_else(|| self.signed_in.clone());
        let Ok(trip) = self.authorize(parameters, subject) else {
            return Reply::new(400, "text/html", "<!DOCTYPE html><p>Nobody signs in like this");
        };
        let Some(form) = trip.form else { return Reply::redirect(trip.url.as_str()) };
        let fields = form.iter().fold(String::new(), |mut fields, (name, value)| {
            let (name, value) = (escape(name), escape(value));
            let _ = write!(fields, "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
            fields
        });
        let action = escape(trip.url.as_str());
        let page = format!(
            "<!DOCTYPE html><form method=\"post\" action=\"{action}\">{fields}<button>Go on</button></form>"
        );
        Reply::new(200, "text/html", page)
    }

    /// RFC 9126 section 2.
    fn push(&mut self, seen: &Seen) -> Reply {
        if !seen.is_of_client() {
            return refusal(401, "invalid_client", "no such client");
        }
        let reference = format!("urn:ietf:params:oauth:request_uri:{}", self.unique("pushed"));
        self.pushed.insert(reference.clone(), seen.parameters.clone());
        Reply::json(201, &json!({ "request_uri": reference, "expires_in": 60 }))
    }

    /// RFC 6749 section 4.1.3, OpenID Connect Core 3.1.3.
    fn exchange(&mut self, seen: &Seen) -> Reply {
        if !seen.is_of_client() {
            return refusal(401, "invalid_client", "no such client");
        }
        let code = seen.one("code").unwrap_or_default();
        let grant = self.grants.remove(code);
        let proof = seen.one("code_verifier").map(|verifier| {
            BASE64URL_NOPAD.encode(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes()).as_ref())
        });
        let grant = grant.filter(|grant| {
            seen.one("grant_type") == Some("authorization_code")
                && seen.one("redirect_uri") == Some(grant.redirect_uri.as_str())
                && grant.challenge == proof
        });
        // As real ones do, it repeats what it was given.
        let Some(grant) = grant else {
            return refusal(400, "invalid_grant", &format!("the code {code} is not good"));
        };
        let access_token = self.unique("access");
        self.access.insert(access_token.clone(), grant.subject.clone());
        let mut tokens = json!({ "access_token": access_token, "token_type": "Bearer", "expires_in": 300 });
        if self.setup.is_openid {
            tokens["id_token"] = json!(self.id_token(&grant, &access_token));
        }
        Reply::json(200, &patched(tokens, self.lies.tokens.as_ref()))
    }

    fn id_token(&self, grant: &super::Grant, access_token: &str) -> String {
        let now = self.now();
        let mut claims = json!({
            "iss": self.issuer,
            "sub": grant.subject,
            "aud": CLIENT_ID,
            "exp": now + 300,
            "iat": now,
            "sid": grant.session,
            "at_hash": self.setup.alg.half_hash(access_token),
        });
        if let Some(nonce) = &grant.nonce {
            claims["nonce"] = json!(nonce);
        }
        if let Some(auth_time) = grant.auth_time {
            claims["auth_time"] = json!(auth_time);
        }
        if self.setup.claims_in_id_token {
            for (name, value) in self.people.get(&grant.subject).into_iter().flatten() {
                claims[name] = value.clone();
            }
        }
        self.signed("JWT", &patched(claims, self.lies.claims.as_ref()), &self.lies.signed)
    }

    /// OpenID Connect Core 5.3.
    fn userinfo(&self, seen: &Seen) -> Reply {
        let Some(subject) = self.bearer(seen) else { return refusal(401, "invalid_token", "no such token") };
        let mut claims = json!({ "sub": subject });
        for (name, value) in self.people.get(subject).into_iter().flatten() {
            claims[name] = value.clone();
        }
        if self.setup.signs_userinfo {
            claims["iss"] = json!(self.issuer);
            claims["aud"] = json!(CLIENT_ID);
        }
        let claims = patched(claims, self.lies.userinfo.as_ref());
        if self.setup.signs_userinfo {
            return Reply::new(
                200,
                "application/jwt",
                self.signed("JWT", &claims, &self.lies.userinfo_signed),
            );
        }
        Reply::json(200, &claims)
    }

    /// Two pages, as Microsoft Graph has them.
    fn groups(&self, seen: &Seen) -> Reply {
        if self.bearer(seen).is_none() {
            return refusal(401, "invalid_token", "no such token");
        }
        if seen.one("page") == Some("2") {
            return Reply::json(200, &json!({ "value": [{ "id": "group-3" }] }));
        }
        let next = format!("{}/groups?page=2", self.issuer);
        Reply::json(
            200,
            &json!({ "value": [{ "id": "group-1" }, { "id": "group-2" }], "@odata.nextLink": next }),
        )
    }

    fn bearer(&self, seen: &Seen) -> Option<&String> {
        self.access.get(seen.authorization.as_deref()?.strip_prefix("Bearer ")?)
    }
}

fn refusal(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, &json!({ "error": error, "error_description": description }))
}

fn cookie(request: &Request, name: &str) -> Option<String> {
    let headers = request.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = headers.flat_map(|header| header.split("; ")).filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
