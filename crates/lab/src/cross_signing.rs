//! Cross-signing keys that a homeserver takes, as a client would upload them:
//! <https://spec.matrix.org/v1.19/client-server-api/#cross-signing>.

use data_encoding::BASE64_NOPAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Map, Value, json};

/// The three keys of `user`, properly signed; another `seed` makes others. The body of an upload.
#[must_use]
pub fn keys(user: &str, seed: u8) -> Map<String, Value> {
    let [master, self_signing, user_signing] = [0, 1, 2].map(|index| pair(seed, index));
    let mut keys = Map::new();
    keys.insert("master_key".to_owned(), public(user, "master", &master));
    for (name, usage, pair) in [
        ("self_signing_key", "self_signing", self_signing),
        ("user_signing_key", "user_signing", user_signing),
    ] {
        keys.insert(name.to_owned(), signed(user, public(user, usage, &pair), &master));
    }
    keys
}

fn pair(seed: u8, index: u8) -> Ed25519KeyPair {
    let mut bytes = [seed; 32];
    bytes[0] = index;
    Ed25519KeyPair::from_seed_unchecked(&bytes).expect("32 bytes are a seed")
}

fn public(user: &str, usage: &str, pair: &Ed25519KeyPair) -> Value {
    let key = encoded(pair);
    json!({ "user_id": user, "usage": [usage], "keys": { format!("ed25519:{key}"): key } })
}

/// <https://spec.matrix.org/v1.19/appendices/#signing-json>
fn signed(user: &str, mut object: Value, by: &Ed25519KeyPair) -> Value {
    // Sorted and without a space, and all of it is ASCII: canonical as it is.
    let signature = by.sign(object.to_string().as_bytes());
    let signature = BASE64_NOPAD.encode(signature.as_ref());
    object["signatures"] = json!({ user: { format!("ed25519:{}", encoded(by)): signature } });
    object
}

fn encoded(pair: &Ed25519KeyPair) -> String {
    BASE64_NOPAD.encode(pair.public_key().as_ref())
}
