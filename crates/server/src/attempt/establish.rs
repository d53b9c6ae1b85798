//! A person's account on their homeserver: found, or made, register first.
//!
//! Logging in first would take over whoever holds the name already: an application service may log in
//! anybody. So a new name is reserved here, probed there, and only then registered, each step committed
//! before the next, so that a process that dies between any two of them leaves a state from which the next
//! visit goes on. See `docs/decisions/0003-establishing-an-account.md`.

use std::collections::BTreeSet;

use ruma_common::{OwnedUserId, ServerName, UserId};
use usher_core::{
    Identity,
    mapping::{MappingError, RenderError},
};
use usher_homeserver::{CallError, Probe, RegisterError, Registered};
use usher_store::{
    AccountState, Origin, PersonKey, StoreError, accounts, choices, links, people, people::Person,
};

use crate::app::{App, ServedHomeserver};

/// Each turn either finishes, fails, or has moved the account one state on or one name further; others may
/// be doing the same for this person at the same time, and undo a turn of ours.
const MAX_TURNS: usize = 64;

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub enum EstablishError {
    /// The config gives this person no name.
    #[error("the person cannot be given a name")]
    Mapping(#[from] MappingError),
    /// The display name's template does not fit this person.
    #[error("the display name could not be rendered")]
    DisplayName(#[from] RenderError),
    /// Every name the person may have is somebody else's.
    #[error("all {0} names are taken")]
    NamesTaken(usize),
    /// The link was removed by an operator, who left the account as a tombstone.
    #[error("the account {0} was removed")]
    Removed(OwnedUserId),
    /// The homeserver of the selection is not served.
    #[error("the homeserver is not served")]
    NotServed,
    /// The homeserver could not be asked.
    #[error("the homeserver could not be asked")]
    Homeserver(#[from] CallError),
    /// The homeserver refused to register the name.
    #[error("the homeserver did not register the account")]
    Register(#[from] RegisterError),
    /// Too many others were establishing the same account.
    #[error("the account did not come to rest")]
    Contended,
    /// The database.
    #[error("the database did not answer")]
    Store(#[from] StoreError),
}

/// The person's account on `server_name`, made if this is their first visit. `person` is what the database
/// said a moment ago.
pub(super) async fn establish(
    app: &App,
    identity: &Identity,
    server_name: &ServerName,
    person: &Person,
) -> Result<OwnedUserId, EstablishError> {
    let homeserver = app.homeservers.get(server_name).ok_or(EstablishError::NotServed)?;
    let link = person.links.iter().find(|link| link.server_name == *server_name);
    if let Some(link) = link
        && link.state == AccountState::Active
    {
        return Ok(link.mxid.clone());
    }
    Establishing::new(app, identity, homeserver)?.run(person.clone()).await
}

struct Establishing<'a> {
    app: &'a App,
    identity: &'a Identity,
    homeserver: &'a ServedHomeserver,
    names: Vec<OwnedUserId>,
    display_name: Option<String>,
    /// Names that turned out to be somebody else's.
    taken: BTreeSet<OwnedUserId>,
}

impl<'a> Establishing<'a> {
    fn new(
        app: &'a App,
        identity: &'a Identity,
        homeserver: &'a ServedHomeserver,
    ) -> Result<Self, EstablishError> {
        let server_name = &homeserver.config.server_name;
        let names = app.config.mapping.mapping.names(identity, server_name, &homeserver.reserved)?;
        let template = homeserver.config.new_account.display_name.as_ref();
        let display_name = template.map(|template| template.render(identity, server_name)).transpose()?;
        Ok(Self { app, identity, homeserver, names, display_name, taken: BTreeSet::new() })
    }

    async fn run(mut self, mut person: Person) -> Result<OwnedUserId, EstablishError> {
        for _ in 0..MAX_TURNS {
            let server_name = &self.homeserver.config.server_name;
            let link = person.links.iter().find(|link| link.server_name == *server_name);
            match link.map(|link| (link.mxid.clone(), link.state)) {
                None => self.reserve().await?,
                Some((user, AccountState::Reserved)) => self.probe(&user).await?,
                Some((user, AccountState::Registering)) => self.register(&user).await?,
                Some((user, AccountState::Active)) => return Ok(user),
                Some((user, AccountState::Removed)) => return Err(EstablishError::Removed(user)),
            }
            person = people::find(&self.app.store, &self.key()).await?;
        }
        Err(EstablishError::Contended)
    }

    fn key(&self) -> PersonKey<'a> {
        PersonKey::from(self.identity)
    }

    /// Takes the best name that nobody has here, and links the person to it.
    async fn reserve(&mut self) -> Result<(), EstablishError> {
        let server_name = &self.homeserver.config.server_name;
        for user in self.names.iter().filter(|user| !self.taken.contains(*user)) {
            let now = self.app.clock.now();
            let mut tx = self.app.store.begin().await?;
            if !accounts::insert_reserved(&mut tx, user, Origin::Created, now).await? {
                continue;
            }
            // If a link stands already, another visit of the same person was faster: theirs is the account,
            // and dropping the transaction gives the name back.
            if links::insert(&mut tx, &self.key(), user, now).await? {
                choices::insert(&mut tx, &self.key(), server_name, now).await?;
                tx.commit().await?;
            }
            return Ok(());
        }
        Err(EstablishError::NamesTaken(self.names.len()))
    }

    /// Asks the homeserver whether the reserved name is free there.
    async fn probe(&mut self, user: &UserId) -> Result<(), EstablishError> {
        match self.homeserver.client.probe(user).await? {
            Probe::Free => {
                self.advance(user, AccountState::Reserved, AccountState::Registering).await?;
            }
            Probe::Taken => self.give_up(user, AccountState::Reserved).await?,
        }
        Ok(())
    }

    /// Registers a name that a probe found free.
    async fn register(&mut self, user: &UserId) -> Result<(), EstablishError> {
        match self.homeserver.client.register(user).await {
            Ok(Registered::Created) => {}
            // Free, and kept for another application service: a bridge's ghost to be.
            Err(RegisterError::Exclusive(_)) => return self.give_up(user, AccountState::Registering).await,
            Err(error) => return Err(error.into()),
            // After a free probe it is our own earlier try, cut off before it was noted. Ours has never been
            // handed to anybody: an account with a device is somebody's who came between probe and try.
            Ok(Registered::InUse) => {
                if self.homeserver.client.list_devices_of(user).await? > 0 {
                    return self.give_up(user, AccountState::Registering).await;
                }
            }
        }
        if let Some(name) = &self.display_name {
            self.homeserver.client.set_display_name(user, name).await?;
        }
        if self.advance(user, AccountState::Registering, AccountState::Active).await? {
            tracing::info!(user.mxid = %user, "account created");
        }
        Ok(())
    }

    /// One state on; `false` if another visit has moved it already, which is as good.
    async fn advance(&self, user: &UserId, from: AccountState, to: AccountState) -> Result<bool, StoreError> {
        accounts::advance(&self.app.store, user, from, to, self.app.clock.now()).await
    }

    /// The name is somebody else's on the homeserver: unlinks the person from it. Only if the account is still
    /// in the state in which that was found out: another visit may have registered it meanwhile.
    async fn give_up(&mut self, user: &UserId, state: AccountState) -> Result<(), EstablishError> {
        let mut tx = self.app.store.begin().await?;
        let is_unlinked = links::delete(&mut tx, &self.key(), user).await?;
        if is_unlinked && accounts::delete_unfinished(&mut tx, user, state).await? {
            tx.commit().await?;
            tracing::warn!(user.mxid = %user, "the name is taken on the homeserver");
            self.taken.insert(user.to_owned());
        }
        Ok(())
    }
}
