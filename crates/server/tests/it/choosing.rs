//! The page that asks which homeserver a person wants.

use reqwest::Method;
use serde_json::{Value, json};
use usher_lab::scripted::{
    cas::CasPerson,
    homeserver::{Endpoint, Fault},
};

use crate::app::{Answer, Replica, TRUSTED, TestApp, UNTRUSTED, hidden_fields};

/// A portal where people choose; once, if `is_sticky`.
async fn start(is_sticky: bool, change: impl FnOnce(&mut Value)) -> TestApp {
    TestApp::start_with(|config| {
        config["selection"] =
            if is_sticky { json!([{ "sticky": {} }, { "ask": {} }]) } else { json!([{ "ask": {} }]) };
        change(config);
    })
    .await
}

/// A browser that is shown a page with a form.
#[derive(Clone)]
struct Asked<'a> {
    app: &'a TestApp,
    body: String,
    cookies: Vec<String>,
    callback: url::Url,
}

impl<'a> Asked<'a> {
    async fn as_person(app: &'a TestApp, person: &str, redirect_url: &str) -> Self {
        let attempt = app.sign_in().to(redirect_url).at_provider().await;
        let callback = attempt.callback_for(person);
        let page = attempt.open(&callback).await;
        assert_eq!((page.status.as_u16(), page.title()), (200, "Choose your homeserver"), "{}", page.body);
        Self { app, cookies: page.cookies(), body: page.body, callback }
    }

    fn fields(&self) -> Vec<(String, String)> {
        hidden_fields(&self.body)
    }

    fn offered(&self) -> Vec<&str> {
        let buttons = self.body.split("name=\"homeserver\" value=\"").skip(1);
        buttons.map(|rest| rest.split_once('"').expect("a value").0).collect()
    }

    fn with(&self, homeserver: &str) -> Vec<(String, String)> {
        [self.fields(), vec![("homeserver".to_owned(), homeserver.to_owned())]].concat()
    }

    async fn choose(&self, homeserver: &str) -> Answer {
        self.submit("/_usher/choose", &self.with(homeserver)).await
    }

    async fn submit(&self, path: &str, fields: &[(String, String)]) -> Answer {
        let request = self.app.request(Method::POST, path);
        Answer::read(request.header("cookie", self.cookies.join("; ")).form(fields)).await
    }

    async fn choose_at(&self, replica: &Replica, homeserver: &str) -> Answer {
        let request = self.app.request_at(replica, Method::POST, "/_usher/choose");
        Answer::read(request.header("cookie", self.cookies.join("; ")).form(&self.with(homeserver))).await
    }

    /// The callback once more.
    async fn reload(&self) -> Answer {
        let path = &self.callback[url::Position::BeforePath..];
        Answer::read(self.app.request(Method::GET, path).header("cookie", self.cookies.join("; "))).await
    }

    /// The same browser at the page that it was answered with.
    fn then(&self, page: &Answer) -> Self {
        Self { cookies: page.cookies(), body: page.body.clone(), ..self.clone() }
    }
}

async fn user_of(app: &TestApp, answer: &Answer) -> String {
    app.redeem(&answer.login_token()).await.json()["user_id"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn people_land_where_they_say_and_are_asked_once() {
    let app = start(true, |_| {}).await;
    let asked = Asked::as_person(&app, "erin", TRUSTED).await;
    assert_eq!(asked.offered(), ["eng.ac.cdl", "hist.ac.cdl"]);
    for text in ["Engineering", "History", "<ul", "aria-label=\"Homeservers you may use\""] {
        assert!(asked.body.contains(text), "{text}");
    }
    for table in ["accounts", "links", "choices", "login_tokens"] {
        assert_eq!(app.rows(table).await, 0, "{table}: nothing is made before the choice");
    }
    let answer = asked.choose("hist.ac.cdl").await;
    assert_eq!(answer.status, 303);
    assert!(answer.location().starts_with("https://app.ac.cdl/?x=1&loginToken="), "{}", answer.location());
    assert_eq!(user_of(&app, &answer).await, "@erin:hist.ac.cdl");
    let again = app.sign_in().as_person("erin").await;
    assert_eq!(user_of(&app, &again).await, "@erin:hist.ac.cdl", "sticky remembers");
    assert!(app.eng.users().is_empty());
}

#[tokio::test]
async fn the_form_may_lead_to_the_client_and_nowhere_else() {
    let app = start(true, |_| {}).await;
    for (redirect_url, source) in [
        (TRUSTED, "https://app.ac.cdl"),
        ("element://connect?x=1", "element:"),
        (UNTRUSTED, "https://elsewhere.example"),
    ] {
        let page = app.sign_in().to(redirect_url).as_person("erin").await;
        let policy = page.header("content-security-policy");
        assert!(policy.contains(&format!("form-action 'self' {source};")), "{policy}");
        assert!(policy.contains("default-src 'none'"), "{policy}");
    }
}

#[tokio::test]
async fn without_sticky_people_are_asked_at_every_sign_in() {
    let app = start(false, |_| {}).await;
    for (homeserver, user) in [
        ("hist.ac.cdl", "@erin:hist.ac.cdl"),
        ("eng.ac.cdl", "@erin:eng.ac.cdl"),
        ("hist.ac.cdl", "@erin:hist.ac.cdl"),
    ] {
        let answer = Asked::as_person(&app, "erin", TRUSTED).await.choose(homeserver).await;
        assert_eq!(user_of(&app, &answer).await, user);
    }
    assert_eq!(app.rows("accounts").await, 2);
}

#[tokio::test]
async fn only_what_a_person_may_have_is_offered() {
    let staff = json!([{ "attribute": "affiliation", "contains": "staff" }]);
    let app = start(true, |config| {
        let mut third = config["homeservers"][1].clone();
        third["server_name"] = json!("phys.ac.cdl");
        third["base_url"] = json!("https://matrix.phys.ac.cdl");
        third["handoff"]["application_service"]["as_token"] =
            json!("a-token-of-physics-that-nobody-ever-uses");
        config["homeservers"].as_array_mut().expect("a list").push(third);
        config["homeservers"][0]["require"] = staff.clone();
        config["homeservers"][2]["new_accounts"] = json!(false);
        config["homeservers"][1]["require"] = json!([{ "attribute": "mail", "exists": true }]);
    })
    .await;
    for (person, affiliation, mail, expected) in [
        ("both", Some("staff"), Some("x@ac.cdl"), "ask"),
        ("one", None, Some("x@ac.cdl"), "@one:hist.ac.cdl"),
        ("other", Some("staff"), None, "@other:eng.ac.cdl"),
        ("none", Some("guest"), None, "no"),
    ] {
        let mut script = CasPerson::new(person);
        for (name, value) in [("affiliation", affiliation), ("mail", mail)] {
            script = value.into_iter().fold(script, |script, value| script.with(name, value));
        }
        app.cas.add_person(script);
        match expected {
            "ask" => {
                let asked = Asked::as_person(&app, person, TRUSTED).await;
                assert_eq!(asked.offered(), ["eng.ac.cdl", "hist.ac.cdl"], "{person}");
            }
            "no" => {
                let answer = app.sign_in().as_person(person).await;
                assert_eq!((answer.status.as_u16(), answer.title()), (403, "No homeserver for you yet"));
            }
            user => assert_eq!(user_of(&app, &app.sign_in().as_person(person).await).await, user),
        }
    }
}

#[tokio::test]
async fn a_closed_homeserver_is_offered_to_those_who_may_have_an_account_there() {
    let app = start(false, |config| {
        config["homeservers"][0]["new_accounts"] = json!(false);
        config["homeservers"][0]["adopt"] =
            json!([{ "provider": "corp", "attribute": "uid", "immutable": true }]);
    })
    .await;
    for person in ["new", "old"] {
        app.cas.add_person(CasPerson::new(person));
    }
    assert_eq!(user_of(&app, &app.sign_in().as_person("new").await).await, "@new:hist.ac.cdl");
    app.eng.add_user("@veteran:eng.ac.cdl");
    app.cas.add_person(CasPerson::new("old").with("uid", "veteran"));
    let asked = Asked::as_person(&app, "old", TRUSTED).await;
    assert_eq!(asked.offered(), ["eng.ac.cdl", "hist.ac.cdl"], "the attribute may name an account there");
    assert_eq!(user_of(&app, &asked.choose("eng.ac.cdl").await).await, "@veteran:eng.ac.cdl");
    app.cas.add_person(CasPerson::new("old"));
    let asked = Asked::as_person(&app, "old", TRUSTED).await;
    assert_eq!(asked.offered(), ["eng.ac.cdl", "hist.ac.cdl"], "an account that is theirs by now");
    app.cas.add_person(CasPerson::new("mistaken").with("uid", "nobody"));
    let asked = Asked::as_person(&app, "mistaken", TRUSTED).await;
    assert_eq!(asked.choose("eng.ac.cdl").await.status, 403, "no such account, and no new ones");
    assert_eq!(user_of(&app, &asked.choose("hist.ac.cdl").await).await, "@mistaken:hist.ac.cdl");
}

#[tokio::test]
async fn a_subset_is_asked_about_and_a_single_one_is_taken_without_a_page() {
    for (named, expected) in
        [(json!(["hist.ac.cdl", "eng.ac.cdl"]), None), (json!(["hist.ac.cdl"]), Some("@erin:hist.ac.cdl"))]
    {
        let app = start(true, |config| {
            config["selection"] = json!([{ "ask": { "homeservers": named } }]);
        })
        .await;
        match expected {
            None => {
                let asked = Asked::as_person(&app, "erin", TRUSTED).await;
                assert_eq!(asked.offered(), ["hist.ac.cdl", "eng.ac.cdl"], "in the order of the config");
            }
            Some(user) => assert_eq!(user_of(&app, &app.sign_in().as_person("erin").await).await, user),
        }
    }
}

#[tokio::test]
async fn a_forged_choice_is_refused() {
    let app = start(true, |config| {
        config["homeservers"][0]["require"] = json!([{ "attribute": "affiliation", "equals": "staff" }]);
        let mut third = config["homeservers"][1].clone();
        third["server_name"] = json!("phys.ac.cdl");
        third["base_url"] = json!("https://matrix.phys.ac.cdl");
        third["handoff"]["application_service"]["as_token"] =
            json!("a-token-of-physics-that-nobody-ever-uses");
        config["homeservers"].as_array_mut().expect("a list").push(third);
    })
    .await;
    let asked = Asked::as_person(&app, "erin", TRUSTED).await;
    assert_eq!(asked.offered(), ["hist.ac.cdl", "phys.ac.cdl"]);
    for forged in ["eng.ac.cdl", "gone.ac.cdl"] {
        let answer = asked.choose(forged).await;
        assert_eq!(
            (answer.status.as_u16(), answer.title()),
            (403, "You cannot choose this homeserver"),
            "{forged}"
        );
    }
    for table in ["accounts", "links", "choices", "login_tokens"] {
        assert_eq!(app.rows(table).await, 0, "{table}");
    }
    assert_eq!(
        user_of(&app, &asked.choose("hist.ac.cdl").await).await,
        "@erin:hist.ac.cdl",
        "the page is still good"
    );
}

#[tokio::test]
async fn a_form_that_is_not_the_pages_gets_nothing() {
    let app = start(true, |_| {}).await;
    let asked = Asked::as_person(&app, "erin", TRUSTED).await;
    let other = Asked::as_person(&app, "carol", TRUSTED).await;
    let with = |name: &str, value: Option<&str>| -> Vec<(String, String)> {
        let kept = asked.with("eng.ac.cdl").into_iter().filter(|(key, _)| key != name);
        kept.chain(value.map(|value| (name.to_owned(), value.to_owned()))).collect()
    };
    let others_csrf = other.fields().into_iter().find(|(name, _)| name == "csrf").expect("a token").1;
    let repeated = [asked.with("eng.ac.cdl"), with("csrf", Some("x"))].concat();
    for (name, fields, status) in [
        ("no csrf", with("csrf", None), 400),
        ("another csrf", with("csrf", Some("x")), 403),
        ("another attempt's csrf", with("csrf", Some(&others_csrf)), 403),
        ("another attempt", with("attempt", Some("AAAAAAAAAAAAAAAAAAAAAA")), 400),
        ("another provider", with("provider", Some("nobody")), 400),
        ("no homeserver", with("homeserver", None), 400),
        ("a homeserver that is no name", with("homeserver", Some("a b")), 400),
        ("a field twice", repeated, 400),
        ("a field too many", with("extra", Some("1")), 400),
        ("nothing", Vec::new(), 400),
        ("10 kB", with("csrf", Some(&"x".repeat(10_000))), 400),
    ] {
        let answer = asked.submit("/_usher/choose", &fields).await;
        assert_eq!(answer.status, status, "{name}");
        assert!(answer.header("location").is_empty(), "{name}");
    }
    let thief = Asked { cookies: other.cookies.clone(), ..asked.clone() };
    assert_eq!(thief.choose("eng.ac.cdl").await.status, 400, "another browser");
    assert_eq!(asked.submit("/_usher/confirm", &asked.fields()).await.status, 400, "another step");
    assert_eq!((app.rows("accounts").await, app.rows("login_tokens").await), (0, 0));
}

#[tokio::test]
async fn a_form_sent_twice_leads_to_one_account_and_one_token() {
    for is_sticky in [true, false] {
        let app = start(is_sticky, |_| {}).await;
        let asked = Asked::as_person(&app, "erin", TRUSTED).await;
        let (one, two) = tokio::join!(asked.choose("eng.ac.cdl"), asked.choose("eng.ac.cdl"));
        assert_eq!(one.login_token(), two.login_token());
        assert_eq!(asked.choose("eng.ac.cdl").await.login_token(), one.login_token());
        assert_eq!((app.rows("login_tokens").await, app.rows("accounts").await), (1, 1));
        assert_eq!(user_of(&app, &one).await, "@erin:eng.ac.cdl");
        assert_eq!(app.redeem(&two.login_token()).await.status, 403, "good once");
    }
}

#[tokio::test]
async fn a_second_choice_after_the_token_gets_no_second_token() {
    let app = start(false, |_| {}).await;
    let asked = Asked::as_person(&app, "erin", TRUSTED).await;
    let first = asked.choose("eng.ac.cdl").await;
    let other = asked.choose("hist.ac.cdl").await;
    assert_eq!((other.status.as_u16(), other.title()), (400, "This sign-in was used already"));
    assert_eq!(app.rows("login_tokens").await, 1);
    assert_eq!(app.rows("accounts").await, 1, "nor a second account");
    assert!(app.hist.users().is_empty());
    assert_eq!(user_of(&app, &first).await, "@erin:eng.ac.cdl");
    let sticky = start(true, |_| {}).await;
    let asked = Asked::as_person(&sticky, "erin", TRUSTED).await;
    let first = asked.choose("eng.ac.cdl").await;
    let other = asked.choose("hist.ac.cdl").await;
    assert_eq!(other.login_token(), first.login_token(), "the first choice stands");
    assert!(sticky.hist.users().is_empty());
}

#[tokio::test]
async fn a_site_that_is_not_trusted_is_confirmed_after_the_choice_and_one_can_go_back() {
    let app = start(false, |_| {}).await;
    let asked = Asked::as_person(&app, "erin", UNTRUSTED).await;
    let page = asked.choose("eng.ac.cdl").await;
    assert_eq!((page.status.as_u16(), page.title()), (200, "Continue to this site?"));
    let confirming = asked.then(&page);
    // Back, and chosen anew, with the cookie of the second page.
    let back = Asked { cookies: confirming.cookies.clone(), ..asked.clone() };
    let page = back.choose("hist.ac.cdl").await;
    assert!(page.body.contains("@erin:hist.ac.cdl"), "{}", page.body);
    let confirmed = asked.then(&page);
    let stale = Asked { cookies: confirmed.cookies.clone(), ..confirming.clone() };
    assert_eq!(
        stale.submit("/_usher/confirm", &stale.fields()).await.status,
        403,
        "a page about another account"
    );
    assert_eq!(app.rows("login_tokens").await, 0);
    let answer = confirmed.submit("/_usher/confirm", &confirmed.fields()).await;
    assert_eq!(user_of(&app, &answer).await, "@erin:hist.ac.cdl");
    let old = confirming.submit("/_usher/confirm", &confirming.fields()).await;
    assert_eq!((old.status.as_u16(), old.title()), (400, "This sign-in was used already"));
}

#[tokio::test]
async fn of_a_choice_sent_twice_either_confirmation_page_works() {
    let app = start(true, |_| {}).await;
    let asked = Asked::as_person(&app, "erin", UNTRUSTED).await;
    let (one, two) = tokio::join!(asked.choose("eng.ac.cdl"), asked.choose("eng.ac.cdl"));
    let mixed = Asked { body: one.body.clone(), ..asked.then(&two) };
    let answer = mixed.submit("/_usher/confirm", &mixed.fields()).await;
    assert_eq!(user_of(&app, &answer).await, "@erin:eng.ac.cdl");
}

#[tokio::test]
async fn reloading_the_callback_shows_the_page_again() {
    let app = start(true, |_| {}).await;
    let asked = Asked::as_person(&app, "erin", UNTRUSTED).await;
    drop(app.cas.take_validations());
    let page = asked.reload().await;
    assert_eq!((page.status.as_u16(), page.title()), (200, "Choose your homeserver"));
    assert!(app.cas.take_validations().is_empty(), "the ticket is spent, and not shown to anybody again");
    let reloaded = asked.then(&page);
    for (name, asked) in [("the page that was there", &asked), ("the page again", &reloaded)] {
        let page = asked.choose("eng.ac.cdl").await;
        assert_eq!(page.title(), "Continue to this site?", "{name}");
    }
    let confirming = asked.then(&asked.choose("eng.ac.cdl").await);
    let page = confirming.reload().await;
    assert_eq!((page.status.as_u16(), page.title()), (200, "Continue to this site?"));
    assert!(page.cookies().is_empty(), "the cookie that is there is the right one");
    let again = Asked { body: page.body.clone(), ..confirming };
    let answer = again.submit("/_usher/confirm", &again.fields()).await;
    assert_eq!(user_of(&app, &answer).await, "@erin:eng.ac.cdl");
}

#[tokio::test]
async fn a_homeserver_in_trouble_costs_nobody_their_place() {
    let app = start(true, |_| {}).await;
    let asked = Asked::as_person(&app, "erin", TRUSTED).await;
    for endpoint in [Endpoint::WhoAmI, Endpoint::Register] {
        app.eng.set_fault(endpoint, Fault::cut());
        let answer = asked.choose("eng.ac.cdl").await;
        assert_eq!((answer.status.as_u16(), answer.title()), (503, "Your homeserver cannot be reached"));
        app.eng.clear_fault(endpoint);
    }
    assert_eq!(user_of(&app, &asked.choose("eng.ac.cdl").await).await, "@erin:eng.ac.cdl");
}

#[tokio::test]
async fn a_choice_that_comes_to_no_account_binds_nobody() {
    let app = start(true, |config| {
        config["mapping"] = json!({ "localpart": "{{ subject }}", "suffix": { "last": 1 } });
    })
    .await;
    app.eng.add_user("@erin:eng.ac.cdl");
    let asked = Asked::as_person(&app, "erin", TRUSTED).await;
    let answer = asked.choose("eng.ac.cdl").await;
    assert_eq!((answer.status.as_u16(), answer.title()), (409, "Your account name is taken"));
    assert_eq!(user_of(&app, &asked.choose("hist.ac.cdl").await).await, "@erin:hist.ac.cdl");
}

#[tokio::test]
async fn any_replica_takes_the_answer_and_so_does_one_that_was_started_since() {
    let app = start(true, |_| {}).await;
    let asked = Asked::as_person(&app, "erin", TRUSTED).await;
    let carol = Asked::as_person(&app, "carol", TRUSTED).await;
    let replica = app.replica().await;
    let first = asked.choose_at(&replica, "hist.ac.cdl").await;
    assert_eq!(
        asked.choose("hist.ac.cdl").await.login_token(),
        first.login_token(),
        "twice, at two replicas"
    );
    assert_eq!(user_of(&app, &first).await, "@erin:hist.ac.cdl");
    drop(replica);
    let restarted = app.replica().await;
    let answer = carol.choose_at(&restarted, "eng.ac.cdl").await;
    assert_eq!(user_of(&app, &answer).await, "@carol:eng.ac.cdl");
}

#[tokio::test]
async fn a_page_left_open_too_long_gives_nothing() {
    let app = start(true, |_| {}).await;
    let asked = Asked::as_person(&app, "erin", TRUSTED).await;
    app.clock.advance(std::time::Duration::from_mins(15));
    for answer in [asked.choose("eng.ac.cdl").await, asked.reload().await] {
        assert_eq!((answer.status.as_u16(), answer.title()), (400, "This took too long"));
    }
    assert_eq!(app.rows("accounts").await, 0);
}

#[tokio::test]
async fn a_hundred_answers_of_one_person_at_once_make_one_account() {
    let app = start(true, |_| {}).await;
    let visits = (0..100).map(|_| Asked::as_person(&app, "erin", TRUSTED));
    let visits = futures_util::future::join_all(visits).await;
    let answers = visits
        .iter()
        .enumerate()
        .map(|(number, asked)| asked.choose(if number % 2 == 0 { "eng.ac.cdl" } else { "hist.ac.cdl" }));
    let mut users = std::collections::BTreeSet::new();
    for answer in futures_util::future::join_all(answers).await {
        users.insert(user_of(&app, &answer).await);
    }
    assert_eq!(users.len(), 1, "{users:?}");
    assert_eq!((app.rows("accounts").await, app.rows("links").await, app.rows("choices").await), (1, 1, 1));
    assert_eq!(app.eng.users().len() + app.hist.users().len(), 1);
}

#[tokio::test]
async fn no_more_of_a_person_is_kept_than_the_config_looks_at() {
    let app = start(true, |config| {
        config["homeservers"][0]["new_account"] = json!({ "display_name": "{{ attributes.mail }}" });
    })
    .await;
    let asked = Asked::as_person(&app, "erin", TRUSTED).await;
    assert_eq!(app.rows("pending WHERE identity LIKE '%erin@ac.cdl%'").await, 1);
    assert_eq!(
        app.rows("pending WHERE identity LIKE '%physics%'").await,
        0,
        "nothing looks at the department"
    );
    asked.choose("eng.ac.cdl").await;
    let name = app.eng.user("@erin:eng.ac.cdl").and_then(|user| user.display_name);
    assert_eq!(name.as_deref(), Some("erin@ac.cdl"));
}

#[tokio::test]
async fn the_longest_redirect_url_survives_beside_the_longest_name_of_a_session() {
    let app = start(false, |config| {
        config["providers"] = json!([{ "id": "idp", "name": "IdP", "posting": {} }]);
    })
    .await;
    let prefix = "https://app.ac.cdl/?x=%C3%B6&y=";
    let longest = format!("{prefix}{}&b", "x".repeat(2000 - prefix.len() - 2));
    let session = "s".repeat(400);
    let attempt = crate::ports::begin(&app, &longest).await;
    let page = crate::ports::post_in(&app, &attempt, "alice", "one", &session).await;
    assert_eq!(page.title(), "Choose your homeserver", "{}", page.body);
    let callback = app.base().clone();
    let asked = Asked { app: &app, cookies: page.cookies(), body: page.body, callback };
    let fields = asked.with("eng.ac.cdl");
    let other: Vec<_> = fields
        .iter()
        .map(|(name, value)| {
            let is_it = name == "redirect_url";
            (name.clone(), if is_it { "https://evil.example/".to_owned() } else { value.clone() })
        })
        .collect();
    assert_eq!(asked.submit("/_usher/choose", &other).await.status, 403, "another address");
    let without: Vec<_> = fields.iter().filter(|(name, _)| name != "redirect_url").cloned().collect();
    assert_eq!(asked.submit("/_usher/choose", &without).await.status, 403, "none");
    let back = asked.choose("eng.ac.cdl").await;
    assert!(back.location().starts_with(&format!("{longest}&loginToken=")), "{}", back.location());
}
