//! Answers that nobody asked for, at a steady rate, while others log in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{browser::Browser, figures::each, portal::millis, site::Site, sso::Back};

/// Connections that it comes on.
const CONNECTIONS: u32 = 16;
/// A tick in which a connection does nothing else is this long.
const SECOND: Duration = Duration::from_secs(1);

/// How far they get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flood {
    /// By turns to the cookie, which is not there, and to the gate, which they do not pass. Of ten, one has as many parameters
    /// as fit a form, and one is as large as a form holds.
    Gate,
    /// To the signature, which somebody else made. One of ten is large, of many elements.
    Signature,
    /// To the signature of single logout, by either binding; each as long as it may be.
    Logout,
}

const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
/// Bytes of a form that Usher reads, and a little less.
const FORM: usize = 250_000;
/// As much of a message as fits a form, in base64 that is percent-encoded, and a little less.
const LARGEST: usize = 150_000;
/// A large one that would be honest.
const LARGE: usize = 100_000;

/// A flood while it comes.
pub(super) struct Coming {
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    began: Instant,
    senders: JoinSet<anyhow::Result<()>>,
}

/// What one connection sends, over and over.
struct Sender {
    browser: Browser,
    answers: Vec<(Back, Option<String>)>,
}

impl Flood {
    /// Answers a second.
    pub(super) fn per_s(self) -> u32 {
        match self {
            Self::Gate => 1_000,
            Self::Signature | Self::Logout => 200,
        }
    }

    /// Lets it come to the portal at `origin`.
    pub(super) async fn begin(self, site: &Arc<Site>, origin: &str) -> anyhow::Result<Coming> {
        let (is_over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut all = Vec::new();
        for _ in 0..CONNECTIONS {
            all.push(self.sender(site, origin).await?);
        }
        let mut senders = JoinSet::new();
        for sender in all {
            let every = SECOND * CONNECTIONS / self.per_s();
            senders.spawn(sender.send(every, Arc::clone(&is_over), Arc::clone(&sent)));
        }
        Ok(Coming { is_over, sent, began: Instant::now(), senders })
    }

    /// Each has an attempt of its own, whose cookie it keeps.
    async fn sender(self, site: &Arc<Site>, origin: &str) -> anyhow::Result<Sender> {
        let mut browser = Browser::open(site, origin).await?;
        let begun = browser.begin().await.context("redirect")?;
        let person = site.people().first().context("there is nobody")?;
        let idp = site.sso().saml()?;
        let forge = |extensions| idp.forgery(&begun.sso_path, &person.user, origin, extensions);
        let cookie = Some(begun.cookie.clone());
        let answers = match self {
            Self::Signature => {
                let mut answers = vec![(forge(None)?, cookie.clone()); 9];
                answers.push((forge(Some("<a/>".repeat(LARGE / 4)))?, cookie));
                answers
            }
            Self::Gate => {
                let forged = forge(None)?;
                let form = forged.form.as_ref().context("answers are posted")?;
                let (_, relay_state) = form.split_once("&RelayState=").context("there is no RelayState")?;
                let with = |form: String| Back { path: forged.path.clone(), form: Some(form) };
                // `<!DOCTYPE a><a/>`
                let odd =
                    with(format!("SAMLResponse=PCFET0NUWVBFIGE%2BPGEvPg%3D%3D&RelayState={relay_state}"));
                let mut answers = vec![(forged.clone(), None); 4];
                answers.extend(vec![(odd, cookie.clone()); 4]);
                answers.push((with("a&".repeat(FORM / 2)), cookie.clone()));
                // It is read to its end: there is one assertion too many.
                let second = format!("<saml:Assertion xmlns:saml=\"{SAML}\"/>");
                answers.push((forge(Some("<a/>".repeat(LARGEST / 4) + &second))?, cookie));
                answers
            }
            Self::Logout => idp.logout_forgeries(origin)?.into_iter().map(|back| (back, None)).collect(),
        };
        Ok(Sender { browser, answers })
    }
}

impl Coming {
    /// Ends it; how many a second there were.
    pub(super) async fn end(mut self) -> anyhow::Result<f64> {
        let elapsed = self.began.elapsed();
        let sent = self.sent.load(Ordering::Relaxed);
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.senders.join_next().await {
            ended.context("a sender panicked")??;
        }
        Ok(1000.0 / each(millis(elapsed), sent.max(1)))
    }
}

impl Sender {
    async fn send(
        mut self,
        every: Duration,
        is_over: Arc<AtomicBool>,
        sent: Arc<AtomicUsize>,
    ) -> anyhow::Result<()> {
        let mut ticks = interval(every);
        // Whoever is late sends the more afterwards: the rate is the same.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for (back, cookie) in self.answers.iter().cycle() {
            ticks.tick().await;
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let answer = self.browser.bring(back.clone(), cookie.as_deref()).await?;
            ensure!(answer.is_refused(), "an answer that nobody asked for is not refused");
            sent.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
