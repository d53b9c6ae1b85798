//! Requests and answers that travel as forms, between two sites: with scripts they send themselves, without there is a button;
//! and the attempt's cookie comes back with the answer, which another site's page has posted.

use serde_json::json;
use usher_lab::real::chromium::Look;

use super::{client_site::ClientSite, visitor::Visitor};
use crate::{
    components::{run, simplesamlphp},
    database::Kind,
    saml::{Way, world},
};

fn by_form() -> Way {
    Way {
        name: "by form",
        service: json!({ "saml20.sign.response": true, "assertion.encryption": true, "validate.authnrequest": true }),
        section: json!({ "request_binding": "post" }),
    }
}

#[test]
fn somebody_signs_in_by_forms_with_and_without_scripts() -> anyhow::Result<()> {
    run(async {
        let client = ClientSite::start().await?;
        let world =
            world(Kind::Sqlite, &by_form(), |portal| portal.trusted_clients = vec![client.url()]).await?;
        for runs_scripts in [true, false] {
            let alice = Visitor::at(&world.config.public_base_url()).await?;
            alice.window.look(Look { runs_scripts, ..Look::DESKTOP }).await?;
            alice.begin(&client.url()).await?;
            if !runs_scripts {
                alice.sees("On to your sign-in page").await?;
                alice.nothing_is_wrong().await?;
                alice.window.click("#onward button").await?;
            }
            alice.sign_in_at_cas(simplesamlphp().await?.person("alice")).await?;
            if !runs_scripts {
                alice.comes_to("input[name=SAMLResponse]").await?;
                alice.window.click("button.btn").await?;
            }
            let token = alice.lands_at(&client.url()).await?;
            let session = world.client.redeem(&token).await?.expect_ok()?;
            assert_eq!(session.field("user_id")?, world.eng("alice"), "scripts: {runs_scripts}");
            alice.nothing_is_wrong().await?;
        }
        Ok(())
    })
}

#[test]
fn a_page_that_an_answer_led_to_can_be_loaded_again() -> anyhow::Result<()> {
    run(async {
        let client = ClientSite::start().await?;
        let world = world(Kind::Sqlite, &by_form(), |portal| {
            portal.selection = Some(json!([{ "ask": {} }]));
        })
        .await?;
        let alice = Visitor::at(&world.config.public_base_url()).await?;
        alice.begin(&client.url()).await?;
        alice.sign_in_at_cas(simplesamlphp().await?.person("alice")).await?;
        alice.sees("Choose your homeserver").await?;
        // The answer once more, from the other site.
        alice.window.reload().await?;
        alice.sees("Choose your homeserver").await?;
        alice.window.click("button").await?;
        alice.sees("Continue to this site?").await?;
        alice.window.reload().await?;
        alice.sees("Continue to this site?").await?;
        // And from the question before: its answer leads to this one again.
        alice.window.back().await?;
        alice.window.reload().await?;
        alice.sees("Continue to this site?").await?;
        alice.window.click("button").await?;
        let token = alice.lands_at(&client.url()).await?;
        let session = world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.eng("alice"));
        alice.nothing_is_wrong().await
    })
}
