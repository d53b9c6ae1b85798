//! `GET /_matrix/client/v3/login`: how people may log in at the homeserver itself.
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3login>

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::{
    CallError, Homeserver, Misbehaviour,
    call::{Said, read},
};

/// What a homeserver says about logging in.
#[derive(Clone, Debug, PartialEq)]
pub struct LoginFlows {
    /// The flows, as they came.
    pub flows: Vec<Map<String, Value>>,
    /// Whatever else it says.
    pub rest: Map<String, Value>,
}

impl Homeserver {
    /// Asks as anybody could, on behalf of somebody at `client`.
    pub async fn login_flows(&self, client: IpAddr) -> Result<LoginFlows, CallError> {
        let url = self.endpoint(&["login"]);
        let body = match self.get_as_anybody(client, url).await? {
            Said::Done(body) => body,
            // Nobody has to be allowed to ask this.
            Said::Refused(refusal) => {
                return Err(CallError::Misbehaved(Misbehaviour::Status { status: refusal.status }));
            }
        };
        let mut rest: Map<String, Value> = read(&body)?;
        let wrong_shape = || CallError::Misbehaved(Misbehaviour::WrongShape { status: 200 });
        let flows = rest.remove("flows").ok_or_else(wrong_shape)?;
        let flows = serde_json::from_value(flows).map_err(|_| wrong_shape())?;
        Ok(LoginFlows { flows, rest })
    }
}
