//! `listen`: where Usher listens.

use std::net::SocketAddr;

use serde_json::Value;

use super::{Problems, fields::Fields as _};

/// Unless it is told otherwise.
const DEFAULT: &str = "127.0.0.1:8080";

/// The first address that a document listens on; nothing else in it has to be right.
#[must_use]
pub fn first_listen(document: &Value) -> Option<SocketAddr> {
    match document.get("listen") {
        None | Some(Value::Null) => DEFAULT.parse().ok(),
        Some(listen) => listen.get(0)?.as_str()?.parse().ok(),
    }
}

pub(super) fn validate(raw: Option<Vec<String>>, problems: &mut Problems) -> Vec<SocketAddr> {
    let raw = raw.unwrap_or_else(|| vec![DEFAULT.to_owned()]);
    if raw.is_empty() {
        problems.error("listen", "must name at least one address, such as 127.0.0.1:8080");
    }
    let parse = |(index, text): (usize, String)| {
        let path = format!("listen[{index}]");
        problems.parsed(&path, &text, "an address and a port, such as 127.0.0.1:8080 or [::]:8080")
    };
    raw.into_iter().enumerate().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_address_is_known_whatever_else_is_wrong() {
        for (name, document, expected) in [
            ("the default", json!({}), Some("127.0.0.1:8080")),
            ("nothing said", json!({ "listen": null }), Some("127.0.0.1:8080")),
            (
                "the first of two",
                json!({ "listen": ["[::]:80", "127.0.0.1:81"], "keys": 7 }),
                Some("[::]:80"),
            ),
            ("none", json!({ "listen": [] }), None),
            ("no list", json!({ "listen": "127.0.0.1:80" }), None),
            ("no address", json!({ "listen": ["localhost:80"] }), None),
            ("no document", json!([]), Some("127.0.0.1:8080")),
        ] {
            assert_eq!(
                first_listen(&document).map(|address| address.to_string()).as_deref(),
                expected,
                "{name}"
            );
        }
    }
}
