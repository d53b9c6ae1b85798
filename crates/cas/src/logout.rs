//! Single logout: the CAS server posts a SAML 1.1-like `logoutRequest` to the service URL of every ticket of the session
//! that ended (CAS protocol 2.3.3 and appendix C).
//!
//! Nobody signs it. What makes it the CAS server's is that it names the service ticket, which nobody else has, at the very
//! service URL that the ticket was issued for. It can end the session of that ticket, and nothing else.

use roxmltree::{Document, Node, ParsingOptions};

use crate::{
    response::{MAX_NODES, check_text},
    ticket::{Ticket, TicketKind},
};

/// The form's parameter.
pub(crate) const PARAMETER: &str = "logoutRequest";
const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
/// Four elements and their attributes.
const MAX_BYTES: usize = 16 * 1024;

/// Why a request ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogoutError {
    #[error("the logout request is longer than 16 KiB")]
    TooLong,
    #[error("the logout request is not well-formed XML, has a document type declaration, or too much in it")]
    NotXml,
    #[error("the logout request is no samlp:LogoutRequest")]
    NotARequest,
    #[error("the logout request has a comment or processing instruction")]
    Commented,
    #[error("the logout request does not name exactly one service ticket")]
    NotOneTicket,
}

/// The ticket whose session ended.
pub(crate) fn read(request: &str) -> Result<String, LogoutError> {
    if request.len() > MAX_BYTES {
        return Err(LogoutError::TooLong);
    }
    check_text(request).map_err(|_| LogoutError::NotXml)?;
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(request, options).map_err(|_| LogoutError::NotXml)?;
    let root = document.root_element();
    if !is(root, "LogoutRequest") {
        return Err(LogoutError::NotARequest);
    }
    if document.descendants().any(|node| node.is_comment() || node.is_pi()) {
        return Err(LogoutError::Commented);
    }
    let mut sessions = root.descendants().filter(|node| is(*node, "SessionIndex"));
    let (Some(session), None) = (sessions.next(), sessions.next()) else {
        return Err(LogoutError::NotOneTicket);
    };
    let text = session.text().map(str::trim).filter(|_| session.children().count() == 1);
    let ticket = text.and_then(|text| Ticket::parse(text).ok());
    let ticket = ticket.filter(|ticket| match ticket.kind() {
        TicketKind::Service | TicketKind::Proxy => true,
    });
    ticket.map(|ticket| ticket.as_str().to_owned()).ok_or(LogoutError::NotOneTicket)
}

fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name && node.tag_name().namespace() == Some(PROTOCOL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(inner: &str) -> String {
        format!(
            r#"<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="LR-1" Version="2.0" IssueInstant="2026-11-25T03:00:00Z"><saml:NameID>@NOT_USED@</saml:NameID>{inner}</samlp:LogoutRequest>"#
        )
    }

    #[test]
    fn exactly_one_ticket_is_read_of_a_request() {
        let good = request("<samlp:SessionIndex>ST-1-abc</samlp:SessionIndex>");
        let deep = format!("{}{}", "<a>".repeat(30_000), "</a>".repeat(30_000));
        for (name, text, expected) in [
            ("as CAS writes it", good.clone(), Ok("ST-1-abc")),
            ("with blanks", request("<samlp:SessionIndex>\n ST-1 \n</samlp:SessionIndex>"), Ok("ST-1")),
            ("without a ticket", request(""), Err(LogoutError::NotOneTicket)),
            ("an empty one", request("<samlp:SessionIndex/>"), Err(LogoutError::NotOneTicket)),
            (
                "two",
                request(
                    "<samlp:SessionIndex>ST-1</samlp:SessionIndex><samlp:SessionIndex>ST-2</samlp:SessionIndex>",
                ),
                Err(LogoutError::NotOneTicket),
            ),
            (
                "no ticket's name",
                request("<samlp:SessionIndex>1</samlp:SessionIndex>"),
                Err(LogoutError::NotOneTicket),
            ),
            (
                "in another namespace",
                request("<saml:SessionIndex>ST-1</saml:SessionIndex>"),
                Err(LogoutError::NotOneTicket),
            ),
            (
                "cut by a comment",
                request("<samlp:SessionIndex>ST-1<!-- -->-abc</samlp:SessionIndex>"),
                Err(LogoutError::Commented),
            ),
            (
                "with an element in it",
                request("<samlp:SessionIndex>ST-1<x/></samlp:SessionIndex>"),
                Err(LogoutError::NotOneTicket),
            ),
            ("another root", good.replace("LogoutRequest", "LogoutResponse"), Err(LogoutError::NotARequest)),
            (
                "another namespace",
                good.replace(":2.0:protocol", ":1.1:protocol"),
                Err(LogoutError::NotARequest),
            ),
            ("a DTD", format!("<!DOCTYPE x>{good}"), Err(LogoutError::NotXml)),
            ("no XML", "ST-1".to_owned(), Err(LogoutError::NotXml)),
            ("too long", good.replace("ST-1", &"x".repeat(20_000)), Err(LogoutError::TooLong)),
            ("too deep", deep, Err(LogoutError::TooLong)),
        ] {
            assert_eq!(read(&text).as_deref().map_err(|error| *error), expected, "{name}");
        }
    }
}
