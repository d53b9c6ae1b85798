//! Namespaces and identifiers of the specifications, as they are written on the wire.

/// `saml:` (SAML core 1.2).
pub(crate) const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
/// `samlp:` (SAML core 1.2).
pub(crate) const SAMLP: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
/// `md:` (SAML metadata 2.1).
pub(crate) const MD: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
/// `ds:` (XML Signature 1.2).
pub(crate) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// `dsig11:` (XML Signature 1.1, additions).
pub(crate) const DSIG11: &str = "http://www.w3.org/2009/xmldsig11#";
/// `xenc:` (XML Encryption 1.2).
pub(crate) const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
/// `xenc11:` (XML Encryption 1.1, additions).
pub(crate) const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";
/// `shibmd:`, the extension with the scopes an identity provider speaks for.
pub(crate) const SHIBMD: &str = "urn:mace:shibboleth:metadata:1.0";

/// Exclusive canonicalization, without comments; also the namespace of its parameter.
pub(crate) const EXC_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
/// The same with comments, which comes to the same where there are none.
pub(crate) const EXC_C14N_WITH_COMMENTS: &str = "http://www.w3.org/2001/10/xml-exc-c14n#WithComments";
/// The transform that leaves out the signature itself.
pub(crate) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// HTTP-Redirect (SAML bindings 3.4).
pub(crate) const BINDING_REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
/// HTTP-POST (SAML bindings 3.5).
pub(crate) const BINDING_POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
/// The protocol, in `protocolSupportEnumeration` (SAML metadata 2.4.1).
pub(crate) const PROTOCOL: &str = SAMLP;

/// SAML core 8.3.7: a name that stays, and means something to two parties alone.
pub(crate) const FORMAT_PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
/// SAML core 8.3.8: a name for one session.
pub(crate) const FORMAT_TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
/// SAML core 8.3.6: the name of a provider.
pub(crate) const FORMAT_ENTITY: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity";
/// SAML core 8.3.1: what a name without a format has.
pub(crate) const FORMAT_UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
/// SAML core 8.3.2.
pub(crate) const FORMAT_EMAIL: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";

/// SAML profiles 3.3: whoever brings the assertion is its subject.
pub(crate) const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";

/// SAML core 3.2.2.2, top-level status codes.
pub(crate) const STATUS_SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";

/// `mdui:`, what people are shown of an entity (SAML metadata extensions for login and discovery user interface 2.1).
pub(crate) const MDUI: &str = "urn:oasis:names:tc:SAML:metadata:ui";
/// `mdrpi:`, who registered an entity (SAML metadata extensions for registration and publication information 2.1).
pub(crate) const MDRPI: &str = "urn:oasis:names:tc:SAML:metadata:rpi";
/// `mdattr:`, attributes of an entity (SAML metadata extension for entity attributes 2.2).
pub(crate) const MDATTR: &str = "urn:oasis:names:tc:SAML:metadata:attribute";
/// `idpdisc:`, a discovery service (identity provider discovery service protocol and profile 2.3, 2.5).
pub(crate) const IDPDISC: &str = "urn:oasis:names:tc:SAML:profiles:SSO:idp-discovery-protocol";
