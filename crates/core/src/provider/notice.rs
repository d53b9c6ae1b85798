//! What a provider publishes, and what it tells us unasked.

use url::Url;

use super::{Handle, Issuer, OneTime, Subject, UpstreamSession};

/// Sessions that ended upstream.
#[derive(Debug)]
pub struct LogoutNotice {
    /// Who says so.
    pub issuer: Issuer,
    /// Whose sessions; `None` where the notice names only a session.
    pub subject: Option<Subject>,
    /// Which session; `None` where all of the subject's ended.
    pub upstream_session: Option<UpstreamSession>,
    /// What makes it believable.
    pub proof: LogoutProof,
    /// Keys that must never be seen again (`jti`, the LogoutRequest's id).
    pub spend: Vec<OneTime>,
    /// What the sender expects to hear once the notice is kept.
    pub reply: LogoutReply,
}

/// What makes a logout notice believable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogoutProof {
    /// The provider vouches for it (a signature).
    Signed,
    /// Its sender knows the session's secret name, and the attempt that opened it (CAS: the service ticket at its service
    /// URL). It is believed about a session that is known, and not remembered otherwise.
    Knowledge {
        /// The attempt.
        attempt: Handle,
    },
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
