//! The little of Synapse's admin API that Usher calls, as Synapse was seen to answer it:
//! <https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html>.

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Account, Site,
    endpoint::error,
    requester::{Requester, parse},
};
use crate::scripted::{Reply, Request};

#[derive(Deserialize)]
struct Change {
    threepids: Vec<ThreePid>,
}

#[derive(Deserialize)]
struct ThreePid {
    medium: String,
    address: String,
}

pub(super) fn flag(site: &Site, request: &Request, user: &str) -> Result<Reply, Reply> {
    demand_admin(site, request)?;
    let is_admin = site.people().find(user).is_some_and(|person| person.is_admin);
    Ok(Reply::json(200, &json!({ "admin": is_admin })))
}

pub(super) fn user(site: &Site, request: &Request, user: &str) -> Result<Reply, Reply> {
    demand_admin(site, request)?;
    if request.method == Method::PUT {
        let change: Change = parse(request)?;
        let emails = change.threepids.into_iter().filter(|threepid| threepid.medium == "email");
        site.people().set_emails(user, emails.map(|threepid| threepid.address).collect());
    }
    let people = site.people();
    let person = people.find(user).ok_or_else(|| error(404, "M_NOT_FOUND", "User not found"))?;
    let threepids: Vec<Value> =
        person.emails.iter().map(|address| json!({ "medium": "email", "address": address })).collect();
    let answer = json!({
        "name": user,
        "admin": person.is_admin,
        "deactivated": person.account == Account::Deactivated,
        "locked": person.account == Account::Locked,
        "displayname": person.display_name,
        "threepids": threepids,
    });
    Ok(Reply::json(200, &answer))
}

pub(super) fn owner_of_email(site: &Site, request: &Request, address: &str) -> Result<Reply, Reply> {
    demand_admin(site, request)?;
    match site.people().owner_of(address) {
        Some(user) => Ok(Reply::json(200, &json!({ "user_id": user }))),
        None => Err(error(404, "M_NOT_FOUND", "User not found")),
    }
}

fn demand_admin(site: &Site, request: &Request) -> Result<(), Reply> {
    let user = Requester::of(site, request)?.user;
    if site.people().find(&user).is_some_and(|person| person.is_admin) {
        return Ok(());
    }
    Err(error(403, "M_FORBIDDEN", "You are not a server admin"))
}
