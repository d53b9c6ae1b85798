//! A database of its own for every test, and the people in it.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use anyhow::ensure;
use ruma_common::{OwnedUserId, UserId};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use usher_core::{Entropy, Handle, Issuer, ProviderId, Subject, Timestamp};
use usher_lab::real::postgres::Postgres;
use usher_store::{
    AccountState, AttemptHash, Lease, Options, Origin, PersonKey, Store, TokenHash, accounts, links,
    login_tokens::{self, NewLoginToken},
};

/// Its process ends with this one, however that ends; statics are not dropped.
static POSTGRES: OnceCell<Postgres> = OnceCell::const_new();

/// A migrated database that nobody else uses.
pub(crate) struct TestDb {
    pub(crate) store: Store,
    url: String,
    _dir: Option<TempDir>,
}

impl TestDb {
    pub(crate) async fn on_sqlite() -> anyhow::Result<Self> {
        Self::on_empty_sqlite().await?.migrated().await
    }

    pub(crate) async fn on_postgres() -> anyhow::Result<Self> {
        Self::on_empty_postgres().await?.migrated().await
    }

    /// Without tables.
    pub(crate) async fn on_empty_sqlite() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let url = format!("sqlite://{}", dir.path().join("usher.db").display());
        Ok(Self { store: Store::connect(&options(&url)).await?, url, _dir: Some(dir) })
    }

    /// Without tables.
    pub(crate) async fn on_empty_postgres() -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let postgres = POSTGRES.get_or_try_init(Postgres::start).await?;
        let name = format!("contract_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let url = String::from(postgres.create_database(&name).await?);
        Ok(Self { store: Store::connect(&options(&url)).await?, url, _dir: None })
    }

    async fn migrated(self) -> anyhow::Result<Self> {
        self.store.migrate().await?;
        Ok(self)
    }

    /// The same database, opened once more: another replica.
    pub(crate) async fn another(&self) -> anyhow::Result<Store> {
        Ok(Store::connect(&options(&self.url)).await?)
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite")
    }

    /// Runs statements that the store has no function for.
    pub(crate) async fn run(&self, sql: &'static str) -> anyhow::Result<()> {
        use sqlx::Connection as _;
        if let Some(path) = self.url.strip_prefix("sqlite://") {
            let connect = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let mut connection = sqlx::SqliteConnection::connect_with(&connect).await?;
            sqlx::raw_sql(sql).execute(&mut connection).await?;
        } else {
            let mut connection = sqlx::PgConnection::connect(&self.url).await?;
            sqlx::raw_sql(sql).execute(&mut connection).await?;
        }
        Ok(())
    }

    /// An active account on the homeserver `eng.test`, linked to `person`.
    pub(crate) async fn with_account(&self, person: &TestPerson) -> anyhow::Result<OwnedUserId> {
        let mxid = mxid(&person.subject);
        ensure!(accounts::insert_reserved(&self.store, &mxid, Origin::Created, ms(0)).await?);
        let (from, to) = (AccountState::Reserved, AccountState::Active);
        ensure!(accounts::advance(&self.store, &mxid, from, to, ms(0)).await?);
        ensure!(links::insert(&self.store, &person.key(), &mxid, ms(0)).await?);
        Ok(mxid)
    }

    /// A token named `name`, issued at 1,000 ms, good for 100 ms, its attempt spent until 2,000 ms.
    pub(crate) async fn with_token(
        &self,
        name: &str,
        person: &TestPerson,
        mxid: &UserId,
    ) -> anyhow::Result<TokenHash> {
        let token = TokenHash::of(name);
        let attempt = attempt();
        ensure!(login_tokens::insert(&self.store, &new_token(&token, &attempt, person, mxid)).await?);
        Ok(token)
    }
}

pub(crate) fn options(url: &str) -> Options {
    Options { max_connections: 8, ..Options::new(SecretString::from(url)) }
}

/// Fails fast: for databases that are away.
pub(crate) fn impatient(url: &str) -> Options {
    Options {
        max_connections: 2,
        acquire_timeout: Duration::from_millis(500),
        statement_timeout: Duration::from_millis(500),
        ..Options::new(SecretString::from(url))
    }
}

pub(crate) fn new_token<'a>(
    token: &'a TokenHash,
    attempt: &'a AttemptHash,
    person: &'a TestPerson,
    mxid: &'a UserId,
) -> NewLoginToken<'a> {
    NewLoginToken {
        token,
        attempt,
        mxid,
        person: person.key(),
        upstream_session: None,
        begun_at: ms(500),
        issued_at: ms(1_000),
        expires_at: ms(1_100),
        keep_until: ms(2_000),
    }
}

/// A person at the provider `corp`.
#[derive(Clone, Debug)]
pub(crate) struct TestPerson {
    pub(crate) provider: ProviderId,
    pub(crate) issuer: Issuer,
    pub(crate) subject: Subject,
}

impl TestPerson {
    pub(crate) fn named(subject: &str) -> Self {
        Self {
            provider: ProviderId::parse("corp").expect("a valid id"),
            issuer: Issuer::parse("https://idp.test").expect("a valid issuer"),
            subject: Subject::parse(subject).expect("a valid subject"),
        }
    }

    pub(crate) fn key(&self) -> PersonKey<'_> {
        PersonKey { provider: &self.provider, issuer: &self.issuer, subject: &self.subject }
    }
}

/// `@{localpart}:eng.test`.
pub(crate) fn mxid(localpart: impl std::fmt::Display) -> OwnedUserId {
    UserId::parse(format!("@{localpart}:eng.test")).expect("a valid user id")
}

pub(crate) fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A lease that no other call returns.
pub(crate) fn lease() -> Lease {
    Lease::generate(&Counting)
}

/// An attempt that no other call returns.
pub(crate) fn attempt() -> AttemptHash {
    AttemptHash::of(&Handle::generate(&Counting))
}

/// Different bytes each time, the same in every run.
#[derive(Debug)]
pub(crate) struct Counting;

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        for (byte, digit) in bytes.iter_mut().zip(number.iter().cycle()) {
            *byte = *digit;
        }
    }
}
