//! Encrypted elements made readable (SAML core 2.3.4, 6.1; <https://www.w3.org/TR/xmlenc-core1/>), by OpenSSL: samael
//! knows few of the algorithms and panics on ciphertext that is too short.
//!
//! - AES-GCM with 128, 192 or 256 bits. AES-CBC tells whoever sends changed ciphertexts what is inside
//!   (<https://dl.acm.org/doi/10.1145/2046707.2046756>), so it is taken only inside a message whose signature was
//!   verified before: nobody but the identity provider can choose what is decrypted.
//! - RSA-OAEP with any of its digests. RSA 1.5 has the same fault (Bleichenbacher) and the same remedy, and is refused
//!   unless the operator has switched it on.
//! - Nobody is told which step failed: there is one error for whatever our keys have to do with.

mod context;

use openssl::{
    encrypt::Decrypter,
    hash::MessageDigest,
    rsa::Padding,
    symm::{Cipher, Crypter, Mode, decrypt_aead},
};
use roxmltree::Node;

use crate::{
    keys::OwnKey,
    names::{DS, XENC, XENC11},
    xml::{SchemaError, Sequence, attribute, base64, is, token},
};

/// Copies of the key for several recipients; more are not looked at.
const MAX_KEYS: usize = 4;
const BLOCK: usize = 16;
const GCM_TAG: usize = 16;
const GCM_IV: usize = 12;

/// What decrypts, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opener<'a> {
    /// Any of them may have been encrypted to.
    pub(crate) keys: &'a [OwnKey],
    /// Whether RSA 1.5 is taken, in what is signed.
    pub(crate) allows_rsa_1_5: bool,
}

/// Why something stays unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// What the algorithms alone say, which everybody can read.
    Algorithms,
    /// Whatever else can be wrong with it.
    Undecryptable,
}

/// How the element itself was encrypted.
#[derive(Clone, Copy)]
enum Data {
    Gcm(fn() -> Cipher),
    Cbc(fn() -> Cipher),
}

/// How the key to it was.
#[derive(Clone, Copy)]
enum Transport {
    Oaep { digest: fn() -> MessageDigest, mask: fn() -> MessageDigest },
    Rsa15,
}

/// What stands in an `EncryptedData` or `EncryptedKey`.
struct Envelope<'a, 'input> {
    method: Node<'a, 'input>,
    key_info: Option<Node<'a, 'input>>,
    ciphertext: Vec<u8>,
}

impl Opener<'_> {
    /// The text inside `encrypted`, a `saml:EncryptedElementType`. `is_signed`: it is part of what a verified signature signed.
    pub(crate) fn decrypt(self, encrypted: Node<'_, '_>, is_signed: bool) -> Result<String, Unreadable> {
        let sealed = Sealed::read(encrypted).map_err(|_| Unreadable::Undecryptable)?;
        let opened = sealed.open(is_signed, self)?;
        let text = String::from_utf8(opened).map_err(|_| Unreadable::Undecryptable)?;
        // Whoever serialised it may have left layout around it.
        Ok(context::within(text.trim_matches([' ', '\t', '\r', '\n']), encrypted))
    }
}

/// The parts of an encrypted element (SAML core 2.2.4).
struct Sealed<'a, 'input> {
    data: Envelope<'a, 'input>,
    keys: Vec<Envelope<'a, 'input>>,
}

impl<'a, 'input> Sealed<'a, 'input> {
    fn read(encrypted: Node<'a, 'input>) -> Result<Self, SchemaError> {
        let mut parts = Sequence::of(encrypted, "EncryptedElement")?;
        let node = parts.one(XENC, "EncryptedData")?;
        let mut beside = Vec::new();
        while let Some(key) = parts.optional(XENC, "EncryptedKey") {
            beside.push(key);
        }
        parts.end()?;
        let data = Envelope::read(node)?;
        // They stand beside the data or in it.
        let inside = data.key_info.into_iter().flat_map(|info| info.children());
        let keys = inside.filter(|node| is(*node, XENC, "EncryptedKey")).chain(beside).take(MAX_KEYS);
        let keys = keys.filter_map(|node| Envelope::read(node).ok()).collect();
        Ok(Self { data, keys })
    }

    /// What can be told from the algorithms is told apart from what only a key of ours can tell.
    fn open(&self, is_signed: bool, by: Opener<'_>) -> Result<Vec<u8>, Unreadable> {
        let method = Data::of(self.data.method).ok_or(Unreadable::Algorithms)?;
        if matches!(method, Data::Cbc(_)) && !is_signed {
            return Err(Unreadable::Algorithms);
        }
        let is_taken = |transport: &Transport| match transport {
            Transport::Oaep { .. } => true,
            Transport::Rsa15 => is_signed && by.allows_rsa_1_5,
        };
        let taken =
            self.keys.iter().filter_map(|key| Some((Transport::of(key.method).filter(is_taken)?, key)));
        let taken: Vec<_> = taken.collect();
        if taken.is_empty() && !self.keys.is_empty() {
            return Err(Unreadable::Algorithms);
        }
        let mut attempts = taken.iter().flat_map(|way| by.keys.iter().map(move |own| (way, own)));
        let opened = attempts.find_map(|((transport, key), own)| {
            let key = transport.open(own, &key.ciphertext, method.key_len())?;
            method.open(&key, &self.data.ciphertext)
        });
        opened.ok_or(Unreadable::Undecryptable)
    }
}

impl<'a, 'input> Envelope<'a, 'input> {
    /// XML Encryption 3.1, 3.5.
    fn read(node: Node<'a, 'input>) -> Result<Self, SchemaError> {
        let mut parts = Sequence::of(node, "EncryptedData")?;
        let method = parts.one(XENC, "EncryptionMethod")?;
        let key_info = parts.optional(DS, "KeyInfo");
        let data = parts.one(XENC, "CipherData")?;
        parts.optional(XENC, "EncryptionProperties");
        parts.optional(XENC, "ReferenceList");
        parts.optional(XENC, "CarriedKeyName");
        parts.end()?;
        // A `CipherReference` would have to be fetched.
        let mut data = Sequence::of(data, "CipherData")?;
        let value = data.one(XENC, "CipherValue")?;
        data.end()?;
        let ciphertext = base64(token(value, "CipherValue")?).ok_or(SchemaError::Base64("CipherValue"))?;
        Ok(Self { method, key_info, ciphertext })
    }
}

impl Data {
    /// XML Encryption 5.2.
    fn of(method: Node<'_, '_>) -> Option<Self> {
        Some(match attribute(method, "Algorithm").ok()? {
            "http://www.w3.org/2009/xmlenc11#aes128-gcm" => Self::Gcm(Cipher::aes_128_gcm),
            "http://www.w3.org/2009/xmlenc11#aes192-gcm" => Self::Gcm(Cipher::aes_192_gcm),
            "http://www.w3.org/2009/xmlenc11#aes256-gcm" => Self::Gcm(Cipher::aes_256_gcm),
            "http://www.w3.org/2001/04/xmlenc#aes128-cbc" => Self::Cbc(Cipher::aes_128_cbc),
            "http://www.w3.org/2001/04/xmlenc#aes192-cbc" => Self::Cbc(Cipher::aes_192_cbc),
            "http://www.w3.org/2001/04/xmlenc#aes256-cbc" => Self::Cbc(Cipher::aes_256_cbc),
            _ => return None,
        })
    }

    fn key_len(self) -> usize {
        let (Self::Gcm(cipher) | Self::Cbc(cipher)) = self;
        cipher().key_len()
    }

    fn open(self, key: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Gcm(cipher) => {
                let (iv, rest) = ciphertext.split_at_checked(GCM_IV)?;
                let (data, tag) = rest.split_at_checked(rest.len().checked_sub(GCM_TAG)?)?;
                decrypt_aead(cipher(), key, Some(iv), &[], data, tag).ok()
            }
            Self::Cbc(cipher) => {
                let (iv, data) = ciphertext.split_at_checked(BLOCK)?;
                if data.is_empty() || data.len() % BLOCK != 0 {
                    return None;
                }
                without_padding(cbc(cipher(), key, iv, data)?)
            }
        }
    }
}

fn cbc(cipher: Cipher, key: &[u8], iv: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let mut crypter = Crypter::new(cipher, Mode::Decrypt, key, Some(iv)).ok()?;
    crypter.pad(false);
    let mut plaintext = vec![0; data.len() + BLOCK];
    let length = crypter.update(data, &mut plaintext).ok()?;
    let rest = crypter.finalize(&mut plaintext[length..]).ok()?;
    plaintext.truncate(length + rest);
    Some(plaintext)
}

/// XML Encryption 5.2.2: the last byte is the length of the padding, the others are anything.
fn without_padding(mut plaintext: Vec<u8>) -> Option<Vec<u8>> {
    let padding = usize::from(*plaintext.last()?);
    if padding == 0 || padding > BLOCK {
        return None;
    }
    plaintext.truncate(plaintext.len().checked_sub(padding)?);
    Some(plaintext)
}

impl Transport {
    /// XML Encryption 5.5.1 and 5.5.2.
    fn of(method: Node<'_, '_>) -> Option<Self> {
        match attribute(method, "Algorithm").ok()? {
            "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p" => {
                Some(Self::Oaep { digest: digest(method)?, mask: MessageDigest::sha1 })
            }
            "http://www.w3.org/2009/xmlenc11#rsa-oaep" => {
                Some(Self::Oaep { digest: digest(method)?, mask: mask(method)? })
            }
            "http://www.w3.org/2001/04/xmlenc#rsa-1_5" => Some(Self::Rsa15),
            _ => None,
        }
    }

    /// A key of `length` bytes.
    fn open(self, own: &OwnKey, ciphertext: &[u8], length: usize) -> Option<Vec<u8>> {
        let mut decrypter = Decrypter::new(&own.private).ok()?;
        match self {
            Self::Oaep { digest, mask } => {
                decrypter.set_rsa_padding(Padding::PKCS1_OAEP).ok()?;
                decrypter.set_rsa_oaep_md(digest()).ok()?;
                decrypter.set_rsa_mgf1_md(mask()).ok()?;
            }
            Self::Rsa15 => decrypter.set_rsa_padding(Padding::PKCS1).ok()?,
        }
        let mut key = vec![0; decrypter.decrypt_len(ciphertext).ok()?];
        let written = decrypter.decrypt(ciphertext, &mut key).ok()?;
        key.truncate(written);
        (key.len() == length).then_some(key)
    }
}

/// The digest of OAEP; SHA-1 if none is named. Nothing rests on its being hard to find collisions of it.
fn digest(method: Node<'_, '_>) -> Option<fn() -> MessageDigest> {
    // A label would have to be compared; nobody uses one.
    if method.children().any(|node| is(node, XENC, "OAEPparams")) {
        return None;
    }
    let Some(node) = method.children().find(|node| is(*node, DS, "DigestMethod")) else {
        return Some(MessageDigest::sha1);
    };
    Some(match attribute(node, "Algorithm").ok()? {
        "http://www.w3.org/2000/09/xmldsig#sha1" => MessageDigest::sha1,
        "http://www.w3.org/2001/04/xmlenc#sha256" => MessageDigest::sha256,
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => MessageDigest::sha384,
        "http://www.w3.org/2001/04/xmlenc#sha512" => MessageDigest::sha512,
        _ => return None,
    })
}

/// The digest of OAEP's mask generation function; SHA-1 if none is named.
fn mask(method: Node<'_, '_>) -> Option<fn() -> MessageDigest> {
    let Some(node) = method.children().find(|node| is(*node, XENC11, "MGF")) else {
        return Some(MessageDigest::sha1);
    };
    Some(match attribute(node, "Algorithm").ok()? {
        "http://www.w3.org/2009/xmlenc11#mgf1sha1" => MessageDigest::sha1,
        "http://www.w3.org/2009/xmlenc11#mgf1sha256" => MessageDigest::sha256,
        "http://www.w3.org/2009/xmlenc11#mgf1sha384" => MessageDigest::sha384,
        "http://www.w3.org/2009/xmlenc11#mgf1sha512" => MessageDigest::sha512,
        _ => return None,
    })
}
