//! Single logout (SAML core 3.7): requests, honest ones and any other, by either binding, and the answers to them.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, ensure};
use data_encoding::BASE64;
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use openssl::{
    ecdsa::EcdsaSig,
    pkey::Id,
    sign::{Signer, Verifier},
};
use roxmltree::Document;
use url::{Url, form_urlencoded};

use super::{
    Binding, Digest, Issuer, NameId, SAML, SAMLP, SamlIdp, SamlKey, Signing,
    canonical::{element, start, text},
    idp::instant,
    message::enveloped,
};

/// A `md:SingleLogoutService`.
#[derive(Clone, Debug)]
pub struct LogoutPlace {
    /// `Binding`
    pub binding: String,
    /// `Location`
    pub location: String,
    /// `ResponseLocation`
    pub response_location: Option<String>,
}

/// A `samlp:LogoutRequest`.
#[derive(Clone, Debug)]
pub struct LogoutRequest {
    /// `ID`
    pub id: String,
    /// `Version`
    pub version: String,
    /// `IssueInstant`
    pub issue_instant: String,
    /// `Destination`
    pub destination: Option<String>,
    /// `saml:Issuer`
    pub issuer: Option<Issuer>,
    /// `NotOnOrAfter`
    pub not_on_or_after: Option<String>,
    /// The content of `samlp:Extensions`, canonical XML.
    pub extensions: Option<String>,
    /// Whose sessions.
    pub name: Named,
    /// `samlp:SessionIndex`
    pub sessions: Vec<String>,
    /// Goes behind everything, canonical XML.
    pub more: String,
}

/// Whose sessions.
#[derive(Clone, Debug)]
pub enum Named {
    /// `saml:NameID`
    Clear(NameId),
    /// Whatever else, canonical XML.
    Other(String),
}

/// How the numbers of an ECDSA signature are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcdsaForm {
    /// As ASN.1 has it.
    Der,
    /// One behind the other.
    Halves,
}

/// How a query is signed (SAML bindings 3.4.4.1). All names are written as they stand, fitting or not.
#[derive(Clone, Debug)]
pub struct Detached {
    /// Whose signature it is.
    pub key: SamlKey,
    /// What is signed with; also decides `method`.
    pub digest: Digest,
    /// With ECDSA.
    pub form: EcdsaForm,
    /// `SigAlg`; `None`: the one that was used.
    pub method: Option<String>,
    /// How values are encoded.
    pub encode: fn(&str) -> String,
    /// The parameters that are signed, in order. `SAML` stands for the message.
    pub signed: Vec<&'static str>,
    /// The parameters that are sent, in order.
    pub sent: Vec<&'static str>,
}

/// A `samlp:LogoutResponse`.
#[derive(Clone, Debug)]
pub struct LogoutAnswer {
    /// `ID`
    pub id: String,
    /// `InResponseTo`
    pub in_response_to: String,
    /// `Destination`
    pub destination: String,
    /// `saml:Issuer`
    pub issuer: String,
    /// The last words of the status codes, the outermost first.
    pub status: Vec<String>,
    /// `RelayState`
    pub relay_state: Option<String>,
    /// The answer itself.
    pub xml: String,
}

impl LogoutPlace {
    /// One at that address.
    #[must_use]
    pub fn new(binding: Binding, location: &str) -> Self {
        let binding = match binding {
            Binding::Redirect => "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
            Binding::Post => "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        };
        Self { binding: binding.to_owned(), location: location.to_owned(), response_location: None }
    }

    pub(super) fn xml(&self) -> String {
        let attributes = [
            ("Binding", Some(self.binding.as_str())),
            ("Location", Some(&self.location)),
            ("ResponseLocation", self.response_location.as_deref()),
        ];
        element("md:SingleLogoutService", None, &attributes, "")
    }
}

impl SamlIdp {
    /// The same with a single logout service for each binding.
    #[must_use]
    pub fn with_single_logout(self) -> Self {
        let slo = format!("{}/slo", self.entity_id);
        let single_logout = [Binding::Redirect, Binding::Post].map(|by| LogoutPlace::new(by, &slo)).into();
        Self { single_logout, ..self }
    }

    /// An honest request to the service `sp`, whose single logout service is `slo`, about sessions of the person whose
    /// persistent name is `name`, issued at `now` (in seconds since 1970).
    #[must_use]
    pub fn log_out(&self, sp: &str, slo: &str, name: &str, sessions: &[&str], now: u64) -> LogoutRequest {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        LogoutRequest {
            id: format!("_logout-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            version: "2.0".to_owned(),
            issue_instant: instant(now),
            destination: Some(slo.to_owned()),
            issuer: Some(Issuer { value: self.entity_id.clone(), format: None }),
            not_on_or_after: Some(instant(now + 300)),
            extensions: None,
            name: Named::Clear(NameId {
                value: name.to_owned(),
                format: Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".to_owned()),
                name_qualifier: Some(self.entity_id.clone()),
                sp_name_qualifier: Some(sp.to_owned()),
            }),
            sessions: sessions.iter().map(|&session| session.to_owned()).collect(),
            more: String::new(),
        }
    }
}

impl LogoutRequest {
    /// The document.
    pub fn xml(&self, signing: Option<&Signing>) -> anyhow::Result<String> {
        let attributes = [
            ("Destination", self.destination.as_deref()),
            ("ID", Some(self.id.as_str())),
            ("IssueInstant", Some(&self.issue_instant)),
            ("NotOnOrAfter", self.not_on_or_after.as_deref()),
            ("Version", Some(&self.version)),
        ];
        let mut head = start("samlp:LogoutRequest", Some(SAMLP), &attributes);
        head.extend(self.issuer.as_ref().map(|issuer| issuer.xml(Some(SAML))));
        let extensions = self.extensions.as_deref();
        let mut tail =
            extensions.map_or(String::new(), |content| element("samlp:Extensions", None, &[], content));
        tail.push_str(&match &self.name {
            Named::Clear(name) => name.xml(Some(SAML)),
            Named::Other(xml) => xml.clone(),
        });
        tail.extend(self.sessions.iter().map(|index| element("samlp:SessionIndex", None, &[], &text(index))));
        tail.push_str(&self.more);
        tail.push_str("</samlp:LogoutRequest>");
        enveloped(head, &tail, &self.id, signing)
    }

    /// The form that a browser posts.
    pub fn form(
        &self,
        signing: &Signing,
        relay_state: Option<&str>,
    ) -> anyhow::Result<Vec<(String, String)>> {
        let message = BASE64.encode(self.xml(Some(signing))?.as_bytes());
        let mut fields = vec![("SAMLRequest".to_owned(), message)];
        fields.extend(relay_state.map(|state| ("RelayState".to_owned(), state.to_owned())));
        Ok(fields)
    }
}

impl Detached {
    /// As SAML has it, with SHA-256.
    #[must_use]
    pub fn with(key: &SamlKey) -> Self {
        Self {
            key: key.clone(),
            digest: Digest::Sha256,
            form: EcdsaForm::Halves,
            method: None,
            encode: |text| percent_encoded(text, false),
            signed: vec!["SAML", "RelayState", "SigAlg"],
            sent: vec!["SAML", "RelayState", "SigAlg", "Signature"],
        }
    }

    /// The query that brings `xml` in `parameter`.
    pub fn query(&self, parameter: &str, xml: &str, relay_state: Option<&str>) -> anyhow::Result<String> {
        self.query_of(parameter, &BASE64.encode(&compressed(xml)), relay_state)
    }

    /// The same of what stands for the compressed message.
    pub fn query_of(
        &self,
        parameter: &str,
        message: &str,
        relay_state: Option<&str>,
    ) -> anyhow::Result<String> {
        let method = self.method.clone().unwrap_or_else(|| {
            let kind = if self.key.private.id() == Id::EC { "ecdsa" } else { "rsa" };
            format!("http://www.w3.org/2001/04/xmldsig-more#{kind}-sha{}", self.digest.number())
        });
        let pair = |name: &str| match name {
            "SAML" => Some(format!("{parameter}={}", (self.encode)(message))),
            "RelayState" => relay_state.map(|state| format!("RelayState={}", (self.encode)(state))),
            _ => Some(format!("SigAlg={}", (self.encode)(&method))),
        };
        let signed: Vec<_> = self.signed.iter().filter_map(|name| pair(name)).collect();
        let signature = BASE64.encode(&self.value(&signed.join("&"))?);
        let sent = self.sent.iter().filter_map(|name| match *name {
            "Signature" => Some(format!("Signature={}", (self.encode)(&signature))),
            name => pair(name),
        });
        Ok(sent.collect::<Vec<_>>().join("&"))
    }

    fn value(&self, text: &str) -> anyhow::Result<Vec<u8>> {
        let mut signer = Signer::new(self.digest.hash(), &self.key.private)?;
        signer.update(text.as_bytes())?;
        let signature = signer.sign_to_vec()?;
        if self.key.private.id() != Id::EC || self.form == EcdsaForm::Der {
            return Ok(signature);
        }
        let signature = EcdsaSig::from_der(&signature)?;
        let length = i32::try_from(self.key.private.bits().div_ceil(8))?;
        Ok([signature.r().to_vec_padded(length)?, signature.s().to_vec_padded(length)?].concat())
    }
}

impl LogoutAnswer {
    /// Reads the address that a browser was sent to.
    pub fn from_redirect(url: &Url) -> anyhow::Result<Self> {
        let xml = message_in(url, "SAMLResponse")?;
        Self::read(&xml, one(url, "RelayState")?)
    }

    /// Reads the form that a browser posts.
    pub fn from_form(fields: &[(String, String)]) -> anyhow::Result<Self> {
        let field = |name: &str| fields.iter().find(|(own, _)| own == name).map(|(_, value)| value);
        let message = BASE64.decode(field("SAMLResponse").context("no SAMLResponse")?.as_bytes())?;
        Self::read(&String::from_utf8(message)?, field("RelayState").cloned())
    }

    /// Whether the query of `url` was signed, with SHA-256, by the RSA key `key`.
    pub fn query_is_signed(url: &Url, key: &SamlKey) -> anyhow::Result<bool> {
        let query = url.query().context("no query")?;
        let from = query.find("SAMLResponse=").context("no SAMLResponse")?;
        let (signed, _) = query[from..].split_once("&Signature=").context("no Signature")?;
        let signature = BASE64.decode(one(url, "Signature")?.context("no Signature")?.as_bytes())?;
        let mut verifier = Verifier::new(Digest::Sha256.hash(), &key.private)?;
        verifier.update(signed.as_bytes())?;
        Ok(verifier.verify(&signature)?)
    }

    fn read(xml: &str, relay_state: Option<String>) -> anyhow::Result<Self> {
        let document = Document::parse(xml).context("SAMLResponse is no XML")?;
        let root = document.root_element();
        ensure!(root.has_tag_name((SAMLP, "LogoutResponse")), "it is another message");
        let attribute = |name: &str| {
            root.attribute(name).map(str::to_owned).with_context(|| format!("the answer has no {name}"))
        };
        let issuer = root.children().find(|child| child.has_tag_name((SAML, "Issuer")));
        let codes = root.descendants().filter(|node| node.has_tag_name((SAMLP, "StatusCode")));
        let status = codes.filter_map(|code| code.attribute("Value")?.rsplit(':').next().map(str::to_owned));
        Ok(Self {
            id: attribute("ID")?,
            in_response_to: attribute("InResponseTo")?,
            destination: attribute("Destination")?,
            issuer: issuer.and_then(|issuer| issuer.text()).context("the answer has no Issuer")?.to_owned(),
            status: status.collect(),
            relay_state,
            xml: xml.to_owned(),
        })
    }
}

/// The message that a browser takes along in the query of `url`.
pub fn message_in(url: &Url, parameter: &str) -> anyhow::Result<String> {
    let message = one(url, parameter)?.with_context(|| format!("no {parameter}"))?;
    let mut xml = String::new();
    DeflateDecoder::new(&BASE64.decode(message.as_bytes())?[..]).take(1 << 20).read_to_string(&mut xml)?;
    Ok(xml)
}

fn one(url: &Url, name: &str) -> anyhow::Result<Option<String>> {
    let mut values = url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let value = values.next();
    ensure!(values.next().is_none(), "there are several {name}");
    Ok(value)
}

/// RFC 1951, without a header.
#[must_use]
pub fn compressed(text: &str) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("writing to memory cannot fail");
    encoder.finish().expect("writing to memory cannot fail")
}

/// What browsers encode or, `is_lower`, the same in small letters, as .NET writes it.
#[must_use]
pub fn percent_encoded(text: &str, is_lower: bool) -> String {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    if !is_lower {
        return encoded;
    }
    let mut lower = String::with_capacity(encoded.len());
    let mut rest = encoded.as_str();
    while let Some((before, after)) = rest.split_once('%') {
        let (digits, behind) = after.split_at(2);
        let _ = write!(lower, "{before}%{}", digits.to_ascii_lowercase());
        rest = behind;
    }
    lower + rest
}
