//! What single keys of the section must be, and what one says about another.

use std::collections::BTreeMap;

use super::{
    Algorithm, Credentials, Groups, GroupsOverage, Places, Protocol, Report, Section, When, check, places,
};
use crate::claims::ClaimPath;

/// What `algorithms` is unless said otherwise: everything asymmetric that openidconnect verifies.
const ASYMMETRIC: [Algorithm; 9] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
];

/// Parameters of the authorization request that are Usher's own business.
const OWN_PARAMETERS: [&str; 17] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
    "request",
    "request_uri",
    "claims",
    "acr_values",
    "login_hint",
    "ui_locales",
    "id_token_hint",
    "client_secret",
];

pub(super) fn client_id(written: Option<String>) -> Result<String, String> {
    const WANTED: &str = "write the id that the provider has given this portal";
    let written = written.ok_or(format!("is missing; {WANTED}"))?;
    // RFC 6749 appendix A.1.
    let is_good = !written.is_empty() && written.bytes().all(|byte| (0x20..=0x7E).contains(&byte));
    if is_good && written.trim() == written { Ok(written) } else { Err(format!("is no client id; {WANTED}")) }
}

pub(super) fn scopes(section: &Section, report: &mut Report<'_>) -> Vec<String> {
    let default = match section.protocol {
        Protocol::OpenidConnect => &["profile", "email"][..],
        Protocol::Oauth2 => &[],
    };
    let asked = section.scopes.clone();
    let scopes = asked.unwrap_or_else(|| default.iter().map(|&scope| scope.to_owned()).collect());
    words("scopes", &scopes, report);
    // It comes by itself.
    scopes.into_iter().filter(|scope| scope != "openid" || section.protocol == Protocol::Oauth2).collect()
}

/// RFC 6749 section 3.3: blanks divide them.
pub(super) fn words(path: &str, words: &[String], report: &mut Report<'_>) {
    for (index, word) in words.iter().enumerate() {
        if word.is_empty() || !word.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)) {
            report(
                &format!("{path}[{index}]"),
                "is not one word; give every one an item of its own".to_owned(),
            );
        }
    }
}

pub(super) fn parameters(parameters: &BTreeMap<String, String>, report: &mut Report<'_>) {
    for name in parameters.keys() {
        let message = match name.as_str() {
            "acr_values" => "has a key of its own, `acr_values`",
            "scope" => "has a key of its own, `scopes`",
            "login_hint" | "ui_locales" => "comes with the client's request; see `pass_through`",
            own if OWN_PARAMETERS.contains(&own) => "is set by Usher itself; leave it out",
            "" => "is no name",
            _ => continue,
        };
        report(&format!("parameters.{name}"), message.to_owned());
    }
}

pub(super) fn algorithms(
    section: &Section,
    credentials: Option<&Credentials>,
    report: &mut Report<'_>,
) -> Vec<Algorithm> {
    let Some(listed) = section.algorithms.clone() else { return ASYMMETRIC.to_vec() };
    if listed.is_empty() {
        report("algorithms", "is empty; list at least one, or leave it out".to_owned());
    }
    // OpenID Connect Core 10.1: the octets of the secret are the key, and it has to be as long as the hash (RFC 7518
    // section 3.2).
    let secret_bytes = credentials.and_then(Credentials::secret_bytes);
    for (index, algorithm) in listed.iter().enumerate() {
        let needed = match algorithm {
            Algorithm::Hs256 => 32,
            Algorithm::Hs384 => 48,
            Algorithm::Hs512 => 64,
            _ => continue,
        };
        if credentials.is_some() && secret_bytes.is_none_or(|length| length < needed) {
            let name = algorithm.as_str();
            report(
                &format!("algorithms[{index}]"),
                format!("is {name}, which needs a client_secret of {needed} bytes"),
            );
        }
    }
    listed
}

pub(super) fn subject(section: &Section, report: &mut Report<'_>) -> Option<ClaimPath> {
    let written = section.subject.as_deref().unwrap_or("sub");
    if section.subject.is_none() && section.protocol == Protocol::Oauth2 {
        let message =
            "is missing; without an id_token, say which claim of userinfo names a person, such as `id`";
        report("subject", message.to_owned());
    }
    let path = check(ClaimPath::parse(written), "subject", report)?;
    match (path.is_claim("email"), section.allow_email_as_subject) {
        (true, false) => {
            let message = "is an e-mail address, which can be given to another person later; leave it out, or say \
                           `allow_email_as_subject: true`";
            report("subject", message.to_owned());
        }
        (false, true) => {
            report(
                "allow_email_as_subject",
                "has no meaning unless `subject` is `email`; leave it out".to_owned(),
            );
        }
        (true, true) | (false, false) => {}
    }
    Some(path)
}

pub(super) fn claims(
    mapping: &BTreeMap<String, String>,
    report: &mut Report<'_>,
) -> BTreeMap<String, ClaimPath> {
    let mut claims = BTreeMap::new();
    for (name, written) in mapping {
        let path = format!("claims.{name}");
        if name.is_empty() {
            report(&path, "is no name of an attribute".to_owned());
        }
        if let Some(parsed) = check(ClaimPath::parse(written), &path, report) {
            claims.insert(name.clone(), parsed);
        }
    }
    claims
}

pub(super) fn groups(section: &Section, report: &mut Report<'_>) -> Option<Groups> {
    let endpoint = section.groups_endpoint.as_deref();
    match (section.groups_overage, endpoint) {
        (GroupsOverage::Follow, None) => {
            report("groups_endpoint", "is missing; say where groups are listed, or do not follow".to_owned());
            None
        }
        (GroupsOverage::Follow, Some(written)) => {
            check(places::endpoint(written), "groups_endpoint", report).map(Groups::Follow)
        }
        (other, endpoint) => {
            if endpoint.is_some() {
                report("groups_endpoint", "has no meaning without `groups_overage: follow`".to_owned());
            }
            Some(if other == GroupsOverage::Ignore { Groups::Ignore } else { Groups::Refuse })
        }
    }
}

/// What one key says about another.
pub(super) fn consistency(section: &Section, endpoints: &Places, report: &mut Report<'_>) {
    let is_oauth2 = section.protocol == Protocol::Oauth2;
    if !section.discovery {
        let missing = "is missing, and `discovery` is off; write its URL";
        let needed = [
            ("authorization", endpoints.authorization.is_none()),
            ("token", endpoints.token.is_none()),
            ("jwks", endpoints.jwks.is_none() && !is_oauth2),
            ("userinfo", endpoints.userinfo.is_none() && (is_oauth2 || section.userinfo == When::Always)),
            (
                "pushed_authorization_request",
                endpoints.pushed.is_none() && section.pushed_authorization_requests == When::Always,
            ),
        ];
        for (key, _) in needed.into_iter().filter(|(_, is_missing)| *is_missing) {
            report(&format!("endpoints.{key}"), missing.to_owned());
        }
        if section.discovery_url.is_some() {
            report(
                "discovery_url",
                "has no meaning with `discovery: false`; leave one of them out".to_owned(),
            );
        }
    }
    if is_oauth2 && section.userinfo == When::Never {
        report(
            "userinfo",
            "is never asked, and without an id_token nothing else says who somebody is".to_owned(),
        );
    }
}
