//! Which paths a homeserver's reverse proxy hands to Usher, as two patterns that nginx, HAProxy, Caddy and Traefik all
//! understand the same way (RFC 3986 section 3.3 is the grammar they are about).
//!
//! A proxy that hands over too much does no harm: what is not Usher's passes through. One that hands over too little
//! leaves a door beside Usher open. So a request is the homeserver's only if its path matches [`PLAIN`] and does not match
//! [`OURS`]; everything that could be read in more than one way is Usher's.
//!
//! The patterns are held against the path as the client spelled it. They are as right for one whose encoding was undone,
//! in part or whole, and whose `.` and `..` were resolved: then there is less left to be suspicious of.

use std::sync::LazyLock;

/// What Usher answers or looks at, to be matched without regard to case. By path alone: which methods are Usher's, Usher
/// knows.
///
/// The alternative before the last is about that endpoint under whatever name: Synapse takes any letter, `/` included, for
/// each dot in it. In both this and the last one, a word with an encoded character can be in the place of one that counts.
pub(super) const OURS: &str = concat!(
    // `api/v1`, `r0`, `v3`, `unstable`, whatever comes; and before an endpoint that is not stable yet, whose it is
    // (`unstable/org.matrix.msc3882/login/get_token`).
    "^/_matrix/client/(?:api/)?[^/?#]+/(?:[^/?#.]*[.][^/?#]*/)?",
    "(?:",
    "(?:login|devices|delete_devices|auth|capabilities|account/(?:3pid|deactivate|password)|keys/device_signing)",
    "(?:[^a-z0-9_-]|$)",
    "|(?:[^/?#]+/)+(?:login|[^/?#]*%[^/?#]*)/(?:(?:get_)?token|[^/?#]*%)",
    "|(?:(?:account|keys)/)?[^/?#]*%",
    ")",
);

/// A path, and perhaps a query, that is spelled so plainly that no server can read it in two ways: no empty segment, none
/// that is `.` or `..`, no `;`, and nothing encoded in the first four segments, where endpoints are told apart. After
/// those, what is encoded is ASCII, and neither separates (`/`, `\`, `;`) nor is a control, a dot or a percent sign.
pub(super) static PLAIN: LazyLock<String> = LazyLock::new(|| {
    const WORD: &str = "[.]?[A-Za-z0-9_-][A-Za-z0-9_.-]*";
    const ENCODED: &str = "%(?:2[0-46-9A-Da-d]|3[0-9AC-Fac-f]|5[0-9ABD-Fabd-f]|[46][0-9A-Fa-f]|7[0-9A-Ea-e])";
    let segment =
        format!("[.]?(?:[A-Za-z0-9_~!$&()*+,:=@-]|{ENCODED})(?:[A-Za-z0-9_~!$&()*+,:=@.-]|{ENCODED})*");
    format!("^/(?:{WORD}(?:/{WORD}(?:/{WORD}(?:/{WORD}(?:/{segment})*)?)?)?/?)?(?:[?].*)?$")
});

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::gateway;

    /// As a proxy decides, from the path and query that it sees.
    fn is_handed_over(target: &str) -> bool {
        static PATTERNS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
            [format!("(?i){OURS}"), PLAIN.clone()].map(|pattern| Regex::new(&pattern).expect("a pattern"))
        });
        let [ours, plain] = &*PATTERNS;
        ours.is_match(target) || !plain.is_match(target)
    }

    #[test]
    fn what_is_ours_is_handed_over_in_every_version() {
        for version in ["r0", "v1", "v3", "unstable", "api/v1", "v27", "unstable/org.matrix.msc3882"] {
            for tail in [
                "login",
                "login/",
                "login?a=b",
                "login/sso/redirect",
                "login/sso/redirect/corp?redirectUrl=x",
                "login/get_token",
                "devices",
                "devices/ABC",
                "devices/A%2FB",
                "delete_devices",
                "keys/device_signing/upload",
                "account/3pid",
                "account/3pid/add",
                "account/deactivate",
                "account/password",
                "auth/m.login.sso/fallback/web?session=ushu_x",
                "capabilities",
            ] {
                let target = format!("/_matrix/client/{version}/{tail}");
                assert!(is_handed_over(&target), "{target}");
            }
        }
    }

    #[test]
    fn everything_else_that_is_spelled_plainly_is_the_homeservers() {
        for target in [
            "/",
            "/?a=b",
            "/_matrix/client/versions",
            "/_matrix/client/v3/sync?since=%2F%2e%2e&filter=//../;",
            "/_matrix/client/v3/account/whoami",
            "/_matrix/client/v3/keys/query",
            "/_matrix/client/v3/keys/signatures/upload",
            "/_matrix/client/v3/logout",
            "/_matrix/client/v3/register",
            "/_matrix/client/v3/login_",
            "/_matrix/client/v1/auth_metadata",
            "/_matrix/client/v3/rooms/%21a%3Aeng.ac.cdl/send/m.room.message/1",
            "/_matrix/client/v3/rooms/!a:eng.ac.cdl/state/m.room.topic/",
            "/_matrix/client/api/v1/rooms/%21a%3Aeng.ac.cdl/messages",
            "/_matrix/client/v3/user/@a:eng.ac.cdl/account_data/m.direct",
            "/_matrix/client/v3/directory/room/%23devices%3Aeng.ac.cdl",
            "/_matrix/client/v3/pushrules/global/override/.m.rule.master/enabled",
            "/_matrix/client/v3/sendToDevice/m.room.encrypted/login",
            "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync",
            "/_matrix/client/unstable/org.matrix.msc2716/rooms/%21a%3Ab/batch_send",
            "/_matrix/media/v3/download/eng.ac.cdl:8448/abc/my%20file.png",
            "/_matrix/federation/v1/event/%24abc",
            "/_synapse/admin/v2/users/%40a%3Aeng.ac.cdl",
            "/.well-known/matrix/client",
        ] {
            assert!(!is_handed_over(target), "{target}");
        }
    }

    #[test]
    fn whatever_could_be_read_in_two_ways_is_handed_over() {
        for target in [
            "/_matrix/client/v3/%64evices/ABC",
            "/_matrix/client/v3/%2564evices/ABC",
            "/_matrix/client/v%33/devices/ABC",
            "/%5Fmatrix/client/v3/devices/ABC",
            "/%5fmatrix/client/v3/devices/ABC",
            "/_matrix/%63lient/v3/devices/ABC",
            "/_matrix/client/api/v1/%6cogin",
            "/_matrix/client/unstable/org.matrix.msc3882/%6Cogin/get_token",
            "/_matrix/client/v3/account/3pi%64/add",
            "/_matrix/client/v3/account%2Fdeactivate",
            "/_matrix/client/v3/keys/device%5Fsigning/upload",
            "/_matrix/client/v3/Devices/ABC",
            "/_MATRIX/CLIENT/V3/LOGIN",
            "/_matrix/client/v3/devices;a=b/ABC",
            "/_matrix/client/v3/rooms;/ABC",
            "/_matrix/client/v3/rooms/a/..;/devices/ABC",
            "/_matrix/client/unstable/org-matrix-msc3882/login/token",
            "/_matrix/client/unstable/org/matrix/msc3882/login/token",
            "/_matrix/client/unstable/org/matrix.msc3882/login/get_token?x=y",
            "/_matrix/client/unstable/org%25matrix%25msc3882/login/token",
            "/_matrix/client/unstable/org/matrix/msc3882/%6cogin/token",
            "/_matrix/client/unstable/org/matrix/msc3882/login/%74oken",
            "/_matrix/client/unstable/org/matrix/msc3882/lo%67in/get%5Ftoken",
            "//_matrix/client/v3/devices/ABC",
            "/_matrix//client/v3/devices/ABC",
            "/_matrix/client/v3//devices/ABC",
            "/_matrix/client/v3/account//deactivate",
            "/_matrix/client/./v3/devices/ABC",
            "/_matrix/client/v3/./devices/ABC",
            "/_matrix/client/v3/rooms/../devices/ABC",
            "/_matrix/client/v3/rooms/a/../../devices/ABC",
            "/_matrix/client/v3/rooms/a/b/..",
            "/_matrix/client/v3/rooms/a/%2e%2e/%2E%2E/devices/ABC",
            "/_matrix/client/v3/rooms/a%2F..%2F..%2fdevices/ABC",
            "/_matrix/client/v3/rooms/a%5C..%5c..%5Cdevices/ABC",
            "/_matrix/client/v3/rooms/a%252F..",
            "/_matrix/client/v3/rooms/a%00",
            "/_matrix/client/v3/rooms/a%3Bb",
            "/_matrix/client/v3/rooms/a%zz",
            "/_matrix/client/v3/rooms/a%",
            "/_matrix/client/v3/rooms/a%7f",
            "/_matrix/client/v3/rooms/%c0%ae%c0%ae/devices",
            "/_matrix/client/v3/login/..",
            "/_matrix/client/v3/devices/%2e%2e",
            "/_matrix/client/v3/rooms/a b",
            "/_matrix/client/v3/rooms/a\\..\\devices",
            "/_matrix/client/v3/devices#a",
            "/_matrix/client/v3/sync#a",
            "/_matrix/client/v3/\u{212a}eys/device_signing/upload",
            "/_matrix/media/../client/v3/login",
            "/x/../_matrix/client/v3/login",
            "http://matrix.eng.ac.cdl/_matrix/client/v3/sync",
            "_matrix/client/v3/sync",
            "*",
            "",
        ] {
            assert!(is_handed_over(target), "{target}");
        }
    }

    /// The gateway reads paths in its own way; whatever it takes for its own, in any spelling, has to get to it.
    #[test]
    fn whatever_the_gateway_takes_for_its_own_is_handed_over() {
        const PIECES: [&str; 20] = [
            "/", "//", "/./", "/../", "/x/../", "/api/", "/%2e%2e/", "%2F", "%2f..%2f", "%5C", ";a", "%3b",
            "%25", ".", "%2E", "%64", "%6c", "%5f", "?", "#",
        ];
        let mut state = 1_u64;
        let mut random = |below: usize| {
            // Knuth's MMIX: the same paths in every run.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).expect("31 bits") % below
        };
        let mut taken = 0;
        for _ in 0..20_000 {
            let (method, tail) = [
                ("GET", "login"),
                ("POST", "org/matrix-msc3882/login/token"),
                ("GET", "login/sso/redirect/corp"),
                ("POST", "login/get_token"),
                ("DELETE", "devices/ABC"),
                ("POST", "delete_devices"),
                ("POST", "keys/device_signing/upload"),
                ("POST", "account/3pid/add"),
                ("POST", "account/3pid"),
                ("POST", "account/deactivate"),
                ("POST", "account/password"),
                ("GET", "auth/m.login.sso/fallback/web"),
                ("GET", "capabilities"),
            ][random(13)];
            let version = ["v3", "r0", "v1", "unstable", "api/v1", "unstable/org.matrix.msc3882"][random(6)];
            let mut path = format!("/_matrix/client/{version}/{tail}");
            for _ in 0..random(4) {
                let at = random(path.len() + 1);
                // Everything is ASCII.
                if random(3) == 0 && at < path.len() {
                    path.replace_range(at..=at, &format!("%{:02x}", path.as_bytes()[at]));
                } else {
                    path.insert_str(at, PIECES[random(PIECES.len())]);
                }
            }
            let path = path.split(['?', '#']).next().unwrap_or_default();
            if gateway::is_ours(method, path) {
                taken += 1;
                assert!(is_handed_over(path), "{method} {path}");
            }
        }
        assert!(taken > 5_000, "{taken}");
    }

    #[test]
    fn a_path_that_has_been_tidied_up_is_told_apart_as_well() {
        for (target, expected) in [
            ("/_matrix/client/v3/devices/A/B", true),
            ("/_matrix/client/v3/devices/A B", true),
            ("/_matrix/client/v3/rooms/../devices/A", true),
            ("/_matrix/client/v3/%64evices/A", true),
            ("/_matrix/client/v3/rooms/!a:eng.ac.cdl/messages", false),
            ("/_matrix/client/v3/rooms/%21a%3Aeng.ac.cdl/messages", false),
        ] {
            assert_eq!(is_handed_over(target), expected, "{target}");
        }
    }

    /// A quotation mark or a backslash would mean something else in each of the four languages; a brace is a
    /// placeholder in one.
    #[test]
    fn the_patterns_need_no_quoting() {
        for pattern in [OURS, PLAIN.as_str()] {
            let is_safe = |letter: char| letter.is_ascii_graphic() && !"'\"`\\{}".contains(letter);
            assert!(pattern.chars().all(is_safe), "{pattern}");
        }
    }
}
