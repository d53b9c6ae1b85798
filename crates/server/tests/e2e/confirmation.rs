//! The page that asks before a login token goes to a site that is not on the trusted list.

use reqwest::StatusCode;

use crate::{
    components::run,
    database::Kind,
    person::{Landed, Person},
    world::World,
};

/// Nobody trusts it; being of no web scheme, the browser hands it over.
const UNTRUSTED: &str = "unheard-of.client://connect?keep=me";

async fn asked(person: &Person) -> anyhow::Result<usher_lab::browser::Page> {
    let page = person.sign_in_for(UNTRUSTED).await?.into_page();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().contains("Continue to this app?"), "{}", page.text());
    Ok(page)
}

#[test]
fn a_client_that_nobody_trusts_is_given_a_token_after_a_click() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let world = World::start(kind).await?;
            let alice = world.person("alice");
            let page = asked(&alice).await?;
            for shown in ["unheard-of.client:", &world.eng("alice")] {
                assert!(page.text().contains(shown), "{}", page.text());
            }
            assert_eq!(world.database.login_tokens().await?, Vec::<String>::new(), "not before the click");

            let landed = page.form()?.submit(alice.browser()).await?;
            assert!(landed.url().as_str().starts_with("unheard-of.client://connect?keep=me&loginToken="));
            let token = Landed::from(landed).login_token()?;
            let session = world.client.redeem(&token).await?.expect_ok()?;
            assert_eq!(session.field("user_id")?, world.eng("alice"));
            assert!(alice.cookies().is_empty(), "a finished attempt leaves no cookie");
        }
        Ok(())
    })
}

#[test]
fn a_form_that_was_tampered_with_or_comes_from_elsewhere_gives_nothing() -> anyhow::Result<()> {
    run(async {
        let world = World::start(Kind::Sqlite).await?;
        let alice = world.person("alice");
        let page = asked(&alice).await?;
        let another = asked(&alice).await?.form()?;
        let another_attempt = another.value("attempt").unwrap_or_default().to_owned();
        let stranger = world.person("bob");
        for (name, form, browser, status) in [
            ("another token", page.form()?.fill("csrf", "AAAA"), alice.browser(), StatusCode::FORBIDDEN),
            ("no token", page.form()?.fill("csrf", ""), alice.browser(), StatusCode::FORBIDDEN),
            (
                "another attempt's token",
                page.form()?.fill("attempt", &another_attempt),
                alice.browser(),
                StatusCode::FORBIDDEN,
            ),
            ("another browser", page.form()?, stranger.browser(), StatusCode::BAD_REQUEST),
        ] {
            let answer = form.submit(browser).await?;
            assert!(!answer.is_handed_over(), "{name}");
            assert_eq!(answer.status(), status, "{name}: {}", answer.text());
        }
        assert_eq!(world.database.login_tokens().await?, Vec::<String>::new());
        Landed::from(page.form()?.submit(alice.browser()).await?).login_token()?;
        Ok(())
    })
}
