//! Who signs in, in which order, and what has to come of it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use url::Url;

use super::{
    dangerous::Client,
    deletions::{self, Pair, People},
    organisation::{Organisation, TRUSTED_CLIENT},
    report::Report,
    session::{Desk, Device, LoggedIn, Outcome, Seen},
};

/// The title of the portal's page for people without a homeserver.
const NO_HOMESERVER: &str = "No homeserver for you yet";

/// The whole story; an error at the first claim that does not hold.
pub(super) async fn tell(organisation: &Organisation, report: &Report) -> anyhow::Result<()> {
    let trusted = Url::parse(TRUSTED_CLIENT).context("the trusted client's address")?;
    let strange = organisation.client_page.url();
    let [alice, bob, carol, dave, frank, erin] =
        ["alice", "bob", "carol", "dave", "frank", "erin"].map(|username| Desk::of(organisation, username));

    report.step("Alice, of engineering, signs in; the portal does not know her client, so it asks her");
    let (token, alices_computer) = in_full(organisation, report, &alice, strange).await?;

    report.step("Carol, of history, signs in; her client is on the list of trusted ones");
    let (_, carols_computer) = in_full(organisation, report, &carol, &trusted).await?;

    report.step("Three more: by attribute, by attribute, and one by name");
    let bobs_computer = briefly(report, &bob, &trusted).await?;
    let daves_computer = briefly(report, &dave, &trusted).await?;
    let franks_computer = briefly(report, &frank, &trusted).await?;

    report.step("Alice signs in on another device and finds the account she has");
    let alices_telephone = again(report, &alice, &alices_computer, &trusted).await?;

    report.step("Somebody tries the login token that Alice's client has used");
    let mallorys = Device { id: "MALLORY".to_owned(), name: "Mallory's computer".to_owned() };
    let (status, answer) = alice.post_login(&Desk::login_request(&token, &mallorys)).await?;
    let errcode = answer["errcode"].as_str().unwrap_or_default();
    ensure!(status == 403 && errcode == "M_FORBIDDEN", "a used token was answered {status} {errcode}");
    report.fact(
        "POST /login",
        &format!("{status} {errcode}: {}", answer["error"].as_str().unwrap_or_default()),
    );

    report.step("Erin, of physics, signs in; her department has no homeserver");
    turned_away(report, &erin, strange).await?;

    let people = People {
        alice: Pair { computer: alices_computer, telephone: alices_telephone },
        bob: Pair::completing(bobs_computer, &trusted).await?,
        carol: Pair::completing(carols_computer, &trusted).await?,
        dave: Pair::completing(daves_computer, &trusted).await?,
        frank: Pair::completing(franks_computer, &trusted).await?,
    };
    deletions::tell(report, people, &trusted).await
}

/// A sign-in with everything there is to see; the login token it used up, and the client.
async fn in_full<'a>(
    organisation: &Organisation,
    report: &Report,
    desk: &'a Desk<'a>,
    client: &Url,
) -> anyhow::Result<(String, Client<'a>)> {
    let is_trusted = client.as_str() == TRUSTED_CLIENT;
    report.fact("browser", &format!("GET {}", organisation.sign_in_url(client)));
    let arrival = desk.arrive(client).await?;
    ensure!(arrival.typed_password, "the {} did not ask for a password", desk.sso());
    ensure!(
        arrival.was_asked != is_trusted,
        "the portal should ask people whose client it does not trust, and only them"
    );
    report.fact(desk.sso(), &format!("{}: name and password typed in", organisation.sso.url()));
    report.fact(
        "portal",
        if arrival.was_asked {
            "\"Continue to this site?\" with the client's address: clicked Continue"
        } else {
            "asked nothing and sent the browser on to the client"
        },
    );
    let device = desk.computer();
    let logged_in = desk.log_in(&arrival.login_token, &device).await?;
    let seen = check(desk, &logged_in, &device).await?;
    let millis = logged_in.answer["expires_in_ms"].as_u64().context("a refreshable token has an end")?;
    let minutes = Duration::from_millis(millis).as_secs().div_ceil(60);
    report.fact("POST /login", &format!("200, an access token for {minutes} minutes, and a refresh token"));
    report.fact("homeserver", desk.homeserver()?.server_name());
    report.fact("user_id", logged_in.text("user_id")?);
    report.fact("device_id", logged_in.text("device_id")?);
    report.fact("well_known", &logged_in.answer["well_known"].to_string());
    report.fact(
        "whoami",
        &format!("asked at {}: {}, device {}", logged_in.base_url()?, seen.user_id, seen.device_id),
    );
    report.fact("displayname", &seen.display_name);
    report.fact("devices", &devices(&seen));
    Ok((arrival.login_token, Client::new(desk, device, logged_in)))
}

async fn briefly<'a>(report: &Report, desk: &'a Desk<'a>, client: &Url) -> anyhow::Result<Client<'a>> {
    let device = desk.computer();
    let arrival = desk.arrive(client).await?;
    let logged_in = desk.log_in(&arrival.login_token, &device).await?;
    let seen = check(desk, &logged_in, &device).await?;
    let departments = desk.person.departments.join(", ");
    let text = format!("{departments:18} {:22} {}", seen.user_id, logged_in.base_url()?);
    report.fact(desk.person.username, &text);
    Ok(Client::new(desk, device, logged_in))
}

/// A second device of somebody who has a session at the single sign-on.
async fn again<'a>(
    report: &Report,
    desk: &'a Desk<'a>,
    first: &Client<'_>,
    client: &Url,
) -> anyhow::Result<Client<'a>> {
    let device = desk.telephone();
    let arrival = desk.arrive(client).await?;
    ensure!(!arrival.typed_password, "the {} asked for the password again", desk.sso());
    let logged_in = desk.log_in(&arrival.login_token, &device).await?;
    let seen = check(desk, &logged_in, &device).await?;
    ensure!(logged_in.text("user_id")? == first.session.text("user_id")?, "they have two accounts");
    report.fact("password", &format!("not asked for: the {} remembers her", desk.sso()));
    report.fact("user_id", &format!("{}, as before", seen.user_id));
    report.fact("devices", &devices(&seen));
    Ok(Client::new(desk, device, logged_in))
}

/// The homeserver is the one the config names, and it agrees with what the portal said.
async fn check(desk: &Desk<'_>, logged_in: &LoggedIn, device: &Device) -> anyhow::Result<Seen> {
    let username = desk.person.username;
    let homeserver = desk.homeserver()?;
    let expected = format!("@{username}:{}", homeserver.server_name());
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
    ensure!(seen.device_id == device.id, "whoami at {base_url} says device {}", seen.device_id);
    ensure!(seen.display_name == desk.person.name, "the display name is {:?}", seen.display_name);
    let own = (device.id.clone(), device.name.clone());
    ensure!(seen.devices.contains(&own), "the device list lacks {}, or its name", device.id);
    Ok(seen)
}

async fn turned_away(report: &Report, desk: &Desk<'_>, client: &Url) -> anyhow::Result<()> {
    match desk.sign_in(client).await? {
        Outcome::Arrived(_) => anyhow::bail!("{} was let in", desk.person.username),
        Outcome::Refused(page) => {
            let lines = page.lines();
            ensure!(page.status().as_u16() == 403, "the page's status is {}", page.status());
            let says_so = lines.iter().any(|line| line == NO_HOMESERVER);
            ensure!(says_so, "the page does not say {NO_HOMESERVER:?}: {}", page.text());
            report.fact(desk.sso(), "name and password typed in");
            report.fact("portal", &format!("{}, a page:", page.status()));
            report.page(&lines, NO_HOMESERVER);
            Ok(())
        }
    }
}

fn devices(seen: &Seen) -> String {
    let devices = seen.devices.iter().map(|(id, name)| format!("{id} \"{name}\""));
    devices.collect::<Vec<_>>().join(", ")
}
