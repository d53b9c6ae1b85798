//! `keys`: what seals the cookies of attempts under way.

use std::{collections::BTreeSet, fmt, path::Path};

use data_encoding::HEXLOWER_PERMISSIVE;
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::{Problems, fields::Fields as _};

/// One key of the ring.
#[derive(Clone, Debug)]
pub struct KeyConfig {
    /// Written in the clear beside what the key sealed.
    pub id: String,
    /// 256 random bits.
    pub secret: KeySecret,
}

/// 256 random bits, not printed.
#[derive(Clone)]
pub struct KeySecret(pub [u8; 32]);

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret([redacted])")
    }
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawKey {
    /// A short name of your choice, such as `2026-11`: 1 to 16 letters, digits and `-`. Required.
    id: Option<String>,
    /// 64 hexadecimal digits, as `usher secret` prints them.
    secret: Option<String>,
    /// A file with the secret.
    secret_file: Option<String>,
}

pub(super) fn validate(raw: Vec<RawKey>, directory: &Path, problems: &mut Problems) -> Vec<KeyConfig> {
    if raw.is_empty() {
        problems.missing(
            "keys",
            "at least one key, with an `id` and a `secret_file` (`usher secret` prints a secret)",
        );
    }
    let mut ids = BTreeSet::new();
    let mut keys = Vec::new();
    for (index, key) in raw.into_iter().enumerate() {
        let path = format!("keys[{index}]");
        let id = id(key.id, &path, problems);
        if id.as_ref().is_some_and(|id| !ids.insert(id.clone())) {
            problems.error(format!("{path}.id"), "stands twice; give every key its own id");
        }
        let path = format!("{path}.secret");
        let written_at = if key.secret.is_none() { format!("{path}_file") } else { path.clone() };
        let secret = problems.secret(&path, key.secret, key.secret_file.as_deref(), directory);
        let secret = secret.and_then(|text| {
            let bytes = HEXLOWER_PERMISSIVE.decode(text.expose_secret().as_bytes()).ok();
            let secret = bytes.and_then(|bytes| bytes.try_into().ok());
            if secret.is_none() {
                problems.error(written_at, "must be 64 hexadecimal digits; make one with `usher secret`");
            }
            secret
        });
        if let (Some(id), Some(secret)) = (id, secret) {
            keys.push(KeyConfig { id, secret: KeySecret(secret) });
        }
    }
    keys
}

fn id(raw: Option<String>, path: &str, problems: &mut Problems) -> Option<String> {
    let path = format!("{path}.id");
    let Some(id) = raw else {
        problems.missing(&path, "a short name such as 2026-11");
        return None;
    };
    let is_good = (1..=16).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !is_good {
        problems.error(path, "must be 1 to 16 letters, digits and `-`");
        return None;
    }
    Some(id)
}
