//! What the portal proves to be the client with (OpenID Connect Core 9).

use std::{fs, path::Path};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Report, RsaAlgorithm, Section, check,
    section::{ClientAuthentication, Pkce},
};
use crate::signing_key::SigningKey;

/// How the client authenticates, with what.
#[derive(Debug)]
pub(crate) enum Credentials {
    /// The secret itself: as the section says, or as the provider lists it.
    Secret { secret: SecretString, place: Option<SecretPlace> },
    /// A proof signed with the secret (`client_secret_jwt`).
    SecretJwt(SecretString),
    /// A proof signed with a private key (`private_key_jwt`).
    Key(SigningKey),
    /// Nothing: a public client.
    None,
}

/// Where a secret travels (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretPlace {
    Header,
    Body,
}

impl Credentials {
    /// The client's secret, if it has one.
    pub(crate) fn secret(&self) -> Option<&SecretString> {
        match self {
            Self::Secret { secret, .. } | Self::SecretJwt(secret) => Some(secret),
            Self::Key(_) | Self::None => None,
        }
    }

    pub(super) fn secret_bytes(&self) -> Option<usize> {
        self.secret().map(|secret| secret.expose_secret().len())
    }

    pub(super) fn read(section: &mut Section, report: &mut Report<'_>) -> Option<Self> {
        use ClientAuthentication as Method;
        let secret = secret(section, report);
        let key = key(section, report);
        let (has_secret, has_key) = (
            section.client_secret.is_some() || section.client_secret_file.is_some(),
            section.client_key_file.is_some(),
        );
        if !has_secret && !has_key && section.client_authentication.is_none() {
            let message = "is missing; write the secret, or better `client_secret_file`, the path of a file with it (a \
                           client without one says `client_authentication: none`)";
            report("client_secret", message.to_owned());
            return None;
        }
        let method = section.client_authentication.or(has_key.then_some(Method::PrivateKeyJwt));
        let name = method.map_or("a secret", Method::as_str);
        let needs_secret = !matches!(method, Some(Method::PrivateKeyJwt | Method::None));
        if needs_secret && !has_secret {
            report("client_secret", format!("is missing, and `{name}` needs it"));
        }
        if method == Some(Method::PrivateKeyJwt) && !has_key {
            report("client_key_file", format!("is missing, and `{name}` needs it"));
        }
        if method == Some(Method::None) && (has_secret || has_key) {
            report(
                "client_authentication",
                "is `none`, and there is a secret or a key; leave one of them out".to_owned(),
            );
        }
        if method == Some(Method::PrivateKeyJwt) && has_secret {
            report("client_secret", format!("has no use with `{name}`; leave one of them out"));
        }
        if needs_secret && has_key {
            report("client_key_file", format!("has no use with `{name}`; leave one of them out"));
        }
        if method == Some(Method::None) && section.pkce == Pkce::Never {
            // RFC 9700 section 2.1.1: public clients MUST use PKCE.
            report(
                "pkce",
                "is `never`, and a client without a secret has nothing else; leave it out".to_owned(),
            );
        }
        let place = match method {
            Some(Method::ClientSecretBasic) => Some(SecretPlace::Header),
            Some(Method::ClientSecretPost) => Some(SecretPlace::Body),
            Some(Method::ClientSecretJwt | Method::PrivateKeyJwt | Method::None) | None => None,
        };
        match method {
            Some(Method::PrivateKeyJwt) => key.map(Self::Key),
            Some(Method::ClientSecretJwt) => long_enough(secret?, report).map(Self::SecretJwt),
            Some(Method::None) => Some(Self::None),
            Some(Method::ClientSecretBasic | Method::ClientSecretPost) | None => {
                secret.map(|secret| Self::Secret { secret, place })
            }
        }
    }
}

/// RFC 7518 section 3.2: a key of the hash's size or larger must be used with HS256.
fn long_enough(secret: SecretString, report: &mut Report<'_>) -> Option<SecretString> {
    if secret.expose_secret().len() < 32 {
        report("client_secret", "has less than 32 bytes, too few to sign with".to_owned());
        return None;
    }
    Some(secret)
}

fn secret(section: &Section, report: &mut Report<'_>) -> Option<SecretString> {
    let (secret, path) = match (&section.client_secret, &section.client_secret_file) {
        (Some(_), Some(_)) => {
            report("client_secret", "is given twice; keep it or `client_secret_file`, not both".to_owned());
            return None;
        }
        (Some(secret), None) => (secret.clone(), "client_secret"),
        (None, Some(path)) => {
            let bytes = check(file(path), "client_secret_file", report)?;
            let text = String::from_utf8(bytes).map_err(|_| "names a file that is not text");
            (check(text, "client_secret_file", report)?, "client_secret_file")
        }
        (None, None) => return None,
    };
    let secret = secret.trim();
    if secret.is_empty() {
        report(path, "is empty; write the secret that the provider has given this portal".to_owned());
        return None;
    }
    Some(SecretString::from(secret.to_owned()))
}

fn key(section: &Section, report: &mut Report<'_>) -> Option<SigningKey> {
    let Some(path) = section.client_key_file.as_deref() else {
        for (key, is_given) in [
            ("client_key_id", section.client_key_id.is_some()),
            ("client_key_algorithm", section.client_key_algorithm != RsaAlgorithm::Rs256),
        ] {
            if is_given {
                report(key, "has no meaning without `client_key_file`; leave it out".to_owned());
            }
        }
        return None;
    };
    let pem = check(file(path), "client_key_file", report)?;
    let key = SigningKey::from_pem(&pem, section.client_key_algorithm, section.client_key_id.as_deref());
    check(key.map_err(|fault| fault.to_string()), "client_key_file", report)
}

/// Keys that are shown and do not sign.
pub(super) fn published(section: &Section, report: &mut Report<'_>) -> Vec<SigningKey> {
    let mut keys = Vec::new();
    for (index, published) in section.published_keys.iter().enumerate() {
        let key = published.key_file.as_deref().ok_or("is missing; write the path of a key".to_owned());
        let key = key.and_then(file).and_then(|pem| {
            SigningKey::from_pem(&pem, section.client_key_algorithm, None).map_err(|fault| fault.to_string())
        });
        keys.extend(check(key, &format!("published_keys[{index}].key_file"), report));
    }
    keys
}

/// A file's contents.
pub(super) fn file(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot be read: {}: {error}", path.display()))
}
