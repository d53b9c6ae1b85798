//! Issues a login token, in the transaction that spends the attempt.

use data_encoding::BASE64URL_NOPAD;
use usher_core::{Entropy, ProviderId, provider::OneTime};
use usher_store::{
    AttemptHash, PersonKey, SpentKey, StoreError, TokenHash, Tx, UpstreamSessionHash,
    login_tokens::{self, NewLoginToken},
    spent,
};

use crate::{
    app::App,
    attempt::{Attempt, Confirmation, KeyRing, MARKED_BYTES},
};

/// Login tokens of ours start with it: at a homeserver's own host they are told apart from the homeserver's.
const PREFIX: &str = "ushl_";
/// What the key ring marks tokens for.
const CONTEXT: &[u8] = b"login token";

/// What a token is issued for.
#[derive(Clone, Copy, Debug)]
pub struct Issue<'a> {
    /// The attempt that ends here.
    pub attempt: &'a Attempt,
    /// Who signed in, and the token chosen for them.
    pub confirmation: &'a Confirmation,
    /// The provider's one-time keys.
    pub spend: &'a [OneTime],
}

/// A new login token: 192 random bits, and the ring's mark on them.
#[must_use]
pub fn new_token(keyring: &KeyRing, entropy: &dyn Entropy) -> String {
    format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&keyring.mark(CONTEXT, entropy)))
}

/// Whether `token` says that it is ours; anybody can say so.
pub(crate) fn claims_to_be_ours(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// Whether `token` was made by [`new_token`]: what was not is refused before the database is asked.
pub(super) fn is_ours(keyring: &KeyRing, token: &str) -> bool {
    let decoded = token.strip_prefix(PREFIX).and_then(|rest| BASE64URL_NOPAD.decode(rest.as_bytes()).ok());
    let marked: Option<[u8; MARKED_BYTES]> = decoded.and_then(|bytes| bytes.try_into().ok());
    marked.is_some_and(|marked| keyring.is_marked(&marked, CONTEXT))
}

/// Stores the token and spends the attempt; `false` if it was spent before, and then nothing is stored.
pub async fn issue(app: &App, wanted: &Issue<'_>) -> Result<bool, StoreError> {
    let Issue { attempt, confirmation, spend } = wanted;
    let now = app.clock.now();
    let expires_at = now.plus(app.config.login.token_lifetime);
    // An attempt cannot be spent anew after it expired; until then, the row that says so must stand.
    let keep_until = attempt.started.plus(app.config.login.attempt_lifetime).max(expires_at);
    let token_hash = TokenHash::of(&confirmation.token);
    let attempt_hash = AttemptHash::of(&attempt.handle);
    let upstream_session = confirmation
        .upstream_session
        .as_ref()
        .map(|session| UpstreamSessionHash::of(&attempt.provider, &confirmation.issuer, session));
    let token = NewLoginToken {
        token: &token_hash,
        attempt: &attempt_hash,
        mxid: &confirmation.user,
        person: PersonKey {
            provider: &attempt.provider,
            issuer: &confirmation.issuer,
            subject: &confirmation.subject,
        },
        upstream_session: upstream_session.as_ref(),
        begun_at: attempt.started,
        issued_at: now,
        expires_at,
        keep_until,
    };
    if spend.is_empty() {
        return login_tokens::insert(&app.store, &token).await;
    }
    let mut tx = app.store.begin().await?;
    if !spend_keys(&mut tx, &attempt.provider, spend).await? || !login_tokens::insert(&mut tx, &token).await?
    {
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}

/// Spends a provider's one-time keys; `false` if one of them was spent before, and then the transaction is to be
/// dropped.
pub(crate) async fn spend_keys(
    tx: &mut Tx,
    provider: &ProviderId,
    keys: &[OneTime],
) -> Result<bool, StoreError> {
    for key in keys {
        if !spent::insert(&mut *tx, &SpentKey::of(provider, key), key.until).await? {
            return Ok(false);
        }
    }
    Ok(true)
}
