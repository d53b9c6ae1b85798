//! One homeserver as Usher calls it: its name, its place, and how a session is obtained there.
//!
//! Application services authenticate with their `as_token` and name the user they act for in `user_id`:
//! <https://spec.matrix.org/v1.19/application-service-api/#identity-assertion>.

use ruma_common::{OwnedServerName, ServerName, UserId};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;
use usher_http::Outgoing;

/// A homeserver that can be called. Cheap to clone; clones share one connection pool.
#[derive(Clone, Debug)]
pub struct Homeserver {
    server_name: OwnedServerName,
    upstream_url: Url,
    pub(crate) handoff: Handoff,
    pub(crate) outgoing: Outgoing,
}

/// How a session is obtained on a homeserver.
#[derive(Clone, Debug)]
pub enum Handoff {
    /// Usher is registered there as an application service whose user namespace covers everybody it logs in.
    ApplicationService {
        /// The service's own token. It can act for every user of the homeserver, administrators included.
        as_token: SecretString,
    },
}

/// Why a homeserver cannot be called as configured. No text repeats the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHomeserver {
    /// `upstream_url` is neither `http` nor `https`.
    #[error("the upstream URL must begin with http:// or https://")]
    NotHttp,
    /// `upstream_url` has a user name or a password.
    #[error("the upstream URL must not contain a user name or a password")]
    HasUserinfo,
    /// `upstream_url` has a query or a fragment: Usher writes the query itself.
    #[error("the upstream URL must not have a query or a fragment")]
    HasQueryOrFragment,
    /// `as_token` is empty or has characters that cannot be sent (Synapse splits the header at spaces).
    #[error("the as_token must be one word of visible ASCII characters")]
    AsToken,
}

impl Homeserver {
    /// `upstream_url` is where Usher's own calls go: everything before `/_matrix`, a path prefix included, with or
    /// without a slash at its end. `outgoing` holds the deadline and the bound on answers.
    pub fn new(
        server_name: OwnedServerName,
        upstream_url: Url,
        handoff: Handoff,
        outgoing: Outgoing,
    ) -> Result<Self, InvalidHomeserver> {
        if !matches!(upstream_url.scheme(), "http" | "https") {
            return Err(InvalidHomeserver::NotHttp);
        }
        if !upstream_url.username().is_empty() || upstream_url.password().is_some() {
            return Err(InvalidHomeserver::HasUserinfo);
        }
        if upstream_url.query().is_some() || upstream_url.fragment().is_some() {
            return Err(InvalidHomeserver::HasQueryOrFragment);
        }
        let Handoff::ApplicationService { as_token } = &handoff;
        let token = as_token.expose_secret();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidHomeserver::AsToken);
        }
        Ok(Self { server_name, upstream_url, handoff, outgoing })
    }

    /// Its identity, such as `eng.ac.cdl`.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.server_name
    }

    /// The URL of a client-server endpoint; `segments` are escaped here.
    pub(crate) fn endpoint(&self, segments: &[&str]) -> Url {
        self.under(["_matrix", "client", "v3"], segments)
    }

    /// The URL of an endpoint of Synapse's admin API.
    pub(crate) fn admin_endpoint(&self, version: &str, segments: &[&str]) -> Url {
        self.under(["_synapse", "admin", version], segments)
    }

    fn under(&self, root: [&str; 3], segments: &[&str]) -> Url {
        let mut url = self.upstream_url.clone();
        url.path_segments_mut().expect("an http URL has a path").pop_if_empty().extend(root).extend(segments);
        url
    }

    /// The same, acting for `user`: without `user_id` the service acts on itself and is told 200, and a homeserver
    /// that finds two takes the first, so there is exactly one and nobody else can add to it.
    pub(crate) fn endpoint_as(&self, user: &UserId, segments: &[&str]) -> Url {
        acting_for(user, self.endpoint(segments))
    }
}

/// `url`, acting for `user`. The URL has no query yet.
pub(crate) fn acting_for(user: &UserId, mut url: Url) -> Url {
    url.query_pairs_mut().append_pair("user_id", user.as_str());
    url
}
