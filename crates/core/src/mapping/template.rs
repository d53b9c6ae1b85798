//! Localpart templates: minijinja, strict and bounded.

use std::fmt;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, context, value::ValueKind};
use ruma_common::ServerName;

use crate::Identity;

const NAME: &str = "localpart";
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

/// A template that cannot be compiled.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

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
            .map_err(|error| TemplateError(error.to_string()))?;
        Ok(Self { environment, source: source.to_owned() })
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
