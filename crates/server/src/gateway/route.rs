//! Which of a homeserver's endpoints are ours, by method and path of a request.
//!
//! A path is read as leniently as any homeserver might read it: percent-encoding undone, empty segments passed over,
//! every version. What is *passed on* is never touched; this only decides whether it is. There are two ways to read one:
//! take it apart and then decode the parts, or decode it and then take it apart, with `.` and `..` done. Where they
//! disagree about what needs UI auth, nobody can say what the homeserver would do, and it is not asked.

use percent_encoding::percent_decode_str;

use crate::ui_auth::Endpoint;

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
    /// `/auth/m.login.sso/fallback/web`
    Fallback,
    /// `/capabilities`
    Capabilities,
    /// What needs UI auth, with its one method.
    UiAuth(Endpoint),
    /// What some homeservers would take for something that needs UI auth, and others not.
    Ambiguous,
}

/// `m.login.sso`, and its name before it was in the specification.
const STAGES: [&str; 2] = ["m.login.sso", "org.matrix.login.sso"];

impl Route {
    /// The endpoint at `path`, if it is ours.
    pub(super) fn of(method: &str, path: &str) -> Option<Self> {
        let raw: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let decoded: Vec<_> =
            raw.iter().map(|segment| percent_decode_str(segment).decode_utf8_lossy()).collect();
        let segments: Vec<&str> = decoded.iter().map(AsRef::as_ref).collect();
        // Methods have a case (RFC 9110 section 9.1), which some servers and proxies forget.
        let upper = method.to_ascii_uppercase();
        let route = Self::read(&upper, &segments, &raw);
        match route {
            Some(Self::UiAuth(_)) if upper != method => Some(Self::Ambiguous),
            // A parameter that would lead elsewhere if it were a path of its own.
            Some(Self::UiAuth(Endpoint::DeleteDevice { ref device_id }))
                if [".", ".."].contains(&device_id.as_str()) =>
            {
                Some(Self::Ambiguous)
            }
            Some(Self::UiAuth(_)) => route,
            None | Some(_) if is_dangerous_decoded_first(&upper, path) => Some(Self::Ambiguous),
            None | Some(_) => route,
        }
    }

    fn read(method: &str, segments: &[&str], raw: &[&str]) -> Option<Self> {
        let tail = below_version(segments)?;
        if let Some(endpoint) = dangerous(method, tail) {
            return Some(Self::UiAuth(endpoint));
        }
        match tail {
            ["login"] => Some(Self::Login),
            ["login", "sso", "redirect"] => Some(Self::Redirect { provider: None }),
            ["login", "sso", "redirect", _] => {
                Some(Self::Redirect { provider: raw.last().map(|segment| (*segment).to_owned()) })
            }
            ["auth", stage, "fallback", "web"] if STAGES.contains(stage) => Some(Self::Fallback),
            ["capabilities"] => Some(Self::Capabilities),
            _ => None,
        }
    }
}

/// The segments after the version, if it is a version of the client-server API.
fn below_version<'a, 'b>(segments: &'a [&'b str]) -> Option<&'a [&'b str]> {
    let ["_matrix", "client", rest @ ..] = segments else { return None };
    let rest = if let ["api", rest @ ..] = rest { rest } else { rest };
    let [version, tail @ ..] = rest else { return None };
    // `v3`, `r0.6.1`, and what they were called before: `v2_alpha`.
    let is_version = *version == "unstable"
        || version.strip_prefix(['r', 'v']).is_some_and(|rest| {
            rest.starts_with(|first: char| first.is_ascii_digit())
                && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(&byte))
        });
    is_version.then_some(tail)
}

/// What needs UI auth: method and path below the version.
fn dangerous(method: &str, tail: &[&str]) -> Option<Endpoint> {
    match (method, tail) {
        ("DELETE", ["devices", device_id]) => {
            Some(Endpoint::DeleteDevice { device_id: (*device_id).to_owned() })
        }
        ("POST", ["delete_devices"]) => Some(Endpoint::DeleteDevices),
        ("POST", ["keys", "device_signing", "upload"]) => Some(Endpoint::UploadCrossSigning),
        ("POST", ["account", "3pid", "add"]) => Some(Endpoint::AddThreepid { is_deprecated: false }),
        ("POST", ["account", "3pid"]) => Some(Endpoint::AddThreepid { is_deprecated: true }),
        ("POST", ["account", "deactivate"]) => Some(Endpoint::Deactivate),
        ("POST", ["account", "password"]) => Some(Endpoint::ChangePassword),
        // Synapse has it under an unstable name without `get_`, and takes any letter, `/` included, for each dot in that name.
        ("POST", ["login", "get_token"] | [_, .., "login", "token" | "get_token"]) => {
            Some(Endpoint::GetLoginToken)
        }
        _ => None,
    }
}

/// Whether the path is something that needs UI auth to whoever decodes it before taking it apart.
fn is_dangerous_decoded_first(method: &str, path: &str) -> bool {
    let is_plain = !path.contains(['%', '.', '\\', ';']);
    if is_plain {
        return false;
    }
    let decoded = percent_decode_str(path).decode_utf8_lossy().replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split('/') {
        // Matrix parameters (RFC 3986 section 3.3) are cut off by some servers.
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let Some(tail) = below_version(&segments) else { return false };
    // Without a last segment of its own, a device id with slashes would be no device any more.
    let is_device = method == "DELETE" && tail.len() > 1 && tail.first() == Some(&"devices");
    is_device || dangerous(method, tail).is_some()
}

#[cfg(test)]
mod tests;
