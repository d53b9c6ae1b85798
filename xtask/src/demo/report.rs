//! What the demo prints: numbered steps, and under each of them aligned facts.

use std::{
    cell::Cell,
    io::{IsTerminal as _, Write as _},
};

use url::Url;
use usher_lab::real::{Progress, people::PEOPLE};

use super::organisation::{Organisation, homeserver_of};

/// The width of what stands before a fact.
const LABEL: usize = 15;

/// The demo's output.
#[derive(Debug)]
pub(super) struct Report {
    steps: Cell<u32>,
    out: Progress,
}

impl Report {
    /// To the standard output.
    pub(super) fn printing() -> Self {
        Self { steps: Cell::new(0), out: Progress::to(print_line) }
    }

    pub(super) fn title(&self, postgres: bool) {
        let database = if postgres { "Postgres" } else { "SQLite" };
        self.line(&format!("Usher demo: two homeservers, one single sign-on, Usher on {database}"));
    }

    /// Begins the next step.
    pub(super) fn step(&self, what: &str) {
        self.steps.set(self.steps.get() + 1);
        self.line("");
        self.heading(&format!("{:>2}  {what}", self.steps.get()));
    }

    /// Something done or seen in this step, with a label before it.
    pub(super) fn fact(&self, label: &str, text: &str) {
        self.note(&format!("{label:LABEL$} {text}"));
    }

    /// What a person read on a page, from its title on.
    pub(super) fn page(&self, lines: &[String], title: &str) {
        for line in lines.iter().skip_while(|line| *line != title) {
            self.fact("", line);
        }
    }

    /// A line of this step.
    pub(super) fn note(&self, text: &str) {
        self.line(&format!("    {text}"));
    }

    /// A line.
    pub(super) fn line(&self, text: &str) {
        self.out.line(text);
    }

    /// For what installs and starts things.
    pub(super) fn progress(&self) -> Progress {
        let out = self.out.clone();
        Progress::to(move |line| out.line(&format!("    {line}")))
    }

    /// What to try by hand.
    pub(super) fn invitation(&self, organisation: &Organisation) {
        let portal = organisation.portal();
        self.line("");
        self.heading("Everything is up. Ctrl-C stops it and leaves nothing running.");
        self.line("");
        self.fact("portal", portal.as_str().trim_end_matches('/'));
        self.fact("sign-on", organisation.sso.url().as_str());
        for homeserver in &organisation.homeservers {
            let url = homeserver.client_url().as_str().trim_end_matches('/');
            self.fact("homeserver", &format!("{:14} {url}", homeserver.server_name()));
        }
        self.fact(
            "files",
            &format!("{} (usher.yaml, secrets, usher.log)", organisation.directory().display()),
        );
        self.line("");
        self.heading("    Sign in with a browser on this machine:");
        self.line("");
        self.note(&format!("  {}", organisation.sign_in_url(organisation.client_page.url())));
        self.line("");
        self.note(
            "You end at a page that stands for a Matrix client. It shows the login token it was given and",
        );
        self.note("the command that redeems it, once and within five minutes:");
        self.line("");
        let body = r#"{"type":"m.login.token","token":"LOGIN_TOKEN"}"#;
        self.note(&format!("  curl {portal}_matrix/client/v3/login -d '{body}'"));
        self.line("");
        if let Some(homeserver) = organisation.homeservers.first() {
            self.deletion_by_hand(homeserver.client_url());
        }
        let password = PEOPLE.first().map_or("", |person| person.password);
        self.heading(&format!("    Who can sign in (everybody's password: {password})"));
        self.line("");
        for person in &PEOPLE {
            let belongs = homeserver_of(person).unwrap_or("no homeserver, and is told so");
            let departments = person.departments.join(", ");
            self.note(&format!("  {:7} {:15} {departments:18} {belongs}", person.username, person.name));
        }
        self.line("");
    }

    fn deletion_by_hand(&self, homeserver: &Url) {
        let api = format!("{homeserver}_matrix/client/v3");
        self.note("With the access token that you get, ask to delete a device at your homeserver, such as:");
        self.line("");
        let delete =
            format!("curl -X DELETE {api}/devices/DEVICE_ID -H 'Authorization: Bearer ACCESS_TOKEN'");
        self.note(&format!("  {delete}"));
        self.line("");
        self.note(
            "The answer names a session. Confirm it in the browser, then send the request once more with it:",
        );
        self.line("");
        self.note(&format!("  {api}/auth/m.login.sso/fallback/web?session=SESSION"));
        self.note(&format!("  {delete} -d '{{\"auth\":{{\"session\":\"SESSION\"}}}}'"));
        self.line("");
    }

    fn heading(&self, text: &str) {
        if std::io::stdout().is_terminal() {
            self.line(&format!("\x1b[1m{text}\x1b[0m"));
        } else {
            self.line(text);
        }
    }
}

/// Whoever reads may have gone: the demo goes on.
fn print_line(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}
