//! Instants and durations as SAML writes them (SAML core 1.3.3: `xs:dateTime` in UTC; `xs:duration`).

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

/// The duration in an attribute, if it is there.
pub(crate) fn duration(node: Node<'_, '_>, name: &'static str) -> Result<Option<Duration>, SchemaError> {
    node.attribute(name).map(|text| parse_duration(text).ok_or(SchemaError::Duration(name))).transpose()
}

/// `P1DT12H`. A year has 365 days here and a month 30: nothing depends on the difference. A negative one is none at all.
fn parse_duration(text: &str) -> Option<Duration> {
    const DATE: [(char, u64); 3] = [('Y', 365 * 86_400), ('M', 30 * 86_400), ('D', 86_400)];
    const TIME: [(char, u64); 3] = [('H', 3_600), ('M', 60), ('S', 1)];
    let text = text.trim_matches([' ', '\t', '\r', '\n']).strip_prefix('P')?;
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let mut seconds = parts(date, &DATE)?;
    match time {
        Some("") => return None,
        Some(time) => seconds = seconds.checked_add(parts(time, &TIME)?)?,
        None if date.is_empty() => return None,
        None => {}
    }
    Some(Duration::from_secs(seconds))
}

/// Numbers and their units, each unit at most once and in their order. Fractions of seconds are left out.
fn parts(mut text: &str, units: &[(char, u64)]) -> Option<u64> {
    let mut seconds: u64 = 0;
    for (unit, length) in units {
        let Some((number, rest)) = text.split_once(*unit) else { continue };
        let whole = match number.split_once('.') {
            Some((whole, fraction)) if *unit == 'S' && fraction.bytes().all(|byte| byte.is_ascii_digit()) => {
                whole
            }
            Some(_) => return None,
            None => number,
        };
        if whole.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        seconds = seconds.checked_add(whole.parse::<u64>().ok()?.checked_mul(*length)?)?;
        text = rest;
    }
    text.is_empty().then_some(seconds)
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
    fn durations_are_those_of_xml_schema() {
        for (text, expected) in [
            ("PT1H", Some(3_600)),
            ("P1D", Some(86_400)),
            (" P1Y2M3DT4H5M6.7S ", Some((365 + 60 + 3) * 86_400 + 4 * 3_600 + 5 * 60 + 6)),
            ("P0Y0M0DT6H0M0.000S", Some(21_600)),
            ("PT0S", Some(0)),
            ("P", None),
            ("PT", None),
            ("P1DT", None),
            ("P1H", None),
            ("PT1D", None),
            ("PT1M1H", None),
            ("PT1.5H", None),
            ("-PT1H", None),
            ("PT-1H", None),
            ("PTH", None),
            ("1H", None),
            ("P99999999999999999999D", None),
            ("P999999999999999999D", None),
            ("", None),
        ] {
            assert_eq!(parse_duration(text).map(|duration| duration.as_secs()), expected, "{text:?}");
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
