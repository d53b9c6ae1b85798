//! Sealing as Usher does it: XChaCha20-Poly1305, a random nonce, base64url. And random names, from the same source.

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest as _, Sha256};

const NONCE_BYTES: usize = 24;

pub(crate) struct Seal(XChaCha20Poly1305);

impl Seal {
    /// Under a key of 64 hexadecimal digits.
    pub(crate) fn new(secret: &str) -> anyhow::Result<Self> {
        let key = HEXLOWER.decode(secret.as_bytes())?;
        Ok(Self(XChaCha20Poly1305::new_from_slice(&key)?))
    }

    pub(crate) fn seal(&self, plaintext: &[u8], context: &[u8]) -> String {
        let mut sealed = random::<NONCE_BYTES>().to_vec();
        let nonce = XNonce::try_from(&sealed[..]).expect("the nonce has its length");
        let ciphertext = self.0.encrypt(&nonce, Payload { msg: plaintext, aad: context });
        sealed.extend_from_slice(&ciphertext.expect("a cookie is short"));
        BASE64URL_NOPAD.encode(&sealed)
    }

    pub(crate) fn open(&self, sealed: &str, context: &[u8]) -> Option<Vec<u8>> {
        let bytes = BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?;
        let (nonce, ciphertext) = bytes.split_at_checked(NONCE_BYTES)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        self.0.decrypt(&nonce, Payload { msg: ciphertext, aad: context }).ok()
    }
}

/// `N` random bytes as base64url.
pub(crate) fn name<const N: usize>() -> String {
    BASE64URL_NOPAD.encode(&random::<N>())
}

/// What the database keeps of a name.
pub(crate) fn hash(name: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(name.as_bytes()))
}

#[expect(clippy::disallowed_methods, reason = "the floor has no source of randomness to be given")]
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}
