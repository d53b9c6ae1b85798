//! Who is on a scripted homeserver, before a test and in the middle of it.

use super::{Account, ScriptedHomeserver, lock};

impl ScriptedHomeserver {
    /// Makes an account, as if it had always been there. One that exists is left as it is.
    pub fn add_user(&self, user: &str) {
        lock(&self.site.people).add(user);
    }

    /// Changes an account, making it if need be.
    pub fn set_account(&self, user: &str, account: Account) {
        lock(&self.site.people).add(user).account = account;
    }

    /// Takes an account away, with its sessions: what no real homeserver does, but a restored backup may.
    pub fn remove_user(&self, user: &str) {
        lock(&self.site.people).remove(user);
    }

    /// Puts a name outside the application service's namespace.
    pub fn exclude(&self, user: &str) {
        lock(&self.site.people).exclude(user);
    }

    /// Makes somebody an administrator, or the service's own user (`@usher`), making the account if need be.
    pub fn set_admin(&self, user: &str, is_admin: bool) {
        lock(&self.site.people).add(user).is_admin = is_admin;
    }

    /// Changes somebody's display name, as they may themselves; makes the account if need be.
    pub fn set_display_name(&self, user: &str, name: &str) {
        lock(&self.site.people).add(user).display_name = Some(name.to_owned());
    }

    /// Gives somebody e-mail addresses in place of those they had, making the account if need be.
    pub fn set_emails(&self, user: &str, emails: &[&str]) {
        let emails = emails.iter().map(|email| (*email).to_owned()).collect();
        lock(&self.site.people).set_emails(user, emails);
    }

    /// Makes a room that everybody may join, by its alias.
    pub fn add_room(&self, alias: &str) {
        lock(&self.site.people).add_room(alias);
    }

    /// Gives somebody a password, making the account if need be.
    pub fn set_password(&self, user: &str, password: &str) {
        lock(&self.site.people).add(user).password = Some(password.to_owned());
    }

    /// Has somebody log in by themselves, past everything, making the account if need be. Returns the access token.
    #[must_use]
    pub fn open_session(&self, user: &str, device: &str, display_name: Option<&str>) -> String {
        lock(&self.site.people).open(user, Some(device), display_name).1
    }

    /// Says when (in milliseconds since 1970) and from where somebody's device was last seen, making it if need be.
    pub fn set_last_seen(&self, user: &str, device: &str, ts: u64, ip: &str) {
        let mut people = lock(&self.site.people);
        let device = people.add(user).devices.entry(device.to_owned()).or_default();
        device.last_seen_ts = Some(ts);
        device.last_seen_ip = Some(ip.to_owned());
    }

    /// Has an address validated under a client's secret and a session id of the homeserver's, so that it can be added
    /// to an account.
    pub fn validate_email(&self, client_secret: &str, sid: &str, email: &str) {
        lock(&self.site.people).validate_email(client_secret, sid, email);
    }
}
