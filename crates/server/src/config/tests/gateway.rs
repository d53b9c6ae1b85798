//! `homeservers[].hosts`: Usher answers there, and the homeserver is somewhere else.

use super::*;

fn with(upstream_url: &str, hosts: &Value) -> Value {
    let mut document = good();
    document["homeservers"][0]["upstream_url"] = json!(upstream_url);
    document["homeservers"][0]["hosts"] = hosts.clone();
    document
}

#[test]
fn a_homeserver_is_not_where_usher_answers_for_it() {
    let own = json!(["matrix.eng.ac.cdl", "eng.ac.cdl"]);
    let returns = Some("homeservers[0].upstream_url: is where Usher answers");
    for (name, upstream_url, hosts, expected) in [
        ("an address of its own", "http://127.0.0.1:8008", &own, None),
        ("a name of its own", "https://synapse.eng.ac.cdl", &own, None),
        (
            "a host where no client goes",
            "http://127.0.0.1:8008",
            &json!(["other.eng.ac.cdl"]),
            Some("homeservers[0].hosts: does not have matrix.eng.ac.cdl"),
        ),
        ("another port of the same host", "https://matrix.eng.ac.cdl:8448", &own, None),
        ("the same place, without hosts", "https://matrix.eng.ac.cdl", &json!([]), None),
        ("the same place", "https://matrix.eng.ac.cdl", &own, returns),
        ("the same place, spelled otherwise", "https://MATRIX.eng.ac.cdl:443/", &own, returns),
        ("another of its hosts", "https://eng.ac.cdl", &own, returns),
        ("the portal", "https://matrix.ac.cdl", &own, Some("homeservers[0].upstream_url: is Usher's own")),
        (
            "the portal's host",
            "http://127.0.0.1:8008",
            &json!(["matrix.ac.cdl"]),
            Some("homeservers[0].hosts[0]: is the portal's own host"),
        ),
        ("a host as DNS writes it", "http://127.0.0.1:8008", &json!(["matrix.eng.ac.cdl."]), None),
        (
            "the portal's host as DNS writes it",
            "http://127.0.0.1:8008",
            &json!(["matrix.ac.cdl."]),
            Some("homeservers[0].hosts[0]: is the portal's own host"),
        ),
        (
            "a host with a port",
            "http://127.0.0.1:8008",
            &json!(["matrix.eng.ac.cdl:443"]),
            Some("homeservers[0].hosts[0]: is not a host name"),
        ),
    ] {
        let found = problems(with(upstream_url, hosts));
        match expected {
            Some(expected) => {
                assert!(found.len() == 1 && found[0].starts_with(expected), "{name}: {found:?}");
            }
            None => assert_eq!(found, Vec::<String>::new(), "{name}"),
        }
    }
}
