//! `POST /_matrix/client/v3/join/{roomIdOrAlias}?user_id=`: a new person joins the rooms their operator chose.
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias>

use reqwest::Method;
use ruma_common::{RoomOrAliasId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    CallError, Homeserver,
    call::{Said, read},
};

#[derive(Serialize)]
struct Request {}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "room_id")]
    _room_id: String,
}

impl Homeserver {
    /// Has `user` join `room`. Joining again does no harm. A room that is not there, or that lets nobody in, is
    /// [`CallError::NotAllowed`].
    pub async fn join(&self, user: &UserId, room: &RoomOrAliasId) -> Result<(), CallError> {
        self.check_own(user)?;
        let url = self.endpoint_as(user, &["join", room.as_str()]);
        match self.send(Method::POST, url, &Request {}).await? {
            Said::Done(body) => read::<Response>(&body).map(drop),
            Said::Refused(refusal) => Err(CallError::NotAllowed(refusal)),
        }
    }
}
