//! Ways past the page, tried on a real Synapse by whoever has stolen an access token: sessions that were made up, and tokens
//! hidden where only some servers look. That Synapse would do it, if it were asked, is shown at the end.

use anyhow::Context as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{accounts::prove, deletion_of, devices};
use crate::{
    at_host::{App, HOST, PASSWORD, auth, password_login, session_of},
    components::run,
    database::Kind,
    wire::Wire,
    world::World,
};

const OLD_ADD: &str = "POST v3/account/3pid";
const GET_TOKEN: &str = "POST v1/login/get_token";

/// What the homeserver has of an app's person: their devices, and their addresses.
async fn possessions(world: &World, app: &App) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let emails = world.components().eng.email_addresses(app.access_token()).await?;
    Ok((devices(world, app).await?, emails))
}

/// A session that Synapse itself has begun for `app`, which was asked behind Usher's back.
async fn synapse_session(world: &World, app: &App, line: &str, body: &Value) -> anyhow::Result<String> {
    let (method, path) = line.split_once(' ').context("a method and a path")?;
    let path = format!("_matrix/client/{path}");
    let eng = &world.components().eng;
    let method = Method::from_bytes(method.as_bytes())?;
    let (status, said) = eng.call(method, &path, Some(app.access_token()), Some(body)).await?;
    anyhow::ensure!(status == StatusCode::UNAUTHORIZED, "{line}: {status} {said}");
    Ok(said["session"].as_str().with_context(|| said.to_string())?.to_owned())
}

#[test]
fn a_session_that_is_not_ours_takes_nothing_past_the_page() -> anyhow::Result<()> {
    run(async {
        let world = World::start_at_host(Kind::Sqlite).await?;
        let (host, eng) = (world.host()?, &world.components().eng);
        let alice = world.person("alice");
        let phone = App::of(&host, &alice, "Phone").await?;
        let laptop = App::of(&host, &alice, "Laptop").await?;
        let address = format!("{}.thief@elsewhere.example", world.localpart("alice"));
        let sid = prove(&world, &phone, &address, "secret").await?;
        let credentials = json!({ "client_secret": "secret", "sid": sid });
        let old_add = json!({ "three_pid_creds": credentials });
        let before = possessions(&world, &phone).await?;
        assert_eq!((before.0.len(), before.1.len()), (2, 0));

        // Somebody with a password has confirmed the same request of theirs, at Synapse itself.
        let localpart = world.localpart("pat");
        eng.register_user(&localpart, PASSWORD).await?;
        let login =
            host.call(Method::POST, "_matrix/client/v3/login", Some(&password_login(&localpart))).await?;
        let pat = App::new(&host, &login.expect_ok()?)?;
        let several = json!({ "devices": [laptop.device] });
        let completed = synapse_session(&world, &pat, "POST v3/delete_devices", &several).await?;
        let mut proven = several.clone();
        proven["auth"] = password_login(&localpart);
        proven["auth"]["session"] = json!(completed);
        let done = pat.send("POST v3/delete_devices", &proven).await?;
        assert_eq!(done.status, StatusCode::OK, "{done:?}");
        assert_eq!(possessions(&world, &phone).await?, before, "the device is not pat's");

        // Synapse takes any letter for each dot in the unstable name of this one.
        for line in [
            "POST unstable/org.matrix.msc3882/login/token",
            "POST unstable/org-matrix-msc3882/login/token",
            "POST unstable/org/matrix/msc3882/login/token",
        ] {
            synapse_session(&world, &phone, line, &json!({})).await.context("Synapse knows it")?;
            assert!(phone.is_asked(line, &json!({})).await?.starts_with("ushu_"), "{line}");
        }
        let own = synapse_session(&world, &phone, GET_TOKEN, &json!({})).await?;
        let own_deletion = synapse_session(&world, &phone, "POST v3/delete_devices", &several).await?;
        for session in ["x", "", "abcdefghijklmnopqrstuvwx", &own, &own_deletion, &completed] {
            for kind in [None, Some("m.login.sso"), Some("m.login.dummy"), Some("m.login.password")] {
                let with = |body: &Value| {
                    let mut body = body.clone();
                    body["auth"] = json!({ "session": session });
                    if let Some(kind) = kind {
                        body["auth"]["type"] = json!(kind);
                    }
                    body
                };
                let name = format!("{session} {kind:?}");
                for (line, body) in [
                    (OLD_ADD, &old_add),
                    (GET_TOKEN, &json!({})),
                    ("POST v3/account/3pid/add", &credentials),
                    ("POST v3/delete_devices", &several),
                    (deletion_of(&laptop).as_str(), &json!({})),
                    ("POST v3/account/deactivate", &json!({})),
                ] {
                    let asked = phone.send(line, &with(body)).await?;
                    let ours = session_of(&asked).with_context(|| format!("{line} {name}"))?;
                    assert!(ours.starts_with("ushu_") && ours != session, "{line} {name}");
                }
                assert_eq!(possessions(&world, &phone).await?, before, "{name}");
            }
        }
        let synapses = eng.call(
            Method::POST,
            "_matrix/client/v3/account/3pid",
            Some(phone.access_token()),
            Some(&old_add),
        );
        assert_eq!(synapses.await?.0, StatusCode::OK, "it would have added it, or this shows nothing");
        assert_eq!(possessions(&world, &phone).await?, (before.0, vec![address]));
        Ok(())
    })
}

/// A way to hide an access token.
struct Hidden {
    name: &'static str,
    query: String,
    headers: String,
    /// In the body, which is JSON to one reader and a form to another.
    in_body: Option<String>,
    /// After the body, as a trailer.
    trailer: Option<String>,
}

/// Ways to have Synapse alone find `token`, without another's and beside `other`.
fn ways(token: &str, other: &str) -> Vec<Hidden> {
    let way = |name, query: &str, headers: &[&str]| Hidden {
        name,
        query: query.to_owned(),
        headers: headers.iter().flat_map(|line| [*line, "\r\n"]).collect(),
        in_body: None,
        trailer: None,
    };
    let (form, json) = ("Content-Type: application/x-www-form-urlencoded", "Content-Type: application/json");
    let (bearer, others) =
        (format!("Authorization: Bearer {token}"), format!("Authorization: Bearer {other}"));
    let in_body = |way: Hidden| Hidden { in_body: Some(format!("&access_token={token}&")), ..way };
    vec![
        way("after a semicolon", &format!("?a=1;access_token={token}"), &[]),
        way("escaped, after a semicolon", &format!("?a=1;access%5Ftoken={token}"), &[]),
        way("twice", &format!("?access_token={token}&access_token={token}"), &[]),
        way("twice, once escaped", &format!("?access_token={token}&%61ccess_token={token}"), &[]),
        way("in a header and in the query", &format!("?access_token={token}"), &[&bearer]),
        way("in two headers", "", &[&bearer, &bearer]),
        way("in a header that is folded", "", &[&format!("Authorization: Bearer\r\n {token}")]),
        way("in a header that begins folded", "", &[&format!("Authorization:\r\n Bearer {token}")]),
        way("folded into another header", "", &[&format!("X-Ignored: x\r\n {bearer}")]),
        way("in a header with a blank before its colon", "", &[&format!("Authorization : Bearer {token}")]),
        way("after a bare line feed", "", &[&format!("X-Ignored: x\n{bearer}")]),
        way("after a bare carriage return", "", &[&format!("X-Ignored: x\r{bearer}")]),
        way("without a scheme", "", &[&format!("Authorization: {token}")]),
        way("by another scheme", "", &[&format!("Authorization: Basic {token}")]),
        in_body(way("in a form", "", &[form])),
        in_body(way("in a form that says that it is JSON, too", "", &[json, form])),
        Hidden { trailer: Some(bearer.clone()), ..way("in a trailer", "", &[]) },
        // And beside the token of somebody whom nobody is linked to.
        way(
            "after a semicolon, before another's",
            &format!("?a=1;access_token={token}&access_token={other}"),
            &[],
        ),
        way("before another's", &format!("?access_token={token}&access_token={other}"), &[]),
        way("after another's", &format!("?access_token={other}&access_token={token}"), &[]),
        way("after a semicolon, beside another's header", &format!("?a=1;access_token={token}"), &[&others]),
        way("before another's header", "", &[&bearer, &others]),
        way("after another's header", "", &[&others, &bearer]),
        way("folded into another's", "", &[&format!("{others}\r\n {token}")]),
        in_body(way("in a form beside another's in the query", &format!("?access_token={other}"), &[form])),
        in_body(way("in a form beside another's header", "", &[form, &others])),
        in_body(way("beside a header that is hop by hop", "", &[form, &others, "Connection: Authorization"])),
    ]
}

/// Sends it byte for byte; the answer, however it is framed.
async fn send(world: &World, line: &str, hidden: &Hidden, body: &Value) -> anyhow::Result<String> {
    let (method, path) = line.split_once(' ').context("a method and a path")?;
    let Hidden { query, headers, in_body, trailer, .. } = hidden;
    let mut body = body.clone();
    if let Some(hidden) = in_body {
        body["x"] = json!(hidden);
    }
    let body = body.to_string();
    let (framing, body) = match trailer {
        None => (format!("Content-Length: {}\r\n", body.len()), body),
        Some(trailer) => (
            "Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n".to_owned(),
            format!("{:x}\r\n{body}\r\n0\r\n{trailer}\r\n\r\n", body.len()),
        ),
    };
    let start =
        format!("{method} /_matrix/client/{path}{query} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n");
    let mut wire = Wire::open(&world.config.listen).await?;
    wire.say(format!("{start}{headers}{framing}\r\n{body}").as_bytes()).await?;
    wire.hear_all().await
}

#[test]
fn a_token_that_only_the_homeserver_would_find_gets_nothing_done() -> anyhow::Result<()> {
    run(async {
        let world = World::start_at_host(Kind::Sqlite).await?;
        let (host, eng) = (world.host()?, &world.components().eng);
        let alice = world.person("alice");
        let phone = App::of(&host, &alice, "Phone").await?;
        let laptop = App::of(&host, &alice, "Laptop").await?;
        let address = format!("{}.hidden@elsewhere.example", world.localpart("alice"));
        let sid = prove(&world, &phone, &address, "secret").await?;
        let credentials = json!({ "client_secret": "secret", "sid": sid });
        let localpart = world.localpart("pat");
        eng.register_user(&localpart, PASSWORD).await?;
        let login =
            host.call(Method::POST, "_matrix/client/v3/login", Some(&password_login(&localpart))).await?;
        let pat = App::new(&host, &login.expect_ok()?)?;
        let before = possessions(&world, &phone).await?;
        assert_eq!((before.0.len(), before.1.len()), (2, 0));

        let several = json!({ "devices": [laptop.device] });
        let deletion = deletion_of(&laptop);
        let old_add = json!({ "three_pid_creds": credentials });
        for hidden in ways(phone.access_token(), pat.access_token()) {
            for (line, body) in [
                (OLD_ADD, &old_add),
                ("POST v3/account/3pid/add", &credentials),
                ("POST v3/delete_devices", &several),
                (&deletion, &json!({})),
                (GET_TOKEN, &json!({})),
                ("POST v3/account/deactivate", &json!({})),
            ] {
                let name = format!("{}: {line}", hidden.name);
                let is_pats = hidden.headers.contains(pat.access_token()) && hidden.in_body.is_some();
                // It would be pat's address then, which pat may well have.
                let body = if is_pats && line == OLD_ADD { &json!({}) } else { body };
                let answer = send(&world, line, &hidden, body).await.with_context(|| name.clone())?;
                assert!(answer.starts_with("HTTP/1.1 4"), "{name}: {answer}");
                let is_synapses = answer.contains("\"flows\"") && !answer.contains("\"ushu_");
                assert!(is_pats || !is_synapses, "{name}: it was Synapse that asked: {answer}");
                assert_eq!(possessions(&world, &phone).await?, before, "{name}");
            }
        }
        // Such a request is passed on if it is nobody's of ours, and Synapse finds the token after a semicolon.
        let path = format!("_matrix/client/v3/account/3pid?a=1;access_token={}", phone.access_token());
        let (status, body) = eng.call(Method::POST, &path, None, Some(&old_add)).await?;
        assert_eq!(status, StatusCode::OK, "it would have added it, or this shows nothing: {body}");
        assert_eq!(possessions(&world, &phone).await?, (before.0, vec![address]));
        let asked = phone.send(&deletion, &json!({})).await?;
        assert_eq!(
            phone.send(&deletion, &auth(&session_of(&asked)?)).await?.status,
            StatusCode::UNAUTHORIZED
        );
        Ok(())
    })
}
