//! What a person is called on their homeserver: a template over their identity, mapped into the characters
//! a localpart may have, with bounded suffixes where a name is taken.
//!
//! Validated here and not by the homeserver: Synapse takes `Upper.Case`, spaces and digits alone from an
//! application service.

mod localpart;
mod reserved;
mod template;

use ruma_common::{OwnedUserId, ServerName, UserId};

pub use localpart::{LocalpartError, escape, localpart};
pub use reserved::{PatternError, Reserved};
pub use template::{LocalpartTemplate, RenderError, TemplateError};

use crate::Identity;

/// From an identity to the names it may have, best first.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// What the person would like to be called.
    pub template: LocalpartTemplate,
    /// What happens when the name is taken.
    pub suffix: Suffix,
}

/// Names to try after the first: `alice`, `alice-2`, … `alice-{last}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suffix {
    /// Between name and number; characters of a localpart.
    pub separator: String,
    /// The last number tried; 1 tries no suffix at all.
    pub last: u16,
}

/// Why a person has no name. All of these are for the operator to mend, so the page names nobody's data.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The template could not be rendered (an attribute is missing or has several values).
    #[error("the localpart template could not be rendered")]
    Render(#[from] RenderError),
    /// What came out is no localpart.
    #[error("the template gives no valid localpart")]
    Localpart(#[from] LocalpartError),
    /// The name is the application service's own user or on the reserved list.
    #[error("the localpart is reserved")]
    Reserved,
}

impl Mapping {
    /// The names `identity` may have on `server_name`, best first, never empty, none of them `reserved`.
    ///
    /// A reserved first name is an error rather than the start of the suffixes: `admin-2` would be a
    /// stranger with an administrator's name.
    pub fn names(
        &self,
        identity: &Identity,
        server_name: &ServerName,
        reserved: &Reserved,
    ) -> Result<Vec<OwnedUserId>, MappingError> {
        let base = localpart(&self.template.render(identity, server_name)?, server_name)?;
        if reserved.contains(base.localpart()) {
            return Err(MappingError::Reserved);
        }
        let separator = &self.suffix.separator;
        let suffixed = (2..=self.suffix.last)
            .filter_map(|number| {
                UserId::parse(format!("@{}{separator}{number}:{server_name}", base.localpart())).ok()
            })
            .filter(|user| user.validate_strict().is_ok() && !reserved.contains(user.localpart()));
        Ok(std::iter::once(base.clone()).chain(suffixed).collect())
    }
}

#[cfg(test)]
mod tests;
