//! Encryption of assertions and names (<https://www.w3.org/TR/xmlenc-core1/>).

use data_encoding::BASE64;
use openssl::{
    encrypt::Encrypter,
    rand::rand_bytes,
    rsa::Padding,
    symm::{Cipher, Crypter, Mode, encrypt_aead},
};

use super::{DS, Digest, SAML, SamlKey, XENC, canonical::element};

const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";

/// How the text is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// AES-GCM with that many bits.
    Gcm(u16),
    /// AES-CBC with that many bits.
    Cbc(u16),
}

/// How the key to it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// RSA-OAEP with SHA-1 throughout, as XML Encryption 1.0 has it.
    OaepMgf1p,
    /// RSA-OAEP with SHA-256 throughout, as XML Encryption 1.1 can have it.
    Oaep256,
    /// RSA-OAEP with another digest, as XML Encryption 1.0 has it: its mask is made with SHA-1 all the same.
    OaepMgf1pWith(Digest),
    /// RSA-OAEP as XML Encryption 1.1 has it. What is not named is SHA-1.
    Oaep {
        /// Of the label.
        digest: Option<Digest>,
        /// Of the mask generation function.
        mask: Option<Digest>,
    },
    /// RSA 1.5.
    Rsa15,
}

/// How an assertion is encrypted.
#[derive(Clone, Debug)]
pub struct Encryption {
    /// To whom.
    pub to: SamlKey,
    /// The text.
    pub seal: Seal,
    /// The key.
    pub transport: Transport,
    /// Whether the key stands beside the data instead of in it.
    pub is_beside: bool,
}

/// The `EncryptedAssertion` of `plaintext`.
pub fn encrypt(plaintext: &str, how: &Encryption) -> anyhow::Result<String> {
    Ok(element("saml:EncryptedAssertion", Some(SAML), &[], &seal(plaintext, how)?))
}

/// The `EncryptedID` of `plaintext`; `namespace` where `saml:` is not declared around it.
pub fn encrypt_name(plaintext: &str, namespace: Option<&str>, how: &Encryption) -> anyhow::Result<String> {
    Ok(element("saml:EncryptedID", namespace, &[], &seal(plaintext, how)?))
}

/// The `EncryptedData` of `plaintext`, and the key if it stands beside.
fn seal(plaintext: &str, how: &Encryption) -> anyhow::Result<String> {
    let (cipher, bits, method) = match how.seal {
        Seal::Gcm(bits) => (gcm(bits)?, bits, format!("{XENC11}aes{bits}-gcm")),
        Seal::Cbc(bits) => (cbc(bits)?, bits, format!("{XENC}aes{bits}-cbc")),
    };
    let mut key = vec![0; usize::from(bits) / 8];
    rand_bytes(&mut key)?;
    let ciphertext = match how.seal {
        Seal::Gcm(_) => seal_gcm(cipher, &key, plaintext.as_bytes())?,
        Seal::Cbc(_) => seal_cbc(cipher, &key, plaintext.as_bytes())?,
    };
    let wrapped = wrap(&key, how)?;
    let cipher_data = |bytes: &[u8]| {
        element("xenc:CipherData", None, &[], &element("xenc:CipherValue", None, &[], &BASE64.encode(bytes)))
    };
    // Canonically: declared only where nothing around it has.
    let encrypted_key = element(
        "xenc:EncryptedKey",
        how.is_beside.then_some(XENC),
        &[],
        &[transport(how), cipher_data(&wrapped)].concat(),
    );
    let (inside, beside) =
        if how.is_beside { (String::new(), encrypted_key) } else { (encrypted_key, String::new()) };
    let data = [
        element("xenc:EncryptionMethod", None, &[("Algorithm", Some(&method))], ""),
        if inside.is_empty() { inside } else { element("ds:KeyInfo", Some(DS), &[], &inside) },
        cipher_data(&ciphertext),
    ]
    .concat();
    let kind = format!("{XENC}Element");
    let data = element("xenc:EncryptedData", Some(XENC), &[("Type", Some(&kind))], &data);
    Ok([data, beside].concat())
}

fn gcm(bits: u16) -> anyhow::Result<Cipher> {
    Ok(match bits {
        128 => Cipher::aes_128_gcm(),
        192 => Cipher::aes_192_gcm(),
        256 => Cipher::aes_256_gcm(),
        _ => anyhow::bail!("AES has no {bits} bits"),
    })
}

fn cbc(bits: u16) -> anyhow::Result<Cipher> {
    Ok(match bits {
        128 => Cipher::aes_128_cbc(),
        192 => Cipher::aes_192_cbc(),
        256 => Cipher::aes_256_cbc(),
        _ => anyhow::bail!("AES has no {bits} bits"),
    })
}

fn seal_gcm(cipher: Cipher, key: &[u8], plaintext: &[u8]) -> anyhow::Result<Vec<u8>> {
    let (mut iv, mut tag) = ([0; 12], [0; 16]);
    rand_bytes(&mut iv)?;
    let sealed = encrypt_aead(cipher, key, Some(&iv), &[], plaintext, &mut tag)?;
    Ok([&iv[..], &sealed, &tag].concat())
}

/// XML Encryption 5.2.2: random padding, its length in its last byte.
fn seal_cbc(cipher: Cipher, key: &[u8], plaintext: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut iv = [0; 16];
    rand_bytes(&mut iv)?;
    let padding = 16 - plaintext.len() % 16;
    let mut padded = plaintext.to_vec();
    padded.resize(plaintext.len() + padding, 0xA5);
    *padded.last_mut().expect("there is padding") = u8::try_from(padding)?;
    let mut crypter = Crypter::new(cipher, Mode::Encrypt, key, Some(&iv))?;
    crypter.pad(false);
    let mut sealed = vec![0; padded.len() + 16];
    let length = crypter.update(&padded, &mut sealed)?;
    let rest = crypter.finalize(&mut sealed[length..])?;
    sealed.truncate(length + rest);
    Ok([&iv[..], &sealed].concat())
}

fn wrap(key: &[u8], how: &Encryption) -> anyhow::Result<Vec<u8>> {
    let public = how.to.certificate.public_key()?;
    let mut encrypter = Encrypter::new(&public)?;
    match how.transport.oaep() {
        None => encrypter.set_rsa_padding(Padding::PKCS1)?,
        Some(oaep) => {
            encrypter.set_rsa_padding(Padding::PKCS1_OAEP)?;
            encrypter.set_rsa_oaep_md(oaep.digest.unwrap_or(Digest::Sha1).hash())?;
            encrypter.set_rsa_mgf1_md(oaep.mask.unwrap_or(Digest::Sha1).hash())?;
        }
    }
    let mut wrapped = vec![0; encrypter.encrypt_len(key)?];
    let length = encrypter.encrypt(key, &mut wrapped)?;
    wrapped.truncate(length);
    Ok(wrapped)
}

fn transport(how: &Encryption) -> String {
    let method = |algorithm: &str, parameters: &str| {
        element("xenc:EncryptionMethod", None, &[("Algorithm", Some(algorithm))], parameters)
    };
    let Some(oaep) = how.transport.oaep() else { return method(&format!("{XENC}rsa-1_5"), "") };
    let namespace = how.is_beside.then_some(DS);
    let digest = oaep.digest.map_or_else(String::new, |digest| {
        element("ds:DigestMethod", namespace, &[("Algorithm", Some(digest.uri()))], "")
    });
    let mask = oaep.mask.map_or_else(String::new, |mask| {
        let mask = format!("{XENC11}mgf1sha{}", mask.number());
        element("xenc11:MGF", Some(XENC11), &[("Algorithm", Some(&mask))], "")
    });
    method(&oaep.algorithm, &[digest, mask].concat())
}

/// The parameters of RSA-OAEP.
struct Oaep {
    algorithm: String,
    digest: Option<Digest>,
    mask: Option<Digest>,
}

impl Transport {
    fn oaep(self) -> Option<Oaep> {
        let (algorithm, digest, mask) = match self {
            Self::Rsa15 => return None,
            Self::OaepMgf1p => (format!("{XENC}rsa-oaep-mgf1p"), None, None),
            Self::OaepMgf1pWith(digest) => (format!("{XENC}rsa-oaep-mgf1p"), Some(digest), None),
            Self::Oaep256 => (format!("{XENC11}rsa-oaep"), Some(Digest::Sha256), Some(Digest::Sha256)),
            Self::Oaep { digest, mask } => (format!("{XENC11}rsa-oaep"), digest, mask),
        };
        Some(Oaep { algorithm, digest, mask })
    }
}
