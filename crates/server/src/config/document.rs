//! The document before it is understood: a YAML file, with values of the environment laid over it.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::Problems;

const PREFIX: &str = "USHER__";
/// Lists of texts, which a variable may give with commas between.
const LISTS: [&str; 7] =
    ["listen", "hosts", "trusted_clients", "trusted_proxies", "reserved", "join", "update"];

/// Why there is no document to validate.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not YAML.
    #[error("{}: is not valid YAML: {reason}", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Where and why, without any value.
        reason: String,
    },
}

/// Reads `path` and lays every `USHER__SECTION__KEY` of `environment` over it, in the order of their names. A
/// variable that fits nowhere is noted at its name; its value may be a secret.
///
/// Section and key are lower-cased, and a number is an index (`USHER__HOMESERVERS__0__UPSTREAM_URL`). The value is
/// text, but for `true`, `false`, and a list or section in YAML's brackets. An empty value removes the key. A
/// secret takes the place of the file's `x_file`, and the other way round.
pub fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    problems: &mut Problems,
) -> Result<Value, LoadError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    let yaml = |error| LoadError::Yaml { path: path.to_owned(), reason: reason(&error) };
    // Through a YAML value first: it refuses a key that stands twice, which JSON's map would swallow.
    let document: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).map_err(yaml)?;
    let mut document: Value = serde_yaml_ng::from_value(document).map_err(yaml)?;
    if document.is_null() {
        document = Value::Object(Map::new());
    }
    let mut ours = variables(environment, problems);
    ours.sort_by(|one, other| one.name.cmp(&other.name));
    // All twins first: of two variables that are each other's, none may hide the other.
    for variable in &ours {
        variable.remove_twin(&mut document);
    }
    for variable in &ours {
        if let Err(reason) = variable.lay_over(&mut document) {
            problems.error(&variable.name, reason);
        }
    }
    Ok(document)
}

/// The parser's own words, unless they repeat a value, which may be a secret.
fn reason(error: &serde_yaml_ng::Error) -> String {
    let message = error.to_string();
    let Some((place, _)) = message.split_once("invalid ") else { return message };
    let line = error.location().map_or_else(String::new, |location| format!(" (line {})", location.line()));
    format!(
        "{place}has a value or a key that YAML allows and Usher has no use for; put quotes around it{line}"
    )
}

/// One value of the environment.
struct Variable {
    name: String,
    /// Lower-cased, none of them empty.
    keys: Vec<String>,
    /// `None` removes the key.
    value: Option<Value>,
}

fn variables(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    problems: &mut Problems,
) -> Vec<Variable> {
    let mut variables = Vec::new();
    for (name, value) in environment {
        // Whatever else is in the environment is not looked at: it need not be text.
        let name = name.to_string_lossy().into_owned();
        match (name.strip_prefix(PREFIX), value.into_string()) {
            (Some(keys), Ok(value)) => match Variable::read(&name, keys, &value) {
                Ok(variable) => variables.push(variable),
                Err(reason) => problems.error(name, reason),
            },
            (Some(_), Err(_)) => problems.error(name, "is not UTF-8 text"),
            (None, _) if is_misspelt(&name) => problems.warn(
                name,
                "is not read; Usher's variables start with USHER__ and have two underscores between keys, such as \
                 USHER__DATABASE__URL or USHER__PUBLIC_BASE_URL",
            ),
            (None, _) => {}
        }
    }
    variables
}

/// Kubernetes sets `USHER_SERVICE_…` and `USHER_PORT…` beside a service called `usher`.
fn is_misspelt(name: &str) -> bool {
    name.strip_prefix("USHER_")
        .is_some_and(|rest| !["SERVICE_", "PORT", "LAB_"].iter().any(|others| rest.starts_with(others)))
}

impl Variable {
    fn read(name: &str, keys: &str, value: &str) -> Result<Self, &'static str> {
        let keys: Vec<_> = keys.to_lowercase().split("__").map(str::to_owned).collect();
        if keys.iter().any(String::is_empty) {
            return Err("has an empty key; separate keys with exactly two underscores");
        }
        let is_list = keys.last().is_some_and(|last| LISTS.contains(&last.as_str()));
        let value = match value {
            "" => None,
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ if is_bracketed(value) => Some(
                // What YAML says of it could repeat it.
                serde_yaml_ng::from_str(value)
                    .map_err(|_| "starts like a list or section in YAML and is none")?,
            ),
            _ if is_list => Some(value.split(',').map(|item| Value::from(item.trim())).collect()),
            _ => Some(Value::from(value)),
        };
        Ok(Self { name: name.to_owned(), keys, value })
    }

    /// Whoever gives `x` in the environment has no use for `x_file` in the file.
    fn remove_twin(&self, document: &mut Value) {
        let Some((last, parents)) = self.keys.split_last() else { return };
        let twin = last.strip_suffix("_file").map_or_else(|| format!("{last}_file"), str::to_owned);
        let parent = parents.iter().try_fold(document, |place, key| match place {
            Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
            other => other.get_mut(key),
        });
        if let Some(parent) = parent.and_then(Value::as_object_mut)
            && self.value.is_some()
        {
            parent.remove(&twin);
        }
    }

    fn lay_over(&self, document: &mut Value) -> Result<(), &'static str> {
        let Some((last, parents)) = self.keys.split_last() else { return Ok(()) };
        let mut place = document;
        for key in parents {
            if place.get(key).is_none() && place.as_array().is_none() && self.value.is_none() {
                return Ok(());
            }
            place = child(place, key)?;
        }
        match (&self.value, place) {
            (None, Value::Array(_)) => Err("is empty; an item of a list cannot be removed so"),
            (None, place) => {
                if let Some(section) = place.as_object_mut() {
                    section.remove(last);
                }
                Ok(())
            }
            (Some(value), place) => {
                *child(place, last)? = value.clone();
                Ok(())
            }
        }
    }
}

/// `[a, b]` or `{a: b}`, and neither an address such as `[::1]:8080` nor a template.
fn is_bracketed(value: &str) -> bool {
    let is_template = value.starts_with("{{") || value.starts_with("{%");
    let is_within = |open, close| value.starts_with(open) && value.ends_with(close);
    !is_template && (is_within('[', ']') || is_within('{', '}'))
}

fn child<'a>(place: &'a mut Value, key: &str) -> Result<&'a mut Value, &'static str> {
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    match place {
        Value::Object(map) => Ok(map.entry(key).or_insert(Value::Null)),
        Value::Array(items) => {
            let index: usize =
                key.parse().map_err(|_| "names a key inside a list; give an index, such as 0")?;
            items.get_mut(index).ok_or("names an item that is not in the file")
        }
        _ => Err("names a key inside something that is not a section"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<(Value, Problems), LoadError> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("usher.yaml");
        std::fs::write(&path, text).expect("written");
        let mut problems = Problems::default();
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
        load(&path, environment, &mut problems).map(|document| (document, problems))
    }

    #[test]
    fn variables_are_laid_over_the_file() {
        let file = "database: {url: 'sqlite:a'}\nhomeservers: [{server_name: a}]\n";
        for (name, variables, expected) in [
            (
                "nothing",
                &[][..],
                json!({"database": {"url": "sqlite:a"}, "homeservers": [{"server_name": "a"}]}),
            ),
            (
                "a key",
                &[("USHER__DATABASE__URL", "sqlite:b")],
                json!({"database": {"url": "sqlite:b"}, "homeservers": [{"server_name": "a"}]}),
            ),
            (
                "a new section, and an index",
                &[("USHER__LOG__FORMAT", "json"), ("USHER__HOMESERVERS__0__BASE_URL", "https://a")],
                json!({
                    "database": {"url": "sqlite:a"},
                    "homeservers": [{"server_name": "a", "base_url": "https://a"}],
                    "log": {"format": "json"},
                }),
            ),
            (
                "somebody else's variable",
                &[("USHER_DATABASE__URL", "x"), ("PATH", "y")],
                json!({"database": {"url": "sqlite:a"}, "homeservers": [{"server_name": "a"}]}),
            ),
        ] {
            let (document, problems) = load_text(file, variables).expect(name);
            assert_eq!(document, expected, "{name}");
            assert!(!problems.has_errors(), "{name}: {problems}");
        }
    }

    #[test]
    fn a_variables_value_is_text_unless_it_cannot_be() {
        for (name, variable, value, expected) in [
            ("digits", "USHER__A", "0123", json!("0123")),
            ("what YAML takes for something else", "USHER__A", "a: b # c", json!("a: b # c")),
            ("true", "USHER__A", "true", json!(true)),
            ("a list", "USHER__A", "[1, b]", json!([1, "b"])),
            ("a section", "USHER__A", "{b: c}", json!({"b": "c"})),
            ("a template", "USHER__A", "{{ subject }}", json!("{{ subject }}")),
            ("an address", "USHER__A", "[::1]:8080", json!("[::1]:8080")),
            ("a list with commas", "USHER__LISTEN", "[::1]:1, [::1]:2", json!(["[::1]:1", "[::1]:2"])),
            ("a list with one", "USHER__LISTEN", "127.0.0.1:1", json!(["127.0.0.1:1"])),
        ] {
            let (document, _) = load_text("", &[(variable, value)]).expect(name);
            let key = variable[PREFIX.len()..].to_lowercase();
            assert_eq!(document[key], expected, "{name}");
        }
    }

    #[test]
    fn a_variable_replaces_what_says_the_same() {
        let file = "keys: [{id: a, secret_file: k}]\ndatabase: {url: 'sqlite:a'}\n";
        for (name, variables, keys, database) in [
            (
                "a secret for a file",
                &[("USHER__KEYS__0__SECRET", "s")][..],
                json!([{"id": "a", "secret": "s"}]),
                json!({"url": "sqlite:a"}),
            ),
            (
                "a file for a secret",
                &[("USHER__DATABASE__URL_FILE", "f")],
                json!([{"id": "a", "secret_file": "k"}]),
                json!({"url_file": "f"}),
            ),
            (
                "two variables contradict each other",
                &[("USHER__DATABASE__URL", "u"), ("USHER__DATABASE__URL_FILE", "f")],
                json!([{"id": "a", "secret_file": "k"}]),
                json!({"url": "u", "url_file": "f"}),
            ),
            (
                "nothing removes",
                &[("USHER__DATABASE__URL", ""), ("USHER__KEYS__0__SECRET", "")],
                json!([{"id": "a", "secret_file": "k"}]),
                json!({}),
            ),
        ] {
            let (document, problems) = load_text(file, variables).expect(name);
            assert_eq!(document, json!({"keys": keys, "database": database}), "{name}");
            assert!(!problems.has_errors(), "{name}: {problems}");
        }
    }

    #[test]
    fn a_name_with_one_underscore_is_a_warning_and_other_programs_names_are_not() {
        let variables = [("USHER_DATABASE_URL", "secret"), ("USHER_SERVICE_HOST", "x"), ("PATH", "y")];
        let (_, problems) = load_text("", &variables).expect("read");
        let shown = problems.to_string();
        assert!(shown.starts_with("warning: USHER_DATABASE_URL: is not read") && shown.lines().count() == 1);
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[cfg(unix)]
    #[test]
    fn only_our_variables_must_be_text() {
        use std::os::unix::ffi::OsStringExt as _;
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("usher.yaml");
        std::fs::write(&path, "").expect("written");
        let bytes = || OsString::from_vec(vec![0xff]);
        let environment = [(bytes(), bytes()), ("LS_COLORS".into(), bytes()), ("USHER__A".into(), bytes())];
        let mut problems = Problems::default();
        load(&path, environment, &mut problems).expect("read");
        assert_eq!(problems.to_string(), "error: USHER__A: is not UTF-8 text\n");
    }

    #[test]
    fn a_variable_that_fits_nowhere_is_named() {
        for (name, variable) in [
            ("an index that is not there", "USHER__HOMESERVERS__7__BASE_URL"),
            ("a key inside a list", "USHER__HOMESERVERS__BASE_URL"),
            ("a key inside a text", "USHER__DATABASE__URL__X"),
            ("three underscores", "USHER__DATABASE___URL_"),
            ("an empty key", "USHER__DATABASE____URL"),
        ] {
            let file = "database: {url: 'sqlite:a'}\nhomeservers: [{server_name: a}]\n";
            let other = ("USHER__HOMESERVERS__8", "secret");
            let (_, problems) = load_text(file, &[(variable, "secret"), other]).expect(name);
            let shown = problems.to_string();
            let named = shown.contains(&format!("error: {variable}: "));
            // An unknown key is for the validation to name.
            assert_eq!(named, name != "three underscores", "{name}: {shown}");
            assert!(shown.contains("error: USHER__HOMESERVERS__8: "), "{name}: all are named: {shown}");
            assert!(!shown.contains("secret"), "{name}: {shown}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        assert!(matches!(load_text("log: {}\nlog: {}\n", &[]), Err(LoadError::Yaml { .. })));
    }

    #[test]
    fn what_is_wrong_with_the_yaml_is_said_without_its_values() {
        for (name, text, expected) in [
            ("a number too long", "keys:\n- secret: 12345678901234567890123456789012345678", "line 2"),
            ("a tag", "keys:\n- secret: !hunter2 12345678901", "put quotes"),
            ("a number as a key", "12345678901: x", "YAML"),
            ("syntax", "keys: [\nsecret: 12345678901", "line 3"),
        ] {
            let error = load_text(text, &[]).expect_err(name);
            let shown = error.to_string();
            assert!(shown.contains(expected), "{name}: {shown}");
            assert!(!shown.contains("12345678901") && !shown.contains("hunter2"), "{name}: {shown}");
            assert!(std::error::Error::source(&error).is_none(), "{name}: the chain would say it");
        }
    }

    #[test]
    fn an_empty_file_is_an_empty_document() {
        assert_eq!(load_text("", &[]).expect("read").0, json!({}));
    }
}
