//! The authentication request (OpenID Connect Core 3.1.2.1): where the browser goes and what it carries there.

use std::{borrow::Cow, time::Duration};

use openidconnect::{
    AuthUrl, ClientId, CsrfToken, IssuerUrl, JsonWebKeySet, Nonce, PkceCodeChallenge, RedirectUrl, Scope,
    core::{CoreAuthenticationFlow, CoreClient},
};
use serde_json::json;
use url::Url;
use usher_core::{Demand, Freshness};

use crate::{
    config::{PassThrough, Protocol, ResponseMode, Settings},
    discovery::Known,
    state::State,
};

/// Longer wishes of a client are not passed on.
const MAX_HINT_BYTES: usize = 512;

/// Everything the request says, as parameters of the authorization endpoint.
pub(crate) fn parameters(
    settings: &Settings,
    known: &Known,
    redirect_uri: &Url,
    demand: &Demand,
    state: &State,
) -> Vec<(String, String)> {
    // The library takes addresses as texts and parses them again; these were parsed before.
    let client = CoreClient::new(
        ClientId::new(settings.client_id.clone()),
        IssuerUrl::new(settings.issuer.to_string()).expect("the issuer is a URL"),
        JsonWebKeySet::default(),
    )
    .set_auth_uri(AuthUrl::from_url(known.authorization.clone()))
    .set_redirect_uri(RedirectUrl::from_url(redirect_uri.clone()));
    let client = match settings.protocol {
        Protocol::OpenidConnect => client,
        Protocol::Oauth2 => client.disable_openid_scope(),
    };
    let (handle, nonce) = (CsrfToken::new(state.handle.to_string()), Nonce::new(state.nonce.clone()));
    let mut request = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || handle, move || nonce)
        .add_scopes(settings.scopes.iter().cloned().map(Scope::new));
    if let Some(verifier) = state.verifier() {
        request = request.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
    }
    if settings.response_mode == ResponseMode::FormPost {
        request = request.add_extra_param("response_mode", ResponseMode::FormPost.as_str());
    }
    let is_fresh = demand.freshness != Freshness::AnySession;
    for (name, value) in wishes(settings, known, demand) {
        // What the demand insists on, nobody's parameter weakens.
        if !(is_fresh && matches!(&*name, "prompt" | "max_age")) {
            request = request.add_extra_param(name, value);
        }
    }
    if is_fresh {
        // Both: `prompt` asks for credentials, `max_age` makes `auth_time` REQUIRED, which proves it (3.1.2.1, 3.1.3.7).
        request = request.add_extra_param("prompt", "login").set_max_age(Duration::ZERO);
        if known.takes_claims {
            let essential = json!({ "id_token": { "auth_time": { "essential": true } } });
            request = request.add_extra_param("claims", essential.to_string());
        }
    }
    let (url, _, _) = request.url();
    let own = known.authorization.query_pairs().count();
    url.query_pairs().skip(own).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// Parameters of the config and wishes of the client, each name once.
fn wishes<'a>(
    settings: &'a Settings,
    known: &Known,
    demand: &'a Demand,
) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let mut wishes: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
    let takes_registration = demand.hints.register && known.takes_registrations;
    for (name, value) in &settings.parameters {
        if !(takes_registration && name == "prompt") {
            wishes.push((name.into(), value.into()));
        }
    }
    if takes_registration {
        // Initiating User Registration via OpenID Connect 1.0, section 4.
        wishes.push(("prompt".into(), "create".into()));
    }
    let passed = |key: PassThrough, wish: &'a Option<String>| {
        let is_passed = settings.pass_through.contains(&key);
        let is_good = |wish: &&str| {
            !wish.is_empty() && wish.len() <= MAX_HINT_BYTES && !wish.chars().any(char::is_control)
        };
        wish.as_deref().filter(|_| is_passed).filter(is_good)
    };
    let contexts = passed(PassThrough::AcrValues, &demand.hints.contexts).map(str::to_owned);
    // What the operator insists on is not the client's to change.
    let configured = (!settings.acr_values.is_empty()).then(|| settings.acr_values.join(" "));
    wishes.extend(configured.or(contexts).map(|values| ("acr_values".into(), values.into())));
    let login = passed(PassThrough::LoginHint, &demand.hints.login);
    wishes.extend(login.map(|login| ("login_hint".into(), login.into())));
    let locales = passed(PassThrough::UiLocales, &demand.hints.locales);
    wishes.extend(locales.map(|locales| ("ui_locales".into(), locales.into())));
    wishes
}

/// The authorization endpoint with `parameters` added to its own (RFC 6749 section 3.1).
pub(crate) fn url<'a>(known: &Known, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Url {
    let mut url = known.authorization.clone();
    url.query_pairs_mut().extend_pairs(parameters);
    url
}
