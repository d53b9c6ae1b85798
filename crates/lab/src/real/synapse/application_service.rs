//! An application service as a homeserver is told of it: <https://spec.matrix.org/v1.19/application-service-api/#registration>.

use std::fmt;

use serde_json::json;

/// A service that may act for every user of a server, and for whom the homeserver never calls out.
#[derive(Clone)]
pub struct ApplicationService {
    /// Its name in the homeserver's configuration.
    pub id: String,
    /// What it authenticates with.
    pub as_token: String,
    /// What the homeserver would authenticate with.
    pub hs_token: String,
    /// The localpart of its own user.
    pub sender_localpart: String,
    /// A regular expression of the user ids it may act for.
    pub users: String,
}

impl ApplicationService {
    /// One for all users of `server_name`; both tokens are given, so that a test knows them.
    #[must_use]
    pub fn for_all_users_of(server_name: &str, as_token: &str, hs_token: &str) -> Self {
        Self {
            id: "usher".to_owned(),
            as_token: as_token.to_owned(),
            hs_token: hs_token.to_owned(),
            sender_localpart: "_usher".to_owned(),
            users: format!("@.*:{}", server_name.replace('.', r"\.")),
        }
    }

    /// The contents of its registration file.
    #[must_use]
    pub fn registration(&self) -> String {
        // JSON is YAML.
        json!({
            "id": self.id,
            "url": null,
            "as_token": self.as_token,
            "hs_token": self.hs_token,
            "sender_localpart": self.sender_localpart,
            "rate_limited": false,
            "namespaces": { "users": [{ "regex": self.users, "exclusive": false }] },
        })
        .to_string()
    }
}

impl fmt::Debug for ApplicationService {
    /// Without the tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApplicationService")
            .field("id", &self.id)
            .field("sender_localpart", &self.sender_localpart)
            .field("users", &self.users)
            .finish_non_exhaustive()
    }
}
