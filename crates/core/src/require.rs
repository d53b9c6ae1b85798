//! What must be true of a person's attributes before they may use a provider or a homeserver.
//!
//! Pure: who asks, and what happens to somebody who does not meet one, is the server's matter.

use crate::Identity;

/// One thing that must be true of one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The attribute's name as the provider releases it.
    pub attribute: String,
    /// What must be true of its values.
    pub condition: Condition,
}

/// What must be true of an attribute's values. Compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// At least one value that is not empty.
    Exists,
    /// Exactly one value, and it is this.
    Equals(String),
    /// Exactly one value, and it is one of these.
    OneOf(Vec<String>),
    /// This is among the values, however many there are.
    Contains(String),
}

impl Requirement {
    /// Whether `identity` meets it. An attribute that was not released has no value and meets nothing.
    #[must_use]
    pub fn is_met(&self, identity: &Identity) -> bool {
        let values = identity.values(&self.attribute);
        match &self.condition {
            Condition::Exists => values.iter().any(|value| !value.is_empty()),
            Condition::Equals(expected) => matches!(values, [value] if value == expected),
            Condition::OneOf(expected) => matches!(values, [value] if expected.contains(value)),
            Condition::Contains(expected) => values.contains(expected),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Evidence, Issuer, ProviderId, Subject};

    fn person(values: Option<&[&str]>) -> Identity {
        let values = values.map(|values| values.iter().map(|value| (*value).to_owned()).collect());
        Identity {
            provider: ProviderId::parse("corp").expect("valid"),
            issuer: Issuer::parse("https://cas.example").expect("valid"),
            subject: Subject::parse("alice").expect("valid"),
            evidence: Evidence::Unstated,
            attributes: values
                .map(|values| ("role".to_owned(), values))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            upstream_session: None,
        }
    }

    #[test]
    fn each_condition_says_exactly_what_it_says() {
        let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let conditions = [
            Condition::Exists,
            Condition::Equals("staff".to_owned()),
            Condition::OneOf(list(&["staff", "student"])),
            Condition::Contains("staff".to_owned()),
        ];
        for (name, values, expected) in [
            ("not released", None, [false, false, false, false]),
            ("released without a value", Some(&[][..]), [false, false, false, false]),
            ("an empty value", Some(&[""]), [false, false, false, false]),
            ("empty values", Some(&["", ""]), [false, false, false, false]),
            ("the value", Some(&["staff"]), [true, true, true, true]),
            ("the other value", Some(&["student"]), [true, false, true, false]),
            ("another value", Some(&["guest"]), [true, false, false, false]),
            ("the value in capitals", Some(&["Staff"]), [true, false, false, false]),
            ("the value and a space", Some(&["staff "]), [true, false, false, false]),
            ("the value as a part", Some(&["staffing"]), [true, false, false, false]),
            ("the value twice", Some(&["staff", "staff"]), [true, false, false, true]),
            ("the value among others", Some(&["guest", "staff"]), [true, false, false, true]),
            ("both values", Some(&["staff", "student"]), [true, false, false, true]),
            ("an empty value and another", Some(&["", "guest"]), [true, false, false, false]),
        ] {
            let met = conditions.clone().map(|condition| {
                Requirement { attribute: "role".to_owned(), condition }.is_met(&person(values))
            });
            assert_eq!(met, expected, "{name}: exists, equals, one of, contains");
        }
    }

    #[test]
    fn another_attribute_does_not_help() {
        let requirement = Requirement { attribute: "Role".to_owned(), condition: Condition::Exists };
        assert!(!requirement.is_met(&person(Some(&["staff"]))));
    }
}
