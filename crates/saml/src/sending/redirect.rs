//! HTTP-Redirect (SAML bindings 3.4.4): the message compressed into the query, the signature over the query's own bytes
//! (3.4.4.1).

use std::io::Write as _;

use data_encoding::BASE64;
use flate2::{Compression, write::DeflateEncoder};
use openssl::{hash::MessageDigest, sign::Signer};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use usher_core::provider::BrowserStep;

use super::{Letter, SendError};
use crate::metadata::Location;

const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

pub(super) fn step(letter: &Letter<'_>, location: &Location) -> Result<BrowserStep, SendError> {
    let message = BASE64.encode(&deflate(&(letter.xml)(location, "")));
    let mut query = format!("{}={}", letter.parameter, encoded(&message));
    if let Some(state) = letter.relay_state {
        query.push_str("&RelayState=");
        query.push_str(&encoded(state));
    }
    if let Some(key) = letter.key {
        query.push_str("&SigAlg=");
        query.push_str(&encoded(RSA_SHA256));
        let mut signer = Signer::new(MessageDigest::sha256(), &key.private)?;
        signer.update(query.as_bytes())?;
        let signature = BASE64.encode(&signer.sign_to_vec()?);
        query.push_str("&Signature=");
        query.push_str(&encoded(&signature));
    }
    // Behind what the address has already; its fragment, if any, would swallow the query.
    let mut url = location.url.clone();
    url.set_fragment(None);
    let query = match url.query() {
        Some(own) if !own.is_empty() => format!("{own}&{query}"),
        _ => query,
    };
    url.set_query(Some(&query));
    Ok(BrowserStep::Redirect(url))
}

/// RFC 1951, without a header.
fn deflate(text: &str) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("writing to memory cannot fail");
    encoder.finish().expect("writing to memory cannot fail")
}

/// What most encoders leave alone (RFC 3986, 2.3). Some identity providers encode anew what they decoded, to verify that.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
