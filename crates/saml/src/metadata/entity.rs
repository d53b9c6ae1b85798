//! One `EntityDescriptor` and its `IDPSSODescriptor` (SAML metadata 2.3.2 and 2.4.3).

use roxmltree::Node;
use url::Url;
use usher_core::Issuer;

use super::{
    Endpoints, Idp, Location, LogoutService, LogoutServices, MetadataError, Scope, cache_duration, published,
    valid_until,
};
use crate::{
    keys::{IdpKey, KeyError},
    names::{BINDING_POST, BINDING_REDIRECT, DS, MD, PROTOCOL, SHIBMD},
    xml::{attribute, base64, boolean, is, token},
};

/// More keys than an identity provider in the middle of a rollover has.
const MAX_KEYS: usize = 8;
/// More patterns of scopes than any organisation has: each is compiled for each of its people.
const MAX_PATTERNS: usize = 16;
/// More scopes than any organisation has.
const MAX_SCOPES: usize = 256;

/// Whether `node` says how its entity signs people in by SAML 2.0.
pub(super) fn is_identity_provider(node: Node<'_, '_>) -> bool {
    let protocols = node.attribute("protocolSupportEnumeration").unwrap_or_default();
    is(node, MD, "IDPSSODescriptor")
        && protocols.split_ascii_whitespace().any(|protocol| protocol == PROTOCOL)
}

/// Reads an entity that has such a node.
pub(super) fn read(entity: Node<'_, '_>) -> Result<Idp, MetadataError> {
    let entity_id = Issuer::parse(attribute(entity, "entityID")?).map_err(|_| MetadataError::EntityId)?;
    // Several descriptors of one protocol are allowed and mean nothing that anybody uses: the first counts.
    let role =
        entity.children().find(|node| is_identity_provider(*node)).ok_or(MetadataError::NotMetadata)?;
    Ok(Idp {
        entity_id,
        keys: keys(role)?,
        single_sign_on: endpoints(role, "SingleSignOnService")?,
        single_logout: logout_services(role),
        wants_signed_requests: boolean(role, "WantAuthnRequestsSigned")?.unwrap_or(false),
        scopes: scopes(entity, role)?,
        valid_until: valid_until(entity)?,
        published: published(entity)?,
        cache_duration: cache_duration(entity)?,
    })
}

/// SAML metadata 2.4.1.1: a `KeyDescriptor` without `use` is for everything. Keys that cannot be used are passed over, as
/// long as one is left: an identity provider may announce its next one in an algorithm that we do not know.
fn keys(role: Node<'_, '_>) -> Result<Vec<IdpKey>, MetadataError> {
    let descriptors = role.children().filter(|node| is(*node, MD, "KeyDescriptor"));
    let for_signing = descriptors.filter(|node| matches!(node.attribute("use"), None | Some("" | "signing")));
    let infos = for_signing.flat_map(|node| node.children()).filter(|node| is(*node, DS, "KeyInfo"));
    let data = infos.flat_map(|node| node.children()).filter(|node| is(*node, DS, "X509Data"));
    let certificates = data.flat_map(|node| node.children()).filter(|node| is(*node, DS, "X509Certificate"));
    let (mut keys, mut reason): (Vec<IdpKey>, Option<KeyError>) = (Vec::new(), None);
    for certificate in certificates {
        let der = token(certificate, "X509Certificate").ok().and_then(base64);
        match der.ok_or(KeyError::NotCertificate).and_then(|der| IdpKey::read(&der)) {
            Ok(key) if keys.iter().any(|known| known.is_same_key(&key)) => {}
            Ok(key) if keys.len() < MAX_KEYS => keys.push(key),
            Ok(_) => break,
            Err(error) => reason = Some(error),
        }
    }
    match (keys.is_empty(), reason) {
        (false, _) => Ok(keys),
        (true, None) => Err(MetadataError::NoKeys),
        (true, Some(reason)) => Err(MetadataError::BadKeys(reason)),
    }
}

fn endpoints(role: Node<'_, '_>, name: &str) -> Result<Endpoints, MetadataError> {
    let mut endpoints = Endpoints::default();
    for service in role.children().filter(|node| is(*node, MD, name)) {
        let place = match attribute(service, "Binding")? {
            BINDING_REDIRECT => &mut endpoints.redirect,
            BINDING_POST => &mut endpoints.post,
            _ => continue,
        };
        if place.is_none() {
            *place = location(attribute(service, "Location")?);
        }
    }
    let has_none = endpoints == Endpoints::default();
    if has_none { Err(MetadataError::NoEndpoint) } else { Ok(endpoints) }
}

/// An identity provider need not have any, and one that cannot be used is none.
fn logout_services(role: Node<'_, '_>) -> LogoutServices {
    let mut services = LogoutServices::default();
    for node in role.children().filter(|node| is(*node, MD, "SingleLogoutService")) {
        let place = match node.attribute("Binding") {
            Some(BINDING_REDIRECT) => &mut services.redirect,
            Some(BINDING_POST) => &mut services.post,
            _ => continue,
        };
        if place.is_none() {
            *place = logout_service(node);
        }
    }
    services
}

fn logout_service(node: Node<'_, '_>) -> Option<LogoutService> {
    let requests = location(node.attribute("Location")?)?;
    let answers = match node.attribute("ResponseLocation") {
        Some(answers) => location(answers)?,
        None => requests.clone(),
    };
    Some(LogoutService { requests, answers })
}

/// Where a browser may be sent: nothing that runs there.
fn location(text: &str) -> Option<Location> {
    let written = text.trim();
    let url = Url::parse(written).ok()?;
    let is_good =
        matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none();
    is_good.then(|| Location { url, written: written.to_owned() })
}

/// `shibmd:Scope` stands in the extensions of the entity or of the role; the role's own win
/// (<https://shibboleth.atlassian.net/wiki/spaces/SC/pages/1912406916/ShibMetaExt+V1.0>).
fn scopes(entity: Node<'_, '_>, role: Node<'_, '_>) -> Result<Option<Vec<Scope>>, MetadataError> {
    for node in [role, entity] {
        let extensions = node.children().filter(|child| is(*child, MD, "Extensions"));
        let scopes = extensions.flat_map(|node| node.children()).filter(|node| is(*node, SHIBMD, "Scope"));
        let scopes = scopes.take(MAX_SCOPES).map(scope).collect::<Result<Vec<_>, _>>()?;
        if scopes.iter().filter(|scope| matches!(scope, Scope::Pattern(_))).count() > MAX_PATTERNS {
            return Err(MetadataError::Scope);
        }
        if !scopes.is_empty() {
            return Ok(Some(scopes));
        }
    }
    Ok(None)
}

fn scope(node: Node<'_, '_>) -> Result<Scope, MetadataError> {
    let text = token(node, "Scope")?;
    if !boolean(node, "regexp")?.unwrap_or(false) {
        return Ok(Scope::Name(text.to_owned()));
    }
    Ok(Scope::Pattern(text.to_owned().try_into()?))
}
