//! From claims to attributes. Claims are JSON, attributes are lists of texts.
//!
//! A [`ClaimPath`] says where in the claims something is: the name of a claim, or, with a slash before it, a JSON Pointer
//! (RFC 6901) in which `*` stands for every item.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The claims of one token, or of userinfo.
pub(crate) type Claims = Map<String, Value>;

/// What belongs to the protocol and says nothing of the person (RFC 7519 4.1, OpenID Connect Core 2, 3.1.3.6, 3.3.2.11,
/// 5.6.2, Session Management 3, Back-Channel Logout 2.1), and `sub`, which is the subject.
const OF_PROTOCOL: [&str; 20] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "nonce",
    "azp",
    "at_hash",
    "c_hash",
    "s_hash",
    "auth_time",
    "sid",
    "session_state",
    "typ",
    "events",
    "_claim_names",
    "_claim_sources",
    "ver",
];

/// A place in the claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Every,
}

impl ClaimPath {
    /// Reads a name or a path; the error says what would be right.
    pub(crate) fn parse(written: &str) -> Result<Self, &'static str> {
        const WANTED: &str = "write the name of a claim, or a path such as `/org/unit`";
        let Some(pointer) = written.strip_prefix('/') else {
            return if written.is_empty() || written.trim() != written {
                Err(WANTED)
            } else {
                Ok(Self(vec![Step::Name(written.to_owned())]))
            };
        };
        let steps = pointer.split('/').map(step).collect::<Option<Vec<_>>>();
        match steps {
            Some(steps) if matches!(steps.first(), Some(Step::Name(_))) => Ok(Self(steps)),
            Some(_) => Err("begins with `*`; begin with the name of a claim"),
            None => Err("has an empty part, or a `~` that is neither `~0` nor `~1`"),
        }
    }

    /// The claim of the top level that it leads into.
    pub(crate) fn claim(&self) -> &str {
        match self.0.first() {
            Some(Step::Name(name)) => name,
            Some(Step::Every) | None => "",
        }
    }

    /// Whether it is the claim of that name, whole.
    pub(crate) fn is_claim(&self, name: &str) -> bool {
        self.0.len() == 1 && self.claim() == name
    }

    /// Every value there, in order: texts as they are, numbers and truth values as JSON spells them. Nothing where there is
    /// nothing, null, or a section.
    pub(crate) fn values(&self, claims: &Claims) -> Vec<String> {
        let mut values = Vec::new();
        if let Some(value) = claims.get(self.claim()) {
            walk(value, &self.0[1..], &mut values);
        }
        values
    }
}

/// RFC 6901 section 4: `~1` is decoded before `~0`.
fn step(written: &str) -> Option<Step> {
    if written == "*" {
        return Some(Step::Every);
    }
    let is_escaped = written.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    let name = written.replace("~1", "/").replace("~0", "~");
    (is_escaped && !name.is_empty()).then_some(Step::Name(name))
}

fn walk(value: &Value, steps: &[Step], found: &mut Vec<String>) {
    match (steps.split_first(), value) {
        (None, Value::Array(items)) => found.extend(items.iter().filter_map(text)),
        (None, value) => found.extend(text(value)),
        (Some((Step::Name(name), rest)), Value::Object(section)) => {
            if let Some(inner) = section.get(name) {
                walk(inner, rest, found);
            }
        }
        (Some((Step::Name(name), rest)), Value::Array(items)) => {
            if let Some(inner) = name.parse::<usize>().ok().and_then(|index| items.get(index)) {
                walk(inner, rest, found);
            }
        }
        (Some((Step::Every, rest)), Value::Array(items)) => {
            for item in items {
                walk(item, rest, found);
            }
        }
        (Some((Step::Every, rest)), Value::Object(section)) => {
            for item in section.values() {
                walk(item, rest, found);
            }
        }
        (Some(_), Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {}
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The attributes that `claims` make: every claim of the top level under its own name, then what `mapping` names.
///
/// An address that the provider says is not verified (OpenID Connect Core 5.1, `email_verified`) is nobody's attribute. One
/// that it says is verified is `verified_email` as well, for rules that may take nobody's word for it but the provider's.
pub(crate) fn attributes(
    claims: &Claims,
    mapping: &BTreeMap<String, ClaimPath>,
) -> BTreeMap<String, Vec<String>> {
    let mut attributes = BTreeMap::new();
    for (name, value) in claims.iter().filter(|(name, _)| !OF_PROTOCOL.contains(&name.as_str())) {
        let mut values = Vec::new();
        walk(value, &[], &mut values);
        put(&mut attributes, name, values);
    }
    // Usher's own, whatever a provider calls so.
    attributes.remove("verified_email");
    match is_email_verified(claims) {
        Some(true) => {
            let addresses = attributes.get("email").cloned().unwrap_or_default();
            put(&mut attributes, "verified_email", addresses);
        }
        Some(false) => {
            attributes.remove("email");
        }
        None => {}
    }
    for (name, path) in mapping {
        attributes.remove(name);
        put(&mut attributes, name, path.values(claims));
    }
    attributes
}

fn put(attributes: &mut BTreeMap<String, Vec<String>>, name: &str, values: Vec<String>) {
    if !values.is_empty() {
        attributes.insert(name.to_owned(), values);
    }
}

/// What the provider says of the address; some say it with a text.
pub(crate) fn is_email_verified(claims: &Claims) -> Option<bool> {
    match claims.get("email_verified")? {
        Value::Bool(verified) => Some(*verified),
        Value::String(text) if text == "true" => Some(true),
        // Whatever else stands there is no yes.
        _ => Some(false),
    }
}

/// What providers add of their own that says nothing of the person either: Authelia and ZITADEL, Ory Hydra, Okta, GitLab.
const OF_PROVIDERS: [&str; 7] = ["acr", "amr", "client_id", "rat", "idp", "sub_legacy", "scope"];

/// Whether `claims` say nothing of the person but who they are.
pub(crate) fn is_bare(claims: &Claims) -> bool {
    claims.keys().all(|name| OF_PROTOCOL.contains(&name.as_str()) || OF_PROVIDERS.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        match value {
            Value::Object(claims) => claims,
            _ => panic!("claims are an object"),
        }
    }

    fn person() -> Claims {
        claims(json!({
            "iss": "https://op", "sub": "s", "aud": "c", "exp": 1, "iat": 1, "nonce": "n", "sid": "x",
            "name": "Åsa", "age": 42, "staff": true, "nothing": null,
            "mail": ["a@x", "b@x"], "mixed": ["a", 1, null, { "k": "v" }, false],
            "org": { "unit": "eng", "units": ["eng", "hist"], "a/b": "slash", "t~e": "tilde" },
            "roles": [{ "name": "r1", "in": ["x", "y"] }, { "name": "r2" }, "r3"],
            "resource_access": { "usher": { "roles": ["u"] }, "other": { "roles": ["o"] } },
            "https://ac.cdl/dept": "physics",
        }))
    }

    #[test]
    fn a_path_leads_to_every_value_there_and_to_nothing_else() {
        for (path, expected) in [
            ("name", &["Åsa"][..]),
            ("age", &["42"]),
            ("staff", &["true"]),
            ("mail", &["a@x", "b@x"]),
            ("mixed", &["a", "1", "false"]),
            ("https://ac.cdl/dept", &["physics"]),
            ("nothing", &[]),
            ("absent", &[]),
            ("org", &[]),
            ("/name", &["Åsa"]),
            ("/org/unit", &["eng"]),
            ("/org/units", &["eng", "hist"]),
            ("/org/units/1", &["hist"]),
            ("/org/units/2", &[]),
            ("/org/units/-1", &[]),
            ("/org/a~1b", &["slash"]),
            ("/org/t~0e", &["tilde"]),
            ("/org/*", &["slash", "tilde", "eng", "eng", "hist"]),
            ("/roles/*/name", &["r1", "r2"]),
            ("/roles/*/in", &["x", "y"]),
            ("/roles/*", &["r3"]),
            ("/resource_access/*/roles", &["o", "u"]),
            ("/name/deeper", &[]),
        ] {
            let parsed = ClaimPath::parse(path).expect(path);
            let mut found = parsed.values(&person());
            let mut expected: Vec<_> = expected.iter().map(|&value| value.to_owned()).collect();
            if path.contains('*') {
                found.sort();
                expected.sort();
            }
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in ["", " name", "name ", "/", "/a//b", "/a/", "/*/a", "/a~2b", "/a~"] {
            assert!(ClaimPath::parse(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn attributes_are_all_values_and_what_the_mapping_names() {
        let path = |written: &str| ClaimPath::parse(written).expect(written);
        let mapping = BTreeMap::from([
            ("department".to_owned(), path("/org/unit")),
            ("mail".to_owned(), path("/mail/0")),
            ("staff".to_owned(), path("absent")),
        ]);
        let made = attributes(&person(), &mapping);
        let list = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
        let expected = BTreeMap::from([
            ("age".to_owned(), list(&["42"])),
            ("department".to_owned(), list(&["eng"])),
            ("https://ac.cdl/dept".to_owned(), list(&["physics"])),
            ("mail".to_owned(), list(&["a@x"])),
            ("mixed".to_owned(), list(&["a", "1", "false"])),
            ("name".to_owned(), list(&["Åsa"])),
            ("roles".to_owned(), list(&["r3"])),
        ]);
        assert_eq!(made, expected);
    }

    #[test]
    fn an_address_counts_as_far_as_the_provider_vouches_for_it() {
        for (name, verified, is_attribute, is_vouched_for) in [
            ("not said", None, true, false),
            ("true", Some(json!(true)), true, true),
            ("true as a text", Some(json!("true")), true, true),
            ("false", Some(json!(false)), false, false),
            ("false as a text", Some(json!("false")), false, false),
            ("null", Some(json!(null)), false, false),
            ("a number", Some(json!(1)), false, false),
        ] {
            let mut said = claims(json!({ "email": "a@x", "verified_email": "forged@x" }));
            if let Some(verified) = verified {
                said.insert("email_verified".to_owned(), verified);
            }
            let made = attributes(&said, &BTreeMap::new());
            let has = |name: &str| made.get(name).is_some_and(|values| values == &["a@x"]);
            assert_eq!((has("email"), has("verified_email")), (is_attribute, is_vouched_for), "{name}");
            assert_eq!(made.contains_key("verified_email"), is_vouched_for, "{name}");
        }
    }

    #[test]
    fn claims_are_bare_if_they_say_who_and_when_alone() {
        assert!(is_bare(&claims(
            json!({ "sub": "s", "iss": "i", "auth_time": 1, "acr": "1", "amr": ["pwd"] })
        )));
        assert!(
            is_bare(&claims(json!({ "sub": "s", "client_id": "usher", "rat": 1, "idp": "x" }))),
            "of its own"
        );
        assert!(!is_bare(&claims(json!({ "sub": "s", "name": "n" }))));
    }
}
