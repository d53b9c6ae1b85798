//! The identity provider: its metadata, and what it answers to a request.

use std::{
    fmt::Write as _,
    io::Read as _,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use data_encoding::BASE64;
use flate2::read::DeflateDecoder;
use roxmltree::Document;
use url::{Url, form_urlencoded};

use super::{
    Assertion, Attribute, Authentication, Conditions, Confirmation, Issuer, LogoutPlace, NameId, Response,
    SAML, SamlKey, Subject,
};

/// An identity provider.
#[derive(Clone, Debug)]
pub struct SamlIdp {
    /// Its entity id.
    pub entity_id: String,
    /// Its keys, as its metadata has them; the first is for answers unless a test takes another.
    pub keys: Vec<SamlKey>,
    /// `WantAuthnRequestsSigned`.
    pub wants_signed_requests: bool,
    /// `shibmd:Scope`s.
    pub scopes: Vec<String>,
    /// `SingleLogoutService`s.
    pub single_logout: Vec<LogoutPlace>,
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// HTTP-Redirect.
    Redirect,
    /// HTTP-POST.
    Post,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `ID`
    pub id: String,
    /// `AssertionConsumerServiceURL`
    pub acs: String,
    /// `saml:Issuer`
    pub sp: String,
    /// `ForceAuthn`
    pub is_forced: bool,
    /// The request itself.
    pub xml: String,
    /// `RelayState`, to be given back as it is.
    pub relay_state: String,
}

impl SamlIdp {
    /// One with a new RSA key.
    pub fn new(entity_id: &str) -> anyhow::Result<Self> {
        Ok(Self {
            entity_id: entity_id.to_owned(),
            keys: vec![SamlKey::rsa(2048)?],
            wants_signed_requests: false,
            scopes: Vec::new(),
            single_logout: Vec::new(),
        })
    }

    /// Where it takes requests.
    #[must_use]
    pub fn single_sign_on(&self) -> String {
        format!("{}/sso", self.entity_id)
    }

    /// Its metadata.
    pub fn metadata(&self) -> anyhow::Result<String> {
        let keys = self.keys.iter().map(|key| {
            Ok(format!(
                "<md:KeyDescriptor use=\"signing\"><ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data>\
                 <ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
                key.certificate_base64()?
            ))
        });
        let keys = keys.collect::<anyhow::Result<String>>()?;
        let scopes = self.scopes.iter().fold(String::new(), |mut scopes, scope| {
            let namespace = "urn:mace:shibboleth:metadata:1.0";
            let _ = write!(
                scopes,
                "<shibmd:Scope xmlns:shibmd=\"{namespace}\" regexp=\"false\">{scope}</shibmd:Scope>"
            );
            scopes
        });
        let extensions =
            if scopes.is_empty() { scopes } else { format!("<md:Extensions>{scopes}</md:Extensions>") };
        let logout: String = self.single_logout.iter().map(LogoutPlace::xml).collect();
        Ok(format!(
            "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"{entity}\">\
             <md:IDPSSODescriptor WantAuthnRequestsSigned=\"{wants}\" \
             protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{extensions}{keys}{logout}\
             <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"{sso}\"/>\
             <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Location=\"{sso}\"/>\
             </md:IDPSSODescriptor></md:EntityDescriptor>",
            entity = self.entity_id,
            wants = self.wants_signed_requests,
            sso = self.single_sign_on(),
        ))
    }

    /// The same as [`Self::answer`], issued now.
    #[must_use]
    pub fn answer_now(&self, asked: &Asked, name: &str, attributes: &[Attribute]) -> Response {
        #[expect(clippy::disallowed_methods, reason = "its clock is the machine's")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.answer(asked, name, attributes, now)
    }

    /// An honest answer to `asked` for the person whose persistent name is `name`: issued at `now` (in seconds since
    /// 1970), when they have just authenticated.
    #[must_use]
    pub fn answer(&self, asked: &Asked, name: &str, attributes: &[Attribute], now: u64) -> Response {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let issuer = Issuer { value: self.entity_id.clone(), format: None };
        let assertion = Assertion {
            id: format!("_assertion-{number}"),
            version: "2.0".to_owned(),
            issue_instant: instant(now),
            issuer: issuer.clone(),
            subject: Some(Subject {
                name: Some(NameId {
                    value: name.to_owned(),
                    format: Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".to_owned()),
                    name_qualifier: Some(self.entity_id.clone()),
                    sp_name_qualifier: Some(asked.sp.clone()),
                }),
                encrypted_name: None,
                confirmations: vec![Confirmation {
                    method: "urn:oasis:names:tc:SAML:2.0:cm:bearer".to_owned(),
                    has_data: true,
                    in_response_to: Some(asked.id.clone()),
                    not_before: None,
                    not_on_or_after: Some(instant(now + 300)),
                    recipient: Some(asked.acs.clone()),
                }],
            }),
            conditions: Some(Conditions {
                not_before: Some(instant(now.saturating_sub(30))),
                not_on_or_after: Some(instant(now + 300)),
                audiences: vec![vec![asked.sp.clone()]],
                more: String::new(),
            }),
            advice: None,
            authentications: vec![Authentication {
                instant: instant(now),
                session_index: Some(format!("_session-{number}")),
                session_not_on_or_after: Some(instant(now + 28_800)),
                context: Some("urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport".to_owned()),
            }],
            attributes: attributes.to_vec(),
        };
        Response {
            id: format!("_response-{number}"),
            version: "2.0".to_owned(),
            issue_instant: instant(now),
            destination: Some(asked.acs.clone()),
            in_response_to: Some(asked.id.clone()),
            issuer: Some(issuer),
            extensions: None,
            status: "urn:oasis:names:tc:SAML:2.0:status:Success".to_owned(),
            status_detail: None,
            assertion: Some(assertion),
        }
    }
}

impl Asked {
    /// Reads the parameters of a request.
    pub fn read(binding: Binding, parameters: &str) -> anyhow::Result<Self> {
        let one = |name: &str| {
            let mut values = form_urlencoded::parse(parameters.as_bytes())
                .filter(|(key, _)| key == name)
                .map(|(_, value)| value);
            let value = values.next().with_context(|| format!("the request has no {name}"))?;
            ensure!(values.next().is_none(), "the request has several {name}");
            Ok(value.into_owned())
        };
        let message = BASE64.decode(one("SAMLRequest")?.as_bytes()).context("SAMLRequest is no base64")?;
        let xml = match binding {
            Binding::Post => String::from_utf8(message)?,
            Binding::Redirect => {
                let mut xml = String::new();
                DeflateDecoder::new(&message[..]).take(1 << 20).read_to_string(&mut xml)?;
                xml
            }
        };
        let document = Document::parse(&xml).context("SAMLRequest is no XML")?;
        let root = document.root_element();
        let attribute = |name: &str| {
            root.attribute(name).map(str::to_owned).with_context(|| format!("the request has no {name}"))
        };
        let issuer = root.children().find(|child| child.has_tag_name((SAML, "Issuer")));
        let sp = issuer.and_then(|issuer| issuer.text()).context("the request has no Issuer")?.to_owned();
        Ok(Self {
            id: attribute("ID")?,
            acs: attribute("AssertionConsumerServiceURL")?,
            sp,
            is_forced: root.attribute("ForceAuthn") == Some("true"),
            relay_state: one("RelayState")?,
            xml: xml.clone(),
        })
    }

    /// The form by which a browser brings `response` back.
    #[must_use]
    pub fn form(&self, response: &str) -> String {
        form_urlencoded::Serializer::new(String::new())
            .append_pair("SAMLResponse", &BASE64.encode(response.as_bytes()))
            .append_pair("RelayState", &self.relay_state)
            .finish()
    }

    /// Reads the address that a browser was sent to.
    pub fn from_redirect(url: &Url) -> anyhow::Result<Self> {
        Self::read(Binding::Redirect, url.query().unwrap_or_default())
    }

    /// Reads the form that a browser posts.
    pub fn from_form(fields: &[(String, String)]) -> anyhow::Result<Self> {
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Self::read(Binding::Post, &encoded)
    }
}

/// `xs:dateTime`, of seconds since 1970.
#[must_use]
pub fn instant(seconds: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}
