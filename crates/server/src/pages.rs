//! What people are shown: plain HTML with one small style sheet, in their language, usable without JavaScript,
//! without a mouse and on a phone. Templates and words lie in `pages/templates` and `pages/locales`.

mod locale;

use std::fmt;

use minijinja::{Environment, UndefinedBehavior, Value, context};

pub use locale::Locale;

/// The style sheet, served under [`STYLE_PATH`].
pub const STYLE: &str = include_str!("pages/style.css");
/// Where the style sheet is served; its content never changes under this name.
pub const STYLE_PATH: &str = concat!("/_usher/style-", env!("CARGO_PKG_VERSION"), ".css");

/// The templates, compiled once.
pub struct Pages {
    environment: Environment<'static>,
}

/// A page to be rendered.
#[derive(Debug)]
pub enum Page<'a> {
    /// Which provider?
    Picker {
        /// Name and link of each.
        providers: &'a [PickerEntry],
    },
    /// May this site have a login token?
    Confirm {
        /// The site, as the person would call it.
        site: &'a str,
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
    },
    /// A form that takes the browser on to the provider.
    PostForm {
        /// Where it goes.
        action: &'a str,
        /// Names and values of its hidden fields.
        fields: &'a [(String, String)],
        /// For the script that submits it where scripts run.
        nonce: &'a str,
    },
    /// What went wrong, and what to do next.
    Error {
        /// The message's id in the locales: `{id}-title`, `{id}-text`.
        id: &'static str,
        /// A name the text mentions; empty if it mentions none.
        name: &'a str,
        /// Where to start again, if that can help.
        again: Option<&'a str>,
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

impl Pages {
    /// Compiles the templates.
    #[must_use]
    pub fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in [
            ("layout.html", include_str!("pages/templates/layout.html")),
            ("picker.html", include_str!("pages/templates/picker.html")),
            ("confirm.html", include_str!("pages/templates/confirm.html")),
            ("post_form.html", include_str!("pages/templates/post_form.html")),
            ("error.html", include_str!("pages/templates/error.html")),
        ] {
            environment.add_template(name, source).expect("the templates of this build compile");
        }
        Self { environment }
    }

    /// Renders `page` in `locale`. Every value is escaped by the template engine.
    #[must_use]
    pub fn render(&self, page: &Page<'_>, locale: Locale) -> String {
        let (template, content) = match page {
            Page::Picker { providers } => {
                let entry = |entry: &PickerEntry| context! { name => entry.name.as_str(), href => entry.href.as_str() };
                ("picker.html", context! { providers => providers.iter().map(entry).collect::<Vec<_>>() })
            }
            Page::Confirm { site, user, action, provider, handle, csrf } => (
                "confirm.html",
                context! { site => *site, user => *user, action => *action, provider => *provider, handle => *handle, csrf => *csrf },
            ),
            Page::PostForm { action, fields, nonce } => (
                "post_form.html",
                context! { action => *action, fields => fields.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect::<Vec<_>>(), nonce => *nonce },
            ),
            Page::Error { id, name, again, request_id } => (
                "error.html",
                context! { id => *id, name => *name, again => *again, request_id => *request_id },
            ),
        };
        let translate = Value::from_function(move |id: &str, arguments: minijinja::value::Kwargs| {
            locale.message(id, &arguments)
        });
        let frame = context! { t => translate, lang => locale.code(), style => STYLE_PATH };
        let template = self.environment.get_template(template).expect("a page of this build has a template");
        template.render(context! { ..content, ..frame }).expect("a page of this build renders")
    }
}

impl Default for Pages {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
