//! Instants as SAML writes them (SAML core 1.3.3: `xs:dateTime` in UTC).

use std::time::{Duration, UNIX_EPOCH};

use roxmltree::Node;
use usher_core::Timestamp;

use crate::xml::SchemaError;

/// The instant in an attribute, if it is there.
pub(crate) fn instant(node: Node<'_, '_>, name: &'static str) -> Result<Option<Timestamp>, SchemaError> {
    node.attribute(name).map(|text| parse(text).ok_or(SchemaError::Instant(name))).transpose()
}

/// `2026-01-01T00:00:00Z`, with any fraction of a second. A time of another zone, or of none, is no instant of SAML.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    // More digits than a clock has say nothing, and are allowed.
    let (seconds, fraction) = match text.strip_suffix('Z')?.split_once('.') {
        None => (text.strip_suffix('Z')?, ""),
        Some((seconds, fraction)) if !fraction.is_empty() => (seconds, fraction),
        Some(_) => return None,
    };
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let instant = humantime::parse_rfc3339(&format!("{seconds}Z")).ok()?;
    let whole = instant.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let millis: i64 = format!("{:0<3}", &fraction[..fraction.len().min(3)]).parse().ok()?;
    Some(Timestamp::from_millis(i64::try_from(whole).ok()?.checked_mul(1000)?.checked_add(millis)?))
}

/// In whole seconds, which every implementation reads.
pub(crate) fn format(instant: Timestamp) -> String {
    let seconds = u64::try_from(instant.floor_to_second().as_millis() / 1000).unwrap_or(0);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_in_utc() {
        for (text, expected) in [
            ("2026-01-01T00:00:00Z", Some(1_767_225_600_000)),
            (" 2026-01-01T00:00:00Z\n", Some(1_767_225_600_000)),
            ("2026-01-01T00:00:00.5Z", Some(1_767_225_600_500)),
            ("2026-01-01T00:00:00.1234567890123Z", Some(1_767_225_600_123)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799_000)),
            ("2026-01-01T00:00:00", None),
            ("2026-01-01T00:00:00+00:00", None),
            ("2026-01-01T01:00:00+01:00", None),
            ("2026-01-01 00:00:00Z", None),
            ("2026-01-01T00:00:00.Z", None),
            ("2026-01-01T00:00:00.1x2Z", None),
            ("2026-02-30T00:00:00Z", None),
            ("2026-01-01T25:00:00Z", None),
            ("1969-12-31T23:59:59Z", None),
            ("99999-01-01T00:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(parse(text).map(Timestamp::as_millis), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again_to_the_second() {
        for (millis, expected) in [(0, "1970-01-01T00:00:00Z"), (1_767_225_600_999, "2026-01-01T00:00:00Z")] {
            let written = format(Timestamp::from_millis(millis));
            assert_eq!(written, expected);
            assert_eq!(parse(&written), Some(Timestamp::from_millis(millis).floor_to_second()));
        }
    }
}
