//! Federations, from a document to what is left of it.

use std::{fs, io::Write as _, sync::Arc};

use tempfile::TempDir;
use usher_core::Timestamp;
use usher_lab::scripted::saml::{
    SamlIdp, SamlKey, Signing,
    federation::{Issue, aggregate, strangers},
    instant,
};

use super::{index::Entry, job::Report, *};
use crate::{
    keys::IdpKey,
    metadata::MAX_FEDERATION_BYTES,
    testing::{ENTITY, IDP, NOW, OURS, SECONDS, STRANGER},
};

/// Signed by the federation's key.
fn signed(members: &str) -> String {
    aggregate(members, &Issue::signed_with(Signing::with(&OURS))).expect("metadata")
}

fn certificate(key: &SamlKey) -> String {
    key.certificate_base64().expect("a certificate")
}

fn key_of(key: &SamlKey) -> IdpKey {
    IdpKey::read(&crate::xml::base64(&certificate(key)).expect("base64")).expect("a key")
}

/// An identity provider with two names, found by `word`.
fn named(idp: &SamlIdp, english: &str, french: &str, word: &str) -> String {
    let extensions = format!(
        "<md:Extensions><mdui:UIInfo xmlns:mdui=\"urn:oasis:names:tc:SAML:metadata:ui\">\
         <mdui:DisplayName xml:lang=\"en\">{english}</mdui:DisplayName>\
         <mdui:DisplayName xml:lang=\"fr\">{french}</mdui:DisplayName>\
         <mdui:Keywords xml:lang=\"en\">{word}</mdui:Keywords></mdui:UIInfo></md:Extensions>"
    );
    let member = idp.member("").expect("an entity");
    let (before, after) = member.split_once("<md:KeyDescriptor").expect("a key");
    format!("{before}{extensions}<md:KeyDescriptor{after}")
}

fn idp(name: &str) -> SamlIdp {
    SamlIdp { entity_id: format!("https://{name}.example/idp"), ..IDP.clone() }
}

struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    fn job(&self, document: &str, filter: Filter) -> Job {
        let path = self.directory.path().join("federation.xml");
        fs::write(&path, document).expect("a file");
        Job {
            from: DocumentAt::File(path),
            signers: vec![key_of(&OURS)],
            filter,
            is_unsigned: false,
            newest: None,
            now: NOW,
        }
    }

    async fn read_as(&self, job: &Job) -> Result<Arc<Federation>, String> {
        match Reader::here().read(job, Some(self.directory.path())).await {
            Ok(Loaded::New(federation)) => Ok(federation),
            Ok(Loaded::NotModified) => Err("not modified".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn read(&self, document: &str) -> Result<Arc<Federation>, String> {
        self.read_as(&self.job(document, Filter::default())).await
    }
}

fn found(federation: &Federation, typed: &str) -> Vec<String> {
    let (members, _) = federation.search(typed, 20).expect("a search");
    members.into_iter().map(|member| member.entity_id).collect()
}

#[tokio::test]
async fn each_identity_provider_is_found_by_its_name_and_by_what_people_type() {
    let members = strangers(30, &certificate(&STRANGER))
        + &named(&IDP, "Harbour College", "Collège du port", "fish+chips");
    let federation = Place::new().read(&signed(&members)).await.expect("a federation");
    assert_eq!(federation.len(), 21, "services are none");
    let member = federation.find_named(ENTITY).expect("an index").expect("a member");
    assert!(member.idp.keys[0].is_same_key(&key_of(&IDP.keys[0])));
    assert_eq!(member.idp.single_sign_on, crate::testing::known(&IDP).single_sign_on);
    for typed in ["harbour", "COLLEGE du", "port", "chips fish", "idp.ac.cdl"] {
        assert_eq!(found(&federation, typed), [ENTITY], "{typed}");
    }
    let (shown, total) = federation.search("canadialand", 20).expect("a search");
    assert_eq!((shown.len(), total), (20, 20));
    assert_eq!(federation.search("", 5).expect("a search").1, 21);
    assert!(federation.find_named("https://idp2.example.cdl/idp").expect("an index").is_none(), "a service");
    assert!(federation.find(Key::of("urn:nobody")).expect("an index").is_none());
}

#[tokio::test]
async fn what_cannot_be_believed_is_no_federation() {
    let place = Place::new();
    let members = IDP.member("").expect("an entity");
    let issue = |key: &SamlKey| Issue::signed_with(Signing::with(key));
    let good = signed(&members);
    let until = |seconds| Issue { valid_until: Some(instant(seconds)), ..issue(&OURS) };
    let nested = format!(
        "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" ID=\"_o\">{good}</md:EntitiesDescriptor>"
    );
    for (name, document, expected) in [
        (
            "not signed",
            "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\"/>".to_owned(),
            "not signed",
        ),
        (
            "signed by a stranger",
            aggregate(&members, &issue(&STRANGER)).expect("metadata"),
            "not signed by a key",
        ),
        ("changed", good.replacen("/idp/sso", "/idp/ssp", 1), "not signed by a key"),
        ("a signature that is not the root's", nested, "is not signed as metadata is"),
        ("expired", aggregate(&members, &until(SECONDS)).expect("metadata"), "has expired"),
        ("a DOCTYPE", format!("<!DOCTYPE x>{good}"), "DOCTYPE"),
        ("nothing", String::new(), "well-formed"),
        ("nobody in it", signed(""), "no SAML 2.0 identity provider that is wanted"),
        ("too long", good.clone() + &" ".repeat(MAX_FEDERATION_BYTES), "longer than"),
    ] {
        let error = place.read(&document).await.expect_err(name);
        assert!(error.contains(expected), "{name}: {error}");
    }
    let valid = aggregate(&members, &until(SECONDS + 1)).expect("metadata");
    let federation = place.read(&valid).await.expect("a federation");
    assert!(federation.is_valid(NOW) && !federation.is_valid(Timestamp::from_secs(1_767_225_601)));
}

#[tokio::test]
async fn one_bad_entity_costs_nobody_else_their_place() {
    let place = Place::new();
    let member = |name: &str| idp(name).member("").expect("an entity");
    let expiring = |name: &str, seconds| {
        member(name).replacen("/idp\">", &format!("/idp\" validUntil=\"{}\">", instant(seconds)), 1)
    };
    let other = SamlIdp { keys: vec![STRANGER.clone()], ..idp("twice") };
    let weak = SamlIdp { keys: vec![SamlKey::rsa(1024).expect("a key")], ..idp("weak") };
    let members = [
        member("good"),
        member("same"),
        member("same"),
        member("twice"),
        other.member("").expect("an entity"),
        member("twice"),
        weak.member("").expect("an entity"),
        expiring("gone", SECONDS),
        expiring("soon", SECONDS + 60),
    ];
    let federation = place.read(&signed(&members.concat())).await.expect("a federation");
    let mut names = found(&federation, "");
    names.sort();
    let expected = ["good", "same", "soon"].map(|name| format!("https://{name}.example/idp"));
    assert_eq!(names, expected);
    let told = federation.report.examples.join("\n");
    for (name, reason) in [("twice", "several times"), ("weak", "2048"), ("gone", "expired")] {
        let line = told.lines().find(|line| line.starts_with(&format!("https://{name}.example")));
        assert!(line.is_some_and(|line| line.contains(reason)), "{name}: {told}");
    }
    assert!(federation.is_valid(Timestamp::from_secs(2_000_000_000)), "the others do not expire");
}

#[tokio::test]
async fn those_count_that_the_operator_wants() {
    let place = Place::new();
    let registered = |name: &str, by: &str| {
        let extensions = format!(
            "<md:Extensions><rpi:RegistrationInfo xmlns:rpi=\"urn:oasis:names:tc:SAML:metadata:rpi\" \
             registrationAuthority=\"{by}\"></rpi:RegistrationInfo></md:Extensions>"
        );
        idp(name).member(&extensions).expect("an entity")
    };
    let hidden = "<md:Extensions><mdattr:EntityAttributes xmlns:mdattr=\"urn:oasis:names:tc:SAML:metadata:attribute\">\
                  <saml:Attribute xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" Name=\"http://macedir.org/entity-category\">\
                  <saml:AttributeValue>http://refeds.org/category/hide-from-discovery</saml:AttributeValue></saml:Attribute>\
                  </mdattr:EntityAttributes></md:Extensions>";
    let group = format!(
        "<md:EntitiesDescriptor Name=\"b\">{}</md:EntitiesDescriptor>",
        registered("three", "https://b.example") + &idp("hidden").member(hidden).expect("an entity")
    );
    let document =
        signed(&(registered("one", "https://a.example") + &registered("two", "https://a.example") + &group));
    let url = |name: &str| format!("https://{name}.example/idp");
    let filter = |idps: &[&str], registered_by: &[&str]| Filter {
        idps: idps.iter().map(|name| url(name)).collect(),
        registered_by: registered_by.iter().map(|name| (*name).to_owned()).collect(),
    };
    for (name, filter, expected) in [
        ("all, in groups too", filter(&[], &[]), vec!["one", "three", "two"]),
        ("by name", filter(&["two", "nobody"], &[]), vec!["two"]),
        ("by registrar", filter(&[], &["https://a.example"]), vec!["one", "two"]),
        ("both", filter(&["one", "three"], &["https://a.example"]), vec!["one"]),
    ] {
        let federation = place.read_as(&place.job(&document, filter)).await.expect(name);
        let mut names = found(&federation, "");
        names.sort();
        assert_eq!(names, expected.into_iter().map(url).collect::<Vec<_>>(), "{name}");
    }
    let federation = place.read(&document).await.expect("a federation");
    assert!(federation.find_named(&url("hidden")).expect("an index").is_some(), "hidden, not gone");
}

#[tokio::test]
async fn a_process_that_does_not_do_its_job_is_an_error() {
    let place = Place::new();
    let job = place.job("<x/>", Filter::default());
    for (name, program, arguments, expected) in [
        ("not there", "/nonexistent", vec![], "cannot be started"),
        ("fails", "/bin/false", vec![], "died (exit status: 1)"),
        ("complains", "/bin/sh", vec!["-c", "echo no >&2; exit 3"], "died (exit status: 3: no)"),
        ("complains for ever", "/bin/sh", vec!["-c", "yes >&2"], ""),
        ("is killed", "/bin/sh", vec!["-c", "kill -9 $$"], "SIGKILL"),
        ("says nothing", "/bin/true", vec![], "cannot be used"),
        ("says something else", "/bin/cat", vec![], "cannot be used"),
    ] {
        let reader = Reader::new(program.into(), &arguments);
        let read = reader.read(&job, Some(place.directory.path()));
        let is_endless = name == "complains for ever";
        let outcome = match tokio::time::timeout(std::time::Duration::from_millis(500), read).await {
            Ok(read) => read.map(drop).expect_err(name).to_string(),
            Err(_) => String::new(),
        };
        assert!(outcome.contains(expected), "{name}: {outcome}");
        assert_eq!(outcome.is_empty(), is_endless, "{name}: {outcome}");
    }
    let nowhere = Reader::here().read(&job, Some(std::path::Path::new("/proc"))).await.expect_err("no place");
    assert!(matches!(nowhere, ReadError::NoPlace(_)), "{nowhere:?}");
}

#[test]
fn an_index_that_is_none_is_refused_and_nothing_worse() {
    let entry = Entry { key: Key::of("x"), offset: 0, length: 2, words_end: 3, is_hidden: false };
    let mut directory = Vec::new();
    entry.write(&mut directory);
    let good = [b"{}".as_slice(), &directory, "aé".as_bytes()].concat();
    let report = Report { directory: 2, count: 1, words: 3, ..Report::default() };
    let open = |bytes: &[u8], report: &Report| {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        Federation::open(file, report.clone())
    };
    let federation = open(&good, &report).expect("an index");
    assert!(matches!(federation.find(Key::of("x")), Err(IndexError::Malformed)), "a record that is none");
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for (name, bytes, report) in [
        ("cut", good[..good.len() - 1].to_vec(), report.clone()),
        ("more entries than there are", good.clone(), Report { count: 2, ..report.clone() }),
        ("more entries than there can be", good.clone(), Report { count: usize::MAX, ..report.clone() }),
        ("half a character", with(2 + 28, 2), report.clone()),
        ("words beyond the end", with(2 + 28, 9), report.clone()),
        ("words that are none", with(good.len() - 1, 0xFF), report.clone()),
    ] {
        assert!(open(&bytes, &report).is_err(), "{name}");
    }
    let answer = |bytes: &[u8]| {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        index::answer(&file)
    };
    for (name, bytes) in [
        ("nothing", vec![]),
        ("too short", vec![0, 0]),
        ("longer than it is", vec![9, 0, 0, 0]),
        ("longer than an answer", [vec![b' '; 70_000], 70_000_u32.to_le_bytes().to_vec()].concat()),
        ("no answer", b"\"x\"\x03\0\0\0".to_vec()),
    ] {
        assert!(answer(&bytes).is_err(), "{name}");
    }
}

#[tokio::test]
async fn what_one_member_writes_of_itself_costs_nobody_else_their_place() {
    let place = Place::new();
    let odd = |content: &str| {
        let extensions = format!("<md:Extensions>{content}</md:Extensions>");
        idp("odd").member(&extensions).expect("an entity") + &idp("even").member("").expect("an entity")
    };
    let deep = "<x:a xmlns:x=\"urn:x\">".to_owned() + &"<x:a>".repeat(40) + &"</x:a>".repeat(41);
    for (name, content) in
        [("many levels", deep.as_str()), ("an ID of XML", "<x:a xmlns:x=\"urn:x\" xml:id=\"a\"></x:a>")]
    {
        let federation = place.read(&signed(&odd(content))).await;
        let federation = federation.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(federation.find_named("https://even.example/idp").expect("an index").is_some(), "{name}");
    }
    for (name, content, expected) in [
        ("an ID that is none", "<x:a xmlns:x=\"urn:x\" ID=\"1\"></x:a>", "an ID is no NCName"),
        (
            "an ID twice",
            "<x:a xmlns:x=\"urn:x\" ID=\"a\"></x:a><x:a xmlns:x=\"urn:x\" ID=\"a\"></x:a>",
            "an ID stands twice",
        ),
        ("the root's ID", "<x:a xmlns:x=\"urn:x\" ID=\"_metadata\"></x:a>", "an ID stands twice"),
        (
            "the root's ID by another name",
            "<x:a xmlns:x=\"urn:x\" Id=\"_metadata\"></x:a>",
            "an ID stands twice",
        ),
        ("the root's ID by XML", "<x:a xmlns:x=\"urn:x\" xml:id=\"_metadata\"></x:a>", "by its namespace"),
    ] {
        let error = place.read(&signed(&odd(content))).await.expect_err(name);
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[tokio::test]
async fn what_one_member_says_of_its_domains_is_about_itself_alone() {
    let hinting = |name: &str| {
        let extensions = format!(
            "<md:Extensions><shibmd:Scope xmlns:shibmd=\"urn:mace:shibboleth:metadata:1.0\" regexp=\"false\">{name}.cdl\
             </shibmd:Scope><mdui:DiscoHints xmlns:mdui=\"urn:oasis:names:tc:SAML:metadata:ui\">\
             <mdui:DomainHint>hint-of-{name}.cdl</mdui:DomainHint></mdui:DiscoHints></md:Extensions>"
        );
        let member = idp(name).member("").expect("an entity");
        let (before, after) = member.split_once("<md:KeyDescriptor").expect("a key");
        format!("{before}{extensions}<md:KeyDescriptor{after}")
    };
    let members = hinting("one") + &idp("none").member("").expect("an entity") + &hinting("two");
    let federation = Place::new().read(&signed(&members)).await.expect("a federation");
    let url = |name: &str| format!("https://{name}.example/idp");
    for name in ["one", "two"] {
        for typed in [format!("{name}.cdl"), format!("hint-of-{name}.cdl")] {
            assert_eq!(found(&federation, &typed), [url(name)], "{typed}");
        }
    }
    for (name, own, speaks) in [
        ("one", "one.cdl", true),
        ("one", "two.cdl", false),
        ("one", "hint-of-one.cdl", false),
        ("two", "two.cdl", true),
        ("two", "one.cdl", false),
    ] {
        let member = federation.find_named(&url(name)).expect("an index").expect("a member");
        assert_eq!(member.idp.speaks_for(own), speaks, "{name} for {own}");
    }
    let silent = federation.find_named(&url("none")).expect("an index").expect("a member");
    assert!(silent.idp.scopes.is_none() && silent.shown.detail == "none.example", "{:?}", silent.shown);
}

#[tokio::test]
async fn who_wants_signed_requests_is_left_out_where_none_are_signed() {
    let place = Place::new();
    let wanting = |name: &str| SamlIdp { wants_signed_requests: true, ..idp(name) };
    let member = |idp: SamlIdp| idp.member("").expect("an entity");
    let entity_id = |name: &str| format!("https://{name}.example/idp");
    let all = [idp("easy"), wanting("strict"), wanting("twice"), idp("twice"), wanting("other")];
    let document = signed(&all.map(member).concat());
    let signing = place.job(&document, Filter::default());
    let unsigned = Job { is_unsigned: true, ..signing.clone() };
    let filtered = Filter { idps: vec![entity_id("easy"), entity_id("strict")], ..Filter::default() };
    let filtered = Job { filter: filtered, ..unsigned.clone() };
    for (name, job, expected, left_out) in [
        ("signed", signing, vec!["easy", "other", "strict"], vec![]),
        ("not signed", unsigned, vec!["easy"], vec!["other", "strict"]),
        ("not signed, and some of them", filtered, vec!["easy"], vec!["strict"]),
    ] {
        let federation = place.read_as(&job).await.expect(name);
        let mut names = found(&federation, "");
        names.sort();
        assert_eq!(names, expected.into_iter().map(entity_id).collect::<Vec<_>>(), "{name}");
        let unreached = &federation.report.unreached;
        let mut examples = unreached.examples.clone();
        examples.sort();
        assert_eq!((unreached.count, examples.len()), (left_out.len(), left_out.len()), "{name}");
        assert_eq!(examples, left_out.iter().copied().map(entity_id).collect::<Vec<_>>(), "{name}");
        for gone in left_out {
            assert!(federation.find_named(&entity_id(gone)).expect("an index").is_none(), "{name}: {gone}");
        }
    }
    let alone = place.job(&signed(&member(wanting("strict"))), Filter::default());
    let error = place.read_as(&Job { is_unsigned: true, ..alone }).await.expect_err("nobody is left");
    assert!(error.contains("https://strict.example/idp: it wants signed requests"), "{error}");
    let many: String = (0..30).map(|number| member(wanting(&format!("strict{number}")))).collect();
    let many = place.job(&signed(&(many + &member(idp("easy")))), Filter::default());
    let federation = place.read_as(&Job { is_unsigned: true, ..many }).await.expect("a federation");
    let unreached = &federation.report.unreached;
    assert_eq!((unreached.count, unreached.examples.len()), (30, 20), "all are counted, some are named");
}
