//! `kill -9` in the middle of every write of a login, on SQLite: the file is sound, the person signs in again, their
//! client repeats its request, and they are in, with one account.
//!
//! SQLite has no wire on which a statement could be held up, as `every_step` does on Postgres. A trigger stops it
//! instead: it counts for half a minute, before or after the row is written and before the transaction ends. What
//! lies between two writes is between two calls, and `establishing` and `redeeming` kill at each of those. A trigger
//! also notes every write of a login, to be compared with the list.

use std::time::Duration;

use sqlx::AssertSqlSafe;

use crate::{
    components::{eventually, run},
    database::{Database, Kind},
    getting_in::At,
    scripted::{SERVER_NAME, Stage, engineer},
};

/// The lease on a login token ends five seconds later.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);
/// A writer that has held the file for so many looks in a row is one that counts.
const LOOKS: usize = 10;

/// One write: what is done to a table, and the state that it writes, if the table has states.
pub(crate) type Write = (&'static str, &'static str, Option<&'static str>);

/// Of a first visit, from the callback to the login token.
const FIRST_CALLBACK: [Write; 7] = [
    ("INSERT", "accounts", Some("reserved")),
    ("INSERT", "links", None),
    ("INSERT", "choices", None),
    ("UPDATE", "accounts", Some("registering")),
    ("UPDATE", "accounts", Some("active")),
    ("INSERT", "provisioned", None),
    ("INSERT", "login_tokens", Some("issued")),
];
/// Of a `POST /login`.
const REDEEM: [Write; 3] = [
    ("UPDATE", "login_tokens", Some("claimed")),
    ("UPDATE", "login_tokens", Some("redeemed")),
    ("INSERT", "sessions", None),
];

/// Has every write of anybody noted from now on.
pub(crate) async fn note_writes(database: &Database) -> anyhow::Result<()> {
    let mut sql = String::from("CREATE TABLE noted (step TEXT NOT NULL);");
    for table in database.row_counts().await?.keys() {
        let columns = format!("SELECT name FROM pragma_table_info('{table}')");
        let has_states = database.column(AssertSqlSafe(columns)).await?.contains(&"state".to_owned());
        for (event, row) in [("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")] {
            let state = if has_states { format!("' ' || {row}.state") } else { "''".to_owned() };
            let trigger = format!(
                "CREATE TRIGGER noted_{event}_{table} AFTER {event} ON {table}
                 BEGIN INSERT INTO noted VALUES ('{event} {table}' || {state}); END;"
            );
            sql.push_str(&trigger);
        }
    }
    database.execute(AssertSqlSafe(sql)).await
}

/// What was noted, in order, and forgets it.
pub(crate) async fn noted(database: &Database) -> anyhow::Result<Vec<String>> {
    // The column comes sorted, and rows have numbers.
    let rows = database.column("SELECT printf('%08d', rowid) || step FROM noted").await?;
    database.execute("DELETE FROM noted").await?;
    Ok(rows.into_iter().map(|row| row[8..].to_owned()).collect())
}

pub(crate) fn named(writes: &[Write]) -> Vec<String> {
    let name = |&(event, table, state): &Write| match state {
        Some(state) => format!("{event} {table} {state}"),
        None => format!("{event} {table}"),
    };
    writes.iter().map(name).collect()
}

/// Has the next such write count for half a minute, with the file locked.
pub(crate) async fn stop_at(
    database: &Database,
    (event, table, state): Write,
    when: &str,
) -> anyhow::Result<()> {
    let condition = state.map(|state| format!("WHEN NEW.state = '{state}'")).unwrap_or_default();
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS numbers (n INTEGER NOT NULL);
         INSERT INTO numbers WITH RECURSIVE upto (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM upto WHERE n < 2000)
             SELECT n FROM upto WHERE NOT EXISTS (SELECT 1 FROM numbers);
         CREATE TRIGGER counts {when} {event} ON {table} {condition}
         BEGIN SELECT count(*) FROM numbers a, numbers b, numbers c WHERE a.n + b.n + c.n < 0; END;"
    );
    database.execute(AssertSqlSafe(sql)).await
}

/// Waits until somebody counts.
pub(crate) async fn stopped(database: &Database) -> anyhow::Result<()> {
    let mut in_a_row = 0;
    eventually("a write is stopped", async || {
        in_a_row = if database.is_locked().await? { in_a_row + 1 } else { 0 };
        Ok((in_a_row == LOOKS).then_some(()))
    })
    .await
}

pub(crate) fn name_of(write: Write, when: &str) -> String {
    format!("killed {} {}", when.to_lowercase(), named(&[write]).concat())
}

#[test]
fn the_writes_of_a_login_are_those_that_are_listed() -> anyhow::Result<()> {
    const CHANGED: &str =
        "a login writes something else than listed here: mend the list, and think of a crash there";
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        note_writes(&stage.database).await?;
        for (what, callback) in
            [("a first visit", &FIRST_CALLBACK[..]), ("a later one", &FIRST_CALLBACK[6..])]
        {
            let token = stage.sign_in().await?.login_token()?;
            assert_eq!(noted(&stage.database).await?, named(callback), "{what}. {CHANGED}");
            stage.client.redeem(&token).await?.expect_ok()?;
            assert_eq!(noted(&stage.database).await?, named(&REDEEM), "{what}. {CHANGED}");
        }
        Ok(())
    })
}

#[test]
fn whoever_is_cut_off_by_a_crash_in_the_middle_of_a_write_gets_in_to_one_account() -> anyhow::Result<()> {
    run(async {
        let mut stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        let mut cut_short = Vec::new();
        let writes = FIRST_CALLBACK.iter().chain(&REDEEM).enumerate();
        let scenes: Vec<_> =
            writes.flat_map(|(index, &write)| ["BEFORE", "AFTER"].map(|when| (index, write, when))).collect();
        for (number, &(index, write, when)) in scenes.iter().enumerate() {
            let (name, subject) = (name_of(write, when), format!("person{number:02}"));
            stage.enter(&engineer(&subject, "Somebody Else"));
            let user = format!("@{subject}:{SERVER_NAME}");
            let person = stage.person_stopping_at_callback();
            let callback = person.callback().await?;
            if index < FIRST_CALLBACK.len() {
                stop_at(&stage.database, write, when).await?;
                let address = callback.clone();
                let visit = tokio::spawn(async move { (person.open(&address).await, person) });
                stopped(&stage.database).await?;
                stage.usher.kill()?;
                let (answer, person) = visit.await?;
                assert!(answer.is_err(), "{name}: {answer:?}");
                stage.database.execute("DROP TRIGGER counts").await?;
                stage.usher.start_again().await?;
                let (token, _) = stage.gets_a_token(&person, &callback, At::Trusted).await?;
                stage.is_good_once(&token, &user, 1, &name).await?;
            } else {
                let token = person.open(&callback).await?.login_token()?;
                stop_at(&stage.database, write, when).await?;
                let login = stage.start_redeem(&token);
                stopped(&stage.database).await?;
                stage.kill_during(login).await?;
                stage.database.execute("DROP TRIGGER counts").await?;
                stage.usher.start_again().await?;
                cut_short.push((token, user, name));
            }
        }
        for (token, user, name) in &cut_short {
            stage.is_good_once(token, user, 1, name).await?;
        }
        assert_eq!(stage.homeserver.users().len(), scenes.len());
        assert_eq!(stage.database.accounts().await?.len(), scenes.len());
        assert_eq!(stage.database.column("PRAGMA integrity_check").await?, ["ok"]);
        Ok(())
    })
}
