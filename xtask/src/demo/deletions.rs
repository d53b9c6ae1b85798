//! Who deletes a device, how they are asked whether they want it, and whose request is refused.
//!
//! The devices are counted at the homeserver itself, before and after; the requests go where clients are told to go, which
//! is Usher.

use anyhow::{Context as _, ensure};
use serde_json::json;
use url::Url;

use super::{
    dangerous::{Answer, Client, Deletion, Trip},
    report::Report,
    session::Desk,
};

/// The titles of the pages on the way, and the button between them.
const ASKS: &str = "Sign a device out?";
const ASKS_ABOUT_SEVERAL: &str = "Sign devices out?";
const CLICK: &str = "Sign in again to confirm";
const COMPLETE: &str = "Thank you";
const ANOTHER_PERSON: &str = "Somebody else is signed in";

/// Somebody's two devices.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    /// The one that is to go.
    pub(super) computer: Client<'a>,
    /// The one that asks for it.
    pub(super) telephone: Client<'a>,
}

/// Who is logged in on two devices.
#[derive(Debug)]
pub(super) struct People<'a> {
    pub(super) alice: Pair<'a>,
    pub(super) bob: Pair<'a>,
    pub(super) carol: Pair<'a>,
    pub(super) dave: Pair<'a>,
    pub(super) frank: Pair<'a>,
}

impl<'a> Pair<'a> {
    /// Signs whoever is logged in on `computer` in on their telephone as well.
    pub(super) async fn completing(computer: Client<'a>, client: &Url) -> anyhow::Result<Self> {
        let desk = computer.desk;
        let telephone = log_in(desk, desk.telephone(), client).await?;
        Ok(Self { computer, telephone })
    }

    fn desk(&self) -> &'a Desk<'a> {
        self.telephone.desk
    }

    async fn has_both(&self) -> anyhow::Result<String> {
        self.telephone.has_exactly(&[&self.computer.device, &self.telephone.device]).await
    }

    async fn has_telephone_alone(&self) -> anyhow::Result<String> {
        let listed = self.telephone.has_exactly(&[&self.telephone.device]).await?;
        ensure!(!self.computer.is_logged_in().await?, "the deleted device is still logged in");
        Ok(listed)
    }

    /// Asks for it, and is to sign in again: the answer.
    async fn challenged(&self, report: &Report, deletion: &Deletion) -> anyhow::Result<Answer> {
        let answer = self.telephone.send(deletion).await?;
        answer.session()?;
        report.fact(&format!("{} asks", self.telephone.device.id), &deletion.to_string());
        report.fact("answer", &answer.to_string());
        Ok(answer)
    }

    /// `by` confirms, all goes well, and the browser ends at the homeserver's host.
    async fn confirmed(&self, by: &Desk<'_>, session: &str) -> anyhow::Result<Trip> {
        let fallback = self.telephone.fallback(session)?;
        let trip = by.confirm(fallback.clone()).await?;
        let is_there = trip.end.status().is_success() && trip.end.url().origin() == fallback.origin();
        ensure!(
            is_there && shows(&trip.end.lines(), COMPLETE),
            "signing in again ended at {} {}",
            trip.end.status(),
            trip.end.text()
        );
        ensure!(trip.end.html().contains("authDone"), "the completion page does not tell the client");
        Ok(trip)
    }
}

/// A client of `desk` on another device.
async fn log_in<'a>(
    desk: &'a Desk<'a>,
    device: super::session::Device,
    client: &Url,
) -> anyhow::Result<Client<'a>> {
    let arrival = desk.arrive(client).await?;
    let session = desk.log_in(&arrival.login_token, &device).await?;
    Ok(Client::new(desk, device, session))
}

/// All of it; an error at the first claim that does not hold.
pub(super) async fn tell(report: &Report, people: People<'_>, client: &Url) -> anyhow::Result<()> {
    let People { alice, bob, carol, dave, frank } = people;

    report.step("Alice's telephone asks to delete her computer; she has to sign in again and does");
    let sent = in_full(report, &alice).await?;

    report.step("She logs in on her computer again; somebody repeats what her telephone had sent");
    replayed(report, alice, &sent, client).await?;

    report.step("Bob confirms that his computer goes; his client then asks for his telephone as well");
    with_another_body(report, &bob).await?;

    report.step("Carol's client does not wait until she has confirmed");
    unconfirmed(report, &carol).await?;

    report.step("Dave's client has Carol confirm");
    by_another_person(report, &dave, carol.desk()).await?;

    report.step("Frank deletes his computer without further ado");
    report.fact("devices", &frank.has_both().await?);
    let deletion = Deletion::of(&frank.computer.device);
    let answer = frank.challenged(report, &deletion).await?;
    let session = answer.session()?;
    frank.confirmed(frank.desk(), session).await?;
    report.fact("portal", &format!("\"{ASKS}\": he has signed in again"));
    done(report, &frank, &deletion.with(session)).await
}

/// A deletion with everything there is to see; the request that did it.
async fn in_full(report: &Report, pair: &Pair<'_>) -> anyhow::Result<Deletion> {
    let desk = pair.desk();
    report
        .fact("homeserver", &format!("{} itself, asked for her devices:", desk.homeserver()?.upstream_url()));
    report.fact("devices", &pair.has_both().await?);
    let deletion = Deletion::of(&pair.computer.device);
    let answer = pair.challenged(report, &deletion).await?;
    let session = answer.session()?;
    let Trip { asked, end } = pair.confirmed(desk, session).await?;
    let lines = asked.lines();
    for said in [ASKS, CLICK, &pair.computer.device.name, &pair.telephone.device.name] {
        ensure!(shows(&lines, said), "the page that asks does not say {said:?}: {}", asked.text());
    }
    let mut place = asked.url().clone();
    place.set_path("/_usher/ui-auth/");
    report.fact("fallback", &format!("leads to the portal, {place}…, a page:"));
    report.page(&lines, ASKS);
    report.fact("browser", &format!("clicked \"{CLICK}\""));
    report.fact(desk.sso(), "asked for name and password although it remembers her: typed in");
    let host = end.url().origin().ascii_serialization();
    report.fact("browser", &format!("back at {host}, a page that tells the client:"));
    report.page(&end.lines(), COMPLETE);
    let again = deletion.with(session);
    done(report, pair, &again).await?;
    Ok(again)
}

/// The very request that did it, once more.
async fn replayed(report: &Report, alice: Pair<'_>, sent: &Deletion, client: &Url) -> anyhow::Result<()> {
    let Pair { computer, telephone } = alice;
    let computer = log_in(computer.desk, computer.device, client).await?;
    let alice = Pair { computer, telephone };
    report.fact("devices", &alice.has_both().await?);
    let answer = alice.telephone.send(sent).await?;
    answer.refused(403, "M_FORBIDDEN")?;
    refused(report, &alice, sent, &answer).await
}

async fn with_another_body(report: &Report, bob: &Pair<'_>) -> anyhow::Result<()> {
    report.fact("devices", &bob.has_both().await?);
    let deletion = Deletion::of_several(&[&bob.computer.device]);
    let answer = bob.challenged(report, &deletion).await?;
    let session = answer.session()?;
    let trip = bob.confirmed(bob.desk(), session).await?;
    ensure!(shows(&trip.asked.lines(), ASKS_ABOUT_SEVERAL), "the page asks: {}", trip.asked.text());
    report.fact("portal", &format!("\"{ASKS_ABOUT_SEVERAL}\": he has signed in again"));
    let more = Deletion::of_several(&[&bob.computer.device, &bob.telephone.device]).with(session);
    let answer = bob.telephone.send(&more).await?;
    answer.refused(403, "M_FORBIDDEN")?;
    refused(report, bob, &more, &answer).await?;
    done(report, bob, &deletion.with(session)).await
}

async fn unconfirmed(report: &Report, carol: &Pair<'_>) -> anyhow::Result<()> {
    report.fact("devices", &carol.has_both().await?);
    let deletion = Deletion::of(&carol.computer.device);
    let answer = carol.challenged(report, &deletion).await?;
    let session = answer.session()?;
    let claim = json!({ "type": "m.login.sso", "session": session });
    for early in [deletion.with(session), deletion.with_auth(claim)] {
        let answer = carol.telephone.send(&early).await?;
        ensure!(answer.session()? == session, "it is another session by now");
        refused(report, carol, &early, &answer).await?;
    }
    carol.confirmed(carol.desk(), session).await?;
    report.fact("portal", &format!("\"{ASKS}\": she has signed in again"));
    done(report, carol, &deletion.with(session)).await
}

async fn by_another_person(report: &Report, dave: &Pair<'_>, other: &Desk<'_>) -> anyhow::Result<()> {
    report.fact("devices", &dave.has_both().await?);
    let deletion = Deletion::of(&dave.computer.device);
    let answer = dave.challenged(report, &deletion).await?;
    let session = answer.session()?;
    let again = deletion.with(session);
    let Trip { end, .. } = other.confirm(dave.telephone.fallback(session)?).await?;
    let lines = end.lines();
    let is_refused = end.status().as_u16() == 403 && shows(&lines, ANOTHER_PERSON);
    ensure!(is_refused, "another person's sign-in ended at {} {}", end.status(), end.text());
    report.fact("portal", &format!("{} has signed in; {}, a page:", other.person.name, end.status()));
    report.page(&lines, ANOTHER_PERSON);
    let answer = dave.telephone.send(&again).await?;
    ensure!(answer.session()? == session, "it is another session by now");
    refused(report, dave, &again, &answer).await?;
    dave.confirmed(dave.desk(), session).await?;
    report.fact("portal", &format!("\"{ASKS}\": Dave himself has signed in again"));
    done(report, dave, &again).await
}

/// The repetition that has to succeed: one device is left.
async fn done(report: &Report, pair: &Pair<'_>, again: &Deletion) -> anyhow::Result<()> {
    let answer = pair.telephone.send(again).await.context("the confirmed request")?;
    answer.done()?;
    report.fact(&format!("{} again", pair.telephone.device.id), &again.to_string());
    report.fact("answer", &format!("{answer}, done"));
    report.fact("devices", &pair.has_telephone_alone().await?);
    Ok(())
}

/// One that must change nothing, and was refused.
async fn refused(report: &Report, pair: &Pair<'_>, tried: &Deletion, answer: &Answer) -> anyhow::Result<()> {
    report.fact("tried", &tried.to_string());
    report.fact("refused", &answer.to_string());
    report.fact("devices", &format!("{}, as before", pair.has_both().await?));
    Ok(())
}

fn shows(lines: &[String], what: &str) -> bool {
    lines.iter().any(|line| line.contains(what))
}
