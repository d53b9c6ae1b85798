//! What a provider publishes, and what it tells us unasked.

use url::Url;

use super::{Issuer, OneTime, Subject, UpstreamSession};

/// Sessions that ended upstream.
#[derive(Debug)]
pub struct LogoutNotice {
    /// Who says so.
    pub issuer: Issuer,
    /// Whose sessions; `None` where the notice names only a session.
    pub subject: Option<Subject>,
    /// Which session; `None` where all of the subject's ended.
    pub upstream_session: Option<UpstreamSession>,
    /// Keys that must never be seen again (`jti`, the LogoutRequest's id).
    pub spend: Vec<OneTime>,
    /// What the sender expects to hear once the notice is kept.
    pub reply: LogoutReply,
}

/// The answer a logout notice gets.
#[derive(Debug)]
pub enum LogoutReply {
    /// 200 with an empty body (OIDC back-channel logout 2.8, CAS).
    Empty,
    /// The browser carries a response back (SAML single logout).
    Redirect(Url),
}

/// Something an upstream's operator fetches.
#[derive(Clone, Debug)]
pub struct Document {
    /// The media type, such as `application/samlmetadata+xml`.
    pub content_type: String,
    /// The bytes.
    pub body: Vec<u8>,
}
