//! `usher link`, with Usher running: what operators see of links, and what becomes of people when they change them.

use std::{path::Path, time::Duration};

use anyhow::ensure;
use reqwest::StatusCode;
use serde_json::{Value, json};
use usher_lab::{
    scripted::{cas::CasServer, homeserver::Endpoint},
    usher::Usher,
};

use crate::{
    components::run,
    database::Kind,
    scripted::{ALICE, SERVER_NAME, Stage, engineer},
    world::BINARY,
};

const TIMEOUT: Duration = Duration::from_secs(30);
const ALICE_OF_CORP: [&str; 4] = ["--provider", "corp", "--subject", "alice"];

/// What `usher link …` said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Stage {
    fn link(&self, arguments: &[&str]) -> anyhow::Result<Said> {
        let arguments = [&["link"][..], arguments].concat();
        let output = Usher::run(Path::new(BINARY), self.directory.path(), &arguments)?;
        let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        Ok(Said { code: output.status.code(), out, err })
    }

    fn link_of_alice(&self, command: &str, rest: &[&str]) -> anyhow::Result<Said> {
        self.link(&[&[command][..], &ALICE_OF_CORP, rest].concat())
    }

    async fn log_in(&self) -> anyhow::Result<String> {
        let token = self.sign_in().await?.login_token()?;
        Ok(self.client.redeem(&token).await?.expect_ok()?.field("user_id")?.to_owned())
    }

    /// Stops Usher and starts it with another config.
    async fn restart_with(&mut self, edit: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
        self.usher.stop().await?;
        let mut config = self.config.to_yaml();
        edit(&mut config);
        std::fs::write(self.directory.path().join("usher.yaml"), config.to_string())?;
        self.usher.start_again().await
    }
}

impl Said {
    fn ok(self) -> anyhow::Result<String> {
        ensure!(self.code == Some(0), "{:?}: {}{}", self.code, self.out, self.err);
        Ok(self.out)
    }

    fn refused(self, why: &str) -> anyhow::Result<()> {
        ensure!(self.code == Some(1) && self.out.is_empty(), "{:?}: {}", self.code, self.out);
        ensure!(self.err.contains(why), "{why:?} is not in: {}", self.err);
        Ok(())
    }
}

#[test]
fn links_are_listed_and_accounts_shown() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let stage = Stage::set(kind, TIMEOUT).await?;
            assert_eq!(stage.link(&["list"])?.ok()?.lines().count(), 1, "the heading");
            stage.log_in().await?;
            stage.enter(&engineer("bob", "Bob"));
            stage.log_in().await?;

            let list = stage.link(&["list"])?.ok()?;
            let issuer = stage.cas.base_url().to_string();
            let issuer = issuer.trim_end_matches('/');
            let line = list.lines().find(|line| line.contains("alice")).unwrap_or_default();
            let columns: Vec<_> = line.split('\t').take(6).collect();
            assert_eq!(columns, ["corp", issuer, "alice", ALICE, "active", "created"], "{list}");
            for (filter, expected) in [
                (&["--homeserver", SERVER_NAME][..], 2),
                (&["--homeserver", "other.localhost"], 0),
                (&["--provider", "corp", "--subject", "bob"], 1),
                (&["--mxid", ALICE], 1),
                (&["--issuer", "https://other.localhost"], 0),
            ] {
                let lines = stage.link(&[&["list", "--json"], filter].concat())?.ok()?;
                let lines: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
                assert_eq!(lines.len(), expected, "{kind:?} {filter:?}");
                assert!(
                    lines.iter().all(|line| line["homeserver"] == SERVER_NAME && line["state"] == "active")
                );
            }

            let device = &stage.devices(ALICE)[0].0;
            let shown = stage.link(&["show", ALICE])?.ok()?;
            for part in ["active, created", "alice of corp", device, "still to be given: nothing"] {
                assert!(shown.contains(part), "{kind:?}: {part} is not in {shown}");
            }
            assert!(stage.link(&["show", ALICE, "--ask"])?.ok()?.contains("no administrator"));
            stage.homeserver.set_admin(ALICE, true);
            assert!(stage.link(&["show", ALICE, "--ask"])?.ok()?.contains("ADMINISTRATOR"));
            stage.link(&["show", "@nobody:engineering.localhost"])?.refused("knows no account")?;
        }
        Ok(())
    })
}

#[test]
fn a_link_that_is_removed_opens_nothing_and_can_be_had_back() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let stage = Stage::set(kind, TIMEOUT).await?;
            stage.log_in().await?;
            let under_way = stage.sign_in().await?.login_token()?;
            let said = stage.link_of_alice("remove", &["--homeserver", SERVER_NAME])?.ok()?;
            assert!(said.contains("usher link pin --provider corp") && said.contains(ALICE), "{said}");
            let answer = stage.client.redeem(&under_way).await?;
            assert_eq!((answer.status, answer.errcode()), (StatusCode::FORBIDDEN, "M_FORBIDDEN"), "{kind:?}");
            assert_eq!(stage.database.accounts().await?, [format!("{ALICE} removed")], "{kind:?}");
            stage.link_of_alice("remove", &["--homeserver", SERVER_NAME])?.refused("no link of alice")?;

            let second = "@alice-2:engineering.localhost";
            assert_eq!(stage.log_in().await?, second, "{kind:?}: a newcomer");
            stage.link_of_alice("pin", &[ALICE])?.refused("one account on a homeserver")?;
            stage.link(&["remove", second])?.ok()?;
            stage.link_of_alice("pin", &[ALICE])?.ok()?;
            assert!(stage.link_of_alice("pin", &[ALICE])?.ok()?.contains("already had"));
            assert_eq!(stage.log_in().await?, ALICE, "{kind:?}");
            let accounts = [format!("{second} removed"), format!("{ALICE} active")];
            assert_eq!(stage.database.accounts().await?, accounts, "{kind:?}");
            let origins = stage.database.column("SELECT origin FROM accounts").await?;
            assert_eq!(origins, ["created", "created"], "{kind:?}: where it came from has not changed");
        }
        Ok(())
    })
}

#[test]
fn only_accounts_that_are_there_and_nobody_specials_are_pinned() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        let (old, boss) = ("@old:engineering.localhost", "@boss:engineering.localhost");
        stage.homeserver.add_user(old);
        stage.homeserver.set_admin(boss, true);
        for (mxid, why) in [
            ("@nobody:engineering.localhost", "has no account"),
            (boss, "is an administrator"),
            ("@usher:engineering.localhost", "is reserved"),
            ("@old:elsewhere.localhost", "is not one of `homeservers`"),
            ("@Old:engineering.localhost", "is not spelled as Matrix accounts are"),
        ] {
            stage.link_of_alice("pin", &[mxid])?.refused(why)?;
        }
        let stranger = ["pin", "--provider", "other", "--issuer", "x", "--subject", "alice", old];
        stage.link(&stranger)?.refused("is not one of `providers`")?;
        stage.homeserver.set_fault(
            Endpoint::AdminFlag,
            usher_lab::scripted::homeserver::Fault::error(404, "M_UNRECOGNIZED", "Unrecognized request"),
        );
        stage.link_of_alice("pin", &[old])?.refused("does not say whether it is an administrator")?;
        stage.homeserver.clear_fault(Endpoint::AdminFlag);
        stage.homeserver.stop().await?;
        stage.link_of_alice("pin", &[old])?.refused("the homeserver could not be asked")?;
        stage.homeserver.restart().await?;
        assert_eq!(stage.database.accounts().await?, Vec::<String>::new(), "nothing was written");

        stage.link_of_alice("pin", &[old])?.ok()?;
        assert_eq!(stage.log_in().await?, old);
        assert_eq!(stage.database.column("SELECT origin FROM accounts").await?, ["pinned"]);
        stage.enter(&engineer("bob", "Bob"));
        stage.link(&["pin", "--provider", "corp", "--subject", "bob", old])?.ok()?;
        assert_eq!(stage.log_in().await?, old, "a second link, on the operator's word");
        stage
            .link(&["remove", "--provider", "corp", "--subject", "bob", "--homeserver", SERVER_NAME])?
            .ok()?;
        assert_eq!(stage.database.accounts().await?, [format!("{old} active")], "alice still has it");
        Ok(())
    })
}

#[test]
fn what_would_be_lost_is_said_first() -> anyhow::Result<()> {
    run(async {
        let mut stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        stage
            .restart_with(|config| {
                config["homeservers"][0]["new_account"]["join"] = json!(["#later:engineering.localhost"]);
            })
            .await?;
        stage.log_in().await?;
        assert!(stage.link(&["show", ALICE])?.ok()?.contains("join #later:engineering.localhost"));
        stage.link(&["remove", ALICE])?.refused("--yes")?;
        assert_eq!(stage.database.links().await?.len(), 1);
        stage.link(&["remove", ALICE, "--yes"])?.ok()?;
        assert_eq!(stage.database.links().await?.len(), 0);
        for (name, arguments) in [
            ("nobody", &["remove"][..]),
            ("no homeserver", &["remove", "--provider", "corp", "--subject", "alice"]),
            ("both", &["remove", ALICE, "--subject", "alice"]),
            ("no MXID", &["show", "alice"]),
            ("no command", &["list", "everything"]),
        ] {
            assert_eq!(stage.link(arguments)?.code, Some(2), "{name}");
        }
        Ok(())
    })
}

#[test]
fn a_provider_that_moved_is_served_once_its_people_have_moved_too() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let mut stage = Stage::set(kind, TIMEOUT).await?;
            stage.log_in().await?;
            let old = stage.cas.base_url().to_string();
            let old = old.trim_end_matches('/').to_owned();
            stage.usher.stop().await?;
            stage.cas = CasServer::start().await?;
            let new = stage.cas.base_url().to_string();
            let new = new.trim_end_matches('/').to_owned();
            stage.config.cas_base_url.clone_from(&new);
            let config = stage.config.to_yaml().to_string();
            std::fs::write(stage.directory.path().join("usher.yaml"), config)?;
            stage.enter(&engineer("alice", "Alice Liddell"));

            let output = Usher::run(Path::new(BINARY), stage.directory.path(), &["serve"])?;
            let said = String::from_utf8(output.stderr)?;
            assert_eq!(output.status.code(), Some(1), "{kind:?}: {said}");
            let command = format!("usher link migrate --provider corp --from '{old}' --to '{new}'");
            assert!(said.contains(&command), "{kind:?}: {said}");

            let migrate = |from: &str, to: &str| {
                stage.link(&["migrate", "--provider", "corp", "--from", from, "--to", to])
            };
            migrate(&new, &old)?.refused("the config says that the issuer of corp is")?;
            migrate("https://nobody.localhost", &new)?.refused(&format!("the issuers are: {old}"))?;
            assert!(migrate(&old, &new)?.ok()?.contains("1 link(s)"));
            stage.usher.start_again().await?;
            assert_eq!(stage.log_in().await?, ALICE, "{kind:?}");
            assert_eq!(stage.database.links().await?, [format!("alice {ALICE}")], "{kind:?}");
        }
        Ok(())
    })
}
