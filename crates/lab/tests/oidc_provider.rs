//! The real OpenID Provider, and the browser in front of it. oidc-provider is installed if it is not.

use serde_json::json;
use url::Url;
use usher_lab::{
    browser::{Browser, Page},
    real::{
        Progress,
        install::{self, Component},
        oidc_provider::OidcProvider,
    },
};

/// Nothing listens there: the browser hands it over as it would to an app.
const PORTAL: &str = "http://portal.localhost:9/";

fn authorize(provider: &OidcProvider, more: &[(&str, &str)]) -> Url {
    let mut url = Url::parse(&format!("{}/auth", provider.issuer())).expect("a URL");
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", "lab")
        .append_pair("scope", "openid profile")
        .append_pair("redirect_uri", &format!("{PORTAL}cb"))
        .append_pair("state", "s")
        .extend_pairs(more);
    url
}

async fn sign_in(
    browser: &Browser,
    page: Page,
    provider: &OidcProvider,
    username: &str,
) -> anyhow::Result<Page> {
    browser.sign_in_at_cas(page, provider.person(username)).await
}

#[tokio::test]
async fn people_sign_in_with_a_proof_key_and_are_remembered_until_they_sign_out() -> anyhow::Result<()> {
    install::ensure(&[Component::OidcProvider], &Progress::printing()).await?;
    let provider = OidcProvider::start(None, &Progress::printing()).await?;
    provider
        .register(&json!({
            "client_id": "lab", "client_secret": "secret", "redirect_uris": [format!("{PORTAL}cb")],
        }))
        .await?;
    let proof = [
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];
    let browser = Browser::new().with_app_at(PORTAL);

    let refused = browser.open(authorize(&provider, &[])).await?;
    assert_eq!(refused.query("error").as_deref(), Some("invalid_request"), "without a proof key");

    let page = browser.open(authorize(&provider, &proof)).await?;
    let wrong = page
        .form_with("password")?
        .fill("username", "alice")
        .fill("password", "wrong")
        .submit(&browser)
        .await?;
    assert!(wrong.text().contains("That is not right."), "{}", wrong.text());
    let back = sign_in(&browser, wrong, &provider, "alice").await?;
    assert!(back.is_handed_over() && back.query("code").is_some(), "{back:?} {}", provider.log_tail());
    assert_eq!(back.query("iss").as_deref(), Some(provider.issuer().as_str()));

    let again = browser.open(authorize(&provider, &proof)).await?;
    assert!(again.is_handed_over(), "the provider remembers her");
    let fresh =
        browser.open(authorize(&provider, &[proof.as_slice(), &[("prompt", "login")]].concat())).await?;
    assert!(fresh.form_with("password").is_ok(), "unless it is told to ask");

    let sign_out = browser.open(provider.sign_out_url()).await?;
    sign_out.form_with("logout")?.submit(&browser).await?;
    let afterwards = browser.open(authorize(&provider, &proof)).await?;
    assert!(afterwards.form_with("password").is_ok(), "and forgets her");
    Ok(())
}
