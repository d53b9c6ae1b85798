//! From a person's account to their client: a login token at once, or a page that asks about the client's site.

use ruma_common::OwnedUserId;
use usher_core::{Identity, ProviderId, Purpose, provider::OneTime};
use usher_store::StoreError;

use super::{
    Attempt, ClientRedirect, Confirmation, FinishError, Finished, Jar, SameSite, SetCookie, Step, begin::keep,
};
use crate::{
    app::App,
    login::{Issue, issue, spend_keys},
};

/// Straight to a trusted client, by way of a page to any other.
pub(super) async fn hand_over(
    app: &App,
    mut attempt: Attempt,
    identity: &Identity,
    user: OwnedUserId,
    spend: Vec<OneTime>,
    jar: &Jar,
) -> Result<Finished, FinishError> {
    let Purpose::Login { client_redirect_url, .. } = &attempt.purpose else {
        return Err(FinishError::UnknownAttempt);
    };
    let client = ClientRedirect::parse(client_redirect_url).map_err(|_| FinishError::UnknownAttempt)?;
    app.limits.issue(&user)?;
    let confirmation = Confirmation {
        csrf: app.entropy.base64url::<16>(),
        token: crate::login::new_token(&app.keyring, &*app.entropy),
        user: user.clone(),
        issuer: identity.issuer.clone(),
        subject: identity.subject.clone(),
        upstream_session: identity.upstream_session.clone(),
    };
    if client.is_trusted(&app.config.login.trusted_clients) {
        let wanted = Issue { attempt: &attempt, confirmation: &confirmation, spend: &spend };
        if !issue(app, &wanted).await? {
            return Err(FinishError::AlreadyUsed);
        }
        tracing::info!(user.mxid = %user, attempt.id = %attempt.handle, "signed in");
        let location = client.with_token(&confirmation.token);
        return Ok(Finished::ToClient { location, cookies: vec![SetCookie::Drop(attempt.handle)] });
    }
    // The provider's one-time keys are spent now: the page may be left open, the answer must not be good twice.
    if !spend.is_empty() && !spend_now(app, &identity.provider, &spend).await? {
        return Err(FinishError::AlreadyUsed);
    }
    let csrf = confirmation.csrf.clone();
    attempt.step = Step::Confirm(confirmation);
    let cookies = keep(app, &attempt, SameSite::Lax, jar).ok_or(FinishError::TooLarge)?;
    tracing::info!(user.mxid = %user, attempt.id = %attempt.handle, "signed in; the person is asked about the client's site");
    Ok(Finished::Confirm { attempt: Box::new(attempt), csrf, client, user, cookies })
}

async fn spend_now(app: &App, provider: &ProviderId, keys: &[OneTime]) -> Result<bool, StoreError> {
    let mut tx = app.store.begin().await?;
    if !spend_keys(&mut tx, provider, keys).await? {
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}
