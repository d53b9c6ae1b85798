//! Sealing: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random 192-bit nonce, under a ring of keys
//! from the config. The first key seals, every key opens, so that replicas can change keys one after another.

use std::fmt;

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use data_encoding::BASE64URL_NOPAD;
use usher_core::Entropy;

use crate::config::KeyConfig;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// Of a [marked](KeyRing::mark) value.
pub(crate) const MARKED_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// The keys, first one first.
pub struct KeyRing {
    keys: Vec<(String, XChaCha20Poly1305)>,
}

impl KeyRing {
    /// A ring of at least one key, as the config guarantees.
    #[must_use]
    pub fn new(keys: &[KeyConfig]) -> Self {
        let cipher = |key: &KeyConfig| (key.id.clone(), XChaCha20Poly1305::new(&key.secret.0.into()));
        Self { keys: keys.iter().map(cipher).collect() }
    }

    /// `{key id}.{base64url(nonce, ciphertext, tag)}`: characters that a cookie value may have (RFC 6265 section 4.1.1).
    ///
    /// `context` is authenticated and not contained: whoever opens must know it.
    pub(super) fn seal(&self, plaintext: &[u8], context: &[u8], entropy: &dyn Entropy) -> String {
        let (id, cipher) = self.keys.first().expect("the config has at least one key");
        let mut sealed = vec![0_u8; NONCE_BYTES];
        entropy.fill(&mut sealed);
        let nonce = XNonce::try_from(&sealed[..]).expect("the nonce has its length");
        let ciphertext = cipher
            .encrypt(&nonce, Payload { msg: plaintext, aad: context })
            .expect("a cookie is shorter than the cipher's 256 GiB");
        sealed.extend_from_slice(&ciphertext);
        format!("{id}.{}", BASE64URL_NOPAD.encode(&sealed))
    }

    /// 192 random bits, and a tag that nobody makes without a key of the ring: the nonce and the tag of nothing, sealed.
    pub(crate) fn mark(&self, context: &[u8], entropy: &dyn Entropy) -> [u8; MARKED_BYTES] {
        let (_, cipher) = self.keys.first().expect("the config has at least one key");
        let mut marked = [0_u8; MARKED_BYTES];
        let (nonce, tag) = marked.split_at_mut(NONCE_BYTES);
        entropy.fill(nonce);
        let nonce = XNonce::try_from(&*nonce).expect("the nonce has its length");
        let sealed = cipher.encrypt(&nonce, Payload { msg: &[], aad: context });
        tag.copy_from_slice(&sealed.expect("nothing is shorter than the cipher's 256 GiB"));
        marked
    }

    /// Whether a key of the ring marked this for `context`. Takes the same time whatever is wrong with the tag.
    #[must_use]
    pub(crate) fn is_marked(&self, marked: &[u8; MARKED_BYTES], context: &[u8]) -> bool {
        let (nonce, tag) = marked.split_at(NONCE_BYTES);
        let nonce = XNonce::try_from(nonce).expect("the nonce has its length");
        let opens = |(_, cipher): &(String, XChaCha20Poly1305)| {
            cipher.decrypt(&nonce, Payload { msg: tag, aad: context }).is_ok()
        };
        self.keys.iter().any(opens)
    }

    /// What was sealed; `None` if any bit of it, its key or its context is another.
    #[must_use]
    pub(super) fn open(&self, sealed: &str, context: &[u8]) -> Option<Vec<u8>> {
        let (id, encoded) = sealed.split_once('.')?;
        let (_, cipher) = self.keys.iter().find(|(key, _)| key == id)?;
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).ok()?;
        let (nonce, ciphertext) = bytes.split_at_checked(NONCE_BYTES)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        cipher.decrypt(&nonce, Payload { msg: ciphertext, aad: context }).ok()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::OsEntropy, config::KeySecret};

    fn ring(keys: &[(&str, u8)]) -> KeyRing {
        let key =
            |(id, byte): &(&str, u8)| KeyConfig { id: (*id).to_owned(), secret: KeySecret([*byte; 32]) };
        KeyRing::new(&keys.iter().map(key).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_sealed_opens_under_its_own_key_and_context_alone() {
        let old = ring(&[("a", 1)]);
        let sealed = old.seal(b"attempt", b"context", &OsEntropy);
        for (name, ring, context, is_open) in [
            ("itself", ring(&[("a", 1)]), "context", true),
            ("a ring with a new key first", ring(&[("b", 2), ("a", 1)]), "context", true),
            ("a ring without the key", ring(&[("b", 2)]), "context", false),
            ("another secret under the id", ring(&[("a", 2)]), "context", false),
            ("another context", ring(&[("a", 1)]), "contexT", false),
        ] {
            let opened = ring.open(&sealed, context.as_bytes());
            assert_eq!(opened.as_deref(), is_open.then_some(&b"attempt"[..]), "{name}");
        }
    }

    #[test]
    fn every_changed_character_is_refused() {
        let ring = ring(&[("a", 1)]);
        let sealed = ring.seal(b"attempt", b"context", &OsEntropy);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(ring.open(&changed, b"context"), None, "character {index}");
        }
        for garbage in ["", ".", "a", "a.", "a.AAAA", "a.====", "é.é"] {
            assert_eq!(ring.open(garbage, b"context"), None, "{garbage:?}");
        }
    }

    #[test]
    fn what_is_marked_is_known_by_every_key_of_the_ring_in_its_own_context() {
        let marked = ring(&[("a", 1)]).mark(b"context", &OsEntropy);
        for (name, ring, context, is_marked) in [
            ("itself", ring(&[("a", 1)]), "context", true),
            ("a ring with a new key first", ring(&[("b", 2), ("a", 1)]), "context", true),
            ("the key under another name", ring(&[("b", 1)]), "context", true),
            ("a ring without the key", ring(&[("b", 2)]), "context", false),
            ("another context", ring(&[("a", 1)]), "contexT", false),
        ] {
            assert_eq!(ring.is_marked(&marked, context.as_bytes()), is_marked, "{name}");
        }
        for index in 0..MARKED_BYTES {
            let mut changed = marked;
            changed[index] ^= 1;
            assert!(!ring(&[("a", 1)]).is_marked(&changed, b"context"), "byte {index}");
        }
        assert!(!ring(&[("a", 1)]).is_marked(&[0; MARKED_BYTES], b"context"));
    }

    #[test]
    fn a_sealed_value_is_no_mark() {
        // Had an attempt no content, its cookie would be a nonce and a tag too; its context is another.
        let ring = ring(&[("a", 1)]);
        let sealed = ring.seal(b"", b"an attempt", &OsEntropy);
        let bytes = BASE64URL_NOPAD.decode(&sealed.as_bytes()[2..]).expect("base64url");
        let bytes: [u8; MARKED_BYTES] = bytes.try_into().expect("a nonce and a tag");
        assert!(ring.is_marked(&bytes, b"an attempt") && !ring.is_marked(&bytes, b"a login token"));
    }

    #[test]
    fn nothing_is_sealed_twice_the_same_way() {
        let ring = ring(&[("a", 1)]);
        assert_ne!(ring.seal(b"x", b"", &OsEntropy), ring.seal(b"x", b"", &OsEntropy));
    }
}
