//! Claims from the userinfo endpoint (OpenID Connect Core 5.3): plain JSON, or a signed token.

use usher_core::{ProviderError, Timestamp};
use usher_http::{Method, header};

use crate::{
    calls::{Answer, Calls, Target, read_json},
    claims::{ClaimPath, Claims, is_bare},
    config::{Protocol, Settings, When},
    discovery::Known,
    id_token::{ClaimFault, audience, issuer},
    jws::TokenFault,
    verifier::Verifier,
};

const WHAT: &str = "userinfo endpoint";

/// Why what userinfo says is not of this person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Unusable {
    #[error("userinfo is about somebody else than the id_token")]
    AnotherPerson,
    #[error("userinfo is not signed, and `userinfo_must_be_signed` is on")]
    NotSigned,
    #[error("userinfo is a token that is not good")]
    Token(#[from] TokenFault),
    #[error("userinfo is a token for somebody else: {0}")]
    Claims(#[from] ClaimFault),
}

/// Where to ask for what the id_token's `claims` leave open, if there is something.
pub(crate) fn wanted<'a>(settings: &Settings, known: &'a Known, claims: &Claims) -> Option<&'a Target> {
    let endpoint = known.userinfo.as_ref()?;
    let lacks = |path: &ClaimPath| !claims.contains_key(path.claim());
    let is_wanted = match settings.userinfo {
        When::Always => true,
        When::Never => false,
        When::Auto if settings.claims.is_empty() => is_bare(claims) || lacks(&settings.subject),
        When::Auto => settings.claims.values().any(lacks) || lacks(&settings.subject),
    };
    is_wanted.then_some(endpoint)
}

/// Asks for claims. They are about `subject`, which the id_token names; without an id_token, about whoever the access token
/// is for.
pub(crate) async fn fetch(
    access_token: &str,
    subject: Option<&str>,
    endpoint: &Target,
    calls: &Calls,
    verifier: &Verifier<'_>,
    now: Timestamp,
) -> Result<Claims, ProviderError> {
    let settings = verifier.settings;
    let request = calls
        .request(Method::GET, endpoint)
        .bearer_auth(access_token)
        .header(header::ACCEPT, "application/json, application/jwt");
    let answer = calls.send(WHAT, endpoint, request, |status| status == 200).await?;
    let claims = read(&answer, verifier, now).await?;
    // 5.3.2: "The sub Claim in the UserInfo Response MUST be verified to exactly match the sub Claim in the ID Token; if
    // they do not match, the UserInfo Response values MUST NOT be used."
    if settings.protocol == Protocol::OpenidConnect
        && claims.get("sub").and_then(|sub| sub.as_str()) != subject
    {
        return Err(ProviderError::unverified(Unusable::AnotherPerson));
    }
    Ok(claims)
}

async fn read(answer: &Answer, verifier: &Verifier<'_>, now: Timestamp) -> Result<Claims, ProviderError> {
    if !answer.content_type.starts_with("application/jwt") {
        if verifier.settings.userinfo_must_be_signed {
            return Err(ProviderError::unverified(Unusable::NotSigned));
        }
        return Ok(read_json(WHAT, &answer.body)?);
    }
    let text = std::str::from_utf8(&answer.body).map_err(|_| Unusable::Token(TokenFault::NotCompact));
    let text = text.map_err(ProviderError::unverified)?.trim();
    let token = verifier.verify(text, now).await?;
    // 5.3.2: "If signed, the UserInfo Response MUST contain the Claims iss and aud"; an id_token is none, nor a logout token.
    let is_for_us =
        issuer(&token.claims, verifier.settings).and_then(|()| audience(&token.claims, verifier.settings));
    is_for_us.map_err(|fault| ProviderError::unverified(Unusable::Claims(fault)))?;
    Ok(token.claims)
}

/// The claims of both: what the id_token says stands, and userinfo adds what it does not. An address is verified by whoever
/// names it, and how somebody authenticated is the id_token's alone to say, which is signed and of this very login.
pub(crate) fn merge(mut id_token: Claims, mut userinfo: Claims) -> Claims {
    match id_token.get("email") {
        Some(email) if userinfo.get("email") != Some(email) => {
            userinfo.remove("email_verified");
        }
        Some(_) => {}
        None => {
            id_token.remove("email_verified");
        }
    }
    for name in ["acr", "amr", "auth_time"] {
        userinfo.remove(name);
    }
    for (name, value) in userinfo {
        id_token.entry(name).or_insert(value);
    }
    id_token
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn userinfo_adds_what_it_may_say() {
        for (name, id_token, userinfo, expected) in [
            ("more", json!({ "a": 1 }), json!({ "b": 2 }), json!({ "a": 1, "b": 2 })),
            ("otherwise", json!({ "a": 1 }), json!({ "a": 2 }), json!({ "a": 1 })),
            (
                "an address that the id_token vouches for without naming it",
                json!({ "email_verified": true }),
                json!({ "email": "x@ac.cdl", "email_verified": false }),
                json!({ "email": "x@ac.cdl", "email_verified": false }),
            ),
            (
                "another address, verified",
                json!({ "email": "a@ac.cdl" }),
                json!({ "email": "b@ac.cdl", "email_verified": true }),
                json!({ "email": "a@ac.cdl" }),
            ),
            (
                "how they authenticated",
                json!({}),
                json!({ "acr": "gold", "amr": ["otp"], "auth_time": 1 }),
                json!({}),
            ),
        ] {
            let [id_token, userinfo] = [id_token, userinfo].map(|claims| match claims {
                Value::Object(claims) => claims,
                _ => panic!("claims are an object"),
            });
            assert_eq!(Value::Object(merge(id_token, userinfo)), expected, "{name}");
        }
    }
}
