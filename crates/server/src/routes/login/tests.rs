use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[test]
fn a_login_is_refused_with_the_errcode_of_its_first_mistake() {
    let device = |id: &str| format!(r#"{{"type":"m.login.token","token":"t","device_id":"{id}"}}"#);
    let long = device(&"ä".repeat(513));
    for (name, body, expected) in [
        ("not JSON", "{", "M_NOT_JSON"),
        ("not UTF-8", "\u{fffd}", "M_NOT_JSON"),
        ("empty", "", "M_NOT_JSON"),
        ("an array", "[]", "M_BAD_JSON"),
        ("no type", r#"{"token":"t"}"#, "M_MISSING_PARAM"),
        ("a type that is no string", r#"{"type":1}"#, "M_BAD_JSON"),
        ("another type", r#"{"type":"m.login.password","user":"u","password":"p"}"#, "M_UNKNOWN"),
        ("no token", r#"{"type":"m.login.token"}"#, "M_MISSING_PARAM"),
        ("a token that is no string", r#"{"type":"m.login.token","token":5}"#, "M_BAD_JSON"),
        (
            "a refresh_token that is no bool",
            r#"{"type":"m.login.token","token":"t","refresh_token":"yes"}"#,
            "M_BAD_JSON",
        ),
        (
            "a name that is no string",
            r#"{"type":"m.login.token","token":"t","initial_device_display_name":{}}"#,
            "M_BAD_JSON",
        ),
        ("an empty device id", &device(""), "M_INVALID_PARAM"),
        ("a control character in it", &device("a\\u0000"), "M_INVALID_PARAM"),
        ("513 characters of it", &long, "M_INVALID_PARAM"),
    ] {
        let error = parse(body.as_bytes(), HERE, None).err().expect(name);
        assert_eq!((&*error.errcode, error.status), (expected, StatusCode::BAD_REQUEST), "{name}");
    }
    let error = parse(b"\xff{}", HERE, None).err().expect("invalid UTF-8");
    assert_eq!(error.errcode, "M_NOT_JSON");
}

#[test]
fn what_a_client_asks_for_is_read_in_full() {
    let body = json!({
        "type": "m.login.token",
        "token": "t",
        "device_id": "ä".repeat(512),
        "initial_device_display_name": "Phone",
        "refresh_token": true,
        "identifier": { "ignored": true },
    });
    let login = parse(body.to_string().as_bytes(), HERE, None).expect("parsed");
    assert_eq!(login.token, "t");
    assert_eq!(login.device_id.map(|id| id.as_str().chars().count()), Some(512));
    assert_eq!(login.initial_device_display_name.as_deref(), Some("Phone"));
    assert!(login.refresh_token);
    let least =
        parse(br#"{"type":"m.login.token","token":"t","device_id":null}"#, HERE, None).expect("parsed");
    assert!(least.device_id.is_none() && !least.refresh_token);
}
