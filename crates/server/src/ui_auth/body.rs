//! A request's body, read so strictly that no homeserver can read it otherwise.
//!
//! What a person confirms is what the homeserver is sent: canonical JSON
//! (<https://spec.matrix.org/v1.19/appendices/#canonical-json>). A body that two parsers may understand differently (a
//! key that stands twice, a float, a key that differs from one that counts by case alone, which Go's parser takes for the
//! same) is refused rather than repaired.

use std::fmt;

use ruma_common::canonical_json::{CanonicalJsonObject, CanonicalJsonValue};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};

use super::session_id;

/// Keys that count somewhere in the bodies of our endpoints.
const KNOWN: [&str; 18] = [
    "auth",
    "session",
    "type",
    "devices",
    "master_key",
    "self_signing_key",
    "user_signing_key",
    "client_secret",
    "sid",
    "three_pid_creds",
    "threePidCreds",
    "id_server",
    "id_access_token",
    "erase",
    "new_password",
    "logout_devices",
    "user_id",
    "device_id",
];

/// What a client proves its request with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Auth {
    /// Nothing yet, or nothing that names a session of ours. One of the homeserver's own does not count for somebody who is
    /// linked: some homeservers look at none of `auth` while they ask for nothing (Synapse's `ui_auth.session_timeout`).
    None,
    /// A session that says it is ours.
    Ours(String),
}

/// Not the session: a bearer value.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Ours(_) => "Ours(..)",
        })
    }
}

/// A body, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Its `auth`.
    pub auth: Auth,
    /// All else.
    pub rest: CanonicalJsonObject,
}

/// Why a body is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// Not JSON, or not UTF-8.
    #[error("the body is not JSON")]
    NotJson,
    /// JSON, but no object.
    #[error("the body is no object")]
    NotAnObject,
    /// A number that canonical JSON does not have, or a key that stands twice.
    #[error("the body has a key twice, or a number that is no integer of 53 bits")]
    Ambiguous,
    /// A key that differs from one that counts by case alone.
    #[error("the body has a key that differs from one of the endpoint's by case alone")]
    CaseVariant,
    /// `auth` is no object, or its `session` no string.
    #[error("auth is no object with a session")]
    Auth,
}

impl Parsed {
    /// Reads a body; an empty one is an empty object.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, BodyError> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self { auth: Auth::None, rest: CanonicalJsonObject::new() });
        }
        let Strict(value) = serde_json::from_slice(bytes)
            .map_err(|error| if error.is_data() { BodyError::Ambiguous } else { BodyError::NotJson })?;
        let CanonicalJsonValue::Object(mut rest) = value else { return Err(BodyError::NotAnObject) };
        check_keys(&rest)?;
        let auth = match rest.remove("auth") {
            None | Some(CanonicalJsonValue::Null) => Auth::None,
            Some(CanonicalJsonValue::Object(auth)) => {
                check_keys(&auth)?;
                match auth.get("session") {
                    Some(CanonicalJsonValue::String(session)) if session_id::claims_to_be_ours(session) => {
                        Auth::Ours(session.clone())
                    }
                    None | Some(CanonicalJsonValue::Null | CanonicalJsonValue::String(_)) => Auth::None,
                    Some(_) => return Err(BodyError::Auth),
                }
            }
            Some(_) => return Err(BodyError::Auth),
        };
        for key in ["three_pid_creds", "threePidCreds"] {
            if let Some(CanonicalJsonValue::Object(inner)) = rest.get(key) {
                check_keys(inner)?;
            }
        }
        Ok(Self { auth, rest })
    }
}

/// As canonical JSON.
pub(super) fn canonical(object: &CanonicalJsonObject) -> String {
    serde_json::to_string(object).expect("canonical JSON can be written")
}

fn check_keys(object: &CanonicalJsonObject) -> Result<(), BodyError> {
    let is_variant = |key: &String| {
        let folded = fold(key);
        KNOWN.iter().any(|known| *known != key && fold(known) == folded)
    };
    if object.keys().any(is_variant) { Err(BodyError::CaseVariant) } else { Ok(()) }
}

/// As Go's `encoding/json` compares keys: Unicode's simple folding, by which two characters beyond ASCII are `s` and `k`.
fn fold(key: &str) -> String {
    key.chars()
        .map(|c| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        })
        .collect()
}

/// What is below such a key, serde_json reads as JSON of its own, in a string, when it reads the object again.
const SERDE_PRIVATE: &str = "$serde_json::";

/// A JSON value without duplicate keys and without numbers that canonical JSON does not have.
struct Strict(CanonicalJsonValue);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = CanonicalJsonValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("canonical JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        let integer = value.try_into().map_err(|_| E::custom("an integer of more than 53 bits"))?;
        Ok(CanonicalJsonValue::Integer(integer))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        let integer = value.try_into().map_err(|_| E::custom("an integer of more than 53 bits"))?;
        Ok(CanonicalJsonValue::Integer(integer))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Err(E::custom("a number that is no integer"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(CanonicalJsonValue::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut object = CanonicalJsonObject::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if key.starts_with(SERDE_PRIVATE) {
                return Err(A::Error::custom("a key that serde_json keeps to itself"));
            }
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("a key that stands twice"));
            }
        }
        Ok(CanonicalJsonValue::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_understood_in_one_way_or_not_at_all() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        for (name, body, expected) in [
            ("empty", "", Ok("{}")),
            ("blanks", " \n", Ok("{}")),
            (
                "an object",
                r#"{ "b": [1, null, true], "a": "\u00f6\n" }"#,
                Ok(r#"{"a":"ö\n","b":[1,null,true]}"#),
            ),
            ("its auth taken out", r#"{"auth":{"type":"x"},"devices":["A"]}"#, Ok(r#"{"devices":["A"]}"#)),
            ("large integers", r#"{"a":9007199254740991}"#, Ok(r#"{"a":9007199254740991}"#)),
            ("larger ones", r#"{"a":9007199254740992}"#, Err(BodyError::Ambiguous)),
            ("larger than any", r#"{"a":99999999999999999999}"#, Err(BodyError::Ambiguous)),
            ("a float", r#"{"a":1.0}"#, Err(BodyError::Ambiguous)),
            ("an exponent", r#"{"a":1e3}"#, Err(BodyError::Ambiguous)),
            ("minus zero", r#"{"a":-0}"#, Err(BodyError::Ambiguous)),
            ("a key twice", r#"{"devices":["A"],"devices":["B"]}"#, Err(BodyError::Ambiguous)),
            ("a key twice, escaped", r#"{"a":1,"\u0061":1}"#, Err(BodyError::Ambiguous)),
            ("a key twice, deeper", r#"{"x":[{"a":1,"a":1}]}"#, Err(BodyError::Ambiguous)),
            ("auth twice", r#"{"auth":{},"auth":{}}"#, Err(BodyError::Ambiguous)),
            ("another case", r#"{"Devices":["A"]}"#, Err(BodyError::CaseVariant)),
            ("beside the right one", r#"{"devices":["A"],"DEVICES":["B"]}"#, Err(BodyError::CaseVariant)),
            ("folded by Unicode", "{\"device\u{17f}\":[]}", Err(BodyError::CaseVariant)),
            ("another case of auth", r#"{"Auth":{}}"#, Err(BodyError::CaseVariant)),
            ("within auth", r#"{"auth":{"Session":"x"}}"#, Err(BodyError::CaseVariant)),
            ("within credentials", r#"{"three_pid_creds":{"SID":"x"}}"#, Err(BodyError::CaseVariant)),
            ("other keys may have any case", r#"{"X":{"Devices":1}}"#, Ok(r#"{"X":{"Devices":1}}"#)),
            (
                "JSON in a string",
                r#"{"x":{"$serde_json::private::RawValue":"{\"a\":1.5,\"a\":2.5}"}}"#,
                Err(BodyError::Ambiguous),
            ),
            ("a number in a string", r#"{"$serde_json::private::Number":"1.5"}"#, Err(BodyError::Ambiguous)),
            (
                "escaped",
                r#"{"a":[{"\u0024serde_json::private::RawValue":"1.5"}]}"#,
                Err(BodyError::Ambiguous),
            ),
            ("an array", "[]", Err(BodyError::NotAnObject)),
            ("a text", r#""devices""#, Err(BodyError::NotAnObject)),
            ("no JSON", "devices=A", Err(BodyError::NotJson)),
            ("two objects", "{}{}", Err(BodyError::NotJson)),
            ("cut", r#"{"a":"#, Err(BodyError::NotJson)),
            ("too deep", &deep, Err(BodyError::NotJson)),
            ("auth that is none", r#"{"auth":"x"}"#, Err(BodyError::Auth)),
            ("a session that is none", r#"{"auth":{"session":1}}"#, Err(BodyError::Auth)),
        ] {
            let parsed = Parsed::read(body.as_bytes()).map(|parsed| canonical(&parsed.rest));
            assert_eq!(parsed.as_deref().map_err(|error| *error), expected, "{name}");
        }
        assert_eq!(Parsed::read(b"{\"a\":\"\xff\"}"), Err(BodyError::NotJson), "invalid UTF-8");
        assert_eq!(Parsed::read(b"\xef\xbb\xbf{}"), Err(BodyError::NotJson), "a byte order mark");
    }

    #[test]
    fn a_session_is_ours_by_its_prefix() {
        for (name, auth, expected) in [
            ("none", "null", Auth::None),
            ("no session", r#"{"type":"m.login.sso"}"#, Auth::None),
            ("ours", r#"{"session":"ushu_x","type":"m.login.sso"}"#, Auth::Ours("ushu_x".to_owned())),
            ("ours alone", r#"{"session":"ushu_"}"#, Auth::Ours("ushu_".to_owned())),
            ("another's", r#"{"session":"xushu_"}"#, Auth::None),
            ("an empty one", r#"{"session":""}"#, Auth::None),
            ("null", r#"{"type":"m.login.sso","session":null}"#, Auth::None),
        ] {
            let parsed = Parsed::read(format!(r#"{{"auth":{auth}}}"#).as_bytes()).expect("it is understood");
            assert_eq!(parsed.auth, expected, "{name}");
        }
    }
}
