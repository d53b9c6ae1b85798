//! The homeserver's own user-interactive authentication, as far as it is recognised here.
//! <https://spec.matrix.org/v1.19/client-server-api/#user-interactive-api-in-the-rest-api>

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value};
use usher_http::{Answer, StatusCode};

/// Whether a homeserver asks for UI auth: a 401 with `flows`, whatever they are. Without SSO and password Synapse has
/// none to offer and asks all the same.
pub(crate) fn is_asked_for(answer: &Answer) -> bool {
    #[derive(Deserialize)]
    struct Question {
        #[serde(rename = "flows")]
        _flows: IgnoredAny,
    }

    answer.status == StatusCode::UNAUTHORIZED && serde_json::from_slice::<Question>(&answer.body).is_ok()
}

/// A body to send, without `auth`: what a client says there is not the homeserver's to hear.
pub(crate) fn without_auth(body: &Map<String, Value>) -> BTreeMap<&str, &Value> {
    body.iter().map(|(key, value)| (key.as_str(), value)).filter(|(key, _)| *key != "auth").collect()
}
