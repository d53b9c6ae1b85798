//! Who is on the homeserver.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

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
    /// What they log in and confirm with at the homeserver itself; most have none.
    pub password: Option<String>,
    /// Their cross-signing keys, by their names in an upload: `master_key` and the like.
    pub cross_signing: Map<String, Value>,
}

/// One device.
#[derive(Clone, Debug, Default)]
pub struct Device {
    /// From the login that made it.
    pub display_name: Option<String>,
    /// Every access token that is valid, oldest first: a later login leaves earlier ones alone.
    pub access_tokens: Vec<String>,
    /// In milliseconds since 1970, as a test says.
    pub last_seen_ts: Option<u64>,
    /// From where, as a test says.
    pub last_seen_ip: Option<String>,
}

/// All users, by Matrix id.
#[derive(Debug, Default)]
pub(super) struct People {
    by_id: BTreeMap<String, Person>,
    /// Access token to user and device.
    sessions: HashMap<String, (String, String)>,
    excluded: HashSet<String>,
    rooms: HashSet<String>,
    /// Client secret and session id of a validation, to the address.
    validated: HashMap<(String, String), String>,
    /// Numbers given so far: they make access tokens, device ids and login tokens unique.
    counted: u64,
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

    /// Adds an address, taking it away from whoever has it.
    pub(super) fn add_email(&mut self, user: &str, email: String) {
        let mut emails = self.add(user).emails.clone();
        emails.retain(|own| *own != email);
        emails.push(email);
        self.set_emails(user, emails);
    }

    /// Has an address validated, as if somebody had read a mail sent there.
    pub(super) fn validate_email(&mut self, client_secret: &str, sid: &str, email: &str) {
        self.validated.insert((client_secret.to_owned(), sid.to_owned()), email.to_owned());
    }

    pub(super) fn validated_email(&self, client_secret: &str, sid: &str) -> Option<String> {
        self.validated.get(&(client_secret.to_owned(), sid.to_owned())).cloned()
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
        let number = self.count();
        let device_id = device_id.map_or_else(|| format!("DEVICE{number}"), str::to_owned);
        let access_token = format!("syt_{number}");
        let device = self
            .add(user)
            .devices
            .entry(device_id.clone())
            .or_insert_with(|| Device { display_name: display_name.map(str::to_owned), ..Device::default() });
        device.access_tokens.push(access_token.clone());
        self.sessions.insert(access_token.clone(), (user.to_owned(), device_id.clone()));
        (device_id, access_token)
    }

    /// A number that was not given before.
    pub(super) fn count(&mut self) -> u64 {
        self.counted += 1;
        self.counted
    }

    /// Deletes a device with its sessions. One that is not there does no harm.
    pub(super) fn delete_device(&mut self, user: &str, device: &str) {
        if let Some(person) = self.by_id.get_mut(user) {
            person.devices.remove(device);
        }
        self.sessions.retain(|_, (owner, of_device)| owner != user || of_device != device);
    }

    /// Deletes all devices but one.
    pub(super) fn delete_devices_but(&mut self, user: &str, kept: &str) {
        let devices = self.find(user).map(|person| person.devices.keys().cloned().collect::<Vec<_>>());
        for device in devices.unwrap_or_default() {
            if device != kept {
                self.delete_device(user, &device);
            }
        }
    }

    /// Ends an account for good. Its name stays taken.
    pub(super) fn deactivate(&mut self, user: &str) {
        self.sessions.retain(|_, (owner, _)| owner != user);
        let person = self.add(user);
        person.account = Account::Deactivated;
        person.devices.clear();
        person.emails.clear();
        person.password = None;
    }
}
