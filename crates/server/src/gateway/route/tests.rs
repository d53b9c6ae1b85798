use super::*;

#[test]
fn how_people_log_in_is_known_in_every_spelling() {
    let redirect = |provider: &str| Some(Route::Redirect { provider: Some(provider.to_owned()) });
    for (path, expected) in [
        ("/_matrix/client/v3/login", Some(Route::Login)),
        ("/_matrix/client/r0/login", Some(Route::Login)),
        ("/_matrix/client/unstable/login", Some(Route::Login)),
        ("/_matrix/client/api/v1/login", Some(Route::Login)),
        ("/_matrix/client/v3/login/", Some(Route::Login)),
        ("//_matrix//client/v3/login", Some(Route::Login)),
        ("/_matrix/client/v3/%6cogin", Some(Route::Login)),
        ("/%5Fmatrix/client/v3/login", Some(Route::Login)),
        ("/_matrix/client/v3/login/sso/redirect", Some(Route::Redirect { provider: None })),
        ("/_matrix/client/v3/login/sso/redirect/", Some(Route::Redirect { provider: None })),
        ("/_matrix/client/r0/login/sso/redirect/corp", redirect("corp")),
        ("/_matrix/client/v3/login/sso/redirect/c%6frp", redirect("c%6frp")),
        ("/_matrix/client/v3/login/sso/redirect/a/b", None),
        ("/_matrix/client/v3/login/get_token", None),
        ("/_matrix/client/v1/login/get_token", None),
        ("/_matrix/client/v3/login%2Fsso", None),
        ("/_matrix/client/v3/logout", None),
        ("/_matrix/client/v3/LOGIN", None),
        ("/_matrix/client/v3/devices/login", None),
        ("/_matrix/client/login", None),
        ("/_matrix/client/vx/login", None),
        ("/prefix/_matrix/client/v3/login", None),
        ("/_usher/health", None),
        ("/", None),
        ("*", None),
        ("/_matrix/client/v3/auth/m.login.sso/fallback/web", Some(Route::Fallback)),
        ("/_matrix/client/r0/auth/org.matrix.login.sso/fallback/web", Some(Route::Fallback)),
        ("/_matrix/client/v3/auth/m%2Elogin%2Esso/fallback/web", Some(Route::Fallback)),
        ("/_matrix/client/v3/auth/m.login.recaptcha/fallback/web", None),
        ("/_matrix/client/v3/capabilities", Some(Route::Capabilities)),
    ] {
        assert_eq!(Route::of("GET", path), expected, "{path}");
    }
}

#[test]
fn what_needs_ui_auth_is_known_in_every_spelling() {
    let device = |id: &str| Some(Route::UiAuth(Endpoint::DeleteDevice { device_id: id.to_owned() }));
    let ours = |endpoint: Endpoint| Some(Route::UiAuth(endpoint));
    let ambiguous = || Some(Route::Ambiguous);
    for (method, path, expected) in [
        ("DELETE", "/_matrix/client/v3/devices/PHONE", device("PHONE")),
        ("DELETE", "/_matrix/client/r0/devices/PHONE", device("PHONE")),
        ("DELETE", "/_matrix/client/v1/devices/PHONE", device("PHONE")),
        ("DELETE", "/_matrix/client/v99/devices/PHONE", device("PHONE")),
        ("DELETE", "/_matrix/client/r0.6.1/devices/PHONE", device("PHONE")),
        ("DELETE", "/_matrix/client/unstable/devices/PHONE", device("PHONE")),
        ("DELETE", "/_matrix/client/api/v1/devices/PHONE", device("PHONE")),
        ("DELETE", "/_matrix/client/v3/%64evices/PHONE", device("PHONE")),
        ("DELETE", "/_matrix/client/%763/devices/PHONE/", device("PHONE")),
        ("DELETE", "/_matrix//client/v3//devices//PHONE", device("PHONE")),
        ("DELETE", "/_matrix/client/v3/devices/A%2FB", device("A/B")),
        ("DELETE", "/_matrix/client/v3/devices/a%20b%3F", device("a b?")),
        ("DELETE", "/_matrix/client/v3/devices/a;b", device("a;b")),
        ("DELETE", "/_matrix/client/v3/devices/..%2F", device("../")),
        ("DELETE", "/_matrix/client/v3/devices/..", ambiguous()),
        ("DELETE", "/_matrix/client/v3/devices/%2e%2e", ambiguous()),
        ("DELETE", "/_matrix/client/v3/devices/.", ambiguous()),
        ("DELETE", "/_matrix/client/v3/devices%2FPHONE", ambiguous()),
        ("DELETE", "/_matrix%2Fclient/v3/devices/PHONE", ambiguous()),
        ("DELETE", "/_matrix/client/v3/x/../devices/PHONE", ambiguous()),
        ("DELETE", "/_matrix/client/v3/x/%2E%2E/devices/PHONE", ambiguous()),
        ("DELETE", "/_matrix/client/v3/./devices/PHONE", ambiguous()),
        ("DELETE", "/_matrix/client/v3;x=y/devices/PHONE", ambiguous()),
        ("DELETE", "/_matrix\\client\\v3\\devices\\PHONE", ambiguous()),
        ("DELETE", "/x/../_matrix/client/v3/devices/PHONE", ambiguous()),
        ("DELETE", "/_matrix/client/v3/devices/x/../PHONE", ambiguous()),
        ("DELETE", "/_matrix/client/v3/devices/A/%42", ambiguous()),
        ("delete", "/_matrix/client/v3/devices/PHONE", ambiguous()),
        ("Post", "/_matrix/client/v3/delete_devices", ambiguous()),
        ("post", "/_matrix/client/v3/account%2Fdeactivate", ambiguous()),
        ("get", "/_matrix/client/v3/devices/PHONE", None),
        ("DELETE", "/_matrix/client/v3/devices/A/B", None),
        ("DELETE", "/_matrix/client/v3/devices", None),
        ("DELETE", "/_matrix/client/v3/rooms/devices/x", None),
        ("DELETE", "/_matrix/client/v3/room_keys/keys/!r%3Ax.y/s%2F", None),
        ("GET", "/_matrix/client/v3/devices/PHONE", None),
        ("PUT", "/_matrix/client/v3/devices/PH%4fNE", None),
        ("POST", "/_matrix/client/v3/delete_devices", ours(Endpoint::DeleteDevices)),
        ("POST", "/_matrix/client/v3/delete%5Fdevices/", ours(Endpoint::DeleteDevices)),
        ("POST", "/_matrix/client/v3/delete_devices;x", ambiguous()),
        ("DELETE", "/_matrix/client/v3/delete_devices", None),
        ("POST", "/_matrix/client/v3/keys/device_signing/upload", ours(Endpoint::UploadCrossSigning)),
        ("POST", "/_matrix/client/unstable/keys/device_signing/upload", ours(Endpoint::UploadCrossSigning)),
        ("POST", "/_matrix/client/v3/keys/device_signing%2Fupload", ambiguous()),
        ("POST", "/_matrix/client/v3/keys/upload", None),
        ("POST", "/_matrix/client/v3/account/3pid/add", ours(Endpoint::AddThreepid { is_deprecated: false })),
        ("POST", "/_matrix/client/v3/account/3pid", ours(Endpoint::AddThreepid { is_deprecated: true })),
        ("GET", "/_matrix/client/v3/account/3pid", None),
        ("POST", "/_matrix/client/v3/account/3pid/delete", None),
        ("POST", "/_matrix/client/v3/account/3pid/add/../delete", None),
        ("POST", "/_matrix/client/v3/account/3pid/add/..", ambiguous()),
        ("POST", "/_matrix/client/v3/account/deactivate", ours(Endpoint::Deactivate)),
        ("POST", "/_matrix/client/v3/account/password", ours(Endpoint::ChangePassword)),
        ("POST", "/_matrix/client/v3/account/password/email/requestToken", None),
        ("POST", "/_matrix/client/v1/login/get_token", ours(Endpoint::GetLoginToken)),
        ("POST", "/_matrix/client/v3/login/get_token", ours(Endpoint::GetLoginToken)),
        (
            "POST",
            "/_matrix/client/unstable/org.matrix.msc3882/login/get_token",
            ours(Endpoint::GetLoginToken),
        ),
        ("POST", "/_matrix/client/v3/login", Some(Route::Login)),
        ("POST", "/_matrix/media/v3/upload", None),
    ] {
        assert_eq!(Route::of(method, path), expected, "{method} {path}");
    }
}
