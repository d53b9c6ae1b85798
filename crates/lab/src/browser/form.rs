//! Forms as a person fills them in: what is not touched is sent as the page has it, hidden fields included.
//! The successful controls follow <https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#constructing-the-form-data-set>
//! for the controls that login pages use; files and multipart bodies are left out.

use anyhow::bail;
use url::Url;

use super::{Browser, Page};

mod parse;

pub(super) use parse::forms;

/// A form of a page.
#[derive(Clone, Debug)]
pub struct Form {
    /// Where it goes; relative actions are resolved, a missing one is the page itself.
    pub action: Url,
    /// Whether it is sent as POST; otherwise the fields replace the action's query.
    pub is_post: bool,
    /// What would be sent now, buttons apart, in document order.
    pub fields: Vec<(String, String)>,
    controls: Vec<Control>,
    page: Url,
    /// The page's `Referrer-Policy: no-referrer` makes a form post say `Origin: null`.
    sends_null_origin: bool,
    pressed: Option<(String, String)>,
    mistakes: Vec<String>,
}

/// What a person can do to a form.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Control {
    /// Any text; hidden fields too, which only a script or an attacker changes.
    Field { name: String },
    /// One of some values: a checkbox, a radio button, an option.
    Choice { name: String, value: String },
    /// A submit button; `None`: it adds nothing.
    Button(Option<(String, String)>),
}

impl Form {
    /// Puts `value` into the field `name`, or chooses it if `name` is a choice.
    #[must_use]
    pub fn fill(mut self, name: &str, value: &str) -> Self {
        let is_possible = self.controls.iter().any(|control| match control {
            Control::Field { name: field } => field == name,
            Control::Choice { name: choice, value: offered } => choice == name && offered == value,
            Control::Button(_) => false,
        });
        if !is_possible {
            self.mistakes.push(format!("there is no field {name:?} that can hold what was given"));
        }
        match self.fields.iter_mut().find(|(field, _)| field == name) {
            Some(field) => value.clone_into(&mut field.1),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Chooses the submit button with this name and value. Without it the first button is pressed.
    #[must_use]
    pub fn press(mut self, name: &str, value: &str) -> Self {
        let button = (name.to_owned(), value.to_owned());
        if !self.controls.contains(&Control::Button(Some(button.clone()))) {
            self.mistakes.push(format!("there is no button {name:?} with the value {value:?}"));
        }
        self.pressed = Some(button);
        self
    }

    /// What the field `name` holds.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Whether a person can fill in, choose or press something of that name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.controls.iter().any(|control| match control {
            Control::Field { name: known } | Control::Choice { name: known, .. } => known == name,
            Control::Button(button) => button.as_ref().is_some_and(|(known, _)| known == name),
        })
    }

    /// Sends the form and follows where it leads. Fails if something was filled in or pressed that is not there.
    pub async fn submit(self, browser: &Browser) -> anyhow::Result<Page> {
        if !self.mistakes.is_empty() {
            bail!("the form on {} cannot be filled in so: {}", self.page, self.mistakes.join("; "));
        }
        let first_button = || {
            self.controls.iter().find_map(|control| match control {
                Control::Button(button) => Some(button.clone()),
                Control::Field { .. } | Control::Choice { .. } => None,
            })
        };
        let mut fields = self.fields.clone();
        fields.extend(self.pressed.clone().or_else(|| first_button().flatten()));
        let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
        if self.is_post {
            return browser.post_form(self.action, &self.page, self.sends_null_origin, encoded).await;
        }
        let mut action = self.action;
        action.set_query(Some(&encoded));
        browser.get_from(&self.page, action).await
    }
}

#[cfg(test)]
mod tests;
