//! Reads a section key by key, so that one unreadable value does not hide the next.

use serde_json::{Map, Value};
use usher_core::{ConfigError, ConfigProblem};

use super::Section;

pub(super) fn read_section(config: Value, problems: &mut Vec<ConfigProblem>) -> Result<Section, ConfigError> {
    let Value::Object(entries) = config else {
        return Err(ConfigError::at(
            "",
            "must be a section of keys, with at least `metadata_file` or `metadata_url`",
        ));
    };
    let alone = |key: &str, value: &Value| {
        let section = Value::Object(Map::from_iter([(key.to_owned(), value.clone())]));
        serde_path_to_error::deserialize::<_, Section>(section).map(drop)
    };
    let mut readable = Map::new();
    for (key, mut value) in entries {
        let mut read = alone(&key, &value);
        // A variable of the environment can only say `true` as text.
        if let (Err(_), Some(flag)) = (&read, value.as_str().and_then(|text| text.parse::<bool>().ok()))
            && alone(&key, &Value::Bool(flag)).is_ok()
        {
            value = Value::Bool(flag);
            read = Ok(());
        }
        match read {
            Ok(()) => {
                readable.insert(key, value);
            }
            Err(error) => {
                let path = if error.path().iter().next().is_some() { error.path().to_string() } else { key };
                problems.push(ConfigProblem::unreadable(path, error.inner()));
            }
        }
    }
    serde_path_to_error::deserialize(Value::Object(readable)).map_err(|error| ConfigError {
        problems: vec![ConfigProblem::unreadable(error.path().to_string(), error.inner())],
    })
}

/// A key that could not be read counts as absent from then on, which may be a second problem but no second
/// mistake: one problem a key, the first.
pub(super) fn without_echoes(problems: Vec<ConfigProblem>) -> Vec<ConfigProblem> {
    let mut kept: Vec<ConfigProblem> = Vec::new();
    for problem in problems {
        if kept.iter().all(|earlier| earlier.path != problem.path) {
            kept.push(problem);
        }
    }
    kept
}

/// The value, or its problem reported at `path`.
pub(super) fn check<T>(
    value: Result<T, String>,
    path: &str,
    report: &mut impl FnMut(&str, String),
) -> Option<T> {
    value.map_err(|message| report(path, message)).ok()
}
