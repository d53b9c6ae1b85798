//! Reads a section as far as it goes: a mistake is noted with its key path, taken out, and reading goes on,
//! so that an operator sees every typo at once and not one a start.

use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};
use usher_core::ConfigProblem;

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
                if let Some(field) = unknown_field(&mistake.inner().to_string())
                    && keys.last() != Some(&Key::Name(field.clone()))
                {
                    keys.push(Key::Name(field));
                }
                let ConfigProblem { path, message } =
                    ConfigProblem::unreadable(spell(&keys), mistake.inner());
                if message.contains("whole number") && understand_number(&mut value, &keys) {
                    continue;
                }
                // An item that was taken out of a list may be refused again for what stands in its place.
                if !problems.iter().any(|problem| problem.path == path) {
                    problems.unread(path, message);
                }
                while !take_out(&mut value, &keys) {
                    if keys.pop().is_none() {
                        return T::default();
                    }
                }
            }
        }
    }
    problems.unread("", "has too many mistakes to list; is this an Usher config?");
    T::default()
}

/// Reads a section that lies at `path` of the document.
pub(super) fn read_at<T: DeserializeOwned + Default>(value: Value, path: &str, problems: &mut Problems) -> T {
    let mut own = Problems::default();
    let read = read(value, &mut own);
    for problem in own.iter() {
        let separator = if problem.path.is_empty() || problem.path.starts_with('[') { "" } else { "." };
        problems.unread(format!("{path}{separator}{}", problem.path), problem.message.clone());
    }
    read
}

/// A variable of the environment can only say a number as text.
fn understand_number(value: &mut Value, keys: &[Key]) -> bool {
    let Some(text) = at(value, keys) else { return false };
    let Some(number) = text.as_str().and_then(|text| text.parse::<u64>().ok()) else { return false };
    *text = Value::from(number);
    true
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

/// serde words it "unknown field `x`, expected one of `a`, `b`", or "…, there are no fields".
fn unknown_field(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (field, _) =
        rest.rsplit_once("`, expected ").or_else(|| rest.rsplit_once("`, there are no fields"))?;
    Some(field.to_owned())
}

fn at<'a>(value: &'a mut Value, keys: &[Key]) -> Option<&'a mut Value> {
    keys.iter().try_fold(value, |place, key| match key {
        Key::Name(name) => place.get_mut(name),
        Key::Index(index) => place.get_mut(*index),
    })
}

/// An item of a list becomes an empty section, so that the indices of those after it keep their meaning; where that
/// is no better, this gives `false`, and the list has to go.
fn take_out(value: &mut Value, keys: &[Key]) -> bool {
    let Some((last, parents)) = keys.split_last() else { return false };
    match (last, at(value, parents)) {
        (Key::Name(name), Some(Value::Object(map))) => map.remove(name).is_some(),
        (Key::Index(index), Some(Value::Array(items))) => match items.get_mut(*index) {
            Some(item) if *item != json!({}) => {
                *item = json!({});
                true
            }
            _ => false,
        },
        _ => false,
    }
}
