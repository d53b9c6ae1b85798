//! `GET /_matrix/client/v3/login`
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3login>

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Serialize;
use serde_json::{Value, json};
use usher_core::Descriptor;

use crate::app::App;

/// Absent fields are omitted: clients take `null` for a value.
#[derive(Serialize)]
struct IdentityProvider<'a> {
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand: Option<&'a str>,
}

impl<'a> From<&'a Descriptor> for IdentityProvider<'a> {
    fn from(descriptor: &'a Descriptor) -> Self {
        Self {
            id: descriptor.id.as_str(),
            name: &descriptor.name,
            icon: descriptor.icon.as_deref(),
            brand: descriptor.brand.as_deref(),
        }
    }
}

pub(super) async fn get(app: web::Data<App>) -> HttpResponse {
    let token = json!({ "type": "m.login.token" });
    let flows: Vec<Value> = sso(&app).into_iter().chain([token]).collect();
    crate::http::json(StatusCode::OK, &json!({ "flows": flows }))
}

/// Our single sign-on, as a flow; `None` without a provider.
pub(crate) fn sso(app: &App) -> Option<Value> {
    let providers: Vec<_> = app
        .providers
        .iter()
        .map(|configured| IdentityProvider::from(configured.provider.descriptor()))
        .collect();
    (!providers.is_empty()).then(|| json!({ "type": "m.login.sso", "identity_providers": providers }))
}
