//! Everything that a CAS server can do wrong when it is asked about a ticket: nobody gets in by it, who comes is told
//! so, and gets in when it is honest again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use usher_lab::scripted::{
    Reply, ScriptedServer,
    cas::{CasFault, CasServer},
};

use crate::{
    components::run,
    database::Kind,
    footprint::Footprint,
    scripted::{ALICE, Stage},
};

const TIMEOUT: Duration = Duration::from_secs(30);
const AWAY: (u16, &str) = (503, "The sign-in page cannot be reached");
const LIES: (u16, &str) = (403, "The sign-in could not be verified");
const STRANGE: (u16, &str) = (502, "The sign-in service does not accept us");

/// One fault, what the person is told, and whether the ticket is still good when the server is honest again.
struct Trouble {
    name: &'static str,
    fault: CasFault,
    told: (u16, &'static str),
    is_ticket_good: bool,
}

fn troubles(elsewhere: &str) -> Vec<Trouble> {
    let body = |text: &str| CasFault::Body(text.to_owned());
    let success = |user: &str, attributes: &str| {
        format!(
            "<cas:serviceResponse xmlns:cas=\"http://www.yale.edu/tp/cas\"><cas:authenticationSuccess>\
             {user}{attributes}</cas:authenticationSuccess></cas:serviceResponse>"
        )
    };
    let alice = "<cas:user>alice</cas:user>";
    let away = |name, fault, is_ticket_good| Trouble { name, fault, told: AWAY, is_ticket_good };
    let lies = |name, fault| Trouble { name, fault, told: LIES, is_ticket_good: false };
    vec![
        away("never answers", CasFault::Hang, true),
        away("answers a byte at a time", CasFault::Drip, true),
        away("cuts the connection", CasFault::Cut, true),
        away("cuts its answer short", CasFault::CutShort, true),
        away("an answer without an end", CasFault::Endless, true),
        away("500", CasFault::Status(500), true),
        away("503", CasFault::Status(503), true),
        away("429", CasFault::Status(429), true),
        away("10 MB", CasFault::Huge(10 << 20), false),
        away("a page", CasFault::Html, false),
        away("no text", CasFault::Garbage, false),
        away("nothing", body(""), false),
        away(
            "half a document",
            body("<cas:serviceResponse xmlns:cas=\"http://www.yale.edu/tp/cas\">"),
            false,
        ),
        away("another root", body("<other/>"), false),
        away("its own error", CasFault::Failure("INTERNAL_ERROR".to_owned()), false),
        Trouble {
            name: "sends us elsewhere",
            fault: CasFault::Redirect(elsewhere.to_owned()),
            told: STRANGE,
            is_ticket_good: true,
        },
        Trouble {
            name: "does not know us",
            fault: CasFault::Failure("UNAUTHORIZED_SERVICE".to_owned()),
            told: STRANGE,
            is_ticket_good: false,
        },
        Trouble { name: "is not there", fault: CasFault::Status(404), told: STRANGE, is_ticket_good: true },
        lies("refuses", CasFault::Failure("INVALID_TICKET".to_owned())),
        lies("was asked by another service", CasFault::Failure("INVALID_SERVICE".to_owned())),
        lies("refuses for a reason of its own", CasFault::Failure("NO_IDEA".to_owned())),
        lies("names nobody", CasFault::NoUser),
        lies("hides a comment in the name", CasFault::CommentInUser),
        lies("names two", CasFault::Body(success(&alice.repeat(2), ""))),
        lies("names nobody at all", CasFault::Body(success("<cas:user></cas:user>", ""))),
        lies("says yes and no", {
            let both = success(alice, "").replace(
                "</cas:serviceResponse>",
                "<cas:authenticationFailure code=\"INVALID_TICKET\">no</cas:authenticationFailure></cas:serviceResponse>",
            );
            CasFault::Body(both)
        }),
    ]
}

#[test]
fn nobody_gets_in_by_a_cas_server_in_trouble_and_everybody_when_it_is_honest_again() -> anyhow::Result<()> {
    run(async {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let elsewhere = ScriptedServer::start(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Reply::new(200, "text/html", "Here nobody is asked"))
        })
        .await?;
        let stage =
            Stage::set_with(Kind::Sqlite, TIMEOUT, |config| "1s".clone_into(&mut config.cas_timeout)).await?;
        let script = stage.cas.script();
        for Trouble { name, fault, told: (status, words), is_ticket_good } in
            troubles(elsewhere.url().as_str())
        {
            let alice = stage.person_stopping_at_callback();
            let callback = alice.callback().await?;
            script.set_fault(Some(fault));
            let (got, text) = alice.open(&callback).await?.page();
            script.set_fault(None);
            assert_eq!(got.as_u16(), status, "{name}: {text}");
            assert!(text.contains(words), "{name}: {text}");
            assert!(stage.database.login_tokens().await?.is_empty(), "{name}");
            assert!(stage.database.accounts().await?.is_empty(), "{name}");
            // Reloading the page where they were left, in the same browser.
            let again = alice.open(&callback).await?;
            if is_ticket_good {
                again.login_token().map_err(|error| error.context(name))?;
                stage.database.forget_everybody().await?;
                stage.homeserver.remove_user(ALICE);
            } else {
                let (status, text) = again.page();
                assert_eq!(status.as_u16(), LIES.0, "{name}: {text}");
            }
        }
        assert_eq!(asked.load(Ordering::SeqCst), 0, "nobody was asked where the redirect led");
        let token = stage.sign_in().await?.login_token()?;
        assert_eq!(stage.client.redeem(&token).await?.expect_ok()?.field("user_id")?, ALICE);
        Ok(())
    })
}

#[test]
fn a_ticket_is_good_when_the_cas_server_is_back_where_it_was() -> anyhow::Result<()> {
    run(async {
        let mut stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        let alice = stage.person_stopping_at_callback();
        let callback = alice.callback().await?;
        let (address, script) = (stage.cas.address(), stage.cas.script());
        // Dropped, with its connections, before the next one takes its place.
        stage.cas = CasServer::start().await?;
        let (status, text) = alice.open(&callback).await?.page();
        assert_eq!((status.as_u16(), text.contains(AWAY.1)), (AWAY.0, true), "{text}");
        stage.cas = CasServer::start_at(address, script).await?;
        let token = alice.open(&callback).await?.login_token()?;
        assert_eq!(stage.client.redeem(&token).await?.expect_ok()?.field("user_id")?, ALICE);
        Ok(())
    })
}

#[test]
fn answers_about_tickets_cost_no_more_memory_than_is_read_of_them() -> anyhow::Result<()> {
    const AT_ONCE: usize = 24;
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        stage.sign_in().await?.login_token()?;
        for (name, fault) in [("10 MB", CasFault::Huge(10 << 20)), ("without an end", CasFault::Endless)] {
            let mut callbacks = Vec::new();
            for _ in 0..AT_ONCE {
                let person = stage.person_stopping_at_callback();
                callbacks.push((person.callback().await?, person));
            }
            stage.cas.script().set_fault(Some(fault));
            Footprint::forget_peak(&stage.usher)?;
            let before = Footprint::of(&stage.usher)?;
            let opened = callbacks.iter().map(|(callback, person)| person.open(callback));
            for landed in futures_util::future::join_all(opened).await {
                let (status, text) = landed?.page();
                assert_eq!(status.as_u16(), AWAY.0, "{name}: {text}");
            }
            stage.cas.script().set_fault(None);
            let grown = Footprint::of(&stage.usher)?.peak.saturating_sub(before.resident);
            assert!(grown < AT_ONCE as u64 * 1024, "{name}: {grown} kB at the peak");
        }
        Ok(())
    })
}
