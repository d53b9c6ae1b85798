//! Messages to begin with: what real identity providers answered, and, made anew where they are missing rather than kept, honest
//! answers signed and encrypted in every way, known attacks on them, and metadata.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use usher_lab::scripted::saml::{Digest, Protection, Response, Seal, Signing, Transport, wrapping::Pieces};

use crate::world::{self, VICTIM};

/// Messages by name.
type Seeds = Vec<(String, Vec<u8>)>;

/// Puts what `make` makes into the corpus: the first directory that the program was called with. A single message that it
/// was called with is read without.
///
/// # Panics
///
/// If that cannot be done.
pub fn sow(make: fn() -> anyhow::Result<Seeds>) {
    world::prepare();
    let arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(corpus) = arguments.into_iter().find(|argument| argument.is_dir()) else { return };
    make().and_then(|seeds| write(&corpus, &seeds)).expect("the seeds can be made");
}

fn write(corpus: &Path, seeds: &Seeds) -> anyhow::Result<()> {
    for (name, message) in seeds {
        let name: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let path = corpus.join(format!("seed-{name}"));
        if !path.exists() {
            fs::write(&path, message).with_context(|| format!("{} cannot be written", path.display()))?;
        }
    }
    Ok(())
}

/// Texts for the gate.
pub fn gate() -> anyhow::Result<Seeds> {
    let assertion = world::honest().assertion.context("an honest answer has one")?;
    let mut seeds = vec![
        ("an assertion".to_owned(), assertion.xml(None)?.into_bytes()),
        ("a signed assertion".to_owned(), assertion.xml(Some(&world::rsa()))?.into_bytes()),
    ];
    seeds.extend(honest()?);
    seeds.extend(attacks()?);
    Ok(seeds)
}

/// Responses, and what the identity provider signs or anybody encrypts, each behind its letter.
pub fn response() -> anyhow::Result<Seeds> {
    let mut seeds = Seeds::new();
    let mut add = |letter: char, name: &str, text: &[u8]| {
        seeds.push((format!("{letter} {name}"), [letter.to_string().as_bytes(), text].concat()));
    };
    for (name, text) in honest()?.into_iter().chain(attacks()?) {
        add('B', &name, &text);
    }
    let assertion = world::honest().assertion.context("an honest answer has one")?;
    for (name, text) in [
        ("an assertion", assertion.xml(None)?),
        ("a signed assertion", assertion.xml(Some(&world::rsa()))?),
        ("an assertion with the other key", assertion.xml(Some(&world::ec()))?),
    ] {
        add('E', name, text.as_bytes());
        add('C', name, text.as_bytes());
    }
    for (name, protection) in [
        ("a response", Protection { response: Some(world::ec()), ..Protection::default() }),
        ("an assertion", Protection { assertion: Some(world::ec()), ..Protection::default() }),
        ("both", Protection { response: Some(world::ec()), assertion: Some(world::ec()), encryption: None }),
    ] {
        add('S', name, world::honest().xml(&protection)?.as_bytes());
        add('S', &format!("{name} with much in it"), world::rich().xml(&protection)?.as_bytes());
    }
    add(
        'S',
        "a failure",
        failed().xml(&Protection { response: Some(world::ec()), ..Protection::default() })?.as_bytes(),
    );
    Ok(seeds)
}

/// Metadata.
pub fn metadata() -> anyhow::Result<Seeds> {
    let one = world::metadata()?;
    let scope = "<shibmd:Scope xmlns:shibmd=\"urn:mace:shibboleth:metadata:1.0\" regexp=\"true\">^(.+\\.)?ac\\.cdl$</shibmd:Scope>";
    let pattern = one.replacen("<md:Extensions>", &format!("<md:Extensions>{scope}"), 1);
    let expiring =
        one.replacen("entityID=", "validUntil=\"2030-01-01T00:00:00Z\" cacheDuration=\"PT6H\" entityID=", 1);
    let other = one.replace("idp.ac.cdl", "idp.example");
    let aggregate = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<md:EntitiesDescriptor \
         xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" Name=\"urn:federation\" validUntil=\"2030-01-01T00:00:00Z\">\n\
         <!-- two of them -->{one}<md:EntitiesDescriptor>{other}</md:EntitiesDescriptor></md:EntitiesDescriptor>"
    );
    let seeds = [("one", one), ("pattern", pattern), ("expiring", expiring), ("aggregate", aggregate)];
    Ok(seeds.into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes())).collect())
}

/// Of real identity providers, to some service on a port of its own, by keys that are no more.
const REAL: [(&str, &str); 4] = [
    ("SimpleSAMLphp, signed", include_str!("../real/simplesamlphp-signed.xml")),
    ("SimpleSAMLphp, encrypted", include_str!("../real/simplesamlphp-encrypted.xml")),
    ("pysaml2, signed", include_str!("../real/pysaml2-signed.xml")),
    ("pysaml2, encrypted", include_str!("../real/pysaml2-encrypted.xml")),
];

/// Signed and encrypted in every way.
fn honest() -> anyhow::Result<Seeds> {
    let mut seeds: Seeds =
        REAL.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    let digests = [Digest::Sha256, Digest::Sha384, Digest::Sha512];
    for (key, signing) in [("RSA", world::rsa()), ("EC", world::ec())] {
        for digest in digests {
            let signing = Signing { digest, ..signing.clone() };
            for (what, response, assertion) in
                [("response", true, false), ("assertion", false, true), ("both", true, true)]
            {
                let protection = Protection {
                    response: response.then(|| signing.clone()),
                    assertion: assertion.then(|| signing.clone()),
                    encryption: None,
                };
                let text = world::honest().xml(&protection)?;
                seeds.push((format!("{what} by {key} and {digest:?}"), text.into_bytes()));
            }
        }
    }
    for (seal, transport, response, assertion) in [
        (Seal::Gcm(128), Transport::OaepMgf1p, false, true),
        (Seal::Gcm(192), Transport::Oaep256, false, true),
        (Seal::Gcm(256), Transport::OaepMgf1p, true, false),
        (Seal::Gcm(256), Transport::Rsa15, true, false),
        (Seal::Cbc(128), Transport::OaepMgf1p, true, false),
        (Seal::Cbc(256), Transport::Oaep256, true, true),
        (Seal::Cbc(128), Transport::OaepMgf1p, false, true),
        (Seal::Cbc(128), Transport::Rsa15, false, true),
    ] {
        let protection = Protection {
            response: response.then(world::rsa),
            assertion: assertion.then(world::rsa),
            encryption: Some(world::to_us(seal, transport)),
        };
        let name = format!("{seal:?} {transport:?} response {response} assertion {assertion}");
        seeds.push((name, world::honest().xml(&protection)?.into_bytes()));
    }
    seeds.push((
        "much in it".to_owned(),
        world::rich()
            .xml(&Protection { response: Some(world::rsa()), ..Protection::default() })?
            .into_bytes(),
    ));
    seeds.push(("a failure".to_owned(), failed().xml(&Protection::default())?.into_bytes()));
    Ok(seeds)
}

/// Nobody was signed in.
fn failed() -> Response {
    let code = |name: &str| format!("urn:oasis:names:tc:SAML:2.0:status:{name}");
    Response {
        assertion: None,
        status: code("Requester"),
        status_detail: Some(code("InvalidNameIDPolicy")),
        ..world::honest()
    }
}

/// Known attacks on an answer about Alice.
fn attacks() -> anyhow::Result<Seeds> {
    let pieces = Pieces::new(&world::honest(), &world::rsa(), VICTIM)?;
    let how = world::to_us(Seal::Gcm(128), Transport::OaepMgf1p);
    let wrapped = [
        pieces.around_assertion()?,
        pieces.around_response(&world::rsa())?,
        pieces.in_encryption(&how, &world::stranger())?,
    ];
    let mut seeds: Seeds =
        wrapped.into_iter().flatten().map(|(name, text)| (name.to_owned(), text.into_bytes())).collect();
    for (name, change) in tricks() {
        let mut signing = world::rsa();
        change(&mut signing);
        let text = world::honest().xml(&Protection { assertion: Some(signing), ..Protection::default() })?;
        seeds.push((name.to_owned(), text.into_bytes()));
    }
    let text = world::honest().xml(&Protection { assertion: Some(world::rsa()), ..Protection::default() })?;
    for (name, before, after) in [
        ("a comment in the name", "alice-persistent", "alice<!-- -->-persistent"),
        ("a CDATA section in the name", "alice-persistent", "<![CDATA[alice]]>-persistent"),
        ("a reference in the name", "alice-persistent", "alice&#45;persistent"),
        ("an entity in the name", "alice-persistent", "&x;"),
    ] {
        seeds.push((name.to_owned(), text.replacen(before, after, 1).into_bytes()));
    }
    let laughs = "<!DOCTYPE a [<!ENTITY x \"ha\"><!ENTITY y \"&x;&x;&x;\">]>";
    seeds.push(("entities".to_owned(), [laughs, &text].concat().into_bytes()));
    Ok(seeds)
}

/// What a signature could have xmlsec do.
fn tricks() -> Vec<(&'static str, fn(&mut Signing))> {
    vec![
        ("a reference to a place", |signing| signing.uri = Some("http://127.0.0.1:9/".to_owned())),
        ("a reference to a file", |signing| signing.uri = Some("file:///dev/zero".to_owned())),
        ("a reference to everything", |signing| signing.uri = Some(String::new())),
        ("a key elsewhere", |signing| {
            signing.key_info = Some("<ds:RetrievalMethod URI=\"http://127.0.0.1:9/\"/>".to_owned());
        }),
        ("XPath", |signing| {
            signing.transforms = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\">\
                                  <ds:XPath>count(//*)</ds:XPath></ds:Transform>"
                .to_owned();
        }),
        ("XSLT", |signing| {
            signing.transforms = Signing::transform("http://www.w3.org/TR/1999/REC-xslt-19991116");
        }),
        ("a secret", |signing| {
            signing.method = Some("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256".to_owned());
            signing.hmac_secret = Some(b"public".to_vec());
        }),
        ("SHA-1", |signing| signing.digest = Digest::Sha1),
        ("another algorithm than the key's", |signing| {
            signing.method = Some("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256".to_owned());
        }),
        ("no canonicalization", |signing| {
            signing.canonicalization = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315".to_owned();
        }),
    ]
}
