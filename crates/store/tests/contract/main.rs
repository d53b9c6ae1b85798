//! What the store promises, checked the same on SQLite (a file) and on a throw-away Postgres.
//!
//! A claim is a function over [`harness::TestDb`]; [`on_both!`] makes it a named test for each database.

macro_rules! on_both {
    ($($claim:ident),* $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $claim() -> anyhow::Result<()> {
                    super::$claim(&crate::harness::TestDb::on_sqlite().await?).await
                }
            )*
        }
        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $claim() -> anyhow::Result<()> {
                    super::$claim(&crate::harness::TestDb::on_postgres().await?).await
                }
            )*
        }
    };
}

mod accounts;
mod concurrency;
mod harness;
mod links;
mod login_tokens;
mod logouts;
mod logouts_of_groups;
mod migrations;
mod opening;
mod outage;
mod pending;
mod people;
mod provisioning;
mod sessions;
mod sweeps;
mod transactions;
mod ui_auth_sessions;
