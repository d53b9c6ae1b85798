//! An attempt, and how it is sealed into its cookie.
//!
//! The authenticated context is cookie name, provider, purpose and step: an attempt of one provider, purpose
//! or step is not even readable as another's.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ruma_common::OwnedUserId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use usher_core::{
    Demand, Entropy, Freshness, Handle, Issuer, ProviderId, Purpose, Subject, Timestamp,
    provider::{Hints, ProviderState, ReturnTrip, UpstreamSession},
};

use super::{Jar, KeyRing, jar};

/// One attempt under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id; in the cookie's name, not in its value.
    #[serde(skip, default = "placeholder")]
    pub handle: Handle,
    /// The provider the browser was sent to.
    pub provider: ProviderId,
    /// Why.
    pub purpose: Purpose,
    /// How fresh the answer must be, as it was when the attempt began.
    pub freshness: Freshness,
    /// The IdP asked for, where the provider stands for many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Issuer>,
    /// The client's wishes.
    #[serde(default)]
    pub hints: Hints,
    /// The hash of the client's `redirectUrl`, where that does not fit the cookie beside all else: the page's form
    /// carries it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_hash: Option<String>,
    /// How the browser comes back from the provider, or has come: reloading what it was shown then comes back that way once
    /// more.
    #[serde(default, skip_serializing_if = "is_navigation")]
    pub returns_by: ReturnTrip,
    /// When it began.
    pub started: Timestamp,
    /// What is to happen next.
    pub step: Step,
}

/// What an attempt waits for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The provider's answer.
    Answer(ProviderState),
    /// The person's choice of a homeserver.
    Choose(Choice),
    /// The person's word that this site may have a login token.
    Confirm(Confirmation),
}

/// What belongs to a page that asks for a homeserver; who signed in waits in the database.
#[derive(Clone, Serialize, Deserialize)]
pub struct Choice {
    /// What the page's form must bring back.
    pub csrf: String,
    /// The login token that will be issued, whatever is chosen: a form sent twice leads to one token.
    pub token: String,
    /// In which session they signed in.
    pub upstream_session: Option<UpstreamSession>,
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Choice").finish_non_exhaustive()
    }
}

/// Who signed in, kept while the person is asked about the client's site.
#[derive(Clone, Serialize, Deserialize)]
pub struct Confirmation {
    /// What the page's form must bring back.
    pub csrf: String,
    /// The login token that will be issued: chosen now, so that a form sent twice leads to one token.
    pub token: String,
    /// The account; its server name is the homeserver.
    pub user: OwnedUserId,
    /// Who vouched.
    pub issuer: Issuer,
    /// For whom.
    pub subject: Subject,
    /// In which session.
    pub upstream_session: Option<UpstreamSession>,
    /// If they chose their homeserver before: what that page's form brings back, should they return to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chooser_csrf: Option<String>,
}

impl fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confirmation").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Which step an opener expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Answer,
    Choose,
    Confirm,
}

impl Attempt {
    /// The same with the hash of its client's `redirectUrl` in that one's place.
    pub(super) fn without_client(mut self) -> Self {
        if let Purpose::Login { client_redirect_url, .. } = &mut self.purpose {
            self.client_hash = Some(client_hash(client_redirect_url));
            client_redirect_url.clear();
        }
        self
    }

    /// The same with its client's `redirectUrl` as a form brings it back; `None` if it is another.
    pub(super) fn with_client(mut self, redirect_url: Option<&str>) -> Option<Self> {
        let Purpose::Login { client_redirect_url, .. } = &mut self.purpose else { return None };
        match (self.client_hash.take(), redirect_url) {
            (None, None) => Some(self),
            (None, Some(redirect_url)) => (redirect_url == client_redirect_url).then_some(self),
            (Some(hash), Some(redirect_url)) if client_hash(redirect_url) == hash => {
                redirect_url.clone_into(client_redirect_url);
                Some(self)
            }
            (Some(_), _) => None,
        }
    }

    /// Whether the form of the page that asks about the client's site must carry its `redirectUrl`.
    #[must_use]
    pub fn is_without_client(&self) -> bool {
        self.client_hash.is_some()
    }

    /// The demand that began it, the same at both ends, with what the browser remembers now.
    #[must_use]
    pub fn demand(&self, jar: &Jar) -> Demand {
        Demand {
            handle: self.handle.clone(),
            freshness: self.freshness,
            issuer: self.issuer.clone(),
            hints: Hints { origin: jar.origin(&self.provider).cloned(), ..self.hints.clone() },
        }
    }

    /// The value of its cookie.
    pub(super) fn seal(&self, keyring: &KeyRing, entropy: &dyn Entropy) -> String {
        let plaintext = serde_json::to_vec(self).expect("an attempt is plain data");
        let step = match self.step {
            Step::Answer(_) => Expected::Answer,
            Step::Choose(_) => Expected::Choose,
            Step::Confirm(_) => Expected::Confirm,
        };
        keyring.seal(&plaintext, &context(&self.handle, &self.provider, self.purpose.kind(), step), entropy)
    }

    /// The attempt in a cookie's value, if it is one of this provider, purpose and step.
    pub(super) fn open(
        keyring: &KeyRing,
        value: &str,
        handle: &Handle,
        provider: &ProviderId,
        purpose: &str,
        step: Expected,
    ) -> Option<Self> {
        let plaintext = keyring.open(value, &context(handle, provider, purpose, step))?;
        let attempt: Self = serde_json::from_slice(&plaintext).ok()?;
        Some(Self { handle: handle.clone(), ..attempt })
    }
}

fn context(handle: &Handle, provider: &ProviderId, purpose: &str, step: Expected) -> Vec<u8> {
    // None of the parts can contain the separator.
    format!("{}\0{provider}\0{purpose}\0{step:?}", jar::cookie_name(handle)).into_bytes()
}

/// What is sealed of a `redirectUrl` that the form carries.
fn client_hash(redirect_url: &str) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(redirect_url.as_bytes()))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_navigation(trip: &ReturnTrip) -> bool {
    *trip == ReturnTrip::Navigation
}

fn placeholder() -> Handle {
    Handle::parse("AAAAAAAAAAAAAAAAAAAAAA").expect("16 zero bytes")
}
