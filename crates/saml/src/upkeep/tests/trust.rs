//! Servers with certificates that they have signed themselves.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    thread,
};

use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    hash::MessageDigest,
    pkey::{PKey, Private},
    ssl::{SslAcceptor, SslMethod},
    x509::{
        X509, X509Name,
        extension::{BasicConstraints, SubjectAlternativeName},
    },
};

use super::*;

/// A certificate of this machine.
fn self_signed(key: &PKey<Private>, is_authority: bool) -> X509 {
    let mut name = X509Name::builder().expect("a name");
    name.append_entry_by_text("CN", "metadata").expect("a name");
    let name = name.build();
    let mut builder = X509::builder().expect("a certificate");
    builder.set_version(2).expect("a version");
    let serial = BigNum::from_u32(1).and_then(|one| one.to_asn1_integer()).expect("a number");
    builder.set_serial_number(&serial).expect("a number");
    builder.set_subject_name(&name).expect("a subject");
    builder.set_issuer_name(&name).expect("an issuer");
    builder.set_pubkey(key).expect("a key");
    builder.set_not_before(&Asn1Time::from_unix(0).expect("a time")).expect("a time");
    builder.set_not_after(&Asn1Time::from_str_x509("20990101000000Z").expect("a time")).expect("a time");
    let mut constraints = BasicConstraints::new();
    if is_authority {
        constraints.critical().ca();
    }
    builder.append_extension(constraints.build().expect("an extension")).expect("an extension");
    let names = SubjectAlternativeName::new().ip("127.0.0.1").build(&builder.x509v3_context(None, None));
    builder.append_extension(names.expect("an extension")).expect("an extension");
    builder.sign(key, MessageDigest::sha256()).expect("a signature");
    builder.build()
}

/// A server that says `document` to whoever trusts it, and its certificate.
fn server(document: String, is_authority: bool) -> (Url, Vec<u8>) {
    let key = PKey::private_key_from_pem(OURS.private_pem().expect("a key").as_bytes()).expect("a key");
    let certificate = self_signed(&key, is_authority);
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("TLS");
    acceptor.set_private_key(&key).expect("a key");
    acceptor.set_certificate(&certificate).expect("a certificate");
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("a port").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let Ok(stream) = acceptor.accept(stream) else { continue };
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|length| length > 2) {
                line.clear();
            }
            let length = document.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            // Whoever goes away has been told enough.
            let _ = stream.get_mut().write_all((head + &document).as_bytes());
        }
    });
    let url = Url::parse(&format!("https://127.0.0.1:{port}/")).expect("a URL");
    (url, certificate.to_pem().expect("PEM"))
}

#[tokio::test]
async fn whoever_trusts_a_servers_own_certificate_is_told_which_kind_does() {
    let world = World::new("").await;
    for (is_authority, whose) in [
        (false, Whose::One(Issuer::parse(ENTITY).expect("an entity id"))),
        (true, Whose::One(Issuer::parse(ENTITY).expect("an entity id"))),
        (true, Whose::Many(Filter::default())),
    ] {
        let (url, certificate) = server(signed(), is_authority);
        let place = Place::Url { key: "metadata_url", url, ca_pem: Some(certificate), refresh: HOUR };
        let (signers, cache_dir) = (vec![key_of(&OURS)], None);
        let upkeep = upkeep_of(Source { whose, place, signers, cache_dir, signs_requests: false });
        let ctx = Ctx { now: NOW, skew: SKEW, entropy: &world.entropy };
        let said = upkeep.read_now(&ctx).await.err();
        assert_eq!(said.is_some(), is_authority, "{said:?}");
        let whose = upkeep.whose.to_string();
        assert!(said.as_ref().is_none_or(|said| said.contains("`metadata_ca_file`")), "{whose}: {said:?}");
        world.look_at(&upkeep, NOW).await;
        assert_eq!(known(&upkeep, NOW).is_ok(), !is_authority, "{whose}");
    }
}
