//! Who is on the homeserver.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What a homeserver lets an account do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Account {
    /// Everything.
    #[default]
    Active,
    /// Nothing, for good; the name stays taken.
    Deactivated,
    /// Nothing, for the time being.
    Locked,
}

/// One user.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// What the account may do.
    pub account: Account,
    /// Set to the localpart by a registration, as Synapse does.
    pub display_name: Option<String>,
    /// By device id.
    pub devices: BTreeMap<String, Device>,
    /// Whether they are an administrator of the homeserver.
    pub is_admin: bool,
    /// The rooms they have joined, as the homeserver was asked for them.
    pub rooms: BTreeSet<String>,
    /// Their e-mail addresses.
    pub emails: Vec<String>,
}

/// One device.
#[derive(Clone, Debug, Default)]
pub struct Device {
    /// From the login that made it.
    pub display_name: Option<String>,
    /// Every access token that is valid, oldest first: a later login leaves earlier ones alone.
    pub access_tokens: Vec<String>,
}

/// All users, by Matrix id.
#[derive(Debug, Default)]
pub(super) struct People {
    by_id: BTreeMap<String, Person>,
    /// Access token to user and device.
    sessions: HashMap<String, (String, String)>,
    excluded: HashSet<String>,
    rooms: HashSet<String>,
    /// Sessions ever opened: makes access tokens and device ids unique.
    opened: u64,
}

impl People {
    pub(super) fn add(&mut self, user: &str) -> &mut Person {
        self.by_id.entry(user.to_owned()).or_default()
    }

    pub(super) fn remove(&mut self, user: &str) {
        self.by_id.remove(user);
        self.sessions.retain(|_, (owner, _)| owner != user);
    }

    pub(super) fn exclude(&mut self, user: &str) {
        self.excluded.insert(user.to_owned());
    }

    pub(super) fn is_excluded(&self, user: &str) -> bool {
        self.excluded.contains(user)
    }

    /// Makes a room that everybody may join.
    pub(super) fn add_room(&mut self, room: &str) {
        self.rooms.insert(room.to_owned());
    }

    pub(super) fn has_room(&self, room: &str) -> bool {
        self.rooms.contains(room)
    }

    /// Whose an e-mail address is.
    pub(super) fn owner_of(&self, email: &str) -> Option<&str> {
        let has_it = |person: &Person| person.emails.iter().any(|own| own == email);
        self.by_id.iter().find(|(_, person)| has_it(person)).map(|(user, _)| user.as_str())
    }

    /// Gives `user` exactly these addresses, taking them away from whoever has them, as Synapse does.
    pub(super) fn set_emails(&mut self, user: &str, emails: Vec<String>) {
        for person in self.by_id.values_mut() {
            person.emails.retain(|own| !emails.contains(own));
        }
        self.add(user).emails = emails;
    }

    pub(super) fn find(&self, user: &str) -> Option<&Person> {
        self.by_id.get(user)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.by_id.keys().cloned().collect()
    }

    /// User and device of an access token.
    pub(super) fn session(&self, access_token: &str) -> Option<(String, String)> {
        self.sessions.get(access_token).cloned()
    }

    /// Opens a session and returns its device id and its access token.
    pub(super) fn open(
        &mut self,
        user: &str,
        device_id: Option<&str>,
        display_name: Option<&str>,
    ) -> (String, String) {
        self.opened += 1;
        let number = self.opened;
        let device_id = device_id.map_or_else(|| format!("DEVICE{number}"), str::to_owned);
        let access_token = format!("syt_{number}");
        let device = self.add(user).devices.entry(device_id.clone()).or_insert_with(|| Device {
            display_name: display_name.map(str::to_owned),
            access_tokens: Vec::new(),
        });
        device.access_tokens.push(access_token.clone());
        self.sessions.insert(access_token.clone(), (user.to_owned(), device_id.clone()));
        (device_id, access_token)
    }
}
