//! Service and proxy tickets as the browser brings them (CAS protocol 3.1, 3.2 and 3.7). Bearer values: they show
//! in no `Debug` and no error.

use std::fmt;

/// The longest ticket that is accepted, in bytes. CAS 3.1.1 has clients accept 32 at least, and recommends 256.
const MAX_BYTES: usize = 256;

/// A ticket of a plausible shape.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket<'a> {
    value: &'a str,
    kind: TicketKind,
}

/// What stands before the first hyphen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TicketKind {
    /// `ST-`: for a person's browser.
    Service,
    /// `PT-`: for a service that acts for a person.
    Proxy,
}

/// Why something is no ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TicketError {
    #[error("the ticket begins with neither `ST-` nor `PT-`, or has nothing after it")]
    Prefix,
    #[error("the ticket is longer than 256 bytes")]
    TooLong,
    #[error("the ticket has a character that is not visible ASCII")]
    Character,
}

impl<'a> Ticket<'a> {
    pub(crate) fn parse(value: &'a str) -> Result<Self, TicketError> {
        let (kind, rest) = match value.split_at_checked(3) {
            Some(("ST-", rest)) => (TicketKind::Service, rest),
            Some(("PT-", rest)) => (TicketKind::Proxy, rest),
            _ => return Err(TicketError::Prefix),
        };
        if rest.is_empty() {
            return Err(TicketError::Prefix);
        }
        if value.len() > MAX_BYTES {
            return Err(TicketError::TooLong);
        }
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TicketError::Character);
        }
        Ok(Self { value, kind })
    }

    pub(crate) fn as_str(self) -> &'a str {
        self.value
    }

    pub(crate) fn kind(self) -> TicketKind {
        self.kind
    }
}

impl fmt::Debug for Ticket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({:?}, [redacted])", self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_has_a_known_prefix_a_bound_and_visible_ascii() {
        let longest = format!("ST-{}", "x".repeat(253));
        let too_long = format!("ST-{}", "x".repeat(254));
        for (name, value, expected) in [
            ("a service ticket", "ST-1-abc.DEF_~&service=x", Ok(TicketKind::Service)),
            ("a proxy ticket", "PT-1", Ok(TicketKind::Proxy)),
            ("the longest", &longest, Ok(TicketKind::Service)),
            ("one byte more", &too_long, Err(TicketError::TooLong)),
            ("a granting ticket", "TGT-1", Err(TicketError::Prefix)),
            ("a prefix alone", "ST-", Err(TicketError::Prefix)),
            ("another case", "st-1", Err(TicketError::Prefix)),
            ("no ticket", "", Err(TicketError::Prefix)),
            ("a character across the prefix", "STé-1", Err(TicketError::Prefix)),
            ("a blank", "ST-1 2", Err(TicketError::Character)),
            ("a line break", "ST-1\r\nX: y", Err(TicketError::Character)),
            ("not ASCII", "ST-é", Err(TicketError::Character)),
        ] {
            assert_eq!(Ticket::parse(value).map(Ticket::kind), expected, "{name}");
        }
    }

    #[test]
    fn debug_hides_the_ticket() {
        let shown = format!("{:?}", Ticket::parse("ST-secret"));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
