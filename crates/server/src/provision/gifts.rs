//! What a new account is given, as far as the config says so and it can be said of this person.

use ruma_common::{OwnedRoomOrAliasId, UserId};
use usher_core::{Identity, Timestamp, mapping::LocalpartTemplate};
use usher_store::{
    StoreError, Tx,
    provisioning::{self, Gift, Kind},
};

use crate::app::ServedHomeserver;

/// The longest address there can be (RFC 5321 section 4.5.3.1.3, without its brackets).
const MAX_ADDRESS_BYTES: usize = 254;

/// Everything for one new account.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Gifts {
    /// What it is called.
    pub(crate) display_name: Option<String>,
    email: Option<String>,
    join: Vec<OwnedRoomOrAliasId>,
}

impl Gifts {
    /// A missing attribute costs somebody their display name or their address, not their account.
    pub(crate) fn of(identity: &Identity, homeserver: &ServedHomeserver) -> Self {
        let new_account = &homeserver.config.new_account;
        let email = new_account.email.as_ref();
        let email = email.and_then(|template| render(template, "email", identity, homeserver));
        let is_address = email.as_deref().is_some_and(is_address);
        if email.is_some() && !is_address {
            tracing::warn!(key = key(homeserver, "email"), "what the template gives is no address");
        }
        Self {
            display_name: display_name(identity, homeserver),
            email: email.filter(|_| is_address),
            join: new_account.join.clone(),
        }
    }

    /// Leaves a row for each that is not yet given, and remembers the display name that is. Whether there are any.
    pub(crate) async fn leave(
        &self,
        tx: &mut Tx,
        user: &UserId,
        is_named: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut has_left = false;
        if let Some(value) = self.display_name.as_deref() {
            let gift = Gift { kind: Kind::DisplayName, value };
            if is_named {
                provisioning::set_given(&mut *tx, user, &gift, now).await?;
            } else {
                provisioning::upsert(&mut *tx, user, &gift, now).await?;
                has_left = true;
            }
        }
        let email = self.email.iter().map(|value| Gift { kind: Kind::Email, value });
        let join = self.join.iter().map(|room| Gift { kind: Kind::Join, value: room.as_str() });
        for gift in email.chain(join) {
            provisioning::upsert(&mut *tx, user, &gift, now).await?;
            has_left = true;
        }
        Ok(has_left)
    }
}

/// What the person is called there.
pub(super) fn display_name(identity: &Identity, homeserver: &ServedHomeserver) -> Option<String> {
    let template = homeserver.config.new_account.display_name.as_ref()?;
    render(template, "display_name", identity, homeserver).filter(|name| !name.trim().is_empty())
}

fn render(
    template: &LocalpartTemplate,
    name: &str,
    identity: &Identity,
    homeserver: &ServedHomeserver,
) -> Option<String> {
    template
        .render(identity, &homeserver.config.server_name)
        .map_err(|error| tracing::warn!(key = key(homeserver, name), %error, "an account goes without"))
        .ok()
}

fn key(homeserver: &ServedHomeserver, name: &str) -> String {
    format!("{}.new_account.{name}", homeserver.config.path)
}

/// Whether mail could go there, as far as the spelling tells.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_clean = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"@<>,;:\\\"".contains(c))
    };
    text.len() <= MAX_ADDRESS_BYTES
        && is_clean(local)
        && is_clean(domain)
        && domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn an_address_looks_like_one() {
        let long = format!("{}@ac.cdl", "a".repeat(248));
        for (text, expected) in [
            ("alice@ac.cdl", true),
            ("alice.o'neil+x@mail.ac.cdl", true),
            ("älice@ac.cdl", true),
            ("", false),
            ("alice", false),
            ("@ac.cdl", false),
            ("alice@", false),
            ("alice@localhost", false),
            ("alice@ac..cdl", false),
            ("alice@ac.cdl.", false),
            ("a@b@ac.cdl", false),
            ("alice @ac.cdl", false),
            ("alice@ac.cdl\n", false),
            ("Alice <alice@ac.cdl>", false),
            ("alice@ac.cdl,bob@ac.cdl", false),
            (&long[1..], true),
            (&long, false),
        ] {
            assert_eq!(is_address(text), expected, "{text:?}");
        }
    }
}
