//! Several sign-ins in one browser.

use crate::{components::run, config::APP, database::Kind, world::World};

/// What servers and proxies allow for one header line.
const HEADER_LIMIT: usize = 8 * 1024;

#[test]
fn two_tabs_both_finish() -> anyhow::Result<()> {
    run(async {
        let world = World::start(Kind::Sqlite).await?;
        let alice = world.person("alice");
        let [one, other] = [alice.begin(APP).await?, alice.begin(APP).await?];
        for page in [other, one] {
            let token = alice.go_on(page).await?.login_token()?;
            let session = world.client.redeem(&token).await?.expect_ok()?;
            assert_eq!(session.field("user_id")?, world.eng("alice"));
        }
        assert!(alice.cookies().is_empty(), "a finished attempt leaves no cookie");
        Ok(())
    })
}

#[test]
fn twenty_abandoned_attempts_do_not_stand_in_the_way_of_the_next() -> anyhow::Result<()> {
    run(async {
        let world = World::start(Kind::Sqlite).await?;
        let alice = world.person("alice");
        // As long as a client's address may be, so that the cookies are as large as they get.
        let long = format!("{APP}?{}", "x".repeat(2_000 - APP.len() - 1));
        for attempt in 1..=20 {
            alice.browser().open_once(alice.login_url("v3", &long)).await?;
            let cookies = alice.cookies();
            let header: usize = cookies.iter().map(|(name, value)| name.len() + value.len() + 3).sum();
            assert!(header < HEADER_LIMIT, "{attempt} attempts make a header of {header} bytes");
            assert!(!cookies.is_empty(), "{attempt}");
        }
        let token = alice.sign_in_for(&long).await?.login_token()?;
        let session = world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.eng("alice"));
        Ok(())
    })
}
