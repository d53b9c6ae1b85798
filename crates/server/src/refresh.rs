//! Has providers look anew at what they keep of their upstream, from the start on.

use std::sync::{Arc, Weak};

use usher_core::Ctx;

use crate::app::{App, ConfiguredProvider};

/// One task a provider, until the app is gone or there is nothing to look at.
pub(crate) fn start(app: &Arc<App>) {
    for configured in app.providers.iter() {
        tokio::spawn(keep_looking(Arc::downgrade(app), configured.clone()));
    }
}

async fn keep_looking(app: Weak<App>, configured: ConfiguredProvider) {
    loop {
        let pause = {
            let Some(app) = Weak::upgrade(&app) else { return };
            let (clock, entropy) = (Arc::clone(&app.clock), Arc::clone(&app.entropy));
            // A look may take as long as its call; the app is not kept for it.
            drop(app);
            let ctx = Ctx { now: clock.now(), skew: configured.skew, entropy: &*entropy };
            configured.provider.refresh(&ctx).await
        };
        let Some(pause) = pause else { return };
        tokio::time::sleep(pause).await;
    }
}
