//! From a person's account to their client: a login token at once, or a page that asks about the client's site.

use data_encoding::BASE64URL_NOPAD;
use ruma_common::{OwnedUserId, UserId};
use sha2::{Digest as _, Sha256};
use usher_core::{ProviderId, provider::OneTime};
use usher_store::{StoreError, TokenHash, login_tokens};

use super::{
    Attempt, Choice, ClientRedirect, Confirmation, FinishError, Finished, Jar, SetCookie, Step, begin::keep,
    land::Arrival,
};
use crate::{
    app::App,
    login::{Issue, issue, spend_keys},
};

/// Straight to a trusted client, by way of a page to any other.
pub(super) async fn hand_over(
    app: &App,
    mut attempt: Attempt,
    arrival: Arrival<'_>,
    user: OwnedUserId,
    jar: &Jar,
) -> Result<Finished, FinishError> {
    let client = ClientRedirect::of(&attempt.purpose).ok_or(FinishError::UnknownAttempt)?;
    app.limits.issue(&user)?;
    let spend = &arrival.spend;
    let confirmation = confirmation(app, &arrival, user.clone());
    if client.is_trusted(&app.config.login.trusted_clients) {
        let is_first = issue(app, &Issue { attempt: &attempt, confirmation: &confirmation, spend }).await?;
        // A form that was sent twice: the token is the one that was sealed into the attempt before.
        let is_good = is_first || arrival.choice.is_some() && is_issued(app, &confirmation).await?;
        if !is_good {
            return Err(FinishError::AlreadyUsed);
        }
        tracing::info!(user.mxid = %user, attempt.id = %attempt.handle, is_first, "signed in");
        let location = client.with_token(&confirmation.token);
        return Ok(Finished::ToClient { location, cookies: vec![SetCookie::Drop(attempt.handle)] });
    }
    // The provider's one-time keys are spent now: the page may be left open, the answer must not be good twice.
    let provider = &arrival.identity.provider;
    if !spend.is_empty() && !spend_now(app, provider, spend).await? {
        return Err(FinishError::AlreadyUsed);
    }
    let csrf = confirmation.csrf.clone();
    attempt.step = Step::Confirm(confirmation);
    let cookies = if let Some(cookies) = keep(app, &attempt, jar) {
        cookies
    } else {
        // A long address, and a long name or ticket beside it: the page's form carries the address.
        attempt = attempt.without_client();
        keep(app, &attempt, jar).ok_or(FinishError::TooLarge)?
    };
    tracing::info!(user.mxid = %user, attempt.id = %attempt.handle, "signed in; the person is asked about the client's site");
    Ok(Finished::Confirm { attempt: Box::new(attempt), csrf, client, user, cookies })
}

fn confirmation(app: &App, arrival: &Arrival<'_>, user: OwnedUserId) -> Confirmation {
    let identity = arrival.identity;
    let (csrf, token, upstream_session) = match &arrival.choice {
        Some(Choice { csrf, token, upstream_session }) => {
            (csrf_after(csrf, &user), token.clone(), upstream_session.clone())
        }
        None => (
            app.entropy.base64url::<16>(),
            crate::login::new_token(&app.keyring, &*app.entropy),
            identity.upstream_session.clone(),
        ),
    };
    Confirmation {
        csrf,
        token,
        user,
        issuer: identity.issuer.clone(),
        subject: identity.subject.clone(),
        upstream_session,
        chooser_csrf: arrival.choice.as_ref().map(|choice| choice.csrf.clone()),
    }
}

/// The confirmation's token after a chooser's: the same for the same account, so that of a form sent twice either page
/// works with either cookie, and another for another account.
fn csrf_after(chooser: &str, user: &UserId) -> String {
    let digest = Sha256::new().chain_update(chooser).chain_update([0]).chain_update(user).finalize();
    BASE64URL_NOPAD.encode(&digest[..16])
}

async fn is_issued(app: &App, confirmation: &Confirmation) -> Result<bool, StoreError> {
    login_tokens::is_issued(&app.store, &TokenHash::of(&confirmation.token), &confirmation.user).await
}

async fn spend_now(app: &App, provider: &ProviderId, keys: &[OneTime]) -> Result<bool, StoreError> {
    let mut tx = app.store.begin().await?;
    if !spend_keys(&mut tx, provider, keys).await? {
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}
