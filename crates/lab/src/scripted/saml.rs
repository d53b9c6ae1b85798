//! A SAML identity provider in this process: it writes, signs and encrypts responses, honest ones and any other.
//!
//! <https://docs.oasis-open.org/security/saml/v2.0/saml-core-2.0-os.pdf>
//!
//! Everything is written in the form that exclusive canonicalization gives it (<https://www.w3.org/TR/xml-exc-c14n/>), so
//! that it can be signed as it stands with nothing but OpenSSL: whether an XML library agrees is what its tests find out.

mod canonical;
mod encrypt;
pub mod federation;
mod idp;
mod keys;
mod logout;
mod message;
mod sign;
pub mod wrapping;

pub use canonical::{attribute, element, text};
pub use encrypt::{Encryption, Seal, Transport, encrypt, encrypt_name};
pub use idp::{Asked, Binding, SamlIdp, instant};
pub use keys::SamlKey;
pub use logout::{
    Detached, EcdsaForm, LogoutAnswer, LogoutPlace, LogoutRequest, Named, compressed, message_in,
    percent_encoded,
};
pub use message::{
    Assertion, Attribute, Authentication, Conditions, Confirmation, Issuer, NameId, Protection, Response,
    Subject,
};
pub use sign::{Digest, Signing, sign};

/// `saml:`
pub const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
/// `samlp:`
pub const SAMLP: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
/// `ds:`
pub const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// `xenc:`
pub const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
