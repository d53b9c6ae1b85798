//! The `saml` section of a provider: as written ([`Section`]), and as a value that cannot be wrong ([`Settings`]).

mod read;
mod source;

use std::{collections::BTreeMap, path::PathBuf};

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use usher_core::{ConfigError, ConfigProblem, Issuer};

use crate::{
    keys::OwnKey,
    metadata::Idp,
    names::{FORMAT_EMAIL, FORMAT_PERSISTENT, FORMAT_TRANSIENT, FORMAT_UNSPECIFIED},
    person::{Naming, ScopeCheck, SubjectSource},
    regular,
    response::{Policy, Signed},
};
pub(crate) use source::{Place, Source, Stamp, Whose};

use read::{check, read_section, without_echoes};

/// A SAML 2.0 identity provider. What it needs to know of Usher is at `https://<portal>/_usher/saml/<id>/metadata`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "saml", transform = require_metadata)]
pub(crate) struct Section {
    /// The identity provider's metadata, a file; read again when it changes. Who can write it can sign in as anybody.
    metadata_file: Option<PathBuf>,
    /// Where the identity provider's metadata is fetched instead, at start and then again and again. Needs `idp`, and https
    /// if there is no `metadata_certificate_file`.
    metadata_url: Option<String>,
    /// Or the base URL of a metadata query service (MDQ), which has the metadata of `idp` below `entities/`.
    mdq_url: Option<String>,
    /// Certificates (PEM) of the keys that sign the metadata: a signature of the whole document has to be by one of them.
    /// Without it, whoever can write the file, or answers at the URL, says who is who.
    metadata_certificate_file: Option<PathBuf>,
    /// Certificate authorities (PEM) that `metadata_url` or `mdq_url` is trusted by, instead of the system's.
    metadata_ca_file: Option<PathBuf>,
    /// How long Usher goes without looking at the URL; less if the metadata says so (`cacheDuration`, `validUntil`).
    /// From `1m` to `1day`. Default: `1h`.
    metadata_refresh: Option<String>,
    /// A directory for the last good copy of what was at `metadata_url` or `mdq_url`, so that people can sign in after a restart
    /// though the URL does not answer; and for the index of a federation, instead of the system's temporary files.
    metadata_cache_dir: Option<PathBuf>,
    /// The identity provider's entity id, such as `https://idp.ac.cdl/idp`. Needed where the metadata has several. It is also
    /// the name by which people from there are remembered, so that changing it later makes everybody a stranger.
    idp: Option<String>,
    /// The metadata is a federation's, and people say which of its identity providers is theirs.
    federation: Option<FederationSection>,
    /// Usher's own entity id. Default: `https://<portal>/_usher/saml/<id>/metadata`.
    entity_id: Option<String>,
    /// Usher's own keys: the first signs, all decrypt. Two while one takes over from the other.
    keys: Vec<KeySection>,
    /// How requests travel. Default: `redirect`, if the identity provider takes it.
    request_binding: Option<RequestBinding>,
    /// The identity provider is one that asks others (a hub, a proxy): the entity ids of those that it may offer people. Default:
    /// whichever it likes.
    offer_idps: Vec<String>,
    /// Whether the identity provider must not show people anything: whoever has no session there is not signed in. For what is
    /// dangerous, people are always asked. Default: false.
    is_passive: bool,
    /// Whether requests are signed. Default: if there are keys.
    sign_requests: Option<bool>,
    /// What the identity provider has to sign; with `either`, the response or the assertion. Default: `either`.
    signed: Signed,
    /// Whether assertions that are not encrypted are refused.
    require_encryption: bool,
    /// Whether keys may be encrypted with RSA 1.5, which is broken, in signed responses.
    allow_rsa_1_5: bool,
    /// The attribute that names a person for good, such as `subject-id` or `employeeNumber`. Without it, a persistent NameID
    /// does.
    subject: Option<String>,
    /// The format of the NameID that is asked for: `persistent`, `email`, `unspecified` or a URI. Default: `persistent`, or
    /// none if an attribute names people.
    name_id_format: Option<String>,
    /// What attributes are called here: formal names, such as `urn:oid:1.2.3`, and the names to use for them. Those that
    /// federations agree on are known.
    attributes: BTreeMap<String, String>,
    /// Whether scopes (`@ac.cdl`) must be among those of the metadata (`shibmd:Scope`): where it has any, and in a federation
    /// anyway. Default: true.
    check_scopes: Option<bool>,
    /// The ways to authenticate that count, as URIs such as `https://refeds.org/profile/mfa`. The identity provider is asked
    /// for one of them, and has to name it. Default: any.
    authn_context: Vec<String>,
}

/// Many identity providers: which count, and who asks people for theirs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(crate) struct FederationSection {
    /// Only these, by their entity ids. Default: all that the metadata has.
    idps: Vec<String>,
    /// Only those that one of these registered (`registrationAuthority` of the metadata). Default: all.
    registered_by: Vec<String>,
    /// A discovery service that asks people instead of Usher, such as `https://wayf.federation.cdl/ds`.
    discovery_service: Option<String>,
}

/// A private key and its certificate, both PEM.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct KeySection {
    /// An RSA private key of at least 2048 bits, without a passphrase.
    key_file: PathBuf,
    /// Its certificate, which may be self-signed: nobody looks at who signed it, or until when it is valid.
    certificate_file: PathBuf,
}

/// How requests travel.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum RequestBinding {
    /// HTTP-Redirect.
    Redirect,
    /// HTTP-POST.
    Post,
}

impl Section {
    fn signs_requests(&self) -> bool {
        self.sign_requests.unwrap_or(!self.keys.is_empty())
    }
}

/// A section whose every value was checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `None`: the address of our metadata.
    pub(crate) entity_id: Option<String>,
    pub(crate) keys: Vec<OwnKey>,
    /// Which of them are private no more, since everybody on this machine can read them.
    pub(crate) open_keys: Vec<usize>,
    pub(crate) request_binding: Option<RequestBinding>,
    /// `IDPList`; empty: none.
    pub(crate) offered_idps: Vec<String>,
    pub(crate) is_passive: bool,
    /// Whether people say which identity provider is theirs.
    pub(crate) is_federation: bool,
    /// Who asks them, if not we.
    pub(crate) discovery_service: Option<Url>,
    /// Only if there are keys.
    pub(crate) signs_requests: bool,
    /// The format that is asked for.
    pub(crate) name_id_format: Option<String>,
    pub(crate) policy: Policy,
    pub(crate) naming: Naming,
}

/// As many of our own as a rollover needs.
const MAX_KEYS: usize = 3;

/// Its absence is reported like any other mistake, so that for serde alone it may be absent.
fn require_metadata(schema: &mut Schema) {
    let either = json!([{ "required": ["metadata_file"] }, { "required": ["metadata_url", "idp"] },
        { "required": ["metadata_url", "federation"] }, { "required": ["mdq_url", "idp"] }]);
    schema.insert("allOf".to_owned(), json!([{ "oneOf": either }]));
}

impl Settings {
    /// Reads a section, and the files it names. Tells everything that is wrong, not the first thing alone.
    pub(crate) fn read(config: Value) -> Result<(Self, Source), ConfigError> {
        let mut problems = Vec::new();
        let section: Section = read_section(config, &mut problems)?;
        let source = source::read(&section, &mut |path: &str, message: String| {
            problems.push(ConfigProblem { path: path.to_owned(), message });
        });
        let settings = Self::validate(section, source.as_ref().and_then(Source::first), problems);
        let source_is_missing = || ConfigError::at("metadata_file", "cannot be used");
        settings.and_then(|settings| Ok((settings, source.ok_or_else(source_is_missing)?)))
    }

    /// The same of what is ours alone, for somebody who has nothing of the identity provider's yet.
    pub(crate) fn read_ours(config: Value) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let section: Section = read_section(config, &mut problems)?;
        Self::validate(section, None, problems)
    }

    fn validate(
        section: Section,
        idp: Option<&Idp>,
        mut problems: Vec<ConfigProblem>,
    ) -> Result<Self, ConfigError> {
        let mut report = |path: &str, message: String| {
            problems.push(ConfigProblem { path: path.to_owned(), message });
        };
        let signs_requests = section.signs_requests();
        let theirs = idp.map(|idp| idp.entity_id.as_str()).or(section.idp.as_deref());
        let entity_id = check(entity_id(section.entity_id, theirs), "entity_id", &mut report);
        let keys = keys(&section.keys, &mut report);
        let is_open = |(_, key): &(usize, &KeySection)| regular::is_for_all_to_read(&key.key_file);
        let open_keys = section.keys.iter().enumerate().filter(is_open).map(|(index, _)| index).collect();
        if section.sign_requests == Some(true) && section.keys.is_empty() {
            report("sign_requests", "needs a key; give it one in `keys`".to_owned());
        }
        if section.require_encryption && section.keys.is_empty() {
            report("require_encryption", "needs a key to encrypt to; give it one in `keys`".to_owned());
        }
        if let Some(idp) = idp {
            check_against(idp, &section.keys, section.sign_requests, section.request_binding, &mut report);
        }
        let format = name_id_format(section.name_id_format.as_deref(), section.subject.is_none());
        let format = check(format, "name_id_format", &mut report);
        let subject = check(attribute_name(section.subject), "subject", &mut report);
        for (formal, called) in &section.attributes {
            if formal.trim() != formal || formal.is_empty() || called.trim() != called || called.is_empty() {
                let path = format!("attributes.{formal}");
                report(&path, "has an empty name, or one with blanks at its ends".to_owned());
            }
        }
        for (index, class) in section.authn_context.iter().enumerate() {
            if class.trim() != class || class.is_empty() {
                report(&format!("authn_context[{index}]"), "is no URI of a way to authenticate".to_owned());
            }
        }
        for (index, idp) in section.offer_idps.iter().enumerate() {
            if let Err(error) = Issuer::parse(idp.as_str()) {
                report(&format!("offer_idps[{index}]"), format!("is no entity id: {error}"));
            }
        }
        let service =
            section.federation.as_ref().and_then(|federation| federation.discovery_service.as_deref());
        let service =
            check(service.map(discovery_service).transpose(), "federation.discovery_service", &mut report);
        match (entity_id, keys, format, subject, service) {
            (Some(entity_id), Some(keys), Some(format), Some(subject), Some(discovery_service))
                if problems.is_empty() =>
            {
                let source = match subject {
                    Some(attribute) => SubjectSource::Attribute(attribute),
                    None => SubjectSource::NameId {
                        format: format.clone().unwrap_or_else(|| FORMAT_PERSISTENT.to_owned()),
                    },
                };
                Ok(Self {
                    entity_id,
                    signs_requests,
                    keys,
                    open_keys,
                    request_binding: section.request_binding,
                    offered_idps: section.offer_idps,
                    is_passive: section.is_passive,
                    is_federation: section.federation.is_some(),
                    discovery_service,
                    name_id_format: format,
                    policy: Policy {
                        signed: section.signed,
                        needs_encryption: section.require_encryption,
                        allows_rsa_1_5: section.allow_rsa_1_5,
                        contexts: section.authn_context,
                    },
                    naming: Naming {
                        subject: source,
                        attributes: section.attributes,
                        scopes: match section.check_scopes {
                            Some(false) => ScopeCheck::Off,
                            // One of many must not speak for the others.
                            _ if section.federation.is_some() => ScopeCheck::Strict,
                            Some(true) | None => ScopeCheck::AsMetadataSays,
                        },
                    },
                })
            }
            _ => Err(ConfigError { problems: without_echoes(problems) }),
        }
    }

    /// What is allowed, and probably not meant.
    pub(crate) fn warnings(&self) -> Vec<ConfigProblem> {
        let mut warnings = Vec::new();
        let mut warn = |path: &str, message: &str| {
            warnings.push(ConfigProblem { path: path.to_owned(), message: message.to_owned() });
        };
        for index in &self.open_keys {
            let path = format!("keys[{index}].key_file");
            warn(&path, "names a file that everybody on this machine can read; chmod o-r it");
        }
        if self.policy.allows_rsa_1_5 {
            warn(
                "allow_rsa_1_5",
                "takes keys encrypted with RSA 1.5; have the identity provider use RSA-OAEP",
            );
        }
        if self.is_federation && self.keys.is_empty() {
            warn(
                "keys",
                "is missing: identity providers that want signed requests are left out, those that encrypt sign nobody in, and \
                 nobody can sign out at any",
            );
        } else if self.is_federation && !self.signs_requests {
            warn("sign_requests", "is off: identity providers that want signed requests are left out");
        }
        if self.is_federation && self.naming.scopes == ScopeCheck::Off {
            warn(
                "check_scopes",
                "is off, so that each identity provider of the federation can name the people of all others",
            );
        }
        match &self.naming.subject {
            SubjectSource::NameId { format } if format != FORMAT_PERSISTENT => warn(
                "name_id_format",
                "names people by something that may be given to somebody else later; prefer `persistent`, or name an \
                 attribute that never changes with `subject`",
            ),
            SubjectSource::NameId { .. } | SubjectSource::Attribute(_) => {}
        }
        warnings
    }
}

/// What only both sides together can get wrong.
fn check_against(
    idp: &Idp,
    keys: &[KeySection],
    sign_requests: Option<bool>,
    binding: Option<RequestBinding>,
    report: &mut impl FnMut(&str, String),
) {
    if idp.wants_signed_requests && (keys.is_empty() || sign_requests == Some(false)) {
        let path = if keys.is_empty() { "keys" } else { "sign_requests" };
        report(
            path,
            "the identity provider's metadata says that it wants signed requests; give Usher a key"
                .to_owned(),
        );
    }
    let (is_there, name) = match binding {
        None => return,
        Some(RequestBinding::Redirect) => (idp.single_sign_on.redirect.is_some(), "HTTP-Redirect"),
        Some(RequestBinding::Post) => (idp.single_sign_on.post.is_some(), "HTTP-POST"),
    };
    if !is_there {
        report("request_binding", format!("the identity provider's metadata has no place for {name}"));
    }
}

fn entity_id(written: Option<String>, theirs: Option<&str>) -> Result<Option<String>, String> {
    let Some(written) = written else { return Ok(None) };
    if written.trim() != written {
        return Err("has blanks at its ends".to_owned());
    }
    if Some(written.as_str()) == theirs {
        return Err(
            "is the identity provider's; this one is Usher's own name, which may be left out".to_owned()
        );
    }
    // SAML core 8.3.6: a URI of at most 1,024 characters.
    Issuer::parse(written.as_str())
        .map(|_| Some(written))
        .map_err(|error| format!("is no entity id: {error}"))
}

fn keys(sections: &[KeySection], report: &mut impl FnMut(&str, String)) -> Option<Vec<OwnKey>> {
    if sections.len() > MAX_KEYS {
        report("keys", format!("has {} keys; {MAX_KEYS} are the most", sections.len()));
        return None;
    }
    let mut keys = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let mut read = |path: &PathBuf, name: &str| {
            let content =
                std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()));
            check(content, &format!("keys[{index}].{name}"), report)
        };
        let key = read(&section.key_file, "key_file");
        let certificate = read(&section.certificate_file, "certificate_file");
        let (Some(key), Some(certificate)) = (key, certificate) else { continue };
        let pair = OwnKey::read(&key, &certificate).map_err(|error| {
            let (name, path) = if error.is_about_the_key() {
                ("key_file", &section.key_file)
            } else {
                ("certificate_file", &section.certificate_file)
            };
            (name, format!("{} {error}", path.display()))
        });
        match pair {
            Ok(pair) if keys.iter().any(|earlier: &OwnKey| earlier.is_same_pair(&pair)) => {
                report(&format!("keys[{index}]"), "is an earlier pair once more; leave it out".to_owned());
            }
            Ok(pair) => keys.push(pair),
            Err((name, message)) => report(&format!("keys[{index}].{name}"), message),
        }
    }
    (keys.len() == sections.len()).then_some(keys)
}

/// The URI of a format; `None` if none is asked for.
fn name_id_format(written: Option<&str>, names_people: bool) -> Result<Option<String>, String> {
    let format = match written {
        None if names_people => FORMAT_PERSISTENT,
        None => return Ok(None),
        Some("persistent") => FORMAT_PERSISTENT,
        Some("transient") => FORMAT_TRANSIENT,
        Some("email") => FORMAT_EMAIL,
        Some("unspecified") => FORMAT_UNSPECIFIED,
        Some(uri) if uri.starts_with("urn:") || uri.contains("://") => uri,
        Some(_) => return Err("is no format; write `persistent`, `email`, `unspecified` or a URI".to_owned()),
    };
    if format == FORMAT_TRANSIENT && names_people {
        return Err(
            "is a name for one session, which names nobody for good; leave it out, or name an attribute with `subject`"
                .to_owned(),
        );
    }
    Ok(Some(format.to_owned()))
}

/// Where people are sent, so nothing but a page.
fn discovery_service(written: &str) -> Result<Url, String> {
    let url = Url::parse(written).map_err(|error| format!("is no URL: {error}"))?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    match url.scheme() {
        "https" | "http" if is_plain => Ok(url),
        "https" | "http" => Err("must have no user name, password or fragment".to_owned()),
        _ => Err("must begin with https://".to_owned()),
    }
}

fn attribute_name(written: Option<String>) -> Result<Option<String>, String> {
    match written {
        Some(name) if name.trim() != name || name.is_empty() => {
            Err("is no attribute name; leave it out to use the NameID".to_owned())
        }
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests;
