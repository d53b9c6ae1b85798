//! Templates of localparts and display names: minijinja, strict and bounded.

use std::{collections::BTreeSet, fmt};

use minijinja::{Environment, ErrorKind, UndefinedBehavior, context, value::ValueKind};
use ruma_common::ServerName;

use crate::Identity;

/// Errors of the template engine name it.
const NAME: &str = "template";
/// What a template may start from.
const ROOTS: [&str; 5] = ["subject", "provider", "issuer", "homeserver", "attributes"];
/// Instructions one rendering may run: far more than a name needs, far less than a second.
const FUEL: u64 = 20_000;
/// Longer than any localpart; what a template makes of an attribute is cut off here, by refusal.
const MAX_RENDERED_BYTES: usize = 1024;

/// A compiled template over `subject`, `provider`, `issuer`, `homeserver` and `attributes`, a map from names
/// to lists of values. A list with one value prints as that value; any other list is an error, and so is
/// everything undefined: an empty or joined name would be somebody else's.
#[derive(Clone)]
pub struct LocalpartTemplate {
    environment: Environment<'static>,
    source: String,
}

/// A template that cannot be used. The text finishes a sentence that begins with the template's place.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It cannot be compiled.
    #[error("is not a template: {0}")]
    Syntax(String),
    /// It would print something that is there for nobody.
    #[error("uses `{0}`, which a template does not have; there are: {names}", names = ROOTS.join(", "))]
    UnknownName(String),
}

/// A template that could not be rendered for one person. It says which rule was broken, and no attribute's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// An attribute (or another name) the template uses is not there.
    #[error("the template uses something that is not defined for this person")]
    Undefined,
    /// An attribute with no value or several was used where one is needed.
    #[error("the template prints an attribute that does not have exactly one value")]
    NotOneValue,
    /// The result is longer than any localpart, or took too long to make.
    #[error("the template makes too long a name")]
    TooLong,
    /// Anything else the template engine refuses.
    #[error("the template failed: {0}")]
    Failed(String),
}

impl LocalpartTemplate {
    /// Compiles `source`.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_formatter(|out, state, value| match value.kind() {
            ValueKind::Seq | ValueKind::Iterable if value.len() == Some(1) => {
                minijinja::escape_formatter(out, state, &value.get_item_by_index(0)?)
            }
            ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
                Err(minijinja::Error::new(ErrorKind::BadSerialization, "not exactly one value"))
            }
            _ => minijinja::escape_formatter(out, state, value),
        });
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| TemplateError::Syntax(error.to_string()))?;
        if let Some(name) = unknown_name(&environment) {
            return Err(TemplateError::UnknownName(name));
        }
        Ok(Self { environment, source: source.to_owned() })
    }

    /// The attributes it looks at; `None` if that cannot be told before it is rendered (`attributes[x]`, a loop over
    /// all of them).
    #[must_use]
    pub fn attributes(&self) -> Option<BTreeSet<String>> {
        let template = self.environment.get_template(NAME).ok()?;
        let mut names = BTreeSet::new();
        for used in template.undeclared_variables(true) {
            match used.split_once('.') {
                // `attributes.mail.x` is a look into the values of `mail`.
                Some(("attributes", path)) => {
                    names.insert(path.split('.').next().unwrap_or(path).to_owned());
                }
                None if used == "attributes" => return None,
                Some(_) | None => {}
            }
        }
        Some(names)
    }

    /// Renders the name `identity` would like on `server_name`; not yet a localpart.
    pub fn render(&self, identity: &Identity, server_name: &ServerName) -> Result<String, RenderError> {
        let template = self.environment.get_template(NAME).map_err(|error| failure(&error))?;
        let rendered = template
            .render(context! {
                subject => identity.subject.as_str(),
                provider => identity.provider.as_str(),
                issuer => identity.issuer.as_str(),
                homeserver => server_name.as_str(),
                attributes => &identity.attributes,
            })
            .map_err(|error| failure(&error))?;
        if rendered.len() > MAX_RENDERED_BYTES { Err(RenderError::TooLong) } else { Ok(rendered) }
    }
}

/// The first name, in alphabetical order, that is neither one of [`ROOTS`] nor a function such as `range`.
fn unknown_name(environment: &Environment<'_>) -> Option<String> {
    let template = environment.get_template(NAME).ok()?;
    let is_known =
        |name: &str| ROOTS.contains(&name) || environment.globals().any(|(global, _)| global == name);
    template.undeclared_variables(false).into_iter().filter(|name| !is_known(name)).min()
}

fn failure(error: &minijinja::Error) -> RenderError {
    match error.kind() {
        ErrorKind::UndefinedError => RenderError::Undefined,
        ErrorKind::BadSerialization => RenderError::NotOneValue,
        ErrorKind::OutOfFuel => RenderError::TooLong,
        // The kind alone: a message may quote an attribute's value.
        kind => RenderError::Failed(kind.to_string()),
    }
}

impl fmt::Debug for LocalpartTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalpartTemplate").field(&self.source).finish()
    }
}
