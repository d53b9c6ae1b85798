//! Reads the forms out of a page.

use anyhow::Context as _;
use url::Url;

use super::{Control, Form};
use crate::browser::html::{Piece, pieces};

/// The forms of a page, in order.
pub(in crate::browser) fn forms(
    page: &Url,
    html: &str,
    sends_null_origin: bool,
) -> anyhow::Result<Vec<Form>> {
    let mut reader = Reader::default();
    for piece in pieces(html) {
        match piece {
            Piece::Text(text) => reader.text(&text),
            Piece::Close(name) => reader.close(&name),
            Piece::Open(name, attributes) => {
                let attributes = Attributes(&attributes);
                if name == "form" {
                    reader.forms.push(new_form(page, &attributes, sends_null_origin)?);
                    reader.is_open = true;
                } else if reader.is_open && !attributes.has("disabled") {
                    reader.open(&name, &attributes);
                }
            }
        }
    }
    Ok(reader.forms)
}

fn new_form(page: &Url, attributes: &Attributes<'_>, sends_null_origin: bool) -> anyhow::Result<Form> {
    let action = match attributes.get("action").filter(|action| !action.is_empty()) {
        Some(action) => page.join(action).with_context(|| format!("form action {action:?} on {page}"))?,
        None => page.clone(),
    };
    Ok(Form {
        action,
        is_post: attributes.get("method").is_some_and(|method| method.eq_ignore_ascii_case("post")),
        fields: Vec::new(),
        controls: Vec::new(),
        page: page.clone(),
        sends_null_origin,
        pressed: None,
        mistakes: Vec::new(),
    })
}

struct Attributes<'a>(&'a [(String, String)]);

impl Attributes<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn name(&self) -> Option<String> {
        self.get("name").filter(|name| !name.is_empty()).map(str::to_owned)
    }
}

#[derive(Default)]
struct Reader {
    forms: Vec<Form>,
    is_open: bool,
    /// The list being read.
    select: Option<Select>,
    /// The text area being read: its name and text so far.
    textarea: Option<(String, String)>,
}

struct Select {
    name: String,
    /// Value (if the attribute is there), whether it is selected, text.
    options: Vec<(Option<String>, bool, String)>,
}

impl Reader {
    fn text(&mut self, text: &str) {
        if let Some((_, content)) = &mut self.textarea {
            content.push_str(text);
        } else if let Some((_, _, label)) = self.select.as_mut().and_then(|select| select.options.last_mut())
        {
            label.push_str(text);
        }
    }

    fn open(&mut self, tag: &str, attributes: &Attributes<'_>) {
        let Some(form) = self.forms.last_mut() else { return };
        match (tag, attributes.name()) {
            ("input", name) => add_input(form, name, attributes),
            ("button", name) if attributes.get("type").is_none_or(|kind| kind == "submit") => {
                let value = attributes.get("value").unwrap_or_default().to_owned();
                form.controls.push(Control::Button(name.map(|name| (name, value))));
            }
            ("select", Some(name)) => self.select = Some(Select { name, options: Vec::new() }),
            ("option", _) => {
                if let Some(select) = &mut self.select {
                    let value = attributes.get("value").map(str::to_owned);
                    select.options.push((value, attributes.has("selected"), String::new()));
                }
            }
            ("textarea", Some(name)) => self.textarea = Some((name, String::new())),
            _ => {}
        }
    }

    fn close(&mut self, tag: &str) {
        if tag == "form" {
            self.is_open = false;
        }
        let Some(form) = self.forms.last_mut() else { return };
        if tag == "textarea"
            && let Some((name, text)) = self.textarea.take()
        {
            form.controls.push(Control::Field { name: name.clone() });
            form.fields.push((name, text));
        }
        if tag == "select"
            && let Some(select) = self.select.take()
        {
            select.add_to(form);
        }
    }
}

impl Select {
    fn add_to(self, form: &mut Form) {
        // A list of one line always has a choice: the first one unless the page says otherwise.
        let chosen = self.options.iter().rposition(|(_, is_selected, _)| *is_selected).unwrap_or(0);
        for (place, (value, _, label)) in self.options.into_iter().enumerate() {
            let value = value.unwrap_or_else(|| label.trim().to_owned());
            if place == chosen {
                form.fields.push((self.name.clone(), value.clone()));
            }
            form.controls.push(Control::Choice { name: self.name.clone(), value });
        }
    }
}

fn add_input(form: &mut Form, name: Option<String>, attributes: &Attributes<'_>) {
    let kind = attributes.get("type").unwrap_or("text").to_ascii_lowercase();
    let value = attributes.get("value").map(str::to_owned);
    match (kind.as_str(), name) {
        ("submit" | "image", name) => {
            let button = name.map(|name| (name, value.unwrap_or_default()));
            form.controls.push(Control::Button(button));
        }
        ("button" | "reset" | "file", _) | (_, None) => {}
        ("checkbox" | "radio", Some(name)) => {
            let value = value.unwrap_or_else(|| "on".to_owned());
            if attributes.has("checked") {
                form.fields.push((name.clone(), value.clone()));
            }
            form.controls.push(Control::Choice { name, value });
        }
        (_, Some(name)) => {
            form.fields.push((name.clone(), value.unwrap_or_default()));
            form.controls.push(Control::Field { name });
        }
    }
}
