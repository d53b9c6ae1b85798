//! The page that says what is about to happen, and the click that starts the attempt (MSC2454, "why the confirmation page").

use std::net::IpAddr;

use ruma_common::OwnedUserId;
use usher_core::{Handle, ProviderId, Timestamp};
use usher_store::{
    StoreError, UiAuthHandleHash, UiAuthSessionHash, links,
    ui_auth_sessions::{self, Operation, Session, State},
};

use super::{
    endpoint::{devices_of, erases},
    page_devices::{PageDevice, known_devices, listed},
    session_id::{completion_url, handle_of, is_ours},
};
use crate::{
    app::{App, ServedHomeserver},
    attempt::{self, BeginError, Begun, Jar},
    limits::Limited,
};

/// In the address of the completion page: the handle, where the session id is not known.
pub(crate) const HANDLE_PARAMETER: &str = "usher_handle";
/// More than anybody has.
const MAX_PROVIDERS: u32 = 50;

/// How a session stands, to a browser.
#[derive(Debug)]
pub(crate) enum Looked {
    /// Its person is to be asked, at the page of this handle.
    Ask(Handle),
    /// Its person has signed in: back to the client.
    Complete {
        /// The handle of its page, while it can still be stopped.
        stop: Option<Handle>,
        /// Where they did.
        provider: Option<ProviderId>,
    },
}

/// What a person is to confirm.
#[derive(Debug)]
pub struct PageView {
    /// What was asked for.
    pub operation: Operation,
    /// Whose account it is about.
    pub user: OwnedUserId,
    /// The devices that would go.
    pub devices: Vec<PageDevice>,
    /// How many more, of which the homeserver knows nothing.
    pub more_devices: usize,
    /// Whether what the person wrote would go with the account.
    pub erases: bool,
    /// The address the request came from.
    pub client: String,
    /// The client's own name for itself.
    pub user_agent: String,
    /// The device that it came from.
    pub asking: Option<PageDevice>,
    /// When.
    pub at: Timestamp,
    /// Where they can sign in: id and name, the one they last used first.
    pub providers: Vec<(ProviderId, String)>,
}

/// Why there is no page, one variant per page that there is instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    /// No session has this handle or id, or none any more.
    #[error("there is no such session")]
    Unknown,
    /// Its time is over.
    #[error("the session has expired")]
    Expired,
    /// What it asked for was done.
    #[error("the session is spent")]
    Spent,
    /// The person said that it was not theirs.
    #[error("the session was denied")]
    Denied,
    /// It cannot be denied any more.
    #[error("it is too late to deny the session")]
    TooLate,
    /// None of the providers that the person is linked at is configured, or the one asked for is none of them.
    #[error("there is no provider for this person")]
    NoProvider,
    /// The account's homeserver is no longer configured.
    #[error("the homeserver of {0} is not served")]
    HomeserverGone(OwnedUserId),
    /// The form is not the page's.
    #[error("the form does not carry the page's token")]
    Csrf,
    /// The provider could not begin.
    #[error("the attempt could not begin")]
    Begin(#[source] BeginError),
    /// The address comes too often.
    #[error("the address is limited")]
    Limited(#[from] Limited),
    /// The database.
    #[error("the database did not answer")]
    Store(#[from] StoreError),
}

/// How the session of an id stands; `homeserver`: at whose own host that is asked.
pub(crate) async fn look_by_session(
    app: &App,
    homeserver: Option<&ServedHomeserver>,
    session_id: &str,
) -> Result<Looked, PageError> {
    if !is_ours(&app.keyring, session_id) {
        return Err(PageError::Unknown);
    }
    let found = ui_auth_sessions::find(&app.store, &UiAuthSessionHash::of(session_id)).await?;
    judged(app, homeserver, found, handle_of(session_id))
}

/// The same by the handle of its page.
pub(crate) async fn look(
    app: &App,
    homeserver: Option<&ServedHomeserver>,
    handle: Handle,
) -> Result<Looked, PageError> {
    let found = ui_auth_sessions::find_by_handle(&app.store, &UiAuthHandleHash::of(&handle)).await?;
    judged(app, homeserver, found, handle)
}

fn judged(
    app: &App,
    homeserver: Option<&ServedHomeserver>,
    found: Option<Session>,
    handle: Handle,
) -> Result<Looked, PageError> {
    let is_here = |session: &Session| {
        homeserver.is_none_or(|homeserver| session.mxid.server_name() == homeserver.config.server_name)
    };
    let session = found.filter(is_here).ok_or(PageError::Unknown)?;
    match session.state {
        State::Denied => Err(PageError::Denied),
        State::Pending | State::Confirmed | State::Claimed if session.expires_at <= app.clock.now() => {
            Err(PageError::Expired)
        }
        State::Pending => Ok(Looked::Ask(handle)),
        State::Confirmed => Ok(Looked::Complete { stop: Some(handle), provider: session.provider }),
        // Spent: the client has been told, or is about to be, and its window can close.
        State::Spent | State::Claimed => Ok(Looked::Complete { stop: None, provider: session.provider }),
    }
}

/// What the portal's page shows.
#[derive(Debug)]
pub(crate) enum Shown {
    /// What is about to happen.
    Ask(Box<PageView>),
    /// It is confirmed: on to the homeserver's own host.
    Complete(String),
    /// It is confirmed and not done yet, and may not have been theirs.
    Stop {
        /// What would happen.
        view: Box<PageView>,
        /// Where the completion page is.
        onward: String,
    },
}

/// What a browser wants of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// To be asked; at the provider that the client names (MSC4450), if it does.
    Question(Option<&'a str>),
    /// To stop what was confirmed.
    Stop,
}

/// The page of a handle.
pub(crate) async fn view(
    app: &App,
    handle: &Handle,
    wanted: Wanted<'_>,
    client: IpAddr,
) -> Result<Shown, PageError> {
    app.limits.redirect(client)?;
    let (session, homeserver) = find_session(app, handle).await?;
    let onward = completion_url(&homeserver.config, handle);
    match (stage(app, &session), wanted) {
        (Ok(Stage::Pending), wanted) => {
            let hint = if let Wanted::Question(hint) = wanted { hint } else { None };
            let providers = offered(app, &session, hint).await?;
            Ok(Shown::Ask(Box::new(described(homeserver, session, providers).await?)))
        }
        (Ok(Stage::Confirmed), Wanted::Stop) => {
            let view = Box::new(described(homeserver, session, Vec::new()).await?);
            Ok(Shown::Stop { view, onward })
        }
        (Ok(Stage::Claimed) | Err(PageError::Spent), Wanted::Stop) => Err(PageError::TooLate),
        (Ok(Stage::Confirmed | Stage::Claimed), Wanted::Question(_)) => Ok(Shown::Complete(onward)),
        (Err(error), _) => Err(error),
    }
}

async fn described(
    homeserver: &ServedHomeserver,
    session: Session,
    providers: Vec<(ProviderId, String)>,
) -> Result<PageView, PageError> {
    let ids = devices_of(session.operation, &session.path, &session.body).ok_or(PageError::Unknown)?;
    let known = known_devices(homeserver, &session).await;
    let (devices, more_devices) = listed(&ids, known.as_ref());
    let asking = Some(&session.device_id).filter(|id| !id.as_str().is_empty());
    let asking = asking.and_then(|id| listed(std::slice::from_ref(id), known.as_ref()).0.pop());
    Ok(PageView {
        operation: session.operation,
        devices,
        more_devices,
        erases: erases(session.operation, &session.body),
        client: session.client.clone(),
        user_agent: session.user_agent.clone(),
        asking,
        at: session.created_at,
        providers,
        user: session.mxid,
    })
}

/// The person wants to sign in for it: an attempt begins.
pub(crate) async fn click(
    app: &App,
    handle: &Handle,
    provider: &ProviderId,
    client: IpAddr,
    jar: &Jar,
) -> Result<Clicked, PageError> {
    app.limits.click(client)?;
    let (session, homeserver) = find_session(app, handle).await?;
    match stage(app, &session)? {
        Stage::Pending => {}
        Stage::Confirmed | Stage::Claimed => {
            return Ok(Clicked::Complete(completion_url(&homeserver.config, handle)));
        }
    }
    let linked = links::list_by_last_use(&app.store, &session.mxid, MAX_PROVIDERS).await?;
    let mut issuers = linked.into_iter().filter(|(id, _)| id == provider).map(|(_, issuer)| issuer);
    let first = issuers.next().ok_or(PageError::NoProvider)?;
    // Behind one provider there may be several: whoever is linked at more than one says there which.
    let issuer = issuers.all(|other| other == first).then_some(first);
    let begun = attempt::begin_ui_auth(app, provider, handle, &session.mxid, issuer, jar).await;
    begun.map(Clicked::Begun).map_err(PageError::Begin)
}

/// Where a click leads.
#[derive(Debug)]
pub(crate) enum Clicked {
    /// To the provider.
    Begun(Begun),
    /// It is confirmed already: on to the homeserver's own host.
    Complete(String),
}

async fn find_session<'a>(
    app: &'a App,
    handle: &Handle,
) -> Result<(Session, &'a ServedHomeserver), PageError> {
    let hash = UiAuthHandleHash::of(handle);
    let session = ui_auth_sessions::find_by_handle(&app.store, &hash).await?.ok_or(PageError::Unknown)?;
    let homeserver = app.homeservers.get(session.mxid.server_name());
    let homeserver = homeserver.ok_or_else(|| PageError::HomeserverGone(session.mxid.clone()))?;
    Ok((session, homeserver))
}

/// How far a session has come that is not over.
enum Stage {
    Pending,
    Confirmed,
    Claimed,
}

fn stage(app: &App, session: &Session) -> Result<Stage, PageError> {
    let stage = match session.state {
        State::Denied => return Err(PageError::Denied),
        State::Spent => return Err(PageError::Spent),
        State::Pending => Stage::Pending,
        State::Confirmed => Stage::Confirmed,
        State::Claimed => Stage::Claimed,
    };
    if session.expires_at <= app.clock.now() { Err(PageError::Expired) } else { Ok(stage) }
}

/// Where the session's person can sign in: what they are linked at and the config has. A hint that is none of that is not
/// heeded: the client may name what they used once.
async fn offered(
    app: &App,
    session: &Session,
    hint: Option<&str>,
) -> Result<Vec<(ProviderId, String)>, PageError> {
    let linked = links::list_by_last_use(&app.store, &session.mxid, MAX_PROVIDERS).await?;
    let mut providers: Vec<(ProviderId, String)> = Vec::new();
    for (id, _) in linked {
        let Some(configured) = app.providers.get(&id) else { continue };
        if providers.iter().all(|(other, _)| *other != id) {
            providers.push((id, configured.provider.descriptor().name.clone()));
        }
    }
    if let Some(hinted) = hint.and_then(|hint| providers.iter().find(|(id, _)| id.as_str() == hint)) {
        return Ok(vec![hinted.clone()]);
    }
    if providers.is_empty() { Err(PageError::NoProvider) } else { Ok(providers) }
}
