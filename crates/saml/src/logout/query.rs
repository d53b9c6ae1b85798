//! HTTP-Redirect (SAML bindings 3.4.4): a compressed message in the query, and beside it a signature over the query's own bytes
//! (3.4.4.1). Whoever sent it may have encoded them in one of many ways, so that they are never encoded anew to be
//! verified.

use flate2::{Decompress, FlushDecompress, Status};
use openssl::{
    bn::BigNum,
    ecdsa::EcdsaSig,
    error::ErrorStack,
    hash::MessageDigest,
    pkey::{PKey, Public},
    sign::Verifier,
};
use usher_core::{
    Callback,
    provider::{ParameterError, Parameters},
};

use super::{LogoutFault, MAX_MESSAGE, request::Doubt};
use crate::{
    gate::{Algorithm, GateError, KeyKind},
    keys::IdpKey,
    xml,
};

/// The name of the one compression there is.
const DEFLATE: &str = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE";
/// Longer than a signature by an RSA key of 16,384 bits.
const MAX_SIGNATURE: usize = 4096;

/// The message in `parameter`, if one of `keys` has signed it. Nothing is unpacked before.
pub(super) fn open(
    callback: &Callback,
    parameter: &'static str,
    keys: &[IdpKey],
) -> Result<String, LogoutFault> {
    let query = &callback.query;
    let signed = signed_bytes(callback, parameter)?;
    let (Some(algorithm), Some(signature)) = (query.at_most_one("SigAlg")?, query.at_most_one("Signature")?)
    else {
        return Err(Doubt::Unsigned.into());
    };
    let algorithm = Algorithm::parse(algorithm).ok_or(Doubt::Algorithm)?;
    let signature = Some(signature).filter(|signature| signature.len() <= MAX_SIGNATURE);
    let signature = signature.and_then(xml::base64).ok_or(Doubt::Signature)?;
    let mut fitting = keys.iter().filter(|key| key.kind == algorithm.key_kind());
    if !fitting.any(|key| is_good(key, algorithm, signed.as_bytes(), &signature).unwrap_or(false)) {
        return Err(Doubt::Signature.into());
    }
    unpack(query, parameter)
}

/// The message in `parameter`, whoever signed it.
pub(super) fn unpack(query: &Parameters, parameter: &'static str) -> Result<String, LogoutFault> {
    if query.at_most_one("SAMLEncoding")?.is_some_and(|encoding| encoding != DEFLATE) {
        return Err(LogoutFault::Method);
    }
    let packed = xml::base64(query.one(parameter)?).ok_or(LogoutFault::Encoding)?;
    String::from_utf8(inflate(&packed)?).map_err(|_| LogoutFault::Encoding)
}

/// `SAMLRequest=…&RelayState=…&SigAlg=…`, each as it was received, in this order and not in that of the query.
fn signed_bytes(callback: &Callback, parameter: &'static str) -> Result<String, LogoutFault> {
    let mut parts = Vec::with_capacity(3);
    for name in [parameter, "RelayState", "SigAlg"] {
        let is_there = callback.query.at_most_one(name)?.is_some();
        let mut pairs = callback.raw_query.split('&');
        let raw = pairs.find(|pair| pair.split_once('=').is_some_and(|(own, _)| own == name));
        match (is_there, raw) {
            (true, Some(raw)) => parts.push(raw),
            (false, None) if name == "RelayState" => {}
            (false, None) if name == parameter => return Err(ParameterError::Missing(parameter).into()),
            (false, None) => return Err(Doubt::Unsigned.into()),
            // Spelled in another way, so that what is read is not what would be verified.
            (true, None) | (false, Some(_)) => return Err(LogoutFault::OddName),
        }
    }
    Ok(parts.join("&"))
}

fn is_good(key: &IdpKey, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> Result<bool, ErrorStack> {
    let (public, digest) = (key.public()?, digest(algorithm));
    let verify = |signature: &[u8]| {
        let mut verifier = Verifier::new(digest, &public)?;
        verifier.update(signed)?;
        verifier.verify(signature)
    };
    match key.kind {
        KeyKind::Rsa => verify(signature),
        // RFC 9231 2.3.6 has the two numbers one behind the other, and so has XML Signature, to which the binding refers. Some
        // send what their libraries make, which is DER. A short one of that may be as long, so that both are tried.
        KeyKind::Ec => {
            let halves = from_halves(&public, signature)?;
            Ok(halves.map_or(Ok(false), |der| verify(&der))? || verify(signature).unwrap_or(false))
        }
    }
}

/// `r` and `s` as DER, if there are as many bytes as the curve wants.
fn from_halves(public: &PKey<Public>, signature: &[u8]) -> Result<Option<Vec<u8>>, ErrorStack> {
    let length = usize::try_from(public.bits().div_ceil(8)).unwrap_or(usize::MAX);
    if signature.len() != length.saturating_mul(2) {
        return Ok(None);
    }
    let (r, s) = signature.split_at(length);
    let signature = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?;
    signature.to_der().map(Some)
}

fn digest(algorithm: Algorithm) -> MessageDigest {
    match algorithm {
        Algorithm::RsaSha256 | Algorithm::EcdsaSha256 => MessageDigest::sha256(),
        Algorithm::RsaSha384 | Algorithm::EcdsaSha384 => MessageDigest::sha384(),
        Algorithm::RsaSha512 | Algorithm::EcdsaSha512 => MessageDigest::sha512(),
    }
}

/// RFC 1951, without a header, and with nothing behind its end.
fn inflate(packed: &[u8]) -> Result<Vec<u8>, LogoutFault> {
    let mut text = Vec::with_capacity(MAX_MESSAGE + 1);
    let mut inflater = Decompress::new(false);
    // Only what there is room for is written.
    let status = inflater.decompress_vec(packed, &mut text, FlushDecompress::Finish);
    if text.len() > MAX_MESSAGE {
        return Err(GateError::TooComplex.into());
    }
    let is_all = usize::try_from(inflater.total_in()).is_ok_and(|read| read == packed.len());
    match status {
        Ok(Status::StreamEnd) if is_all => Ok(text),
        Ok(_) | Err(_) => Err(LogoutFault::Encoding),
    }
}
