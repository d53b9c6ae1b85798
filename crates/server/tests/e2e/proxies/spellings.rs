//! Request targets, and whose they are.

/// What Usher answers or looks at at a homeserver's host, as a client spells it that means no harm.
pub(super) const OURS: [&str; 18] = [
    "/_matrix/client/v3/login",
    "/_matrix/client/r0/login?a=b",
    "/_matrix/client/v3/login/sso/redirect/corp?redirectUrl=https%3A%2F%2Fapp.ac.cdl%2F%3Fa%3Db%2523",
    "/_matrix/client/v1/login/get_token",
    "/_matrix/client/unstable/org.matrix.msc3882/login/get_token",
    "/_matrix/client/unstable/org-matrix-msc3882/login/token",
    "/_matrix/client/unstable/org/matrix/msc3882/login/token",
    "/_matrix/client/v3/devices/ABCDEF",
    "/_matrix/client/api/v1/devices/ABCDEF",
    "/_matrix/client/v3/delete_devices",
    "/_matrix/client/unstable/keys/device_signing/upload",
    "/_matrix/client/v3/account/3pid",
    "/_matrix/client/v3/account/3pid/add",
    "/_matrix/client/v3/account/deactivate",
    "/_matrix/client/r0/account/password",
    "/_matrix/client/v3/auth/m.login.sso/fallback/web?session=ushu_a-b_c",
    "/_matrix/client/v3/capabilities",
    "/_matrix/client/v3/login?",
];

/// What only the homeserver answers. A space in a path is the one letter that Traefik decodes and the patterns do not
/// know; it is in none of these.
pub(super) const THEIRS: [&str; 22] = [
    "/",
    "/?",
    "/?a=b&a=%2F%2e%2e//../;",
    "/_matrix/client/versions",
    "/_matrix/client/v3/sync?since=s1_2&filter={}&timeout=30000",
    "/_matrix/client/v3/account/whoami?user_id=%40a%3Ab&user_id=c",
    "/_matrix/client/v3/keys/query",
    "/_matrix/client/v3/keys/upload",
    "/_matrix/client/v3/logout/all",
    "/_matrix/client/v3/register?kind=guest",
    "/_matrix/client/v1/auth_metadata",
    "/_matrix/client/v3/rooms/%21a%3aeng.localhost/send/m.room.message/1.2",
    "/_matrix/client/v3/rooms/!a:eng.localhost/state/m.room.topic/",
    "/_matrix/client/api/v1/rooms/%21a%3Aeng.localhost/messages",
    "/_matrix/client/v3/profile/@login:eng.localhost/displayname",
    "/_matrix/client/v3/directory/room/%23devices%3Aeng.localhost",
    "/_matrix/client/v3/pushrules/global/override/.m.rule.master/enabled",
    "/_matrix/client/v3/sendToDevice/m.room.encrypted/devices",
    "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync",
    "/_matrix/media/v3/download/eng.localhost:8448/abc",
    "/_matrix/federation/v1/event/%24abc",
    "/.well-known/matrix/client",
];

/// What an honest client does not send. A proxy may refuse it or hand it to Usher; to the homeserver it must not go.
pub(super) const ODD: [&str; 22] = [
    "/_matrix/client/v3/devices/a/../../../v3/login",
    "/../_matrix/client/v3/login",
    "/_matrix/client/v3/../../../../_matrix/client/v3/login",
    "/_matrix/client/v3/devices#a",
    "/_matrix/client/v3/sync#/../login",
    "/_matrix/client/v3/rooms/a%00",
    "/_matrix/client/v3/rooms/a%zz",
    "/_matrix/client/v3/rooms/a%",
    "/_matrix/client/v3/rooms/a%2",
    "/_matrix/client/v3/devices%00/ABCDEF",
    "/_matrix/client/v3/rooms/a\\..\\..\\devices\\ABCDEF",
    "/_matrix/client/v3/devices\t/ABCDEF",
    "/_matrix/client/v3/devices\u{e9}/ABCDEF",
    "/_matrix/client/v3/\u{212a}eys/device_signing/upload",
    "/_matrix/client/v3/rooms/\"<>^`{|}",
    "/_matrix/client/v3/%u0064evices/ABCDEF",
    "/_matrix/client/v3/rooms/%c0%ae%c0%ae/devices",
    "\\_matrix\\client\\v3\\login",
    "_matrix/client/v3/login",
    "http://matrix.eng.localhost/_matrix/client/v3/login",
    "http://matrix.eng.localhost/_matrix/client/v3/devices/ABCDEF",
    "*",
];

/// Every way of writing a path of ours that some server could read like the path itself: one at a time, at every place.
/// All of them are URIs by RFC 3986.
pub(super) fn respelled(target: &str) -> Vec<String> {
    let (path, query) = target.find('?').map_or((target, ""), |at| target.split_at(at));
    let mut spellings = Vec::new();
    for (at, letter) in path.char_indices() {
        let (before, rest) = path.split_at(at);
        let after = &rest[letter.len_utf8()..];
        let code = u32::from(letter);
        let mut instead = |text: &str| spellings.push(format!("{before}{text}{after}{query}"));
        if letter == '/' {
            for text in ["//", "/./", "/x/../", "/%2e/", "/x/%2E%2e/", "/x/..;/", "/;/", "/;a=b/"] {
                instead(text);
            }
            // A request line's path begins with a slash.
            for text in [";/", ";a=b/", "%2F", "%2f", "%252F", "%5C"].iter().filter(|_| at > 0) {
                instead(text);
            }
        } else {
            instead(&format!("%{code:02x}"));
            instead(&format!("%{code:02X}"));
            instead(&format!("%25{code:02x}"));
        }
    }
    for end in ["/", "//", "/.", "/x/..", ";", "%20", "%3F", "%23"] {
        spellings.push(format!("{path}{end}{query}"));
    }
    let encoded: String = path
        .chars()
        .map(|letter| if letter == '/' { "/".to_owned() } else { format!("%{:02X}", u32::from(letter)) })
        .collect();
    spellings.push(format!("{encoded}{query}"));
    spellings.push(format!("{}{query}", path.to_ascii_uppercase()));
    spellings
}
