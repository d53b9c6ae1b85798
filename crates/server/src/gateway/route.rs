//! Which of a homeserver's endpoints are ours, by the path of a request.
//!
//! A path is read as leniently as any homeserver might read it: percent-encoding undone, empty segments passed over,
//! every version. What is *passed on* is never touched; this only decides whether it is.

use percent_encoding::percent_decode_str;

/// An endpoint of ours at a homeserver's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/login`
    Login,
    /// `/login/sso/redirect[/{provider}]`
    Redirect {
        /// The segment as received, not decoded.
        provider: Option<String>,
    },
}

impl Route {
    /// The endpoint at `path`, if it is ours.
    pub(super) fn of(path: &str) -> Option<Self> {
        let raw: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let decoded: Vec<_> =
            raw.iter().map(|segment| percent_decode_str(segment).decode_utf8_lossy()).collect();
        let segments: Vec<&str> = decoded.iter().map(AsRef::as_ref).collect();
        let (["_matrix", "client", "api", "v1", tail @ ..]
        | ["_matrix", "client", "r0" | "v1" | "v3" | "unstable", tail @ ..]) = segments.as_slice()
        else {
            return None;
        };
        match tail {
            ["login"] => Some(Self::Login),
            ["login", "sso", "redirect"] => Some(Self::Redirect { provider: None }),
            ["login", "sso", "redirect", _] => {
                Some(Self::Redirect { provider: raw.last().map(|segment| (*segment).to_owned()) })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_ours_are_known_in_every_spelling() {
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
            ("/prefix/_matrix/client/v3/login", None),
            ("/_usher/health", None),
            ("/", None),
            ("*", None),
        ] {
            assert_eq!(Route::of(path), expected, "{path}");
        }
    }
}
