//! What people are shown: plain HTML with one small style sheet, in their language, usable without JavaScript,
//! without a mouse and on a phone. Templates and words lie in `pages/templates` and `pages/locales`.

mod locale;
mod organisations;
mod ui_auth;

use std::{fmt, sync::LazyLock};

use data_encoding::{BASE64, HEXLOWER};
use minijinja::{Environment, UndefinedBehavior, Value, context};
use sha2::{Digest as _, Sha256};
use url::Url;
use usher_core::provider::Organisations;

pub use locale::Locale;
pub(crate) use organisations::has_logos;

use crate::{
    config::PagesConfig,
    ui_auth::{Denied, PageView},
};

/// The style sheet, served as [`style_name`].
pub const STYLE: &str = include_str!("pages/style.css");

/// What the style sheet is called below `/_usher/`. The name says what is in it, so a browser may keep it for good, and
/// a release with another one is seen at once.
#[must_use]
pub fn style_name() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let digest = Sha256::digest(STYLE.as_bytes());
        format!("style-{}.css", HEXLOWER.encode(&digest[..8]))
    });
    &NAME
}

/// What the completion page runs (client-server API v1.19, "Fallback"): tells whoever opened the window.
const COMPLETION: &str = r#"if (window.onAuthDone) { window.onAuthDone(); } else if (window.opener && window.opener.postMessage) { window.opener.postMessage("authDone", "*"); }"#;

/// The hash by which a content security policy allows that script and no other (CSP level 3, section 6.7.3.3).
#[must_use]
pub fn completion_hash() -> &'static str {
    static HASH: LazyLock<String> = LazyLock::new(|| BASE64.encode(&Sha256::digest(COMPLETION.as_bytes())));
    &HASH
}

/// Where a page finds the style sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Styles {
    /// At its own host.
    Here,
    /// At the portal: the page is at another host.
    AtPortal,
}

/// The templates, compiled once, and what stands on every page.
pub struct Pages {
    environment: Environment<'static>,
    organisation: String,
    portal: String,
    host: String,
    help_url: Option<String>,
    help_text: Option<String>,
}

/// A page to be rendered.
#[derive(Debug)]
pub enum Page<'a> {
    /// Which provider?
    Picker {
        /// Name and link of each.
        providers: &'a [PickerEntry],
    },
    /// Which organisation are they from?
    Organisations {
        /// What there is to choose from.
        page: &'a Organisations,
    },
    /// Which homeserver?
    Chooser {
        /// What the person may have.
        homeservers: &'a [ChooserEntry],
        /// Where the form goes.
        action: &'a str,
        /// The provider the person signed in at.
        provider: &'a str,
        /// The attempt.
        handle: &'a str,
        /// The form's token.
        csrf: &'a str,
        /// The client's `redirectUrl`.
        redirect_url: &'a str,
    },
    /// May this site have a login token?
    Confirm {
        /// The site, as the person would call it.
        site: &'a str,
        /// Whether it is an app on the person's device.
        is_app: bool,
        /// Their MXID.
        user: &'a str,
        /// Where the form goes.
        action: &'a str,
        /// The provider the person signed in at.
        provider: &'a str,
        /// The attempt.
        handle: &'a str,
        /// The form's token.
        csrf: &'a str,
        /// The client's `redirectUrl`, if the form must carry it.
        redirect_url: Option<&'a str>,
    },
    /// Is this request wanted?
    UiAuth {
        /// What would happen.
        view: &'a PageView,
        /// Where the form goes.
        action: &'a str,
        /// The form's token.
        csrf: &'a str,
    },
    /// This request is confirmed and not done yet: was it not wanted?
    UiAuthConfirmed {
        /// What would happen.
        view: &'a PageView,
        /// Where the form goes.
        action: &'a str,
        /// The form's token.
        csrf: &'a str,
        /// Where it goes on.
        onward: &'a str,
    },
    /// The person has signed in again: their client is told, and they may close the window.
    UiAuthComplete {
        /// Where they can stop it still.
        stop: Option<&'a str>,
        /// Where they can sign out at the provider.
        sign_out: Option<&'a SignOutLink>,
    },
    /// A request was refused by its person.
    UiAuthDenied {
        /// What it was, and what became of the device that it came from.
        denied: &'a Denied,
    },
    /// Does the person want to sign out at this provider?
    SignOut {
        /// What people call it.
        provider: &'a str,
        /// Whether sessions at homeservers may end with the one there.
        ends_sessions: bool,
        /// Where the form goes.
        action: &'a str,
        /// The form's token.
        csrf: &'a str,
    },
    /// A provider has sent somebody back who went there to sign out.
    SignedOut,
    /// On to another address, by itself.
    Onward {
        /// Which.
        url: &'a str,
    },
    /// A form that takes the browser on to the provider.
    PostForm {
        /// Where it goes.
        action: &'a str,
        /// Names and values of its hidden fields.
        fields: &'a [(String, String)],
        /// For the script that submits it where scripts run.
        nonce: &'a str,
        /// The site in whose frames it may be shown.
        framed_by: Option<&'a str>,
    },
    /// What went wrong, and what to do next.
    Error {
        /// The message's id in the locales: `{id}-title`, `{id}-text`.
        id: &'static str,
        /// A name the text mentions; empty if it mentions none.
        name: &'a str,
        /// Where to start again, if that can help.
        again: Option<&'a str>,
        /// Where to sign out at the provider, if that can help.
        sign_out: Option<&'a SignOutLink>,
        /// To quote when asking for help.
        request_id: &'a str,
    },
}

/// One provider on the picker.
#[derive(Clone, Debug)]
pub struct PickerEntry {
    /// What people call it.
    pub name: String,
    /// Where it leads.
    pub href: String,
}

/// A link to the page of [`Page::SignOut`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOutLink {
    /// What people call the provider.
    pub provider: String,
    /// Where it leads.
    pub href: String,
}

impl SignOutLink {
    fn context(&self) -> Value {
        context! { provider => self.provider.as_str(), href => self.href.as_str() }
    }
}

/// One homeserver on the chooser.
#[derive(Clone, Debug)]
pub struct ChooserEntry {
    /// What people call it.
    pub name: String,
    /// What comes after the colon of its accounts.
    pub server_name: String,
}

impl Pages {
    /// Compiles the templates, for a portal at `portal`.
    #[must_use]
    pub fn new(config: &PagesConfig, portal: &Url) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in [
            ("layout.html", include_str!("pages/templates/layout.html")),
            ("picker.html", include_str!("pages/templates/picker.html")),
            ("organisations.html", include_str!("pages/templates/organisations.html")),
            ("chooser.html", include_str!("pages/templates/chooser.html")),
            ("confirm.html", include_str!("pages/templates/confirm.html")),
            ("post_form.html", include_str!("pages/templates/post_form.html")),
            ("ui_auth.html", include_str!("pages/templates/ui_auth.html")),
            ("ui_auth_confirmed.html", include_str!("pages/templates/ui_auth_confirmed.html")),
            ("ui_auth_details.html", include_str!("pages/templates/ui_auth_details.html")),
            ("ui_auth_complete.html", include_str!("pages/templates/ui_auth_complete.html")),
            ("ui_auth_denied.html", include_str!("pages/templates/ui_auth_denied.html")),
            ("sign_out.html", include_str!("pages/templates/sign_out.html")),
            ("signed_out.html", include_str!("pages/templates/signed_out.html")),
            ("onward.html", include_str!("pages/templates/onward.html")),
            ("error.html", include_str!("pages/templates/error.html")),
        ] {
            environment.add_template(name, source).expect("the templates of this build compile");
        }
        let host = match (portal.host_str().unwrap_or_default(), portal.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        Self {
            environment,
            organisation: config.organisation.clone().unwrap_or_else(|| host.clone()),
            portal: portal.as_str().trim_end_matches('/').to_owned(),
            host,
            help_url: config.help_url.as_ref().map(|url| url.as_str().to_owned()),
            help_text: config.help_text.clone(),
        }
    }

    /// Renders `page` in `locale`. Every value is escaped by the template engine.
    #[must_use]
    pub fn render(&self, page: &Page<'_>, locale: Locale, styles: Styles) -> String {
        let (template, content) = match page {
            Page::Picker { providers } => {
                let entry = |entry: &PickerEntry| context! { name => entry.name.as_str(), href => entry.href.as_str() };
                ("picker.html", context! { providers => providers.iter().map(entry).collect::<Vec<_>>() })
            }
            Page::Organisations { page } => ("organisations.html", organisations::context(page, locale)),
            Page::Chooser { homeservers, action, provider, handle, csrf, redirect_url } => {
                let entry = |entry: &ChooserEntry| context! { name => entry.name.as_str(), server_name => entry.server_name.as_str() };
                let homeservers = homeservers.iter().map(entry).collect::<Vec<_>>();
                (
                    "chooser.html",
                    context! { homeservers, action => *action, provider => *provider, handle => *handle, csrf => *csrf, redirect_url => *redirect_url },
                )
            }
            Page::Confirm { site, is_app, user, action, provider, handle, csrf, redirect_url } => (
                "confirm.html",
                context! { site => *site, is_app => *is_app, user => *user, action => *action, provider => *provider, handle => *handle, csrf => *csrf, redirect_url => *redirect_url },
            ),
            Page::UiAuth { view, action, csrf } => ("ui_auth.html", ui_auth::context(view, action, csrf)),
            Page::UiAuthConfirmed { view, action, csrf, onward } => (
                "ui_auth_confirmed.html",
                context! { onward => *onward, ..ui_auth::context(view, action, csrf) },
            ),
            Page::UiAuthComplete { stop, sign_out } => (
                "ui_auth_complete.html",
                context! { script => COMPLETION, stop => *stop, sign_out => sign_out.map(SignOutLink::context) },
            ),
            Page::UiAuthDenied { denied } => ("ui_auth_denied.html", ui_auth::denied(denied)),
            Page::SignOut { provider, ends_sessions, action, csrf } => (
                "sign_out.html",
                context! { provider => *provider, ends_sessions => *ends_sessions, action => *action, csrf => *csrf },
            ),
            Page::SignedOut => ("signed_out.html", context! {}),
            Page::Onward { url } => ("onward.html", context! { url => *url }),
            Page::PostForm { action, fields, nonce, framed_by: _ } => (
                "post_form.html",
                context! { action => *action, fields => fields.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect::<Vec<_>>(), nonce => *nonce },
            ),
            Page::Error { id, name, again, sign_out, request_id } => (
                "error.html",
                context! {
                    id => *id, name => *name, again => *again, sign_out => sign_out.map(SignOutLink::context),
                    request_id => *request_id,
                },
            ),
        };
        let translate = Value::from_function(move |id: &str, arguments: minijinja::value::Kwargs| {
            locale.message(id, &arguments)
        });
        let style_host = match styles {
            Styles::Here => "",
            Styles::AtPortal => self.portal.as_str(),
        };
        let frame = context! {
            t => translate,
            lang => locale.code(),
            style => format!("{style_host}/_usher/{}", style_name()),
            organisation => self.organisation.as_str(),
            host => self.host.as_str(),
            help_url => self.help_url.as_deref(),
            help_text => self.help_text.as_deref(),
        };
        let template = self.environment.get_template(template).expect("a page of this build has a template");
        template.render(context! { ..content, ..frame }).expect("a page of this build renders")
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
