//! Who works at the organisation of the lab, whatever single sign-on it has.

use std::collections::BTreeMap;

/// Everybody's. Printed by the demo; it protects nothing.
const PASSWORD: &str = "open sesame";

/// Somebody who can sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// What they are called (`displayName`).
    pub name: &'static str,
    /// What they type (`uid`, and the provider's name for them).
    pub username: &'static str,
    /// What they type next.
    pub password: &'static str,
    /// The values of `department`, in order; the first is where they belong.
    pub departments: &'static [&'static str],
}

impl Person {
    /// `mail`: `alice@ac.localhost`.
    #[must_use]
    pub fn mail(&self) -> String {
        format!("{}@ac.localhost", self.username)
    }

    /// The attributes that are released of them.
    #[must_use]
    pub fn attributes(&self) -> BTreeMap<String, Vec<String>> {
        let one = |value: &str| vec![value.to_owned()];
        BTreeMap::from([
            ("uid".to_owned(), one(self.username)),
            ("mail".to_owned(), vec![self.mail()]),
            ("displayName".to_owned(), one(self.name)),
            ("department".to_owned(), self.departments.iter().map(|&name| name.to_owned()).collect()),
        ])
    }
}

/// Two people in each of three departments; Frank works for the library too.
pub const PEOPLE: [Person; 6] = [
    person("Alice Archer", "alice", &["engineering"]),
    person("Bob Böhm", "bob", &["engineering"]),
    person("Carol Castillo", "carol", &["history"]),
    person("Dave O'Dowd", "dave", &["history"]),
    person("Erin Eriksen", "erin", &["physics"]),
    person("Frank & Sons", "frank", &["physics", "library"]),
];

const fn person(name: &'static str, username: &'static str, departments: &'static [&'static str]) -> Person {
    Person { name, username, password: PASSWORD, departments }
}

/// The person with that username.
///
/// # Panics
/// If nobody has it: a mistake in the test.
#[must_use]
pub fn person_called(username: &str) -> &'static Person {
    static EVERYBODY: [Person; 6] = PEOPLE;
    let person = EVERYBODY.iter().find(|person| person.username == username);
    person.unwrap_or_else(|| panic!("nobody is called {username:?}"))
}
