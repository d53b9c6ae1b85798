//! Reads a section as far as it goes: a mistake is noted with its key path, taken out, and reading goes on,
//! so that an operator sees every typo at once and not one a start.

use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::Problems;

/// More mistakes than this in one document are the wrong document.
const MAX_MISTAKES: usize = 100;

/// Reads `value`; every struct in `T` must have defaults for all its fields.
pub(super) fn read<T: DeserializeOwned + Default>(mut value: Value, problems: &mut Problems) -> T {
    for _ in 0..MAX_MISTAKES {
        match serde_path_to_error::deserialize::<_, T>(value.clone()) {
            Ok(read) => return read,
            Err(mistake) => {
                let mut keys = keys(mistake.path());
                let message = mistake.inner().to_string();
                if let Some(field) = unknown_field(&message) {
                    if keys.last() != Some(&Key::Name(field.clone())) {
                        keys.push(Key::Name(field));
                    }
                    problems.error(spell(&keys), unknown_key(&message));
                } else {
                    problems.error(spell(&keys), message);
                }
                if !take_out(&mut value, &keys) {
                    return T::default();
                }
            }
        }
    }
    problems.error("", "has too many mistakes to list; is this an Usher config?");
    T::default()
}

/// Reads a section that lies at `path` of the document.
pub(super) fn read_at<T: DeserializeOwned + Default>(value: Value, path: &str, problems: &mut Problems) -> T {
    let mut own = Problems::default();
    let read = read(value, &mut own);
    for problem in own.iter() {
        let separator = if problem.path.is_empty() || problem.path.starts_with('[') { "" } else { "." };
        problems.error(format!("{path}{separator}{}", problem.path), problem.message.clone());
    }
    read
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Name(String),
    Index(usize),
}

fn keys(path: &Path) -> Vec<Key> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(Key::Name(key.clone())),
            Segment::Seq { index } => Some(Key::Index(*index)),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

fn spell(keys: &[Key]) -> String {
    let mut path = String::new();
    for key in keys {
        match key {
            Key::Name(name) if path.is_empty() => path.push_str(name),
            Key::Name(name) => {
                path.push('.');
                path.push_str(name);
            }
            Key::Index(index) => write!(path, "[{index}]").expect("writing to a String cannot fail"),
        }
    }
    path
}

/// serde words it "unknown field `x`, expected one of `a`, `b`".
fn unknown_field(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    rest.split_once('`').map(|(field, _)| field.to_owned())
}

fn unknown_key(message: &str) -> String {
    let expected = message.split_once(", ").map_or("", |(_, expected)| expected);
    format!("is not a key here; {expected}")
}

fn take_out(value: &mut Value, keys: &[Key]) -> bool {
    let Some((last, parents)) = keys.split_last() else { return false };
    let mut parent = value;
    for key in parents {
        let child = match key {
            Key::Name(name) => parent.get_mut(name),
            Key::Index(index) => parent.get_mut(*index),
        };
        let Some(child) = child else { return false };
        parent = child;
    }
    match (last, parent) {
        (Key::Name(name), Value::Object(map)) => map.remove(name).is_some(),
        // Not removed: the indices of the items after it must keep their meaning.
        (Key::Index(index), Value::Array(items)) => match items.get_mut(*index) {
            Some(item) if !item.is_object() => {
                *item = Value::Object(serde_json::Map::new());
                true
            }
            _ => false,
        },
        _ => false,
    }
}
