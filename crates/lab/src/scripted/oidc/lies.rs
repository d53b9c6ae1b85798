//! How the provider lies: every document it writes can be changed in every field, and every endpoint can answer anything.

use serde_json::{Map, Value};

use super::signer::Signed;
use crate::scripted::Reply;

/// Changes of what is said. A patch is an object whose members replace those of the document; `null` removes one. What is
/// not an object replaces the whole document.
#[derive(Clone, Debug, Default)]
pub struct Lies {
    /// The discovery document.
    pub discovery: Option<Value>,
    /// The key set.
    pub jwks: Option<Value>,
    /// The parameters that the browser brings back.
    pub answer: Option<Value>,
    /// The token endpoint's answer.
    pub tokens: Option<Value>,
    /// The id_token's header.
    pub header: Option<Value>,
    /// The id_token's claims.
    pub claims: Option<Value>,
    /// What userinfo says.
    pub userinfo: Option<Value>,
    /// How an id_token or a logout token is signed.
    pub signed: Signed,
    /// How what userinfo says is, where it is signed.
    pub userinfo_signed: Signed,
    /// Answers of endpoints in place of their own.
    pub at: Vec<(Place, Reply)>,
}

/// An endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// `/.well-known/openid-configuration`
    Discovery,
    /// `/jwks`
    Jwks,
    /// `/authorize`
    Authorize,
    /// `/par`
    Par,
    /// `/token`
    Token,
    /// `/userinfo`
    Userinfo,
    /// `/groups`, as Microsoft Graph has it.
    Groups,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Discovery, Self::Jwks, Self::Authorize, Self::Par, Self::Token, Self::Userinfo, Self::Groups];
}

impl Lies {
    /// Every endpoint answers like this.
    #[must_use]
    pub fn everywhere(reply: &Reply) -> Self {
        Self { at: Place::ALL.map(|place| (place, reply.clone())).to_vec(), ..Self::default() }
    }

    /// One endpoint answers like this.
    #[must_use]
    pub fn at(place: Place, reply: Reply) -> Self {
        Self { at: vec![(place, reply)], ..Self::default() }
    }

    /// The id_token says something else.
    #[must_use]
    pub fn claims(patch: Value) -> Self {
        Self { claims: Some(patch), ..Self::default() }
    }

    pub(super) fn reply(&self, place: Place) -> Option<Reply> {
        self.at.iter().find(|(at, _)| *at == place).map(|(_, reply)| reply.clone())
    }
}

/// `document` as `patch` has it.
pub(super) fn patched(document: Value, patch: Option<&Value>) -> Value {
    match (document, patch) {
        (document, None) => document,
        (Value::Object(mut document), Some(Value::Object(patch))) => {
            apply(&mut document, patch);
            Value::Object(document)
        }
        (_, Some(whole)) => whole.clone(),
    }
}

fn apply(document: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        if value.is_null() {
            document.remove(name);
        } else {
            document.insert(name.clone(), value.clone());
        }
    }
}
