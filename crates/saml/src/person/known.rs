//! Attributes that federations agree on: their formal names (URIs, mostly OIDs) and what people call them.
//!
//! eduPerson (<https://wiki.refeds.org/display/STAN/eduPerson>), SCHAC (<https://wiki.refeds.org/display/STAN/SCHAC>),
//! inetOrgPerson (RFC 2798, RFC 4519, RFC 4524), the subject identifier attributes of OASIS, and the claims of AD FS.

/// `(formal name, what it is called)`.
const NAMES: [(&str, &str); 48] = [
    ("urn:oasis:names:tc:SAML:attribute:subject-id", "subject-id"),
    ("urn:oasis:names:tc:SAML:attribute:pairwise-id", "pairwise-id"),
    ("urn:oid:0.9.2342.19200300.100.1.1", "uid"),
    ("urn:oid:0.9.2342.19200300.100.1.3", "mail"),
    ("urn:oid:0.9.2342.19200300.100.1.41", "mobile"),
    ("urn:oid:2.5.4.3", "cn"),
    ("urn:oid:2.5.4.4", "sn"),
    ("urn:oid:2.5.4.6", "c"),
    ("urn:oid:2.5.4.7", "l"),
    ("urn:oid:2.5.4.10", "o"),
    ("urn:oid:2.5.4.11", "ou"),
    ("urn:oid:2.5.4.12", "title"),
    ("urn:oid:2.5.4.20", "telephoneNumber"),
    ("urn:oid:2.5.4.42", "givenName"),
    ("urn:oid:2.16.840.1.113730.3.1.2", "departmentNumber"),
    ("urn:oid:2.16.840.1.113730.3.1.3", "employeeNumber"),
    ("urn:oid:2.16.840.1.113730.3.1.4", "employeeType"),
    ("urn:oid:2.16.840.1.113730.3.1.39", "preferredLanguage"),
    ("urn:oid:2.16.840.1.113730.3.1.241", "displayName"),
    ("urn:oid:1.2.840.113556.1.2.102", "memberOf"),
    ("urn:oid:1.2.840.113556.1.4.221", "sAMAccountName"),
    ("urn:oid:1.2.840.113556.1.4.656", "userPrincipalName"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.1", "eduPersonAffiliation"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.2", "eduPersonNickname"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.3", "eduPersonOrgDN"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.4", "eduPersonOrgUnitDN"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.5", "eduPersonPrimaryAffiliation"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "eduPersonPrincipalName"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.7", "eduPersonEntitlement"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.8", "eduPersonPrimaryOrgUnitDN"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.9", "eduPersonScopedAffiliation"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.10", "eduPersonTargetedID"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.11", "eduPersonAssurance"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.12", "eduPersonPrincipalNamePrior"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.13", "eduPersonUniqueId"),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.16", "eduPersonOrcid"),
    ("urn:oid:1.3.6.1.4.1.5923.1.5.1.1", "isMemberOf"),
    ("urn:oid:1.3.6.1.4.1.25178.1.2.9", "schacHomeOrganization"),
    ("urn:oid:1.3.6.1.4.1.25178.1.2.10", "schacHomeOrganizationType"),
    ("urn:oid:1.3.6.1.4.1.25178.1.2.14", "schacPersonalUniqueCode"),
    ("urn:oid:1.3.6.1.4.1.25178.1.2.15", "schacPersonalUniqueID"),
    ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", "userPrincipalName"),
    ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", "mail"),
    ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname", "givenName"),
    ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname", "sn"),
    ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", "cn"),
    ("http://schemas.microsoft.com/identity/claims/displayname", "displayName"),
    ("http://schemas.microsoft.com/ws/2008/06/identity/claims/groups", "groups"),
];

/// Those whose values end in `@` and a scope for which an identity provider has to speak.
const SCOPED: [&str; 6] = [
    "subject-id",
    "pairwise-id",
    "eduPersonPrincipalName",
    "eduPersonPrincipalNamePrior",
    "eduPersonScopedAffiliation",
    "eduPersonUniqueId",
];

/// Before the names of MACE-Dir and SCHAC attributes as SAML 1.1 had them, which hubs and older identity providers still send.
const OLD_PREFIXES: [&str; 2] = ["urn:mace:dir:attribute-def:", "urn:mace:terena.org:attribute-def:"];

/// What people call the attribute `formal`.
pub(crate) fn name_of(formal: &str) -> Option<&'static str> {
    let old = OLD_PREFIXES.iter().find_map(|prefix| formal.strip_prefix(prefix));
    let found = match old {
        Some(old) => NAMES.iter().find(|(_, called)| *called == old),
        None => NAMES.iter().find(|(name, _)| *name == formal),
    };
    found.map(|(_, called)| *called)
}

/// Whether an attribute is named as SAML 1.1 had it.
pub(crate) fn is_old(formal: &str) -> bool {
    OLD_PREFIXES.iter().any(|prefix| formal.starts_with(prefix))
}

/// Whether the values of an attribute are scoped, by either of its names.
pub(crate) fn is_scoped(name: &str) -> bool {
    SCOPED.contains(&name_of(name).unwrap_or(name))
}

/// Whether an attribute is one of the two subject identifiers, by either of its names.
pub(crate) fn is_subject_id(name: &str) -> bool {
    matches!(name_of(name).unwrap_or(name), "subject-id" | "pairwise-id")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_formal_name_stands_once() {
        let formal: BTreeSet<_> = NAMES.iter().map(|(name, _)| *name).collect();
        assert_eq!(formal.len(), NAMES.len());
        for name in SCOPED {
            assert!(NAMES.iter().any(|(_, called)| *called == name), "{name}");
        }
    }

    #[test]
    fn old_names_are_known() {
        for (formal, expected) in [
            ("urn:mace:dir:attribute-def:mail", Some("mail")),
            ("urn:mace:terena.org:attribute-def:schacHomeOrganization", Some("schacHomeOrganization")),
            ("urn:mace:dir:attribute-def:", None),
            ("urn:mace:dir:attribute-def:urn:oid:2.5.4.3", None),
            ("urn:mace:elsewhere:attribute-def:mail", None),
        ] {
            assert_eq!(name_of(formal), expected, "{formal}");
        }
    }

    #[test]
    fn scopes_are_known_by_either_name() {
        for (name, expected) in [
            ("eduPersonPrincipalName", true),
            ("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", true),
            ("urn:oid:1.3.6.1.4.1.5923.1.1.1.12", true),
            ("urn:oasis:names:tc:SAML:attribute:pairwise-id", true),
            ("urn:mace:dir:attribute-def:eduPersonPrincipalName", true),
            ("urn:mace:dir:attribute-def:mail", false),
            ("mail", false),
            ("urn:oid:0.9.2342.19200300.100.1.3", false),
        ] {
            assert_eq!(is_scoped(name), expected, "{name}");
        }
    }
}
