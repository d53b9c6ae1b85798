//! The document before it is understood: a YAML file, with values of the environment laid over it.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

const PREFIX: &str = "USHER__";

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
    #[error("{}: is not valid YAML", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_yaml_ng::Error,
    },
    /// A variable that fits nowhere in the document.
    #[error("{variable}: {reason}")]
    Variable {
        /// Its name; its value may be a secret.
        variable: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Reads `path` and lays every `USHER__SECTION__KEY` of `environment` over it, in the order of their names.
///
/// Section and key are lower-cased, a number is an index (`USHER__HOMESERVERS__0__UPSTREAM_URL`), and the
/// value is read as YAML, so `true` and `8` are what they look like.
pub fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Value, LoadError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    let yaml = |source| LoadError::Yaml { path: path.to_owned(), source };
    // Through a YAML value first: it refuses a key that stands twice, which JSON's map would swallow.
    let document: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).map_err(yaml)?;
    let mut document: Value = serde_yaml_ng::from_value(document).map_err(yaml)?;
    if document.is_null() {
        document = Value::Object(Map::new());
    }
    let mut variables: Vec<_> =
        environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (variable, value) in variables {
        let keys = variable[PREFIX.len()..].to_lowercase();
        let value = serde_yaml_ng::from_str(&value).unwrap_or(Value::String(value));
        lay_over(&mut document, &keys, value).map_err(|reason| LoadError::Variable { variable, reason })?;
    }
    Ok(document)
}

fn lay_over(document: &mut Value, keys: &str, value: Value) -> Result<(), &'static str> {
    let mut place = document;
    for key in keys.split("__") {
        if key.is_empty() {
            return Err("has an empty key; separate keys with exactly two underscores");
        }
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        place = match place {
            Value::Object(map) => map.entry(key).or_insert(Value::Null),
            Value::Array(items) => {
                let index: usize =
                    key.parse().map_err(|_| "names a key inside a list; give an index, such as 0")?;
                items.get_mut(index).ok_or("names an item that is not in the file")?
            }
            _ => return Err("names a key inside something that is not a section"),
        };
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Value, LoadError> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("usher.yaml");
        std::fs::write(&path, text).expect("written");
        load(&path, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
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
            assert_eq!(load_text(file, variables).expect(name), expected, "{name}");
        }
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
            let result = load_text(file, &[(variable, "secret")]);
            if name == "three underscores" {
                assert!(result.is_ok(), "an unknown key is for the validation to name");
                continue;
            }
            let shown = result.expect_err(name).to_string();
            assert!(shown.contains(variable) && !shown.contains("secret"), "{name}: {shown}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        assert!(matches!(load_text("log: {}\nlog: {}\n", &[]), Err(LoadError::Yaml { .. })));
    }

    #[test]
    fn an_empty_file_is_an_empty_document() {
        assert_eq!(load_text("", &[]).expect("read"), json!({}));
    }
}
