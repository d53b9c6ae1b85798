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
    /// By turns to the cookie, which is not there, and to the gate, which they do not pass.
    Gate,
    /// To the signature, which somebody else made.
    Signature,
}

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
            Self::Signature => 200,
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
        let forged = site.sso().forgery(&begun.sso_path, &person.user, origin)?;
        let answers = match self {
            Self::Signature => vec![(forged, Some(begun.cookie))],
            Self::Gate => {
                let form = forged.form.as_ref().context("answers are posted")?;
                let (_, relay_state) = form.split_once("&RelayState=").context("there is no RelayState")?;
                // `<!DOCTYPE a><a/>`
                let odd = format!("SAMLResponse=PCFET0NUWVBFIGE%2BPGEvPg%3D%3D&RelayState={relay_state}");
                let odd = Back { path: forged.path.clone(), form: Some(odd) };
                vec![(forged, None), (odd, Some(begun.cookie))]
            }
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
