//! What a provider publishes, and what it tells us unasked.

use std::fmt;

use super::{BrowserStep, Handle, Issuer, OneTime, Subject, UpstreamSession};

/// Sessions that ended upstream.
#[derive(Debug)]
pub struct LogoutNotice {
    /// Who says so.
    pub issuer: Issuer,
    /// Whose sessions; `None` where the notice names only a session.
    pub subject: Option<Subject>,
    /// Which sessions; empty where all of the subject's ended.
    pub sessions: Vec<EndedSession>,
    /// What makes it believable.
    pub proof: LogoutProof,
    /// Keys that must never be seen again (`jti`, the LogoutRequest's id).
    pub spend: Vec<OneTime>,
}

/// What a notice says has ended.
#[derive(Clone, PartialEq, Eq)]
pub enum EndedSession {
    /// One session.
    One(UpstreamSession),
    /// Every session of a group that was begun until now ([`UpstreamSession::OfGroup`]).
    Group(String),
}

impl fmt::Debug for EndedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One(_) => "One([redacted])",
            Self::Group(_) => "Group([redacted])",
        })
    }
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

/// What a browser brought that has to do with single logout.
#[derive(Debug)]
pub enum BrowserLogout {
    /// Sessions ended upstream. The browser takes an answer back.
    Notice {
        /// What ended.
        notice: LogoutNotice,
        /// What the provider is told then.
        answers: Box<LogoutAnswers>,
    },
    /// The browser is back from signing out, and the provider has done it ([`SsoProvider::sign_out`](super::SsoProvider::sign_out)).
    SignedOut(LogoutNotice),
    /// A believable message that cannot be acted upon, for the reason given. The browser takes back that it was not.
    Unheeded {
        /// For the log.
        reason: &'static str,
        /// What the browser does.
        step: BrowserStep,
    },
}

/// What the provider is told by the browser. The server knows which is true.
#[derive(Debug)]
pub struct LogoutAnswers {
    /// The sessions have ended, or will.
    pub ended: BrowserStep,
    /// Not all of them will.
    pub not_ended: BrowserStep,
}

/// Something an upstream's operator fetches.
#[derive(Clone, Debug)]
pub struct Document {
    /// The media type, such as `application/samlmetadata+xml`.
    pub content_type: String,
    /// The bytes.
    pub body: Vec<u8>,
}
