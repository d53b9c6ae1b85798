//! Groups that did not fit (OpenID Connect Core 5.6.2, as Entra ID uses it): instead of `groups`, the token says that they
//! are elsewhere. Whoever leaves that unread takes a person with many groups for one without any.
//!
//! The address in the token is not called: Entra ID still names an interface that is gone, and a token's word would be
//! believed about where this machine calls. The config says where.

use serde::Deserialize;
use serde_json::Value;
use url::Url;
use usher_core::ProviderError;
use usher_http::{Method, header};

use crate::{
    calls::{Calls, Failure, Target, read_json},
    claims::Claims,
    config::{Groups, Settings},
};

const WHAT: &str = "list of groups";
/// Microsoft Graph gives 999 a page at most; nobody has more than some thousands.
const MAX_PAGES: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMany {
    #[error(
        "the provider leaves out the groups of people who have too many: set `groups_overage`, or have it send fewer"
    )]
    Refused,
    #[error("the list of groups goes on for too long")]
    Pages,
    #[error("the list of groups goes on at another address")]
    Elsewhere,
    #[error("the list of groups took too long")]
    Late,
}

/// One page, as Microsoft Graph has it.
#[derive(Deserialize)]
struct Page {
    value: Vec<Group>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<Url>,
}

#[derive(Deserialize)]
struct Group {
    id: String,
}

/// Whether the token says that `groups` is elsewhere.
fn is_left_out(claims: &Claims) -> bool {
    let is_distributed = claims.get("_claim_names").and_then(|names| names.get("groups")).is_some();
    let is_marked = matches!(claims.get("hasgroups"), Some(Value::Bool(true)))
        || claims.get("hasgroups").and_then(Value::as_str) == Some("true");
    (is_distributed || is_marked) && !claims.contains_key("groups")
}

/// Does what the config says of people with too many groups: refuses them, leaves `claims` as they are, or adds `groups`.
pub(crate) async fn complete(
    claims: &mut Claims,
    access_token: &str,
    calls: &Calls,
    settings: &Settings,
) -> Result<(), ProviderError> {
    if !is_left_out(claims) {
        return Ok(());
    }
    match &settings.groups {
        Groups::Ignore => Ok(()),
        Groups::Refuse => Err(ProviderError::Internal(TooMany::Refused.into())),
        Groups::Follow(endpoint) => {
            let listed = tokio::time::timeout(settings.timeout, list(endpoint, access_token, calls)).await;
            let groups = listed.map_err(|_| ProviderError::unavailable(TooMany::Late))??;
            claims.insert("groups".to_owned(), groups.into_iter().map(Value::from).collect());
            Ok(())
        }
    }
}

async fn list(endpoint: &Url, access_token: &str, calls: &Calls) -> Result<Vec<String>, Failure> {
    let mut groups = Vec::new();
    let mut next = Some(endpoint.clone());
    for _ in 0..MAX_PAGES {
        let Some(url) = next else { return Ok(groups) };
        // The access token goes to nobody else.
        if url.origin() != endpoint.origin() {
            return Err(Failure::internal(TooMany::Elsewhere));
        }
        let target = Target::configured(url);
        let request = calls.request(Method::GET, &target).bearer_auth(access_token);
        let request = request.header(header::ACCEPT, "application/json");
        let answer = calls.send(WHAT, &target, request, |status| status == 200).await?;
        let page: Page = read_json(WHAT, &answer.body)?;
        groups.extend(page.value.into_iter().map(|group| group.id));
        next = page.next;
    }
    if next.is_some() { Err(Failure::internal(TooMany::Pages)) } else { Ok(groups) }
}
