//! A person's account on their homeserver: found, or made, register first.
//!
//! Logging in first would take over whoever holds the name already: an application service may log in
//! anybody. So a new name is reserved here, probed there, and only then registered, each step committed
//! before the next, so that a process that dies between any two of them leaves a state from which the next
//! visit goes on. See `docs/decisions/0003-establishing-an-account.md`.

use std::{collections::BTreeSet, time::Duration};

use ruma_common::{OwnedUserId, ServerName, UserId};
use usher_core::{Identity, mapping::MappingError};
use usher_homeserver::{CallError, Probe, RegisterError, Registered};
use usher_store::{
    AccountState, Origin, PersonKey, StoreError, accounts, choices, links, people, people::Person,
};

use crate::{
    app::{App, ServedHomeserver},
    error::chain,
    provision::{self, Gifts},
};

use super::adopt::{AdoptError, Adoption, adopt};

/// Each turn either finishes, fails, or has moved the account one state on or one name further; others may
/// be doing the same for this person at the same time, and undo a turn of ours.
const MAX_TURNS: usize = 64;

/// How long after a free probe a name in use is believed to be our own earlier try. After that, whoever has it.
const OWN_TRY: Duration = Duration::from_mins(15);

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub enum EstablishError {
    /// The config gives this person no name.
    #[error("the person cannot be given a name")]
    Mapping(#[from] MappingError),
    /// Every name the person may have is somebody else's.
    #[error("all {0} names are taken")]
    NamesTaken(usize),
    /// The link was removed by an operator, who left the account as a tombstone.
    #[error("the account {0} was removed")]
    Removed(OwnedUserId),
    /// The person has no account, and none is to be made.
    #[error("new accounts are closed")]
    Closed,
    /// The account that an attribute names is not for this person to come into.
    #[error("the existing account was not adopted")]
    Adopt(#[from] AdoptError),
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
    let user = match link {
        Some(link) if link.state == AccountState::Active => link.mxid.clone(),
        _ => Establishing::new(app, identity, homeserver).run(person.clone()).await?,
    };
    provision::keep_up_to_date(app, identity, homeserver, &user).await;
    Ok(user)
}

/// Whether a registration certainly made nothing. A 5xx may be a proxy's, in front of a homeserver that acted.
fn did_nothing(error: &RegisterError) -> bool {
    match error {
        RegisterError::Exclusive(_) | RegisterError::InvalidUsername(_) => true,
        RegisterError::Call(error) => match error {
            CallError::NotConnected(_)
            | CallError::RateLimited { .. }
            | CallError::NotAllowed(_)
            | CallError::Looped
            | CallError::ForeignUser => true,
            CallError::Ambiguous(_) | CallError::ServerError { .. } | CallError::Misbehaved(_) => false,
        },
    }
}

struct Establishing<'a> {
    app: &'a App,
    identity: &'a Identity,
    homeserver: &'a ServedHomeserver,
    /// Names that turned out to be somebody else's.
    taken: BTreeSet<OwnedUserId>,
    /// The name that this visit has seen to be free.
    probed: Option<OwnedUserId>,
}

impl<'a> Establishing<'a> {
    fn new(app: &'a App, identity: &'a Identity, homeserver: &'a ServedHomeserver) -> Self {
        Self { app, identity, homeserver, taken: BTreeSet::new(), probed: None }
    }

    async fn run(mut self, mut person: Person) -> Result<OwnedUserId, EstablishError> {
        let mut is_newcomer = false;
        for _ in 0..MAX_TURNS {
            let server_name = &self.homeserver.config.server_name;
            let link = person.links.iter().find(|link| link.server_name == *server_name);
            match link.map(|link| (link.mxid.clone(), link.state)) {
                None if is_newcomer => self.reserve().await?,
                None => match adopt(self.app, self.identity, self.homeserver).await? {
                    Adoption::NothingThere => {
                        self.check_open()?;
                        is_newcomer = true;
                        self.reserve().await?;
                    }
                    Adoption::LookAgain => {}
                },
                Some((user, AccountState::Reserved)) => self.probe(&user).await?,
                Some((user, AccountState::Registering)) => self.register(&user).await?,
                Some((user, AccountState::Active)) => return Ok(user),
                Some((user, AccountState::Removed)) => return Err(EstablishError::Removed(user)),
            }
            person = people::find(&self.app.store, &self.key()).await?;
        }
        Err(EstablishError::Contended)
    }

    /// Whether somebody new may be made an account: by their provider, and there.
    fn check_open(&self) -> Result<(), EstablishError> {
        let provider = self.app.providers.get(&self.identity.provider);
        let is_open = provider.is_some_and(|provider| provider.allows_new_accounts)
            && self.homeserver.config.allows_new_accounts;
        if is_open { Ok(()) } else { Err(EstablishError::Closed) }
    }

    fn key(&self) -> PersonKey<'a> {
        PersonKey::from(self.identity)
    }

    /// Takes the best name that nobody has here, and links the person to it.
    async fn reserve(&mut self) -> Result<(), EstablishError> {
        let server_name = &self.homeserver.config.server_name;
        let mapping = &self.app.config.mapping.mapping;
        let names = mapping.names(self.identity, server_name, &self.homeserver.reserved)?;
        for user in names.iter().filter(|user| !self.taken.contains(*user)) {
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
        Err(EstablishError::NamesTaken(names.len()))
    }

    /// Asks the homeserver whether the reserved name is free there.
    async fn probe(&mut self, user: &UserId) -> Result<(), EstablishError> {
        match self.homeserver.client.probe(user).await? {
            Probe::Free => {
                if self.advance(user, AccountState::Reserved, AccountState::Registering).await? {
                    self.probed = Some(user.to_owned());
                }
            }
            Probe::Taken => self.give_up(user, AccountState::Reserved).await?,
        }
        Ok(())
    }

    /// Registers a name that a probe found free.
    async fn register(&mut self, user: &UserId) -> Result<(), EstablishError> {
        let is_created = match self.homeserver.client.register(user).await {
            Ok(Registered::Created) => true,
            Ok(Registered::InUse) if self.is_our_own_try(user).await? => false,
            Ok(Registered::InUse) | Err(RegisterError::Exclusive(_)) => {
                // Somebody came between probe and try, or the name is kept for another application service.
                return self.give_up(user, AccountState::Registering).await;
            }
            Err(error) => {
                if self.probed.as_deref() == Some(user) && did_nothing(&error) {
                    // Nobody has tried since our own probe, and its answer is worth less every second: the next
                    // visit asks again. A try that an earlier visit began may have made the account.
                    self.advance(user, AccountState::Registering, AccountState::Reserved).await?;
                }
                return Err(error.into());
            }
        };
        let gifts = Gifts::of(self.identity, self.homeserver);
        let is_named = self.set_display_name(user, &gifts).await;
        if self.activate(user, is_created, &gifts, is_named).await? {
            tracing::info!(user.mxid = %user, "account created");
        }
        Ok(())
    }

    /// Whether nothing is left to be done about the display name. A failure costs nobody their account: it is tried
    /// again in the background.
    async fn set_display_name(&self, user: &UserId, gifts: &Gifts) -> bool {
        let Some(name) = &gifts.display_name else { return true };
        match self.homeserver.client.set_display_name(user, name).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(user.mxid = %user, cause = chain(&error), "a new account has to wait for its display name");
                false
            }
        }
    }

    /// The account is there: notes it, and in the same transaction what it is still to be given.
    async fn activate(
        &self,
        user: &UserId,
        is_created: bool,
        gifts: &Gifts,
        is_named: bool,
    ) -> Result<bool, StoreError> {
        use AccountState::{Active, Registering, Reserved};
        let now = self.app.clock.now();
        let mut tx = self.app.store.begin().await?;
        let mut is_active = accounts::advance(&mut tx, user, Registering, Active, now).await?;
        if is_created && !is_active {
            // Another visit's failure has taken the account a step back meanwhile; this one knows that it made it.
            is_active = accounts::advance(&mut tx, user, Reserved, Active, now).await?;
        }
        if is_active {
            let has_left = gifts.leave(&mut tx, user, is_named, now).await?;
            tx.commit().await?;
            if has_left {
                self.homeserver.newcomers.notify_one();
            }
        }
        Ok(is_active)
    }

    /// Whether a name in use is an earlier try of ours that was cut off before it was noted: soon after a free probe,
    /// and nobody has a device there, since ours is handed to nobody before it is noted.
    async fn is_our_own_try(&self, user: &UserId) -> Result<bool, EstablishError> {
        let account = accounts::find(&self.app.store, user).await?;
        let is_recent =
            account.is_some_and(|account| self.app.clock.now().since(account.updated_at) <= OWN_TRY);
        Ok(is_recent && self.homeserver.client.list_devices_of(user).await? == 0)
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
