//! Who signs in, in which order, and what has to come of it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use url::Url;

use super::{
    organisation::{Organisation, TRUSTED_CLIENT, homeserver_of},
    report::Report,
    session::{Desk, LoggedIn, Outcome, Seen},
};

/// The title of the portal's page for people without a homeserver.
const NO_HOMESERVER: &str = "No homeserver for you yet";

/// The whole story; an error at the first claim that does not hold.
pub(super) async fn tell(organisation: &Organisation, report: &Report) -> anyhow::Result<()> {
    let trusted = Url::parse(TRUSTED_CLIENT).context("the trusted client's address")?;
    let strange = organisation.client_page.url();

    report.step("Alice, of engineering, signs in; the portal does not know her client, so it asks her");
    let alice = Desk::of(organisation, "alice");
    let (token, alices) = in_full(organisation, report, &alice, strange, "ALICE1").await?;

    report.step("Carol, of history, signs in; her client is on the list of trusted ones");
    in_full(organisation, report, &Desk::of(organisation, "carol"), &trusted, "CAROL1").await?;

    report.step("Three more: by attribute, by attribute, and one by name");
    for username in ["bob", "dave", "frank"] {
        briefly(organisation, report, &Desk::of(organisation, username), &trusted).await?;
    }

    report.step("Alice signs in again and finds the account she has");
    let arrival = alice.arrive(&trusted).await?;
    ensure!(!arrival.typed_password, "the CAS server asked for the password again");
    let again = alice.log_in(&arrival.login_token, "ALICE2").await?;
    let seen = check(organisation, &alice, &again, "ALICE2").await?;
    ensure!(again.text("user_id")? == alices.text("user_id")?, "she has two accounts");
    report.fact("password", "not asked for: the CAS server remembers her");
    report.fact("user_id", &format!("{}, as before", seen.user_id));
    report.fact("devices", &devices(&seen));

    report.step("Somebody tries the login token that Alice's client has used");
    let (status, answer) = alice.post_login(&alice.login_request(&token, "MALLORY")).await?;
    let errcode = answer["errcode"].as_str().unwrap_or_default();
    ensure!(status == 403 && errcode == "M_FORBIDDEN", "a used token was answered {status} {errcode}");
    report.fact(
        "POST /login",
        &format!("{status} {errcode}: {}", answer["error"].as_str().unwrap_or_default()),
    );

    report.step("Erin, of physics, signs in; her department has no homeserver");
    turned_away(report, &Desk::of(organisation, "erin"), strange).await
}

/// A sign-in with everything there is to see; the login token it used up, and the answer.
async fn in_full(
    organisation: &Organisation,
    report: &Report,
    desk: &Desk<'_>,
    client: &Url,
    device_id: &str,
) -> anyhow::Result<(String, LoggedIn)> {
    let is_trusted = client.as_str() == TRUSTED_CLIENT;
    report.fact("browser", &format!("GET {}", organisation.sign_in_url(client)));
    let arrival = desk.arrive(client).await?;
    ensure!(arrival.typed_password, "the CAS server did not ask for a password");
    ensure!(
        arrival.was_asked != is_trusted,
        "the portal should ask people whose client it does not trust, and only them"
    );
    report.fact("CAS server", &format!("{}/login: name and password typed in", organisation.cas.base_url()));
    report.fact(
        "portal",
        if arrival.was_asked {
            "\"Continue to this site?\" with the client's address: clicked Continue"
        } else {
            "asked nothing and sent the browser on to the client"
        },
    );
    let logged_in = desk.log_in(&arrival.login_token, device_id).await?;
    let seen = check(organisation, desk, &logged_in, device_id).await?;
    let millis = logged_in.answer["expires_in_ms"].as_u64().context("a refreshable token has an end")?;
    let minutes = Duration::from_millis(millis).as_secs().div_ceil(60);
    report.fact("POST /login", &format!("200, an access token for {minutes} minutes, and a refresh token"));
    report.fact("homeserver", homeserver_of(&desk.person).unwrap_or_default());
    report.fact("user_id", logged_in.text("user_id")?);
    report.fact("device_id", logged_in.text("device_id")?);
    report.fact("well_known", &logged_in.answer["well_known"].to_string());
    report.fact(
        "whoami",
        &format!("asked at {}: {}, device {}", logged_in.base_url()?, seen.user_id, seen.device_id),
    );
    report.fact("displayname", &seen.display_name);
    report.fact("devices", &devices(&seen));
    Ok((arrival.login_token, logged_in))
}

async fn briefly(
    organisation: &Organisation,
    report: &Report,
    desk: &Desk<'_>,
    client: &Url,
) -> anyhow::Result<()> {
    let device_id = format!("{}1", desk.person.username.to_uppercase());
    let arrival = desk.arrive(client).await?;
    let logged_in = desk.log_in(&arrival.login_token, &device_id).await?;
    let seen = check(organisation, desk, &logged_in, &device_id).await?;
    let departments = desk.person.departments.join(", ");
    let text = format!("{departments:18} {:22} {}", seen.user_id, logged_in.base_url()?);
    report.fact(desk.person.username, &text);
    Ok(())
}

/// The homeserver is the one the config names, and it agrees with what the portal said.
async fn check(
    organisation: &Organisation,
    desk: &Desk<'_>,
    logged_in: &LoggedIn,
    device_id: &str,
) -> anyhow::Result<Seen> {
    let username = desk.person.username;
    let server_name = homeserver_of(&desk.person);
    let server_name = server_name.with_context(|| format!("{username} has no homeserver in the config"))?;
    let homeserver = organisation.homeserver(server_name)?;
    let expected = format!("@{username}:{server_name}");
    ensure!(
        logged_in.text("user_id")? == expected,
        "{username} should be {expected}: {}",
        logged_in.text("user_id")?
    );
    let base_url = homeserver.client_url().as_str().trim_end_matches('/');
    ensure!(
        logged_in.base_url()? == base_url,
        "well_known should name {base_url}: {}",
        logged_in.base_url()?
    );
    let seen = logged_in.ask_homeserver().await?;
    ensure!(seen.user_id == expected, "whoami at {base_url} says {}", seen.user_id);
    ensure!(seen.device_id == device_id, "whoami at {base_url} says device {}", seen.device_id);
    ensure!(seen.display_name == desk.person.name, "the display name is {:?}", seen.display_name);
    let device = (device_id.to_owned(), desk.device_name());
    ensure!(seen.devices.contains(&device), "the device list lacks {device_id}, or its name");
    Ok(seen)
}

async fn turned_away(report: &Report, desk: &Desk<'_>, client: &Url) -> anyhow::Result<()> {
    match desk.sign_in(client).await? {
        Outcome::Arrived(_) => anyhow::bail!("{} was let in", desk.person.username),
        Outcome::Refused(page) => {
            let text = page.text();
            ensure!(page.status().as_u16() == 403, "the page's status is {}", page.status());
            ensure!(text.contains(NO_HOMESERVER), "the page does not say {NO_HOMESERVER:?}: {text}");
            report.fact("CAS server", "name and password typed in");
            report.fact("portal", &format!("{}, a page:", page.status()));
            for line in sentences(&text, NO_HOMESERVER) {
                report.fact("", &line);
            }
            Ok(())
        }
    }
}

/// `text` a sentence a line. It begins with the title twice: once for the window, once for the page.
fn sentences(text: &str, title: &str) -> Vec<String> {
    let body = text.strip_prefix(title).map_or(text, str::trim_start);
    let (title, body) = body.split_at(if body.starts_with(title) { title.len() } else { 0 });
    let sentences = body.split_inclusive(". ").map(|sentence| sentence.trim().to_owned());
    std::iter::once(title.to_owned()).chain(sentences).filter(|line| !line.is_empty()).collect()
}

fn devices(seen: &Seen) -> String {
    let devices = seen.devices.iter().map(|(id, name)| format!("{id} \"{name}\""));
    devices.collect::<Vec<_>>().join(", ")
}
