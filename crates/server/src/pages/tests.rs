use usher_core::{
    ProviderId, Timestamp,
    provider::{Organisation, Organisations},
};
use usher_store::ui_auth_sessions::Operation;

use super::*;
use crate::ui_auth::{AskingDevice, Denied, PageDevice};

/// Every message that the code names, with and without a name in it.
const PROBLEMS: [&str; 50] = [
    "unknown-attempt",
    "expired",
    "already-used",
    "refused",
    "malformed",
    "unverified",
    "provider-unavailable",
    "provider-internal",
    "unknown-provider",
    "no-provider",
    "redirect-url-missing",
    "redirect-url",
    "redirect-url-long",
    "stale",
    "another-person",
    "no-homeserver",
    "closed",
    "not-adopted",
    "elsewhere",
    "unknown-homeserver",
    "homeserver-gone",
    "mapping",
    "names-taken",
    "removed",
    "homeserver-unavailable",
    "homeserver-refuses",
    "database",
    "internal",
    "form",
    "form-alone",
    "host",
    "limited",
    "limited-account",
    "not-found",
    "not-admitted",
    "not-allowed",
    "not-offered",
    "unknown-attempt",
    "ui-auth-unknown",
    "ui-auth-expired",
    "ui-auth-spent",
    "ui-auth-denied",
    "ui-auth-too-late",
    "ui-auth-no-provider",
    "ui-auth-form",
    "ui-auth-stage",
    "logout-later",
    "logout-refused",
    "logout-replayed",
    "sign-out-not-offered",
];

#[test]
fn every_page_renders_in_every_language() {
    let pages = Pages::new(
        &PagesConfig {
            organisation: Some("<o>".to_owned()),
            help_url: Some(Url::parse("https://help.example/?<x>").expect("a URL")),
            help_text: Some("<h>".to_owned()),
        },
        &Url::parse("https://matrix.example/").expect("a URL"),
    );
    let fields = [("SAMLRequest".to_owned(), "\"><script>".to_owned())];
    let providers = [PickerEntry { name: "<b>".to_owned(), href: "/x?y=\"".to_owned() }];
    let homeservers = [ChooserEntry { name: "<b>".to_owned(), server_name: "<u>".to_owned() }];
    let organisation = Organisation {
        url: Url::parse("https://matrix.example/_usher/saml/sso/disco?x=%22").expect("a URL"),
        names: vec![("en".to_owned(), "<b>".to_owned())],
        detail: "<u>".to_owned(),
        logo: Some(Url::parse("https://logo.example/?%3Cs%3E").expect("a URL")),
    };
    let organisations = |found: usize| Organisations {
        search: organisation.url.clone(),
        fields: fields.to_vec(),
        searched: "\"><script>".to_owned(),
        last: Some((organisation.clone(), organisation.url.clone())),
        found: vec![organisation.clone(); found],
        total: 3 * found,
        is_forgotten: false,
    };
    let sign_out = SignOutLink { provider: "<b>".to_owned(), href: "/x?y=\"".to_owned() };
    let denied = |device| Denied { description: "<u>".to_owned(), device };
    for locale in Locale::ALL {
        for id in PROBLEMS {
            let page = Page::Error {
                id,
                name: "<i>eng</i>",
                again: Some("/again?\""),
                sign_out: Some(&sign_out),
                request_id: "r",
            };
            let html = pages.render(&page, locale, Styles::Here);
            for raw in ["<i>", "<b>", "?\"", "=\"\"", "<o>", "<h>", "?<x>"] {
                assert!(!html.contains(raw), "{raw} in {id}: {html}");
            }
        }
        for page in [
            Page::Picker { providers: &providers },
            Page::Organisations { page: &organisations(2) },
            Page::Organisations { page: &organisations(0) },
            Page::Organisations { page: &organisations(100) },
            Page::Chooser {
                homeservers: &homeservers,
                action: "/choose",
                provider: "corp",
                handle: "h",
                csrf: "c",
                redirect_url: "https://<s>/\"",
            },
            Page::Confirm {
                site: "<s>",
                is_app: false,
                user: "@<u>:x",
                action: "/confirm",
                provider: "corp",
                handle: "h",
                csrf: "c",
                redirect_url: Some("https://<s>/\""),
            },
            Page::PostForm { action: "https://idp.example/", fields: &fields, nonce: "n", framed_by: None },
            Page::Onward { url: "https://idp.example/\"><script>" },
            Page::UiAuthComplete { stop: None, sign_out: None },
            Page::UiAuthComplete { stop: Some("/\"><script>"), sign_out: Some(&sign_out) },
            Page::SignOut { provider: "<b>", ends_sessions: true, action: "/\"><script>", csrf: "c" },
            Page::SignOut { provider: "<b>", ends_sessions: false, action: "/x", csrf: "c" },
            Page::SignedOut,
            Page::UiAuthDenied { denied: &denied(AskingDevice::SignedOut) },
            Page::UiAuthDenied { denied: &denied(AskingDevice::WillBeSignedOut) },
            Page::UiAuthDenied { denied: &denied(AskingDevice::StillSignedIn) },
        ] {
            let html = pages.render(&page, locale, Styles::Here);
            assert!(html.contains("<h1>") && html.contains(&format!("lang=\"{}\"", locale.code())), "{html}");
            for raw in ["<b>", "<s>", "<u>", "\"><script>"] {
                assert!(!html.contains(raw), "{raw}: {html}");
            }
        }
    }
}

#[test]
fn every_problem_the_code_names_has_its_words() {
    let sources = [
        include_str!("../error.rs"),
        include_str!("../routes/provider.rs"),
        include_str!("../routes/sso_redirect.rs"),
        include_str!("../routes/choose.rs"),
        include_str!("../routes/confirm.rs"),
        include_str!("../routes/finished.rs"),
        include_str!("../routes/not_ours.rs"),
        include_str!("../error/sign_out.rs"),
        include_str!("../error/ui_auth.rs"),
        include_str!("../routes/fallback.rs"),
    ];
    for source in sources {
        for call in ["PageProblem::new(", "PageProblem::retry(", "Self::new(", "Self::retry("] {
            for rest in source.split(call).skip(1) {
                let arguments = rest.split(')').next().unwrap_or_default();
                let Some(id) = arguments.split('"').nth(1).filter(|id| !id.starts_with("M_")) else {
                    continue;
                };
                assert!(PROBLEMS.contains(&id), "{id} is not in the list of this test");
            }
        }
    }
}

#[test]
fn the_languages_have_the_same_words() {
    let ids = |source: &str| -> Vec<String> {
        source.lines().filter_map(|line| line.split_once(" = ")).map(|(id, _)| id.to_owned()).collect()
    };
    assert_eq!(ids(include_str!("locales/en.ftl")), ids(include_str!("locales/fr.ftl")));
}

#[test]
fn a_request_is_shown_whatever_it_is_and_nothing_of_it_is_taken_for_html() {
    let pages = Pages::new(&PagesConfig::default(), &Url::parse("https://matrix.example/").expect("a URL"));
    let device = PageDevice {
        id: "<d>".to_owned(),
        name: Some("<n>".to_owned()),
        last_seen: Some(Timestamp::from_millis(1_800_000_000_000)),
        last_seen_ip: Some("<ip>".to_owned()),
    };
    let provider = |id: &str| (ProviderId::parse(id).expect("a valid id"), "<pn>".to_owned());
    for operation in [
        Operation::DeleteDevice,
        Operation::DeleteDevices,
        Operation::UploadCrossSigning,
        Operation::AddThreepid,
        Operation::Deactivate,
        Operation::GetLoginToken,
    ] {
        for providers in [vec![provider("a")], vec![provider("a"), provider("b")]] {
            let view = PageView {
                operation,
                user: ruma_common::user_id!("@alice:eng.ac.cdl").to_owned(),
                devices: vec![device.clone()],
                more_devices: 3,
                erases: true,
                client: "<c>".to_owned(),
                user_agent: "<ua>".to_owned(),
                asking: Some(device.clone()),
                at: Timestamp::from_millis(1_800_000_000_000),
                providers,
            };
            for locale in Locale::ALL {
                let action = "/x?\"";
                for page in [
                    Page::UiAuth { view: &view, action, csrf: "c" },
                    Page::UiAuthConfirmed { view: &view, action, csrf: "c", onward: action },
                ] {
                    let html = pages.render(&page, locale, Styles::AtPortal);
                    for raw in ["<d>", "<n>", "<ip>", "<pn>", "<c>", "<ua>", "?\""] {
                        assert!(!html.contains(raw), "{raw}: {html}");
                    }
                    assert!(
                        html.contains("2027-01-15 08:00 UTC") && html.contains("@alice:eng.ac.cdl"),
                        "{html}"
                    );
                    let unescaped = html.replace("&#x2f;", "/");
                    assert!(unescaped.contains("href=\"https://matrix.example/_usher/style-"), "{html}");
                }
            }
        }
    }
}
