//! What known attacks have the process do: nothing that is seen from outside. This program has one test, so that its peak of memory,
//! its descriptors and its system calls are its own.

use std::{
    collections::BTreeMap,
    fs,
    net::UdpSocket,
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{WaitOptions, wait},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};
use serde_json::json;
use tempfile::TempDir;
use url::Url;
use usher_core::{
    Backend as _, Callback, Ctx, Demand, Descriptor, Freshness, Handle, ProviderId, SsoProvider, Timestamp,
    provider::{BrowserStep, Hints, Method},
    testing::SeededEntropy,
};
use usher_lab::scripted::saml::{
    Asked, Detached, Encryption, Protection, SamlIdp, SamlKey, Seal, Signing, Transport, encrypt,
    wrapping::Pieces,
};

const SECONDS: u64 = 1_767_225_600;
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);
/// Set for this program when it is to start another.
const STARTS: &str = "USHER_TEST_STARTS_A_PROGRAM";
/// Longer than any refusal takes, also in a debug build on a machine with other work.
const AT_ONCE: Duration = Duration::from_secs(5);
/// Beside the message itself, which the server has bounded and read.
const BOUND_KIB: u64 = 40 * 1024;

fn provider(directory: &TempDir, idp: &SamlIdp, ours: &SamlKey) -> anyhow::Result<serde_json::Value> {
    let path = |name: &str| directory.path().join(name);
    fs::write(path("idp.xml"), idp.metadata()?)?;
    fs::write(path("key"), ours.private_pem()?)?;
    fs::write(path("certificate"), ours.certificate_pem()?)?;
    Ok(json!({
        "metadata_file": path("idp.xml"),
        "keys": [{ "key_file": path("key"), "certificate_file": path("certificate") }],
        "allow_rsa_1_5": true,
    }))
}

/// Every message, and what it tries.
fn attacks(idp: &SamlIdp, ours: &SamlKey, asked: &Asked) -> anyhow::Result<Vec<(String, String)>> {
    let honest = idp.answer(asked, "alice-persistent", &[], SECONDS);
    let (good, stranger) = (Signing::with(&idp.keys[0]), Signing::with(&SamlKey::rsa(2048)?));
    let pieces = Pieces::new(&honest, &good, "victim-persistent")?;
    let to_us = |seal, transport| Encryption { to: ours.clone(), seal, transport, is_beside: false };
    let how = to_us(Seal::Gcm(128), Transport::OaepMgf1p);
    let mut all: Vec<(String, String)> = Vec::new();
    for messages in
        [pieces.around_assertion()?, pieces.around_response(&good)?, pieces.in_encryption(&how, &stranger)?]
    {
        all.extend(messages.into_iter().map(|(name, xml)| (name.to_owned(), xml)));
    }
    let signed = honest.xml(&Protection { response: Some(good.clone()), ..Protection::default() })?;
    let twisted = |from: &str, to: &str| {
        assert!(signed.contains(from), "{from}");
        signed.replacen(from, to, 1)
    };
    let reference = format!("URI=\"#{}\"", honest.id);
    let transforms =
        "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform>";
    let bomb = "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;\">]>";
    for (name, xml) in [
        ("a reference over http", twisted(&reference, "URI=\"http://127.0.0.1:9/\"")),
        ("a reference to a device", twisted(&reference, "URI=\"file:///dev/zero\"")),
        ("an external entity", format!("<!DOCTYPE r SYSTEM \"http://127.0.0.1:9/\">{signed}")),
        ("entities of entities", format!("{bomb}{signed}")),
        ("UTF-7", format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{signed}")),
        ("UTF-16", format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{signed}")),
        (
            "XSLT",
            twisted(
                transforms,
                "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"></ds:Transform>",
            ),
        ),
        (
            "XPath",
            twisted(
                transforms,
                "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"></ds:Transform>",
            ),
        ),
        ("a thousand transforms", twisted(transforms, &transforms.repeat(1000))),
        ("no signature", honest.xml(&Protection::default())?),
    ] {
        all.push((name.to_owned(), xml));
    }
    for transport in [Transport::OaepMgf1p, Transport::Oaep256, Transport::Rsa15] {
        for seal in [Seal::Gcm(128), Seal::Gcm(256), Seal::Cbc(128)] {
            for plaintext in ["", "alice", "<a>", &"\u{FFFD}".repeat(20_000)] {
                let encrypted = encrypt(plaintext, &to_us(seal, transport))?;
                all.push((format!("{transport:?} {seal:?}"), honest.xml_around(&encrypted, Some(&good))?));
                // Garbage in its place: the last of the data is turned.
                let end = encrypted.rfind("</xenc:CipherValue>").unwrap_or(encrypted.len());
                let garbage =
                    format!("{}{}{}", &encrypted[..end.saturating_sub(8)], "AAAAAAA=", &encrypted[end..]);
                all.push((
                    format!("garbage {transport:?} {seal:?}"),
                    honest.xml_around(&garbage, Some(&good))?,
                ));
            }
        }
    }
    Ok(all)
}

/// The same of single logout, by either binding.
fn logout_attacks(idp: &SamlIdp) -> anyhow::Result<Vec<(String, Callback)>> {
    let (sp, slo) =
        ("https://matrix.ac.cdl/_usher/saml/corp/metadata", "https://matrix.ac.cdl/_usher/saml/corp/slo");
    let wish = idp.log_out(sp, slo, "alice-persistent", &["_session-1"], SECONDS);
    let stranger = SamlKey::rsa(2048)?;
    let signed = wish.xml(Some(&Signing::with(&idp.keys[0])))?;
    let plain = wish.xml(None)?;
    let twisted = |from: &str, to: &str| {
        assert!(signed.contains(from), "{from}");
        signed.replacen(from, to, 1)
    };
    let reference = format!("URI=\"#{}\"", wish.id);
    let transform = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
    let forms = [
        ("unsigned", plain.clone()),
        ("signed by a stranger", wish.xml(Some(&Signing::with(&stranger)))?),
        ("another person", twisted("alice-persistent", "victim-persistent")),
        ("a reference over http", twisted(&reference, "URI=\"http://127.0.0.1:9/\"")),
        ("a reference to a device", twisted(&reference, "URI=\"file:///dev/zero\"")),
        ("an external entity", format!("<!DOCTYPE r SYSTEM \"http://127.0.0.1:9/\">{signed}")),
        ("XSLT", twisted(transform, "http://www.w3.org/TR/1999/REC-xslt-19991116")),
        ("XPath", twisted(transform, "http://www.w3.org/TR/1999/REC-xpath-19991116")),
        ("longer than any", format!("{signed}{}", " ".repeat(100_000))),
        ("no XML", "alice".repeat(1000)),
    ];
    let queries = [
        (
            "unsigned",
            Detached { sent: vec!["SAML"], ..Detached::with(&stranger) }.query(
                "SAMLRequest",
                &plain,
                None,
            )?,
        ),
        ("signed by a stranger", Detached::with(&stranger).query("SAMLRequest", &plain, None)?),
        ("a bomb", Detached::with(&stranger).query("SAMLRequest", &" ".repeat(10_000_000), None)?),
        (
            "the identity provider's bomb",
            Detached::with(&idp.keys[0]).query("SAMLRequest", &" ".repeat(10_000_000), None)?,
        ),
        (
            "an entity",
            Detached::with(&idp.keys[0]).query(
                "SAMLRequest",
                &format!("<!DOCTYPE r SYSTEM \"http://127.0.0.1:9/\">{plain}"),
                None,
            )?,
        ),
    ];
    let forms = forms.map(|(name, xml)| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("SAMLRequest", &data_encoding::BASE64.encode(xml.as_bytes()));
        (format!("logout by form, {name}"), Callback::new(Method::Post, "slo", "", &form.finish()))
    });
    let queries = queries.map(|(name, query)| {
        (format!("logout by query, {name}"), Callback::new(Method::Get, "slo", &query, ""))
    });
    Ok(forms.into_iter().chain(queries).collect())
}

/// From now on, whether the process has called for another host or another program. The call itself fails.
fn confine() -> anyhow::Result<Arc<AtomicBool>> {
    let called = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(libc::SIGSYS, Arc::clone(&called))?;
    let mut calls =
        vec![libc::SYS_socket, libc::SYS_connect, libc::SYS_sendto, libc::SYS_execve, libc::SYS_execveat];
    #[cfg(target_arch = "x86_64")]
    calls.extend([libc::SYS_fork, libc::SYS_vfork]);
    let mut rules: BTreeMap<_, _> = calls.into_iter().map(|call| (call, Vec::new())).collect();
    // A thread shares memory with who made it, and does not hold that up as what starts a program does.
    let flag = |flag: i32, is_set| {
        let flag = u64::from(flag.unsigned_abs());
        let wanted = if is_set { flag } else { 0 };
        let condition =
            SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), wanted);
        SeccompRule::new(vec![condition?])
    };
    rules.insert(libc::SYS_clone, vec![flag(libc::CLONE_VM, false)?, flag(libc::CLONE_VFORK, true)?]);
    install(rules, SeccompAction::Trap)?;
    // Its flags cannot be looked at; everybody knows `clone` as well.
    install(
        BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
    )?;
    Ok(called)
}

fn install(rules: BTreeMap<i64, Vec<SeccompRule>>, action: SeccompAction) -> anyhow::Result<()> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, architecture)?;
    Ok(apply_filter_all_threads(&BpfProgram::try_from(filter)?)?)
}

/// Sockets that the process has open.
fn sockets() -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").expect("the kernel tells");
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak is told");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

#[tokio::test]
async fn no_attack_takes_time_or_memory_or_calls_for_another_host_or_program() -> anyhow::Result<()> {
    if std::env::var_os(STARTS).is_some() {
        let _called = confine()?;
        drop(Command::new("true").status());
        return Ok(());
    }
    whoever_starts_a_program_would_have_been_seen()?;
    let (idp, ours) = (SamlIdp::new("https://idp.ac.cdl/idp")?.with_single_logout(), SamlKey::rsa(2048)?);
    let directory = tempfile::tempdir()?;
    let config = provider(&directory, &idp, &ours)?;
    let id = ProviderId::parse("corp")?;
    let descriptor = Descriptor { id, name: "Corp".to_owned(), icon: None, brand: None };
    let endpoints = Url::parse("https://matrix.ac.cdl/_usher/saml/corp/")?;
    let backend = usher_saml::backend(usher_saml::Reader::new("usher".into(), &[]));
    let provider: Arc<dyn SsoProvider> = backend.build(descriptor, endpoints, config).await?;
    let entropy = SeededEntropy::new(1);
    let ctx = Ctx { now: NOW, skew: Duration::from_mins(1), entropy: &entropy };
    let handle = Handle::generate(&entropy);
    let demand = Demand { handle, freshness: Freshness::AnySession, issuer: None, hints: Hints::default() };
    let challenge = provider.begin(&ctx, &demand).await?;
    let BrowserStep::Redirect(place) = &challenge.step else { panic!("requests go by redirect") };
    let asked = Asked::from_redirect(place)?;
    let (attacks, logout_attacks) = (attacks(&idp, &ours, &asked)?, logout_attacks(&idp)?);
    assert!(attacks.len() > 100, "{}", attacks.len());
    let answer = async |xml: &str| {
        let callback = Callback::new(Method::Post, "acs", "", &asked.form(xml));
        provider.complete(&ctx, &demand, challenge.state.clone(), &callback).await
    };
    // Once, so that what is made once is there.
    let honest = idp.answer(&asked, "alice-persistent", &[], SECONDS);
    let signing = Some(Signing::with(&idp.keys[0]));
    let good = honest.xml(&Protection { response: signing, ..Protection::default() })?;
    assert!(answer(&good).await.is_ok(), "the honest one counts");
    let (before, called) = (sockets(), confine()?);
    fs::write("/proc/self/clear_refs", "5")?;
    let peak = peak_kib();
    let is_calm = |name: &str, began: Instant| {
        assert!(began.elapsed() < AT_ONCE, "{name}: {:?}", began.elapsed());
        let taken = peak_kib().saturating_sub(peak);
        assert!(taken < BOUND_KIB, "{name}: {taken} KiB");
        assert!(!called.load(Ordering::Relaxed), "{name}: another host or program was called for");
        assert_eq!(sockets(), before, "{name}: a socket is open");
        assert_eq!(wait(WaitOptions::NOHANG).err(), Some(Errno::CHILD), "{name}: a child is there");
    };
    for (name, xml) in &attacks {
        let began = Instant::now();
        assert!(answer(xml).await.is_err(), "{name}: it counts");
        is_calm(name, began);
    }
    for (name, callback) in &logout_attacks {
        let began = Instant::now();
        assert!(provider.browser_logout(&ctx, callback, None).await.is_err(), "{name}: it counts");
        is_calm(name, began);
    }
    // That it would have been seen.
    assert!(UdpSocket::bind("127.0.0.1:0").is_err());
    assert!(called.load(Ordering::Relaxed), "a socket");
    Ok(())
}

/// The same for programs: signals are blocked where one is started, so that the process ends by this one.
fn whoever_starts_a_program_would_have_been_seen() -> anyhow::Result<()> {
    let mut again = Command::new(std::env::current_exe()?);
    let ended = again.env(STARTS, "1").stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    assert_eq!(ended.signal(), Some(libc::SIGSYS), "{ended}");
    Ok(())
}
