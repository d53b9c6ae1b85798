//! From a proven person to their homeserver: may they, which one, their account there, and on to their client. The way
//! in is the provider's answer or the person's own choice on a page; from here on both go the same way.

use ruma_common::{OwnedServerName, ServerName};
use usher_core::{Identity, provider::OneTime};
use usher_store::{AttemptHash, PersonKey, StoreError, choices, login_tokens, people};

use super::{
    Attempt, Choice, EstablishError, FinishError, Finished, Jar,
    admission::is_admitted,
    ask::ask,
    establish::establish,
    hand_over::hand_over,
    select::{Selected, select},
};
use crate::{app::App, error::chain};

/// Somebody who is proven, and what became of their attempt so far.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    /// Who.
    pub identity: &'a Identity,
    /// The provider's one-time keys that are not spent yet.
    pub spend: Vec<OneTime>,
    /// If they were asked to choose: what was sealed then.
    pub choice: Option<Choice>,
    /// If they have chosen: what.
    pub answer: Option<&'a ServerName>,
}

/// Goes on until the browser has to be told something.
pub(super) async fn land(
    app: &App,
    attempt: Attempt,
    arrival: Arrival<'_>,
    jar: &Jar,
) -> Result<Finished, FinishError> {
    let identity = arrival.identity;
    if !is_admitted(app, identity) {
        return Err(FinishError::NotAdmitted);
    }
    let mut person = people::find(&app.store, &PersonKey::from(identity)).await?;
    let (homeserver, is_noted) =
        match select(app, &attempt.purpose, identity, &mut person, arrival.answer).await? {
            Selected::Homeserver { name, is_noted } => (name, is_noted),
            Selected::Asked(candidates) => return ask(app, attempt, arrival, candidates, jar).await,
        };
    tracing::Span::current().record("homeserver", homeserver.as_str());
    // Before an account is made there: an old page must not make one more.
    if arrival.choice.is_some() && is_spent_elsewhere(app, &attempt, &homeserver).await? {
        return Err(FinishError::AlreadyUsed);
    }
    let user = match establish(app, identity, &homeserver, &person).await {
        Ok(user) => user,
        Err(error) => {
            if is_noted {
                take_back(app, identity, &homeserver).await;
            }
            return Err(failed(homeserver, error));
        }
    };
    tracing::Span::current().record("user.mxid", user.as_str());
    hand_over(app, attempt, arrival, user, jar).await
}

fn failed(homeserver: OwnedServerName, error: EstablishError) -> FinishError {
    FinishError::Establish { homeserver, error }
}

/// Whether the attempt has ended in an account on another homeserver.
async fn is_spent_elsewhere(
    app: &App,
    attempt: &Attempt,
    homeserver: &ServerName,
) -> Result<bool, StoreError> {
    let issued = login_tokens::find_audience(&app.store, &AttemptHash::of(&attempt.handle)).await?;
    Ok(issued.is_some_and(|issued| issued != homeserver))
}

/// A choice that came to no account, not even to one that is half made, binds nobody.
async fn take_back(app: &App, identity: &Identity, homeserver: &ServerName) {
    let outcome = choices::delete_unused(&app.store, &PersonKey::from(identity), homeserver).await;
    if let Err(error) = outcome {
        tracing::warn!(cause = chain(&error), "a choice that came to nothing could not be taken back");
    }
}
