//! What a CAS server answers to a validation (CAS protocol 2.5.2 and appendix A), read strictly.
//!
//! An answer that is not of this protocol at all is one thing ([`ResponseError::is_garbage`]: the server is
//! broken or is no CAS server); an answer of the protocol that does not name one person without doubt is another.
//! The server's own words (the text of a failure) are never repeated: they usually contain the ticket.

mod bounds;

pub(crate) use bounds::{MAX_NODES, check_text};

use std::collections::BTreeMap;

use roxmltree::{Document, Node, ParsingOptions};

const CAS: &str = "http://www.yale.edu/tp/cas";

/// The verdict of the CAS server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// `cas:authenticationSuccess`.
    Success(Success),
    /// `cas:authenticationFailure`.
    Failure(FailureCode),
}

/// Whom the ticket stands for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Success {
    /// `cas:user`.
    pub(crate) user: String,
    /// Every value of every attribute, in order. Empty values are left out: CAS has no others to say "none".
    pub(crate) attributes: BTreeMap<String, Vec<String>>,
    /// `cas:proxies`, nearest first; empty for a service ticket.
    pub(crate) proxies: Vec<String>,
}

/// `authenticationFailure/@code` (CAS protocol 2.5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureCode {
    /// `INVALID_REQUEST`: a parameter is missing. We send them all.
    InvalidRequest,
    /// `INVALID_TICKET_SPEC`: a proxy ticket where none is taken.
    InvalidTicketSpec,
    /// `UNAUTHORIZED_SERVICE`, `UNAUTHORIZED_SERVICE_PROXY`: the service is not registered.
    Unauthorized,
    /// `INVALID_PROXY_CALLBACK`.
    InvalidProxyCallback,
    /// `INVALID_TICKET`: unknown, spent, or not from new credentials although `renew` was asked for.
    InvalidTicket,
    /// `INVALID_SERVICE`: made for another service.
    InvalidService,
    /// `INTERNAL_ERROR`.
    InternalError,
    /// Any other.
    Unknown,
}

/// Why an answer could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResponseError {
    #[error("the answer is not UTF-8")]
    NotUtf8,
    #[error("the answer has more elements, attributes, namespaces or levels than any CAS answer")]
    TooComplex,
    #[error("the answer has a document type declaration")]
    HasDtd,
    #[error("the answer is not well-formed XML")]
    NotXml,
    #[error("the answer is no cas:serviceResponse")]
    NotCas,
    #[error("the answer does not hold exactly one verdict")]
    NotOneVerdict,
    #[error("the answer has a comment or processing instruction where it says who somebody is")]
    Commented,
    #[error("the answer does not hold exactly one cas:user")]
    NotOneUser,
    #[error("cas:user is not one plain text")]
    UserNotText,
    #[error("the answer has several cas:attributes")]
    SeveralAttributeLists,
    #[error("cas:proxies is not a list of plain texts")]
    ProxiesNotTexts,
}

impl ResponseError {
    /// Whether this is no answer of a working CAS server, as opposed to one that proves nothing.
    pub(crate) fn is_garbage(self) -> bool {
        match self {
            Self::NotUtf8 | Self::TooComplex | Self::HasDtd | Self::NotXml | Self::NotCas => true,
            Self::NotOneVerdict
            | Self::Commented
            | Self::NotOneUser
            | Self::UserNotText
            | Self::SeveralAttributeLists
            | Self::ProxiesNotTexts => false,
        }
    }
}

/// Reads one answer.
pub(crate) fn read(body: &[u8]) -> Result<Verdict, ResponseError> {
    let text = std::str::from_utf8(body).map_err(|_| ResponseError::NotUtf8)?;
    bounds::check_text(text)?;
    let options = ParsingOptions { nodes_limit: bounds::MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| match error {
        // roxmltree's own errors quote the document.
        roxmltree::Error::DtdDetected => ResponseError::HasDtd,
        roxmltree::Error::NodesLimitReached => ResponseError::TooComplex,
        _ => ResponseError::NotXml,
    })?;
    bounds::check_depth(&document)?;
    let root = document.root_element();
    if !is(root, "serviceResponse") {
        return Err(ResponseError::NotCas);
    }
    let mut verdicts = root.children().filter(Node::is_element);
    match (verdicts.next(), verdicts.next()) {
        (Some(verdict), None) if is(verdict, "authenticationSuccess") => {
            success(verdict).map(Verdict::Success)
        }
        (Some(verdict), None) if is(verdict, "authenticationFailure") => {
            Ok(Verdict::Failure(FailureCode::of(verdict.attribute("code").unwrap_or_default())))
        }
        _ => Err(ResponseError::NotOneVerdict),
    }
}

fn success(verdict: Node<'_, '_>) -> Result<Success, ResponseError> {
    // A parser that skips comments reads `admin<!-- -->istrator` as one name, a careless one as `admin`: no
    // honest server writes them here.
    if verdict.descendants().any(|node| node.is_comment() || node.is_pi()) {
        return Err(ResponseError::Commented);
    }
    let mut users = named(verdict, "user");
    let (Some(user), None) = (users.next(), users.next()) else { return Err(ResponseError::NotOneUser) };
    let user = plain_text(user).ok_or(ResponseError::UserNotText)?.to_owned();
    if user.is_empty() {
        return Err(ResponseError::NotOneUser);
    }
    Ok(Success { user, attributes: attributes(verdict)?, proxies: proxies(verdict)? })
}

/// `cas:attributes/cas:NAME`, and `cas:attribute name= value=` inside or beside it: some servers write the one,
/// some the other, some both. Names of the first form win whole, so that a value said twice is one value.
fn attributes(verdict: Node<'_, '_>) -> Result<BTreeMap<String, Vec<String>>, ResponseError> {
    let mut lists = named(verdict, "attributes");
    let list = lists.next();
    if lists.next().is_some() {
        return Err(ResponseError::SeveralAttributeLists);
    }
    let inside = || list.into_iter().flat_map(|list| list.children()).filter(|node| in_cas(*node));
    let mut by_element: BTreeMap<String, Option<Vec<String>>> = BTreeMap::new();
    for node in inside().filter(|node| pair(*node).is_none()) {
        let values = by_element.entry(node.tag_name().name().to_owned()).or_insert_with(|| Some(Vec::new()));
        // A value with elements in it is not ours to flatten, and its neighbours alone would be half the truth.
        match (values.as_mut(), plain_text(node)) {
            (Some(values), Some(text)) => values.push(text.to_owned()),
            _ => *values = None,
        }
    }
    let mut by_pair: BTreeMap<String, Option<Vec<String>>> = BTreeMap::new();
    for (name, value) in inside().chain(named(verdict, "attribute")).filter_map(pair) {
        if !by_element.contains_key(name) {
            let values = by_pair.entry(name.to_owned()).or_insert_with(|| Some(Vec::new()));
            values.get_or_insert_default().push(value.to_owned());
        }
    }
    by_element.append(&mut by_pair);
    Ok(by_element.into_iter().filter_map(|(name, values)| Some((name, without_empty(values?)?))).collect())
}

fn without_empty(mut values: Vec<String>) -> Option<Vec<String>> {
    values.retain(|value| !value.is_empty());
    if values.is_empty() { None } else { Some(values) }
}

/// `cas:attribute name="NAME" value="VALUE"`.
fn pair<'a>(node: Node<'a, '_>) -> Option<(&'a str, &'a str)> {
    if !is(node, "attribute") {
        return None;
    }
    Some((node.attribute("name")?, node.attribute("value")?))
}

fn proxies(verdict: Node<'_, '_>) -> Result<Vec<String>, ResponseError> {
    let elements = named(verdict, "proxies").flat_map(|list| list.children()).filter(Node::is_element);
    elements
        .map(|proxy| {
            plain_text(proxy).filter(|text| is(proxy, "proxy") && !text.is_empty()).map(str::to_owned)
        })
        .collect::<Option<_>>()
        .ok_or(ResponseError::ProxiesNotTexts)
}

/// The text of an element that holds nothing else; empty if it holds nothing. Where the server writes a value
/// on lines of its own, the blanks around it are layout.
fn plain_text<'a>(element: Node<'a, '_>) -> Option<&'a str> {
    let mut children = element.children();
    let text = match (children.next(), children.next()) {
        (None, _) => "",
        (Some(only), None) if only.is_text() => only.text()?,
        _ => return None,
    };
    let is_layout = text.starts_with(['\n', '\r']) || text.ends_with(['\n', '\r']);
    Some(if is_layout { text.trim_matches([' ', '\t', '\n', '\r']) } else { text })
}

fn named<'a, 'input: 'a>(
    parent: Node<'a, 'input>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    parent.children().filter(move |node| is(*node, name))
}

fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.has_tag_name((CAS, name))
}

fn in_cas(node: Node<'_, '_>) -> bool {
    node.is_element() && node.tag_name().namespace() == Some(CAS)
}

impl FailureCode {
    fn of(code: &str) -> Self {
        match code {
            "INVALID_REQUEST" => Self::InvalidRequest,
            "INVALID_TICKET_SPEC" => Self::InvalidTicketSpec,
            "INVALID_PROXY_CALLBACK" => Self::InvalidProxyCallback,
            "INVALID_TICKET" => Self::InvalidTicket,
            "INVALID_SERVICE" => Self::InvalidService,
            "INTERNAL_ERROR" => Self::InternalError,
            code if code.starts_with("UNAUTHORIZED_") => Self::Unauthorized,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
